"""Held removals that a poll confirms, so that they may be carried out. Pure but for `confirm_held_removals`."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from genesys_ad_sync.directory import replica_trust
from genesys_ad_sync.directory.membership import effective_members, nested_groups
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.journal import DefinitionJournal
from genesys_ad_sync.model import Action, Change, Cursor, DirectoryView, Guid, Reason, Scope


def confirm_held_removals(
    journal: DefinitionJournal,
    scope: Scope,
    cursor: Cursor,
    complete: Collection[Guid],
    delta: Delta | None,
) -> int:
    """Release held removals that this poll confirms; return how many.

    - A removal doubted after a change of domain controller needs DirSync, the old controller or a second complete
      reading.
    - One held because its group disappeared needs the group back in scope.

    ``complete``: groups read completely in this poll. ``delta``: what DirSync listed; None: nothing.
    """
    held = [change for change in journal.changes.unsettled() if change.action is Action.REMOVE]
    listed = confirmed_by_dirsync(held, delta)
    shown = [
        change
        for change in (*confirmed_by_reading(held, cursor, complete), *back_in_scope(held, cursor, complete))
        if change not in listed
    ]
    view = journal.views.load({change.group_guid for change in shown}) if shown else DirectoryView()
    confirmed = [*listed, *(change for change in shown if is_out(change, view, scope, complete))]
    if confirmed:
        journal.changes.clear_hold([change.id for change in confirmed if change.id is not None])
    return len(confirmed)


def confirmed_by_dirsync(held: Iterable[Change], delta: Delta | None) -> list[Change]:
    """Return removals doubted after a change of domain controller that DirSync lists itself."""
    return [change for change in _doubted(held) if delta is not None and replica_trust.is_reported(change, delta)]


def confirmed_by_reading(held: Iterable[Change], cursor: Cursor, complete: Collection[Guid]) -> list[Change]:
    """Return doubted removals of completely read groups that ``cursor`` may confirm."""
    return [
        change
        for change in _doubted(held)
        if change.group_guid in complete and replica_trust.may_confirm(change, cursor)
    ]


def back_in_scope(held: Iterable[Change], cursor: Cursor, complete: Collection[Guid]) -> list[Change]:
    """Return removals held because their group disappeared, where it was read completely and without doubt."""
    if cursor.doubted_since is not None:
        return []
    return [change for change in held if change.held_reason is Reason.MAPPING_CHANGED and change.group_guid in complete]


def is_out(change: Change, view: DirectoryView, scope: Scope, complete: Collection[Guid]) -> bool:
    """Return True if a complete reading shows that the user is not in the group.

    The group must be in scope, and all groups below it must have been read completely.
    """
    group, nested = change.group_guid, scope.nested_groups
    if group not in view.groups or not view.groups[group].in_scope:
        return False
    if not nested_groups(view, group, nested=nested) <= set(complete):
        return False
    return change.user_guid not in effective_members(view, group, scope.policy)


def _doubted(held: Iterable[Change]) -> list[Change]:
    return [change for change in held if change.held_reason is Reason.OTHER_DOMAIN_CONTROLLER]
