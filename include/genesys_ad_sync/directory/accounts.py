"""Reads the state of single AD accounts, those outside of every synchronised group included."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.attribute_values import account_expires
from genesys_ad_sync.directory.entries import Entry
from genesys_ad_sync.directory.objects import ACCOUNT_DISABLED, batches
from genesys_ad_sync.directory.reader import DirectoryReader
from genesys_ad_sync.model import AccountState, Guid


def account_states(reader: DirectoryReader, guids: Iterable[Guid]) -> dict[Guid, AccountState]:
    """Return the state of each account, by AD's clock. Raises DirectoryError."""
    wanted = sorted(set(guids))
    if not wanted:
        return {}
    now = reader.session.current_time()
    states = dict.fromkeys(wanted, AccountState.UNSEEN)
    for batch in batches(wanted, ctl.GUIDS_PER_FILTER):
        for entry in reader.session.search_paged(
            reader.scope.naming_context,
            ctl.guid_filter(batch),
            ["objectGUID", "userAccountControl", "accountExpires"],
            subordinates="ignore",
        ):
            states[entry.guid] = state_of(entry, now)
    unseen = [guid for guid, state in states.items() if state is AccountState.UNSEEN]
    return {**states, **dict.fromkeys(reader.tombstones(unseen), AccountState.DELETED)}


def state_of(entry: Entry, now: datetime) -> AccountState:
    """Return the state of an account as its entry has it."""
    control, expires = entry.number("userAccountControl"), entry.number("accountExpires")
    if control is None:
        return AccountState.UNSEEN
    if control & ACCOUNT_DISABLED:
        return AccountState.DISABLED
    end = account_expires(expires)
    return AccountState.EXPIRED if end is not None and end <= now else AccountState.ENABLED
