"""Decides whether a missing membership may be believed. Pure.

Another domain controller may lag behind the one that was read before, and still answer completely. After a change of
domain controller, a membership that is merely missing is therefore doubted for a while.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import timedelta

from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.model import Action, Change, Cursor, DirectoryView, Guid, Reason

REPLICATION_TIME = timedelta(hours=1)
"""After this time, every domain controller knows what one of them knew."""


def trusted_cursor(fresh: Cursor) -> Cursor:
    """Return ``fresh`` without doubt: the first reading has nothing to lag behind."""
    return dataclasses.replace(fresh, doubted_since=None, trusted_dc=fresh.domain_controller)


def next_cursor(last: Cursor, known: Mapping[str, tuple[Guid, int]], fresh: Cursor) -> Cursor:
    """Return ``fresh`` with the doubt that follows from ``last``, the cursor before it.

    ``known``: domain controller -> (invocationId, highestCommittedUSN) as last seen. A domain controller whose database
    was restored, or replaced by an old copy, counts as another one.
    """
    name = fresh.domain_controller
    invocation_id, usn = {**known, last.domain_controller: (last.invocation_id, last.highest_committed_usn)}.get(
        name, (fresh.invocation_id, fresh.highest_committed_usn)
    )
    same_database = invocation_id == fresh.invocation_id and fresh.highest_committed_usn >= usn
    if name == last.domain_controller and same_database:
        if last.doubted_since is None or fresh.polled_at >= last.doubted_since + REPLICATION_TIME:
            return trusted_cursor(fresh)
        return dataclasses.replace(fresh, doubted_since=last.doubted_since, trusted_dc=last.trusted_dc)
    trusted = None
    if last.doubted_since is None and name != last.domain_controller:
        trusted = last.domain_controller
    elif name == last.trusted_dc and same_database:
        trusted = name
    return dataclasses.replace(fresh, doubted_since=fresh.polled_at, trusted_dc=trusted)


def without_unreported_losses(
    before: DirectoryView, after: DirectoryView, delta: Delta | None, *, believe_people: bool = False
) -> DirectoryView:
    """Return ``after`` plus every membership of ``before`` that ``delta`` does not report as ended.

    Unless ``believe_people``, a user that ``delta`` does not name also keeps the attributes of ``before``, because it
    does not report that the account was disabled.
    """
    deleted = delta.deleted if delta is not None else frozenset()
    removed = delta.member_changes if delta is not None else {}
    view = DirectoryView(
        groups={**{guid: g for guid, g in before.groups.items() if guid not in deleted}, **after.groups},
        users={**{guid: u for guid, u in before.users.items() if guid not in deleted}, **after.users},
    )
    if not believe_people:
        named = delta.touched | deleted if delta is not None else deleted
        view.users.update({guid: user for guid, user in before.users.items() if guid not in named})
    for guid in view.groups:
        gone = removed[guid][1] if guid in removed else frozenset()
        view.members[guid] = after.members.get(guid, set()) | (before.members.get(guid, set()) - gone - deleted)
    return view


def hold_doubted(changes: Iterable[Change], certain: Iterable[Change], reason: Reason, cursor: Cursor) -> list[Change]:
    """Hold the removals that are not among ``certain``, for ``reason``."""
    certain_removals = {(change.group_guid, change.user_guid) for change in certain if change.action is Action.REMOVE}
    trusted = cursor.trusted_dc if cursor.trusted_dc != cursor.domain_controller else None
    return [
        dataclasses.replace(change, held_reason=reason, trusted_dc=trusted)
        if change.action is Action.REMOVE
        and change.held_reason is None
        and (change.group_guid, change.user_guid) not in certain_removals
        else change
        for change in changes
    ]


def is_reported(change: Change, delta: Delta) -> bool:
    """Return whether ``delta`` itself reports that the membership of a doubted removal ended."""
    if change.user_guid in delta.deleted:
        return True
    last_group = change.path[-1] if change.path else change.group_guid
    _, removed = delta.member_changes.get(last_group, (frozenset(), frozenset()))
    return change.user_guid in removed


def may_confirm(change: Change, cursor: Cursor) -> bool:
    """Return whether a complete reading at ``cursor`` may confirm a doubted removal.

    It may if it comes from the domain controller that was read before the doubt, or long enough after the first
    reading.
    """
    if cursor.polled_at >= change.observed_at + REPLICATION_TIME:
        return True
    return change.trusted_dc is not None and change.trusted_dc == cursor.domain_controller == cursor.trusted_dc
