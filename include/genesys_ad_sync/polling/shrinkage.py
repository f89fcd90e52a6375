"""Part of `poll`: what a complete reading merely lacks is not believed at once.

An account that lost the right to see `member` reads every group to its end, and each of them is empty. So what went
without a word of AD (no removal told by DirSync, no tombstone) counts as unread where it is a lot: it stays what it
was, and the group is not proven.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from genesys_ad_sync import guard
from genesys_ad_sync.directory.membership import keep_invisible
from genesys_ad_sync.directory.reading import Delta
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryNotFound
from genesys_ad_sync.model import Guid, View
from genesys_ad_sync.settings import Limits


@dataclass(frozen=True)
class Disbelieved:
    """``groups``: those that prove nothing now. ``notes``: for the report."""

    groups: frozenset[Guid]
    notes: tuple[str, ...] = ()


def disbelieve_shrinking(
    before: View, after: View, read: Collection[Guid], told: Delta | None, limits: Limits, *, whole: bool
) -> Disbelieved:
    """Puts back into ``after`` the memberships of ``before`` that went without a word where that is too much to be
    believed: of one group, or (``whole``) of all that is known together.

    ``read``: the groups that were read now. ``told``: what DirSync said since ``before``; None: nothing.
    """
    lost: dict[Guid, set[Guid]] = {}
    for guid in read:
        if guid in before.members:
            lost[guid] = _unexplained(guid, before.members[guid] - after.members.get(guid, set()), told)
    doubted = {guid for guid, gone in lost.items() if guard.shrunk(len(before.members[guid]), len(gone), limits)}
    notes = []
    if doubted:
        notes.append(
            f"{len(doubted)} AD groups lack more members than limits.shrink_percent believes, and Active Directory "
            "told of no removal: they count as not read. See that the account may read `member` of them; if it is "
            "true, run once with limits.shrink_percent: 100"
        )
    if whole:
        known = sum(len(members) for members in before.members.values())
        gone_groups = {guid for guid in before.groups if guid not in after.groups and not _told_deleted(guid, told)}
        missing = sum(map(len, lost.values())) + sum(len(before.members[guid]) for guid in gone_groups)
        if guard.shrunk(known, missing, limits):
            doubted = set(after.groups)
            notes.append(
                f"{missing} of {known} memberships are not to be seen any more, and Active Directory told of no "
                "removal: nothing of this reading removes anybody. See which domain controller and "
                "which account this is"
            )
    for guid in doubted:
        _put_back(before, after, guid, lost.get(guid, set()))
    return Disbelieved(frozenset(doubted), tuple(notes))


def canary_is_missing(session: LdapSession, dn: str | None) -> bool:
    """True if the account does not see the object that it must always see (`directory.canary`)."""
    if dn is None:
        return False
    try:
        seen = session.search(dn, "(objectClass=*)", ["objectGUID"], scope="BASE")
    except DirectoryNotFound:
        return True
    # some servers answer with an entry of which nothing may be read
    return not any(entry.attributes.get("objectguid") for entry in seen)


CANARY_NOTE = (
    "the account does not see directory.canary: its rights changed, or this is another directory. Nothing that was "
    "read in this run removes anybody"
)


def _unexplained(group: Guid, gone: set[Guid], told: Delta | None) -> set[Guid]:
    if told is None:
        return gone
    removed = told.member_changes[group][1] if group in told.member_changes else frozenset()
    return gone - removed - told.deleted - told.primary_groups.keys()


def _told_deleted(guid: Guid, told: Delta | None) -> bool:
    return told is not None and (guid in told.deleted or guid in told.touched)


def _put_back(before: View, after: View, group: Guid, members: set[Guid]) -> None:
    """With everything that ``before`` knows below them."""
    if group not in after.members:
        return
    after.members[group] |= members
    keep_invisible(before, after, members)
