"""Who is effectively in which group, and how that differs between two views. Pure.

Nesting is flattened here and nowhere else; cycles are cut; only users count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from genesys_ad_sync.model import Action, Change, Guid, PrincipalKind, Reason, View

Paths = dict[Guid, tuple[Guid, ...]]


def closure(view: View, root: Guid, *, nested: bool = True) -> set[Guid]:
    """``root`` and every group below it that counts. A group that contains itself, over however many steps, is met
    once."""
    return set(_paths_to_groups(view, root, nested=nested))


def effective_members(view: View, root: Guid, *, nested: bool, disabled_users: str) -> Paths:
    """User -> the groups from ``root`` down to the one that has the user as direct member, by the shortest way.

    ``disabled_users`` ``remove`` leaves out disabled accounts, ``keep`` does not. Contacts, computers and members
    that could not be resolved are left out (see ``left_out``). KeyError if ``view`` does not have ``root``.
    """
    members: Paths = {}
    for group, path in _paths_to_groups(view, root, nested=nested).items():
        for guid in view.members[group]:
            user = view.users.get(guid)
            if guid in members or user is None or user.kind is not PrincipalKind.USER:
                continue
            if user.disabled and disabled_users == "remove":
                continue
            members[guid] = path
    return members


def left_out(view: View, *roots: Guid, nested: bool = True) -> Counter[str]:
    """How many members below ``roots`` get no membership because of what they are: by ``PrincipalKind`` value, or
    ``unresolved`` (of another domain, or not visible to the account)."""
    groups = {group for root in roots for group in closure(view, root, nested=nested)}
    everyone = {guid for group in groups for guid in view.members[group]} - view.groups.keys()
    counts: Counter[str] = Counter()
    for guid in everyone:
        user = view.users.get(guid)
        if user is None:
            counts["unresolved"] += 1
        elif user.kind is not PrincipalKind.USER:
            counts[user.kind.value] += 1
    return counts


def difference(
    before: View,
    after: View,
    roots: Iterable[Guid],
    *,
    nested: bool,
    disabled_users: str,
    observed_after: datetime | None,
    observed_at: datetime,
    was_nested: bool | None = None,
    was_disabled_users: str | None = None,
) -> list[Change]:
    """The adds and removes of people that lead from ``before`` to ``after``, per group of ``roots``, sorted.

    A removal's path is the one by which the person *was* in. A group that is in scope in ``before`` and not in
    ``after`` (deleted, or out of scope) gives removals that are held with ``mapping_changed``; one that is new gives
    adds. Both views must hold everything below the roots. ``was_…``: the policies under which ``before`` was read, if
    the definition was edited meanwhile.
    """

    def members_of(view: View, root: Guid, nested: bool, disabled_users: str) -> Paths | None:
        group = view.groups.get(root)
        if group is None or not group.in_scope:
            return None
        return effective_members(view, root, nested=nested, disabled_users=disabled_users)

    nested_before = nested if was_nested is None else was_nested
    disabled_before = was_disabled_users or disabled_users

    changes: list[Change] = []
    for root in sorted(set(roots)):
        was = members_of(before, root, nested_before, disabled_before)
        now = members_of(after, root, nested, disabled_users)
        held = Reason.MAPPING_CHANGED if now is None else None
        was, now = was or {}, now or {}
        for user in sorted(was.keys() ^ now.keys()):
            added = user in now
            changes.append(
                Change(
                    group_guid=root,
                    user_guid=user,
                    action=Action.ADD if added else Action.REMOVE,
                    observed_at=observed_at,
                    observed_after=observed_after,
                    path=now[user] if added else was[user],
                    held_reason=None if added else held,
                )
            )
    return changes


def keep_invisible(before: View, after: View, unresolved: Iterable[Guid], *, nested: bool = True) -> set[Guid]:
    """Members that AD still lists but that cannot be read now count as what they were when last read: the rights of the
    account changed, not the membership. (AD itself takes a deleted object out of its groups.)

    Adds to ``after`` what ``before`` knows of them, for a group with everything below. Gives their guids; the groups
    among them were not read and prove nothing. Without ``nested`` groups among the members were not asked for.
    """
    kept: set[Guid] = set()
    waiting = list(unresolved)
    while waiting:
        guid = waiting.pop()
        if guid in after.users or guid in after.groups:
            continue
        if guid in before.users:
            after.users[guid] = before.users[guid]
            kept.add(guid)
        elif nested and guid in before.groups:
            after.groups[guid] = before.groups[guid]
            after.members[guid] = set(before.members[guid])
            waiting += before.members[guid]
            kept.add(guid)
    return kept


def prune(view: View, *, nested: bool) -> View:
    """Only what can be reached from the groups in scope: what a fresh reading of the same directory would hold."""
    reached: set[Guid] = set()
    waiting = [guid for guid, group in view.groups.items() if group.in_scope]
    while waiting:
        guid = waiting.pop()
        if guid in reached:
            continue
        reached.add(guid)
        if nested:
            waiting += [member for member in view.members[guid] if member in view.groups]
    people = {member for guid in reached for member in view.members[guid]}
    return View(
        groups={guid: group for guid, group in view.groups.items() if guid in reached},
        users={guid: user for guid, user in view.users.items() if guid in people},
        members={guid: set(members) for guid, members in view.members.items() if guid in reached},
    )


def _paths_to_groups(view: View, root: Guid, *, nested: bool) -> dict[Guid, tuple[Guid, ...]]:
    """Breadth-first, so that the first path to a group is a shortest one; in order of discovery."""
    if root not in view.groups:
        raise KeyError(root)
    paths: dict[Guid, tuple[Guid, ...]] = {root: (root,)}
    level = [root] if nested else []
    while level:
        below = []
        for group in level:
            for member in sorted(view.members[group] & view.groups.keys() - paths.keys()):
                paths[member] = (*paths[group], member)
                below.append(member)
        level = below
    return paths
