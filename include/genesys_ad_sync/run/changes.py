"""The changes that a run acts on, and the window that the report names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from genesys_ad_sync import names
from genesys_ad_sync.model import Action, Change, DirectoryGroup, Guid, Mode, RunRecord, Window
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import HISTORY, RELINK_REQUESTS, UNDO


def leaves_alone(task: TaskContext, run: RunRecord) -> bool:
    """Return True if the run leaves alone what waits.

    No person asked for it, and the run does not compare everything.
    """
    return run.is_routine and task.facts[UNDO] is None and not task.facts[RELINK_REQUESTS] and not run.groups


def groups_in_param(groups: Iterable[DirectoryGroup], patterns: tuple[str, ...]) -> list[DirectoryGroup]:
    """Return the groups on which param `groups` lets this run act."""
    return [
        group for group in groups if not patterns or names.matches_any(patterns, (group.name, group.sam_account_name))
    ]


def changes_to_act_on(task: TaskContext, run: RunRecord) -> list[Change]:
    """Return the changes that the run takes up, limited to the groups of param `groups`.

    A bounded run takes those of its window, settled ones too; an undo run none. Any other run takes everything
    unsettled, but known orphans rest where `leaves_alone`.
    """
    if task.facts[UNDO] is not None:
        return []
    if run.bounded:
        assert run.window is not None  # noqa: S101  for mypy
        changes = task.journal.changes.in_window(run.window)
        changes += dry_run_history(task, changes)
    else:
        changes = task.journal.changes.unsettled(awake_in=run.key if leaves_alone(task, run) else None)
    if not run.groups:
        return changes
    known = task.journal.views.groups({change.group_guid for change in changes})
    allowed = {group.guid for group in groups_in_param(known.values(), run.groups)}
    return [change for change in changes if change.group_guid in allowed]


def dry_run_history(task: TaskContext, known: Sequence[Change]) -> list[Change]:
    """Return the rebuilt changes of a dry run that are not among the ``known`` ones."""
    subjects = {_subject(change) for change in known}
    return [change for change in task.facts[HISTORY] if _subject(change) not in subjects]


def _subject(change: Change) -> tuple[Guid, Guid | None, Action, datetime | None]:
    """Return the key that identifies a change, as in `Changes.add_history`."""
    return change.group_guid, change.user_guid, change.action, change.changed_at


def window_of(task: TaskContext, run: RunRecord) -> Window | None:
    """Return the run's window for the report.

    None for mode full, the bounds of a bounded run, else from the previous live poll to this one.
    """
    if run.mode is Mode.FULL:
        return None
    if run.window is not None:
        stored = task.journal.views.cursor()
        began = stored.began_at if stored is not None else None
        return Window(run.window.start or began, run.window.end or run.polled_at)
    return Window(task.journal.runs.previous_live_poll(task.definition.name, run), run.polled_at)
