"""Notes on patterns of the definition and of the run that match nothing.

They matter because a typing error protects nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from genesys_ad_sync import names
from genesys_ad_sync.journal.view_rows import GroupsInScope
from genesys_ad_sync.mapping import attribute
from genesys_ad_sync.model import DirectoryGroup, DirectoryUser, GenesysGroup
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import NOTES
from genesys_ad_sync.run.protection import former_names


def note_unmatched_patterns(task: TaskContext, in_scope: GroupsInScope, listed: Iterable[GenesysGroup]) -> None:
    """Add a note for each pattern of `protect`, `exclude` and param `groups` that matches nothing.

    ``in_scope``: the AD groups; ``listed``: all Genesys groups. A retry adds no note twice. The log only has their
    number, because a pattern may be the name of a person.
    """
    protect, exclude, chosen = task.definition.protect, task.definition.exclude, task.run.groups
    groups = in_scope.groups() if exclude.groups or chosen else []
    notes = [
        *(notes_on_protect(protect, listed, former_names(task)) if protect else ()),
        *notes_on_excluded_groups(exclude.groups, groups),
        *(notes_on_excluded_users(exclude.users, _all_users(task)) if exclude.users else ()),
        *notes_on_chosen_groups(chosen, [*groups, *_mapped_once(task)]),
    ]
    known = task.facts.read_again(NOTES)
    new = [note for note in notes if note not in known]
    if new:
        task.log(f"{len(new)} patterns of the definition or the run match nothing: see the notes in the report")
        task.facts[NOTES] = (*known, *new)


# -- decisions ----------------------------------------------------------------------------------------


def notes_on_protect(
    patterns: Iterable[str],
    listed: Iterable[GenesysGroup],
    former: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> list[str]:
    """Return a note for each pattern of `protect` that finds no Genesys group.

    Such a pattern is neither name nor id of a Genesys group. ``former``: Genesys group id -> names by which a pattern
    found it before.
    """
    listed = list(listed)
    known = [name for group in listed for name in (group.name, *former.get(group.id, ()))]
    ids = {names.normal_name(group.id) for group in listed}
    return [
        f"protect: the pattern {pattern!r} matches no Genesys group, so it protects nothing. Correct it, or write the "
        "id of the Genesys group."
        for pattern in names.without_match(patterns, known)
        if names.normal_name(pattern) not in ids
    ]


def notes_on_excluded_groups(patterns: Iterable[str], in_scope: Iterable[DirectoryGroup]) -> list[str]:
    """Return a note for each pattern of `exclude: groups` that matches no AD group."""
    return [
        f"exclude.groups: the pattern {pattern!r} matches no AD group in scope. Correct it, or remove it."
        for pattern in names.without_match(patterns, _group_names(in_scope))
    ]


def notes_on_excluded_users(patterns: Iterable[str], users: Iterable[DirectoryUser]) -> list[str]:
    """Return a note for each pattern of `exclude: users` that matches nobody."""
    every_name = (
        name
        for user in users
        for name in (user.name, user.sam_account_name, user.mail, attribute(user.attributes, "userPrincipalName"))
    )
    return [
        f"exclude.users: the pattern {pattern!r} matches no AD user that was read. Correct it, or remove it."
        for pattern in names.without_match(patterns, every_name)
    ]


def notes_on_chosen_groups(patterns: Iterable[str], known: Iterable[DirectoryGroup]) -> list[str]:
    """Return a note for each pattern of param `groups` that matches no AD group."""
    return [
        f"param groups: the pattern {pattern!r} matches no AD group, so this run acts on nothing for it."
        for pattern in names.without_match(patterns, _group_names(known))
    ]


# -- parts --------------------------------------------------------------------------------------------


def _group_names(groups: Iterable[DirectoryGroup]) -> Iterable[str | None]:
    return (name for group in groups for name in (group.name, group.sam_account_name))


def _all_users(task: TaskContext) -> list[DirectoryUser]:
    return task.journal.views.all_users()


def _mapped_once(task: TaskContext) -> list[DirectoryGroup]:
    """Return AD groups without a mapping that may still have unsettled changes.

    These groups are gone, or out of scope.
    """
    if not task.run.groups:
        return []
    pairs = [*task.journal.pairs.active(), *task.journal.pairs.former()]
    return list(task.journal.views.groups({pair.group_guid for pair in pairs}).values())
