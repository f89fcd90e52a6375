"""Temporary members of groups: TTL-DNs in answers.

Active Directory takes such a member out at a known time. Pure. Nobody has published what a domain controller answers
where the extended-DN control and the link-TTL control meet. An answer that lacks the GUID of a temporary member is read
again without the second one, and its TTLs are put into that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from genesys_ad_sync import names
from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.entries import Entry
from genesys_ad_sync.model import Guid


def is_member_attribute(name: str) -> bool:
    """Return True for ``member`` and its ranges."""
    return name.partition(";")[0].lower() == "member"


def lacks_guid(entry: Entry) -> bool:
    """Return True if a temporary member of the entry came without its GUID."""
    return any(
        ctl.split_ttl(value)[1] is not None and ctl.guid_of_value(value) is None
        for name, values in entry.attributes.items()
        if is_member_attribute(name)
        for value in values
    )


def rejoined(with_ttls: Entry, plain: Entry) -> Entry:
    """Return ``plain``, the same members read without TTLs, with the TTLs of the first answer."""
    seconds: dict[str, int] = {}
    for name, values in with_ttls.attributes.items():
        for value, left in map(ctl.split_ttl, values if is_member_attribute(name) else ()):
            if left is not None:
                seconds[_dn_key(value)] = left
    others = {name: values for name, values in with_ttls.attributes.items() if not is_member_attribute(name)}
    members = {
        name: [ctl.with_ttl(value, seconds[key]) if (key := _dn_key(value)) in seconds else value for value in values]
        for name, values in plain.attributes.items()
        if is_member_attribute(name)
    }
    return Entry(with_ttls.dn, {**others, **members})


def seconds_left(values: Iterable[bytes]) -> dict[Guid, int]:
    """Return temporary member -> seconds until it leaves."""
    found: dict[Guid, int] = {}
    for value in values:
        seconds = ctl.split_ttl(value)[1]
        guid = None if seconds is None else ctl.guid_of_value(value)
        if seconds is not None and guid is not None:
            found[guid] = seconds
    return found


def ends_of(left: Mapping[Guid, int], now: datetime) -> dict[Guid, datetime]:
    """Return temporary member -> the time at which it leaves. ``now``: the domain controller's clock."""
    furthest = (datetime.max.replace(tzinfo=now.tzinfo) - now).total_seconds() - 1
    return {guid: now + timedelta(seconds=seconds) for guid, seconds in left.items() if seconds < furthest}


def _dn_key(value: bytes) -> str:
    return names.dn_key(ctl.plain_dn(value.decode("utf-8", "replace")))
