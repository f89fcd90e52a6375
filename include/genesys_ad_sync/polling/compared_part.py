"""The part of the view that an incremental poll compares, before and now.

A person whose entry changed is compared first. Only what decides memberships leads to the groups above. A person who
joined or left a group, and whose entry did not change, leads to that group alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from genesys_ad_sync.directory.apply_delta import apply_delta, merged
from genesys_ad_sync.directory.membership import retain_unreadable
from genesys_ad_sync.directory.objects import ObjectReader
from genesys_ad_sync.directory.results import Delta, GroupReading
from genesys_ad_sync.journal import DefinitionJournal
from genesys_ad_sync.model import DirectoryUser, DirectoryView, Guid, Scope


@dataclass(frozen=True)
class ComparedPart:
    """A part of the view.

    ``roots``: the groups in scope to compare. ``unreadable``: members that are still listed.
    """

    before: DirectoryView
    after: DirectoryView
    roots: set[Guid]
    unreadable: set[Guid]


def compared_part(
    journal: DefinitionJournal,
    objects: ObjectReader,
    scope: Scope,
    delta: Delta,
    reading: GroupReading | None,
    groups: Collection[Guid],
) -> ComparedPart:
    """Return the part that ``delta`` and ``reading`` touch, with the groups in scope above it.

    ``groups``: those that were to be read completely.
    """
    known = _people_whose_entry_changed(journal, delta)
    now = _same_members(known, objects)
    told = replace(delta, touched=delta.touched - now.keys())
    linked = _people_of_links_alone(journal, delta)
    touched = told.mentioned - linked.keys()
    if told.primary_groups:
        touched = touched | journal.views.groups_with_rids(set(told.primary_groups.values()))
    wanted = {*touched, *groups}
    roots = journal.views.groups_above(wanted) if wanted else set()
    before = journal.views.load(roots | set(groups)) if wanted else DirectoryView()
    # A difference to their entry leads to their other groups. The stored entry is no answer: while no group in scope
    # contained a person, nobody followed what became of the account.
    before = _with_people(before, linked, linked)
    told = replace(told, touched=told.touched | linked.keys())
    start, kept = _as_read(before, reading, scope) if reading is not None else (before, set())
    after = apply_delta(start, told, objects) if touched else start
    roots |= {guid for guid, group in after.groups.items() if group.in_scope}
    before, after, roots = _include_parent_groups(journal, before, after, roots)
    return ComparedPart(_with_people(before, known, now), _with_people(after, now, now), roots, kept)


def _people_whose_entry_changed(journal: DefinitionJournal, delta: Delta) -> dict[Guid, DirectoryUser]:
    """Return the people of the view with another attribute changed, and nothing else."""
    return _people_in_view(journal, delta.touched - _linked(delta) - delta.deleted - delta.primary_groups.keys())


def _people_of_links_alone(journal: DefinitionJournal, delta: Delta) -> dict[Guid, DirectoryUser]:
    """Return the people of the view who joined or left groups.

    Nothing else is reported of them.
    """
    others = delta.touched | delta.deleted | delta.primary_groups.keys() | delta.unseen
    return _people_in_view(journal, _linked(delta) - others)


def _linked(delta: Delta) -> set[Guid]:
    return {guid for of_group in delta.member_changes.values() for side in of_group for guid in side}


def _people_in_view(journal: DefinitionJournal, guids: Collection[Guid]) -> dict[Guid, DirectoryUser]:
    people = journal.views.users(guids) if guids else {}
    gone = journal.views.gone_users(people) if people else frozenset()
    return {guid: user for guid, user in people.items() if guid not in gone}


def _same_members(known: Mapping[Guid, DirectoryUser], objects: ObjectReader) -> dict[Guid, DirectoryUser]:
    """Return those of these people who count as before, as they are now."""
    found = objects.fetch(known).view.users if known else {}
    return {guid: user for guid, user in found.items() if guid in known and _counts_as(user) == _counts_as(known[guid])}


def _counts_as(user: DirectoryUser) -> tuple[object, ...]:
    """Return what decides whether a member of a group counts."""
    return user.kind, user.disabled, user.expired, user.expires_at, user.ends_at


def _with_people(view: DirectoryView, people: Mapping[Guid, DirectoryUser], which: Collection[Guid]) -> DirectoryView:
    if not which:
        return view
    return DirectoryView(view.groups, {**view.users, **{guid: people[guid] for guid in which}}, view.members)


def _include_parent_groups(
    journal: DefinitionJournal, before: DirectoryView, after: DirectoryView, roots: set[Guid]
) -> tuple[DirectoryView, DirectoryView, set[Guid]]:
    """Extend the compared part by groups that contain what has changed.

    Such as a nested group that several groups contain: afterwards the view shows no difference any more.
    """
    altered = {
        guid
        for known, now in (
            (before.groups, after.groups),
            (before.members, after.members),
            (before.users, after.users),
        )
        for guid in now
        if known.get(guid) != now[guid]
    }
    others = journal.views.groups_above(altered) - roots if altered else set()
    if not others:
        return before, after, roots
    more = journal.views.load(others)
    return merged(more, DirectoryView(), before), merged(more, before, after), roots | others


def _as_read(before: DirectoryView, reading: GroupReading, scope: Scope) -> tuple[DirectoryView, set[Guid]]:
    """Return ``before`` with the reading in its place, and the unreadable members.

    Groups that were not found stay: DirSync and the whole view know whether they were deleted or cannot be seen.
    """
    fresh = DirectoryView(
        dict(reading.view.groups),
        dict(reading.view.users),
        {guid: set(members) for guid, members in reading.view.members.items()},
    )
    kept = retain_unreadable(before, fresh, reading.unresolved, nested=scope.nested_groups)
    as_read = DirectoryView(
        {**before.groups, **fresh.groups}, {**before.users, **fresh.users}, {**before.members, **fresh.members}
    )
    return as_read, kept
