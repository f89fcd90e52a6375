"""Effective members of groups, and the difference between two views. Pure.

Nesting is flattened here and nowhere else; cycles are cut; only users count.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime

from genesys_ad_sync import names
from genesys_ad_sync.model import (
    Action,
    Change,
    DirectoryUser,
    DirectoryView,
    Guid,
    MembershipPolicy,
    PrincipalKind,
    Reason,
)

Paths = dict[Guid, tuple[Guid, ...]]
_FOREIGN = ",cn=foreignsecurityprincipals,"


def nested_groups(view: DirectoryView, root: Guid, *, nested: bool = True) -> set[Guid]:
    """Return ``root`` and every group below it that counts.

    Groups that contain each other are met once.
    """
    return set(_paths_to_groups(view, root, nested=nested))


def effective_members(view: DirectoryView, root: Guid, policy: MembershipPolicy) -> Paths:
    """Map each effective member to the groups from ``root`` down to the user's own group.

    The path is a shortest one; its last group has the user as direct member. Contacts, computers and unresolved
    members are left out (see ``count_non_users``). Raises KeyError if ``view`` does not have ``root``.
    """
    members: Paths = {}
    for group, path in _paths_to_groups(view, root, nested=policy.nested).items():
        for guid in view.members[group]:
            user = view.users.get(guid)
            if guid in members or user is None or user.kind is not PrincipalKind.USER:
                continue
            if policy.leaves_out(user):
                continue
            members[guid] = path
    return members


def wanted_members(view: DirectoryView, sources: Collection[Guid], policy: MembershipPolicy) -> Paths:
    """Map each effective member of ``sources`` to the groups that grant the membership.

    Groups that ``view`` does not have or that are not in scope count as empty.
    """
    granted_by: defaultdict[Guid, list[Guid]] = defaultdict(list)
    for group in sorted(sources):
        for user in _members_in_scope(view, group, policy) or ():
            granted_by[user].append(group)
    same: dict[tuple[Guid, ...], tuple[Guid, ...]] = {}  # most members come by the same groups
    return {user: same.setdefault(tuple(groups), tuple(groups)) for user, groups in granted_by.items()}


def unreadable_members(view: DirectoryView, roots: Collection[Guid], *, nested: bool) -> frozenset[Guid]:
    """Return members below ``roots`` that AD lists and nobody here can read.

    An account of another domain, one that is not visible, or one whose state is not readable. Any of them may be a
    person. A foreign security principal is a person of another domain, too.
    """
    groups = {group for root in roots if root in view.groups for group in nested_groups(view, root, nested=nested)}
    listed = {guid for group in groups for guid in view.members[group]} - view.groups.keys()
    return frozenset(guid for guid in listed if guid not in view.users or _is_foreign(view.users[guid]))


def _is_foreign(user: DirectoryUser) -> bool:
    return user.kind is PrincipalKind.OTHER and _FOREIGN in names.fold(user.dn)


def count_non_users(view: DirectoryView, *roots: Guid, nested: bool = True) -> Counter[str]:
    """Count the members below ``roots`` that get no membership because of what they are.

    The keys are ``PrincipalKind`` values, or ``unresolved`` (of another domain, or not visible to the account).
    """
    groups = {group for root in roots for group in nested_groups(view, root, nested=nested)}
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
    before: DirectoryView,
    after: DirectoryView,
    roots: Iterable[Guid],
    policy: MembershipPolicy,
    *,
    observed_after: datetime | None,
    observed_at: datetime,
    before_policy: MembershipPolicy | None = None,
) -> list[Change]:
    """Return the changes of membership from ``before`` to ``after``, per group of ``roots``, sorted.

    Both views must hold everything below the roots. ``before_policy``: the policy of ``before``, if the definition was
    edited meanwhile.

    - The path of a removal is the one by which the user *was* a member.
    - A group that leaves the scope or is deleted yields removals that are held with ``mapping_changed``.
    - A group that enters the scope yields adds.
    """
    changes: list[Change] = []
    for root in sorted(set(roots)):
        was = _members_in_scope(before, root, before_policy or policy)
        now = _members_in_scope(after, root, policy)
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


def retain_unreadable(
    before: DirectoryView, after: DirectoryView, unresolved: Iterable[Guid], *, nested: bool = True
) -> set[Guid]:
    """Copy members that cannot be read now from ``before``, and return their guids.

    AD still lists these members, and takes deleted objects out of their groups: so the rights of the account changed,
    not the membership. A group is added with everything below; it was not read and proves nothing. Without ``nested``,
    groups among the members were never requested and are not added.
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


def prune(view: DirectoryView, *, nested: bool) -> DirectoryView:
    """Keep only objects that the groups in scope reach, as a new reading would.

    The result shares its sets of members with ``view``.
    """
    reached: set[Guid] = set()
    waiting = [guid for guid, group in view.groups.items() if group.in_scope]
    while waiting:
        guid = waiting.pop()
        if guid in reached:
            continue
        reached.add(guid)
        if nested:
            waiting += [member for member in view.members[guid] if member in view.groups]
    members = {member for guid in reached for member in view.members[guid]}
    return DirectoryView(
        groups={guid: group for guid, group in view.groups.items() if guid in reached},
        users={guid: user for guid, user in view.users.items() if guid in members},
        members={guid: members for guid, members in view.members.items() if guid in reached},
    )


def primary_group_rids(view: DirectoryView) -> dict[int, Guid]:
    """Map RIDs, to which ``primaryGroupID`` refers, to the groups that can be a primary group."""
    rids = {guid: domain_rid(group.sid) for guid, group in view.groups.items()}
    return {rid: guid for guid, rid in rids.items() if rid is not None}


def domain_rid(sid: str | None) -> int | None:
    """Return the last part of a domain SID; None for well-known SIDs (S-1-5-32-…)."""
    return int(sid.rsplit("-", 1)[1]) if sid is not None and sid.startswith("S-1-5-21-") else None


def _members_in_scope(view: DirectoryView, root: Guid, policy: MembershipPolicy) -> Paths | None:
    """Return the effective members of ``root``; None if it is missing or not in scope."""
    group = view.groups.get(root)
    return effective_members(view, root, policy) if group is not None and group.in_scope else None


def _paths_to_groups(view: DirectoryView, root: Guid, *, nested: bool) -> dict[Guid, tuple[Guid, ...]]:
    """Find a shortest path to each group below ``root``, in breadth-first order."""
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
