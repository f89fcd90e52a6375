"""Which failed changes turn a run red: `fail_on` of the sync definition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from genesys_ad_sync.model import Action, Outcome, Reason, Row, Status
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import OPEN

REMOVALS_COUNT_AFTER = timedelta(hours=24)
"""A removal that fails for so long turns each run red: somebody keeps access."""


def counted_failures(task: TaskContext, rows: Iterable[Row]) -> int:
    """Return how many failed changes turn the run red. ``rows``: of the report."""
    failed = [row for row in rows if row.status is Status.FAILED]
    if task.definition.fail_on == "any" or task.key.dag_id == task.definition.full_dag_id:
        waiting = task.facts[OPEN]
        return len(failed) + (waiting.failed.count if waiting else 0)
    known, here = _histories(task, failed), (task.key.dag_id, task.key.run_id)
    return sum(counts(row, known(row), here, task.clock()) for row in failed)


def new_failures(task: TaskContext, failed: Sequence[Row]) -> list[Row]:
    """Return the failed rows that had not failed before this run, or for another cause."""
    known, here = _histories(task, failed), (task.key.dag_id, task.key.run_id)
    return [row for row in failed if _is_new(row, known(row), here)]


def overdue_removals(task: TaskContext, failed: Sequence[Row]) -> list[Row]:
    """Return the removals that have failed for a day."""
    known = _histories(task, failed)
    return [row for row in failed if known(row) and _is_overdue(row, known(row), task.clock())]


def _histories(task: TaskContext, rows: Iterable[Row]) -> Callable[[Row], list[Sequence[Outcome]]]:
    """Return what gives the outcomes of each change of a row, oldest first."""
    outcomes = task.journal.changes.outcomes({id_ for row in rows for id_ in row.change_ids})
    return lambda row: [outcomes.get(id_, []) for id_ in row.change_ids]


def counts(row: Row, histories: Sequence[Sequence[Outcome]], run: tuple[str, str], now: datetime) -> bool:
    """Return True if a failed row turns the run red. Pure.

    ``histories``: the outcomes of each of its changes, oldest first. ``run``: this run.

    - It failed in this run and not before, or for another cause: reason, HTTP status or Genesys group.
    - It is a removal that has failed for a day.
    """
    if row.reason is Reason.REFUSED_CLIENT or _is_new(row, histories, run):
        return True
    return _is_overdue(row, histories, now)


def _is_new(row: Row, histories: Sequence[Sequence[Outcome]], run: tuple[str, str]) -> bool:
    for history in histories:
        before = [outcome for outcome in history if (outcome.dag_id, outcome.run_id) != run]
        if not before or _cause(before[-1]) != (row.status, row.reason, row.http_code, row.genesys_group_id):
            return True
    return not histories


def _is_overdue(row: Row, histories: Sequence[Sequence[Outcome]], now: datetime) -> bool:
    since = min(_failing_since(history, now) for history in histories)
    return row.action is Action.REMOVE and now - since >= REMOVALS_COUNT_AFTER


def _cause(outcome: Outcome) -> tuple[Status, Reason | None, int | None, str | None]:
    return outcome.status, outcome.reason, outcome.http_code, outcome.genesys_group_id


def _failing_since(history: Sequence[Outcome], now: datetime) -> datetime:
    """Return since when a change has failed without a break."""
    since = now
    for outcome in reversed(history):
        if outcome.status is not Status.FAILED:
            break
        since = outcome.at
    return since
