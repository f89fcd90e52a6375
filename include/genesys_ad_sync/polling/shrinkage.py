"""Memberships that a complete reading merely lacks are not believed at once.

An account that lost the right to see `member` reads every group to its end, and each of them is empty. So where a lot
is missing without DirSync or a tombstone saying so, the group counts as unread: it stays what it was, and is not
proven.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from genesys_ad_sync.directory.membership import retain_unreadable
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryNotFound
from genesys_ad_sync.model import DirectoryView, Guid
from genesys_ad_sync.planning.limits import shrinks_implausibly
from genesys_ad_sync.settings import Limits

_GROUPS_NAMED = 5


@dataclass(frozen=True)
class Shrinkage:
    """What is not believed.

    ``groups``: those that prove nothing now. ``notes``: for the report. ``losses``: group -> members that it lacks, and
    that stay in the view.
    """

    groups: frozenset[Guid]
    notes: tuple[str, ...] = ()
    losses: Mapping[Guid, frozenset[Guid]] = field(default_factory=dict)


def restore_unexplained_losses(
    before: DirectoryView,
    after: DirectoryView,
    read: Collection[Guid],
    delta: Delta | None,
    limits: Limits,
    *,
    whole: bool,
    deleted: Collection[Guid] = (),
) -> Shrinkage:
    """Put memberships back into ``after`` that are missing without explanation, where they are too many.

    Too many of one group, or (``whole``) of all that is known together. ``read``: the groups that were read now.
    ``delta``: what DirSync listed since ``before``; None: nothing. ``deleted``: objects whose tombstone was seen.
    """
    losses = {guid: lost.difference(deleted) for guid, lost in _group_losses(before, after, read, delta).items()}
    doubted = {
        guid for guid, lost in losses.items() if shrinks_implausibly(len(before.members[guid]), len(lost), limits)
    }
    notes = [_note_on_groups(sorted(before.groups[guid].name for guid in doubted), limits)] if doubted else []
    if whole:
        known = sum(map(len, before.members.values()))
        missing = _total_loss(before, after, losses, delta, deleted)
        if shrinks_implausibly(known, missing, limits):
            doubted = set(after.groups)
            notes.append(_note_on_all(missing, known))
    for guid in doubted:
        _restore(before, after, guid, losses.get(guid, set()))
    kept = {guid: frozenset(losses[guid]) for guid in doubted if losses.get(guid)}
    return Shrinkage(frozenset(doubted), tuple(notes), kept)


def canary_missing(session: LdapSession, dn: str | None) -> bool:
    """Return True if the account does not see `directory.canary`, which it must always see."""
    if dn is None:
        return False
    try:
        seen = session.search(dn, "(objectClass=*)", ["objectGUID"], scope="BASE")
    except DirectoryNotFound:
        return True
    # some servers answer with an entry of which nothing may be read
    return not any(entry.attributes.get("objectguid") for entry in seen)


def _group_losses(
    before: DirectoryView, after: DirectoryView, read: Collection[Guid], delta: Delta | None
) -> dict[Guid, set[Guid]]:
    """Return the members that each known group lacks now without explanation."""
    return {
        guid: _unexplained(guid, before.members[guid] - after.members.get(guid, set()), delta)
        for guid in read
        if guid in before.members
    }


def _total_loss(
    before: DirectoryView,
    after: DirectoryView,
    losses: Mapping[Guid, Collection[Guid]],
    delta: Delta | None,
    deleted: Collection[Guid],
) -> int:
    """Return how many memberships are missing, those of vanished groups included."""
    gone = before.groups.keys() - after.groups.keys() - set(deleted)
    vanished = {guid for guid in gone if not _is_listed(guid, delta)}
    return sum(map(len, losses.values())) + sum(len(before.members[guid]) for guid in vanished)


def _unexplained(group: Guid, gone: set[Guid], delta: Delta | None) -> set[Guid]:
    if delta is None:
        return gone
    return gone - delta.removed(group) - delta.deleted - delta.primary_groups.keys()


def _is_listed(guid: Guid, delta: Delta | None) -> bool:
    return delta is not None and (guid in delta.deleted or guid in delta.touched)


def _restore(before: DirectoryView, after: DirectoryView, group: Guid, members: set[Guid]) -> None:
    """Put the members back, with everything that ``before`` knows below them."""
    if group not in after.members:
        return
    after.members[group] |= members
    retain_unreadable(before, after, members)


def _note_on_groups(names: Sequence[str], limits: Limits) -> str:
    more = f" and {len(names) - _GROUPS_NAMED} more" if len(names) > _GROUPS_NAMED else ""
    listed = ", ".join(f"'{name}'" for name in names[:_GROUPS_NAMED])
    return (
        f"AD groups lack more members than limits.shrink_percent ({limits.shrink_percent}) allows, and Active "
        f"Directory reported no removal: {listed}{more}. Nobody is removed because of them. Check the account's right "
        "to read `member`. If the loss is real, set limits.shrink_percent: 100 in the definition for one run"
    )


def _note_on_all(missing: int, known: int) -> str:
    return (
        f"{missing} of {known} memberships are missing, and Active Directory reported no removal: no member is "
        f"removed because of this reading. Check which domain controller was read, and with which account"
    )
