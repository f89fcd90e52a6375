"""Brings a part of the stored view up to date with the changes that DirSync told.

DirSync says who was added and removed, but not what became of an object that was renamed or moved: such objects are
read again. Everything is idempotent, because a domain controller may repeat changes, or tell all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genesys_ad_sync.directory.ldap_controls import domain_rid
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.model import Guid, View

if TYPE_CHECKING:
    from genesys_ad_sync.directory.reader import DirectoryReader


def merged(view: View, before: View, after: View) -> View:
    """``view`` with the part ``before`` replaced by ``after``. ``view`` itself is left as it is."""
    gone = (before.groups.keys() - after.groups.keys()) | (before.users.keys() - after.users.keys())
    return View(
        groups={**{k: v for k, v in view.groups.items() if k not in gone}, **after.groups},
        users={**{k: v for k, v in view.users.items() if k not in gone}, **after.users},
        members={**{k: v for k, v in view.members.items() if k not in gone}, **after.members},
    )


def apply_delta(part: View, delta: Delta, reader: DirectoryReader) -> View:
    """The part of the stored view that ``delta`` touches, as it is after it. ``part`` is not changed.

    Who does not hand in the whole view must load, with all their direct members: the groups that ``delta.mentioned``
    names; the groups that have a deleted object as direct member; the groups that are the primary group of somebody
    whose primary group was set. And the users that ``delta.mentioned`` names.
    Objects newly referred to are fetched, nested groups below them completely, so the answer may hold more objects
    than ``part``. Groups that are no longer reached stay; ``membership.prune`` takes them out of a whole view.
    """
    after = View(dict(part.groups), dict(part.users), {guid: set(members) for guid, members in part.members.items()})
    _forget_deleted(after, delta)
    known = after.groups.keys() | after.users.keys()
    came, went = _change_members(after, delta)

    strangers = (delta.touched | delta.member_changes.keys()) - known
    primary_groups = primary_group_rids(after)
    to_read: set[Guid] = {
        *(delta.touched & known),
        *(came - known),
        *reader.in_scope(strangers),
        *(user for user, rid in delta.primary_groups.items() if rid in primary_groups),
        # A link also goes when the group becomes the user's primary group: then the user is still in.
        *(went & after.users.keys()),
    }
    found = reader.fetch(to_read, known=frozenset(known))

    after.groups.update(found.view.groups)
    after.users.update(found.view.users)
    after.members.update(found.view.members)
    primary_groups = primary_group_rids(after)
    for user, rid in found.primary.items():
        if rid in primary_groups:
            after.members[primary_groups[rid]].add(user)
    return after


def _forget_deleted(view: View, delta: Delta) -> None:
    # Deleting a user takes it out of its groups without a change of the groups; only its tombstone tells.
    for guid in delta.deleted:
        view.groups.pop(guid, None)
        view.users.pop(guid, None)
        view.members.pop(guid, None)
    for members in view.members.values():
        members -= delta.deleted


def _change_members(view: View, delta: Delta) -> tuple[set[Guid], set[Guid]]:
    """Applies the links of known groups. Gives everybody who was added and everybody who was removed."""
    came: set[Guid] = set()
    went: set[Guid] = set()
    for group, (added, removed) in delta.member_changes.items():
        if group in view.members:
            view.members[group] |= added - delta.deleted
            view.members[group] -= removed
            came |= added - delta.deleted
            went |= removed
    return came, went


def primary_group_rids(view: View) -> dict[int, Guid]:
    """The groups that can be somebody's primary group, by the RID that ``primaryGroupID`` refers to."""
    rids = {guid: domain_rid(group.sid) for guid, group in view.groups.items()}
    return {rid: guid for guid, rid in rids.items() if rid is not None}
