"""Fourth task: decides what Genesys Cloud gets, what is held, what is done already.

Gathers, lets `planning` decide, and records the plan. Nothing is read between the first decision and the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from genesys_ad_sync.journal.database import chunks
from genesys_ad_sync.journal.rows import ROWS_AHEAD_AT_A_TIME, RowsAhead
from genesys_ad_sync.model import Reason, Row, RunKey, RunRecord, Status
from genesys_ad_sync.planning import Plan
from genesys_ad_sync.planning.lanes import lane_batches
from genesys_ad_sync.planning.limits import as_exceeded
from genesys_ad_sync.run import new_pairs, objections, shown_users
from genesys_ad_sync.run.changes import leaves_alone
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import COMPARED, EMPTY_SOURCES, PLAN, WHOLE, StoredPlan
from genesys_ad_sync.run.failures import records_failure
from genesys_ad_sync.run.orphans import note_open
from genesys_ad_sync.run.planning_inputs import PlanInputs, gather_plan_inputs, next_fence
from genesys_ad_sync.run.questions import close_abandoned_questions, open_question
from genesys_ad_sync.run.refusals import forget_idle_groups
from genesys_ad_sync.run.relink import note_without_rows
from genesys_ad_sync.run.trial import record_trial
from genesys_ad_sync.run.undo import UndoInputs, gather_undo_inputs, undo_run
from genesys_ad_sync.settings import Limits
from genesys_ad_sync.writing.ownership import drop_grants_of_settled_removals, grant_settled_adds

GRANTS_AT_A_TIME = 5000
"""Grants that are stored in one transaction, in which no other run may write."""


@dataclass(frozen=True)
class Recorded:
    """A plan as the journal has it. ``settled_elsewhere``: changes that another run settled meanwhile."""

    decided: Plan
    rows: list[Row]
    settled_elsewhere: dict[int, RunKey]


@records_failure
def plan(task: TaskContext) -> dict[str, Any]:
    """Decide and record; return the batches, counts, and the plan's hash.

    The batches are for the mapped `patch` tasks. A group whose present members cannot be read has its changes held; the
    others go on.
    """
    close_abandoned_questions(task)
    undo = undo_run(task)
    inputs = gather_plan_inputs(task) if undo is None else gather_undo_inputs(task, undo)
    return _summary(task, _decide_undisturbed(task, inputs))


def _decide_undisturbed(task: TaskContext, inputs: PlanInputs | UndoInputs) -> Recorded:
    """Decide and record, as if no other run wrote meanwhile; if one did, once more.

    The second plan leaves open what that other run's writing may have changed.
    """
    decided = inputs.decide(task.definition)
    decided = _with_grants_stored(task, inputs, decided)
    ahead = _rows_stored_ahead(task, decided)
    with task.journal.together():
        if inputs.fence is None or inputs.fence == next_fence(task):
            return record_plan(task, inputs, decided, ahead)
    inputs = inputs.gather_again(task)
    decided = inputs.decide(task.definition)
    with task.journal.together():
        return record_plan(task, inputs, decided)


def _with_grants_stored(task: TaskContext, inputs: PlanInputs | UndoInputs, decided: Plan) -> Plan:
    """Store many new grants ahead of the plan; return it with the rest.

    Others may write between two parts. Each part is true without the others: AD wants these memberships and Genesys has
    them, as long as no other run has written since it was asked.
    """
    if task.run.dry_run or inputs.fence is None or len(decided.new_grants) <= GRANTS_AT_A_TIME:
        return decided
    later = set(inputs.sleepers.ended)  # a grant that ends now must end first
    ahead = (grant for grant in decided.new_grants if grant not in later)
    for chunk in chunks(ahead, GRANTS_AT_A_TIME):
        with task.journal.together():
            if inputs.fence != next_fence(task):
                return decided
            task.journal.grants.add(chunk, task.clock())
        task.journal.let_others_write()
    return replace(decided, new_grants=tuple(grant for grant in decided.new_grants if grant in later))


def _rows_stored_ahead(task: TaskContext, decided: Plan) -> RowsAhead | None:
    """Store the rows of a large plan before others have to wait; return them.

    Rows that only the comparison found have no changes yet: all rows are stored with the plan then.
    """
    if len(decided.rows) <= ROWS_AHEAD_AT_A_TIME or decided.comparison_changes:
        return None
    return task.journal.rows.store_ahead(task.run, decided.rows)


def record_plan(
    task: TaskContext, inputs: PlanInputs | UndoInputs, decided: Plan, ahead: RowsAhead | None = None
) -> Recorded:
    """Store the plan, its question, and what it settles without a write.

    Must be called in one transaction. ``ahead``: see `Rows.replace`.
    """
    run, now = task.run, task.clock()
    note_without_rows(task, decided.rows)
    rows = open_question(task, run, decided, _with_comparison_changes(task, run, decided))
    if isinstance(inputs, PlanInputs):
        _note_waiting(task, run, inputs, rows)
    task.journal.rows.replace(run, rows, ahead)
    task.journal.figures.save_groups(run, decided.group_results)
    finished = [row for row in rows if row.lane is None]
    if not run.dry_run:
        _record_ownership(task, inputs, decided, finished)
    if isinstance(inputs, PlanInputs):
        record_trial(task, decided)
        new_pairs.list_pairs(task, decided)
    settled_elsewhere = task.journal.rows.record_outcomes(
        run, [row for row in finished if row.settled_by is None], at=now
    )
    if not run.dry_run:
        task.journal.changes.set_over_limit(over_limit_of(rows, decided, task.definition.limits))
    shown_users.note_of_rows(task, rows)
    task.facts[PLAN] = StoredPlan(decided.hash, decided.fail_reason, now)
    task.facts[WHOLE] = inputs.compared_in_full
    task.facts[COMPARED] = decided.compared_groups
    task.facts[EMPTY_SOURCES] = inputs.empty_sources
    return Recorded(decided, rows, settled_elsewhere)


def _note_waiting(task: TaskContext, run: RunRecord, inputs: PlanInputs, rows: Sequence[Row]) -> None:
    """Note what waits without a row, and forget refusals for which nothing waits."""
    note_open(task, run, rows, [one for one in inputs.work.postponed if not one.is_listed])
    if leaves_alone(task, run):
        groups = {target.genesys_group.id for target in inputs.work.targets if target.changes}
        forget_idle_groups(task, groups | {one.key.target for one in inputs.work.postponed})


def over_limit_of(rows: Sequence[Row], decided: Plan, limits: Limits) -> dict[int, str | None]:
    """Return the exceeded limits of the changes that are held for one.

    A later day must not let them pass.
    """
    return {
        change_id: as_exceeded(decided.excess.limits_of(row.action, row.genesys_group_id), limits)
        for row in rows
        if row.status is Status.HELD and row.reason in {Reason.OVER_LIMIT, Reason.OVER_ADDITIONS, Reason.EMPTY_GROUP}
        for change_id in row.change_ids
    }


def _with_comparison_changes(task: TaskContext, run: RunRecord, decided: Plan) -> list[Row]:
    """Store rows that only the comparison found as changes.

    So a later run takes up what this one leaves. A dry run stores none.
    """
    if run.dry_run or not decided.comparison_changes:
        return list(decided.rows)
    changes = [change for _, change in decided.comparison_changes]
    ids: dict[str, list[int]] = {}
    recorded = task.journal.changes.add_compared(changes)
    for (key, _), change in zip(decided.comparison_changes, recorded, strict=True):
        assert change.id is not None  # noqa: S101  for mypy
        ids.setdefault(key, []).append(change.id)
    return [
        replace(row, change_ids=(*row.change_ids, *ids[row.key])) if row.key in ids else row for row in decided.rows
    ]


def _record_ownership(
    task: TaskContext, inputs: PlanInputs | UndoInputs, decided: Plan, finished: Sequence[Row]
) -> None:
    """Store what AD owns by rows that write nothing. `patch` does it for the others."""
    objections.end(task, inputs.decisions)
    task.journal.grants.wake(inputs.sleepers.awake)
    task.journal.grants.remove(inputs.sleepers.ended)
    task.journal.grants.add(decided.new_grants, task.clock())
    task.journal.grants.remove(decided.stale_grants)
    grant_settled_adds(task, finished)
    drop_grants_of_settled_removals(task, finished)


def _summary(task: TaskContext, recorded: Recorded) -> dict[str, Any]:
    decided, rows = recorded.decided, recorded.rows
    counts = {status.value: sum(row.status is status for row in rows) for status in Status}
    task.log("plan: " + (", ".join(f"{n} {status}" for status, n in counts.items() if n) or "nothing to do"))
    if recorded.settled_elsewhere:
        task.log(f"{len(recorded.settled_elsewhere)} changes were settled by another run meanwhile")
    return {
        "batches": [] if task.run.dry_run or decided.fail_reason else lane_batches(rows),
        "counts": counts,
        "hash": decided.hash,
        "fail_reason": decided.fail_reason,
    }
