"""Separates what AD reported of a membership from what a reading merely shows. Pure.

A person's decision (an undo, a rejection) ends only by what AD reports. A whole view, a complete reading and a value
that DirSync repeats show the same after a typo in a filter, a missing right or a change of domain controller.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping

from genesys_ad_sync.directory.membership import difference, primary_group_rids
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.model import Action, Change, DirectoryView, Evidence, Guid, MembershipPolicy

_INVERSE = {Action.ADD: Action.REMOVE, Action.REMOVE: Action.ADD}


def with_evidence(
    changes: Iterable[Change],
    before: DirectoryView,
    after: DirectoryView,
    delta: Delta | None,
    policy: MembershipPolicy,
    *,
    doubt: bool,
) -> list[Change]:
    """Return the changes with how this poll learned of them.

    ``before``: the journal's view. ``after``: as it is now. ``delta``: an incremental DirSync answer since ``before``;
    None: there is none. ``doubt``: the domain controller may lag behind.
    """
    changes = list(changes)
    told = _told(before, after, delta, {change.group_guid for change in changes}, policy) if delta and changes else ()
    unsure = Evidence.DOUBTED if doubt else Evidence.SEEN
    return [
        dataclasses.replace(change, evidence=Evidence.TOLD if _subject(change) in told else unsure)
        for change in changes
    ]


def only_news(changes: Iterable[Change], earlier: Mapping[tuple[Guid, Guid], Iterable[Change]]) -> list[Change]:
    """Return the changes; mark mere corrections of a lagging view as ``seen``.

    Such a change only takes back what a lagging domain controller showed.

    Such a controller shows an old state. The next one then reports again what it had reported before, and the view
    has it differently. To be asked while the domain controller is doubted.
    ``earlier``: (AD group, AD user) -> what polls found before, oldest first.
    """
    return [
        dataclasses.replace(change, evidence=Evidence.SEEN)
        if change.evidence is Evidence.TOLD
        and _repeats(change, earlier.get((change.group_guid, change.user_guid or ""), ()))
        else change
        for change in changes
    ]


def _repeats(change: Change, earlier: Iterable[Change]) -> bool:
    """Return True if the membership was so before a doubted domain controller showed something else."""
    first_doubted: Change | None = None
    for one in earlier:
        if one.evidence is not Evidence.DOUBTED:
            first_doubted = None
        elif first_doubted is None:
            first_doubted = one
    return first_doubted is not None and _INVERSE[first_doubted.action] is change.action


def _told(
    before: DirectoryView, after: DirectoryView, delta: Delta, roots: Collection[Guid], policy: MembershipPolicy
) -> set[tuple[Guid, Guid | None, Action]]:
    """Return (AD group, AD user, action) of what follows from the answer alone."""
    reported = _as_reported(before, after, delta)
    at = delta.cursor.polled_at
    return {
        _subject(change) for change in difference(before, reported, roots, policy, observed_after=at, observed_at=at)
    }


def _as_reported(before: DirectoryView, after: DirectoryView, delta: Delta) -> DirectoryView:
    """Return ``before`` with only the reports of ``delta``.

    These are links, tombstones, and whether accounts can be used. Links to objects that ``before`` could not resolve
    are left out: AD did not report them, they can only be read now.
    """
    added, removed = _reported_links(before, after, delta)
    members = {guid for guids in added.values() for guid in guids}
    known_users = before.users.keys() & after.users.keys()
    named = {
        guid
        for guid in (delta.states | delta.expiries) & known_users
        if (guid in delta.states and before.users[guid].disabled is not after.users[guid].disabled)
        or (guid in delta.expiries and before.users[guid].expired is not after.users[guid].expired)
    }
    users = {
        **{guid: user for guid, user in after.users.items() if guid in members},
        **before.users,
        **{guid: after.users[guid] for guid in named},
    }
    groups = {**after.groups, **before.groups}
    view = DirectoryView(
        groups={guid: group for guid, group in groups.items() if guid not in delta.deleted},
        users={guid: user for guid, user in users.items() if guid not in delta.deleted},
    )
    known = before.groups.keys() | before.users.keys()
    for guid in view.groups:
        had = (before.members.get(guid, set()) & known) - removed.get(guid, set()) - delta.deleted
        view.members[guid] = had | added.get(guid, set())
    return view


def _reported_links(
    before: DirectoryView, after: DirectoryView, delta: Delta
) -> tuple[dict[Guid, set[Guid]], dict[Guid, set[Guid]]]:
    """Return the links that the answer adds and removes, by group.

    Links that ``before`` has in the same way are left out.
    """
    added: dict[Guid, set[Guid]] = {}
    removed: dict[Guid, set[Guid]] = {}
    for group in {*delta.member_changes, *delta.ended}:
        had = before.members.get(group, set())
        added[group] = set(delta.added(group) - had - delta.deleted)
        removed[group] = set(delta.removed(group) & had)
    rids = primary_group_rids(after)
    for user, rid in delta.primary_groups.items():
        group = rids.get(rid, "")
        if group and user not in before.members.get(group, set()):
            added.setdefault(group, set()).add(user)
        if group:  # the link became the primary group: the membership goes on
            removed.get(group, set()).discard(user)
    return added, removed


def _subject(change: Change) -> tuple[Guid, Guid | None, Action]:
    return change.group_guid, change.user_guid, change.action
