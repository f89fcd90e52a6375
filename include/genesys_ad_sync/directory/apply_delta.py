"""Bring a part of the stored view up to date with DirSync's changes.

DirSync says which members were added and removed, but not what became of an object that was renamed or moved: such
objects are read again. Everything is idempotent, because a domain controller may repeat changes, or send all of them.
"""

from __future__ import annotations

from genesys_ad_sync.directory.membership import primary_group_rids
from genesys_ad_sync.directory.objects import ObjectReader
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.model import DirectoryView, Guid


def merged(view: DirectoryView, before: DirectoryView, after: DirectoryView) -> DirectoryView:
    """Return ``view`` with the part ``before`` replaced by ``after``. ``view`` is not changed."""
    gone = (before.groups.keys() - after.groups.keys()) | (before.users.keys() - after.users.keys())
    return DirectoryView(
        groups={**{k: v for k, v in view.groups.items() if k not in gone}, **after.groups},
        users={**{k: v for k, v in view.users.items() if k not in gone}, **after.users},
        members={**{k: v for k, v in view.members.items() if k not in gone}, **after.members},
    )


def apply_delta(part: DirectoryView, delta: Delta, objects: ObjectReader) -> DirectoryView:
    """Return the part of the stored view that ``delta`` touches, brought up to date.

    ``part`` is not changed. It is the whole view, or a part that holds at least:
    - the users that ``delta.mentioned`` names;
    - with all their direct members: the groups that ``delta.mentioned`` names, the groups with a deleted object as
      direct member, and the groups that are the primary group of a user in ``delta.primary_groups``.

    Newly referenced objects are fetched, nested groups below them completely, so the result may hold more objects than
    ``part``. Groups that are no longer reached stay; ``membership.prune`` takes them out of a whole view.
    """
    after = DirectoryView(
        dict(part.groups), dict(part.users), {guid: set(members) for guid, members in part.members.items()}
    )
    bring_up_to_date(after, delta, objects)
    return after


def bring_up_to_date(after: DirectoryView, delta: Delta, objects: ObjectReader) -> None:
    """Do the same as `apply_delta` to the view itself.

    A large view need not be there twice.
    """
    _forget_deleted(after, delta)
    known = after.groups.keys() | after.users.keys()
    added, removed = _change_members(after, delta)

    strangers = (delta.touched | delta.member_changes.keys()) - known
    primary_groups = primary_group_rids(after)
    to_read: set[Guid] = {
        *(delta.touched & known),
        *(added - known),
        *objects.in_scope(strangers),
        *(user for user, rid in delta.primary_groups.items() if rid in primary_groups),
        # A link also goes when the group becomes the user's primary group: the user is then still a member.
        *(removed & after.users.keys()),
    }
    found = objects.fetch(to_read, known=frozenset(known))

    after.groups.update(found.view.groups)
    after.users.update(found.view.users)
    after.members.update(found.view.members)
    primary_groups = primary_group_rids(after)
    for user, rid in found.primary.items():
        if rid in primary_groups:
            after.members[primary_groups[rid]].add(user)


def _forget_deleted(view: DirectoryView, delta: Delta) -> None:
    # Deleting a user takes it out of its groups without a change of the groups; only its tombstone shows it.
    for guid in delta.deleted:
        view.groups.pop(guid, None)
        view.users.pop(guid, None)
        view.members.pop(guid, None)
    for members in view.members.values():
        members.difference_update(delta.deleted)


def _change_members(view: DirectoryView, delta: Delta) -> tuple[set[Guid], set[Guid]]:
    """Apply the links of known groups. Return all added and all removed members."""
    all_added: set[Guid] = set()
    all_removed: set[Guid] = set()
    for group, (added, removed) in delta.member_changes.items():
        if group in view.members:
            view.members[group] |= added - delta.deleted
            view.members[group] -= removed
            all_added |= added - delta.deleted
            all_removed |= removed
    return all_added, all_removed
