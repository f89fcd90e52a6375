"""Sixth task: writes the reconciliation report, whatever happened before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from genesys_ad_sync.errors import ReportPathError, RunUnknown
from genesys_ad_sync.matching import excluded_users
from genesys_ad_sync.model import (
    Action,
    GroupResult,
    Guid,
    Mode,
    PairState,
    Reason,
    RefusalKind,
    Row,
    RunRecord,
    RunRequest,
    Status,
)
from genesys_ad_sync.planning.refusals import group_refusals
from genesys_ad_sync.report.build import ReportHeader, build_report
from genesys_ad_sync.report.remedies import Answer
from genesys_ad_sync.run import journal_identity
from genesys_ad_sync.run.changes import window_of
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import (
    APPROVAL,
    COMPARED,
    MAPPING,
    NOTES,
    OPEN,
    PLAN,
    QUESTION,
    SHOWN_USERS,
    STOPPED,
    WHOLE,
    failure_of,
)
from genesys_ad_sync.run.fail_on import counted_failures
from genesys_ad_sync.run.failures import failures
from genesys_ad_sync.run.forgotten import refuse_if_forgotten
from genesys_ad_sync.run.orphans import note_listed
from genesys_ad_sync.text import counted


def write_report(task: TaskContext, request: RunRequest) -> tuple[dict[str, Any], str]:
    """Build the report from the journal and write it; return the report and its path.

    Raises ReportPathError if it cannot be written. A run whose `poll` never began has an empty report that says so.
    """
    if request.refused:
        # it was refused before the stage began, which records its failures
        task.facts.override(failure_of("poll"), request.refused)
    run = _run_if_it_began(task)
    if run is None:
        document = report_of_failed_start(task, request)
        return document, str(task.reports.write(document))
    refuse_if_forgotten(task, run)
    rows = _final_rows(task, run)
    document = _document(task, run, rows, Answer.LATER)
    path = str(task.reports.write(document, _member_names(task, run)))
    _close(task, run, rows)
    return document, path


def write_interim_report(task: TaskContext) -> str | None:
    """Write the report while an answer is awaited; return its path.

    None if this run asks nobody.
    What waits is `held`, and nothing is closed.
    """
    if task.facts[QUESTION] is None:
        return None
    run = task.run
    rows = merge_earlier_attempts(task, run, task.journal.rows.of_run(run))
    return str(task.reports.write(_document(task, run, rows, Answer.NOW), _member_names(task, run)))


def report_document(task: TaskContext) -> dict[str, Any]:
    """Return the report of a dry run after `plan`. Nothing is written or closed."""
    run = task.run
    return _document(task, run, _final_rows(task, run), Answer.LATER)


def fail_reason(task: TaskContext) -> str | None:
    """Return why `plan` allowed nothing to be written (`limits.on_excess: fail`).

    None also if the run did not reach it.
    """
    return _fail_reason(task) if _run_if_it_began(task) else None


def failures_that_count(task: TaskContext) -> int:
    """Return how many failed changes of the report turn the run red, see `fail_on`."""
    run = _run_if_it_began(task)
    return counted_failures(task, task.journal.rows.of_run(run)) if run else 0


def _was_stopped(task: TaskContext, run: RunRecord, rows: Sequence[Row]) -> bool:
    """Return whether changes were left because the definition turned dry."""
    return bool(task.facts[STOPPED]) and not run.dry_run and any(row.status is Status.PLANNED for row in rows)


def _fail_reason(task: TaskContext) -> str | None:
    plan = task.facts[PLAN]
    return None if plan is None else plan.fail_reason


def _run_if_it_began(task: TaskContext) -> RunRecord | None:
    try:
        return task.run
    except RunUnknown:  # `poll` failed before it could begin it
        return None


# -- rows ---------------------------------------------------------------------------------------------


def _final_rows(task: TaskContext, run: RunRecord) -> list[Row]:
    """Return the rows of this attempt, and those that earlier attempts settled."""
    rows = task.journal.rows.of_run(run)
    if not run.dry_run and not _fail_reason(task):
        left = [row for row in rows if row.status is Status.PLANNED]
        if left:
            sent = task.journal.rows.maybe_sent(run, [row.key for row in left])
            if task.facts[STOPPED]:  # what was not sent stays planned: nothing has failed
                left = [row for row in left if row.key in sent]
            refused = _client_is_refused(task)
            ended = [_unfinished(row, sent=row.key in sent, client_is_refused=refused) for row in left]
            task.journal.rows.record_outcomes(run, ended, at=task.clock())
            rows = task.journal.rows.of_run(run)
    return merge_earlier_attempts(task, run, rows)


def _client_is_refused(task: TaskContext) -> bool:
    """Return whether this run found out that Genesys refuses the client."""
    known = task.journal.refusals.all()
    return any(one.kind is RefusalKind.CLIENT and one.run == str(task.key) for one in known)


def _unfinished(row: Row, *, sent: bool, client_is_refused: bool) -> Row:
    if client_is_refused and not sent:
        return replace(row, status=Status.FAILED, reason=Reason.REFUSED_CLIENT, error=None)
    if sent:
        reason, error = Reason.UNVERIFIED, "it was sent, but its patch task ended before it could be read back"
    else:
        reason, error = Reason.NOT_ATTEMPTED, "its patch task did not reach it"
    return replace(row, status=Status.FAILED, reason=reason, error=error)


def merge_earlier_attempts(task: TaskContext, run: RunRecord, rows: list[Row]) -> list[Row]:
    """Merge the rows of earlier attempts.

    The newest version of a row wins, unless this attempt only lists again what an earlier one settled.
    """
    before = {row.key: row for row in task.journal.rows.settled_earlier(run)}  # oldest first: the newest wins
    mine = [before.pop(row.key) if row.settled_by == str(run.key) and row.key in before else row for row in rows]
    keys = {row.key for row in rows}
    return mine + [row for key, row in before.items() if key not in keys]


# -- the document -------------------------------------------------------------------------------------


def _document(task: TaskContext, run: RunRecord, rows: Sequence[Row], answer: Answer) -> dict[str, Any]:
    groups = _with_refusals(task, _with_figures(task.journal.figures.groups(run), rows))
    known = task.journal.views.groups({guid for result in groups for guid in result.group_guids})
    header = ReportHeader(
        dag_id=run.key.dag_id,
        run_id=run.key.run_id,
        run_type=run.run_type,
        attempt=run.attempt,
        mode=_mode_of(task, run),
        dry_run=run.dry_run,
        timestamp=task.clock(),
        window=window_of(task, run) if run.polled_at else None,
        answer=answer,
        open_changes=task.facts[OPEN],
    )
    return build_report(
        header,
        rows=_with_first_seen(task, rows),
        groups=groups,
        directory_groups={guid: {"guid": guid, "dn": group.dn, "name": group.name} for guid, group in known.items()},
        requests=task.journal.figures.requests(run),
        approval=_approval(task),
        notes=_notes(task, run, rows),
    )


def _member_names(task: TaskContext, run: RunRecord) -> dict[str, str]:
    """Return the names of the Genesys users that the report has by id.

    They are returned as far as they are known.
    """
    results = task.journal.figures.groups(run)
    return task.facts[SHOWN_USERS] | {
        id_: name for result in results for id_, name in result.manual_member_names.items()
    }


def _with_first_seen(task: TaskContext, rows: Sequence[Row]) -> list[Row]:
    """Return the rows with the first listing of their oldest change.

    It is the time at which the oldest of their changes was first listed, and the run that listed it.
    """
    seen = task.journal.changes.first_seen({id_ for row in rows for id_ in row.change_ids})
    found = []
    for row in rows:
        times = [seen[id_] for id_ in row.change_ids if id_ in seen]
        if times:
            at, run = min(times, key=lambda time: time[0])
            row = replace(row, first_seen_at=at, first_seen_run=str(run))  # noqa: PLW2901  the same row, dated
        found.append(row)
    return found


def report_of_failed_start(task: TaskContext, request: RunRequest) -> dict[str, Any]:
    """Return the report of a run that `poll` could not begin."""
    header = ReportHeader(
        dag_id=task.key.dag_id,
        run_id=task.key.run_id,
        run_type=request.run_type,
        attempt=request.clear_number + 1,
        mode=Mode.FULL if request.mode is Mode.FULL else Mode.CHANGES,
        dry_run=request.dry_run,
        timestamp=task.clock(),
        window=None if request.mode is Mode.FULL else request.window,
    )
    return build_report(
        header,
        rows=[],
        groups=[],
        directory_groups={},
        requests={"total": 0, "retried": 0, "throttled": 0, "by_endpoint": {}},
        approval=None,
        notes=[
            "poll failed before it began: nothing was read and nothing was written",
            *([f"poll failed: {request.refused}"] if request.refused else []),
        ],
    )


def _with_figures(results: Sequence[GroupResult], rows: Sequence[Row]) -> list[GroupResult]:
    """Return the groups with the numbers of members that the run added and removed."""
    done = Counter(
        (group_id, action)
        for group_id, action, _ in {  # two accounts may be the same member
            (row.genesys_group_id, row.action, row.genesys_user_id or row.person)
            for row in rows
            if row.status is Status.SUCCESS and row.settled_by is None
        }
    )
    return [
        replace(
            result,
            added=done[result.genesys_group_id, Action.ADD],
            removed=done[result.genesys_group_id, Action.REMOVE],
        )
        for result in results
    ]


def _with_refusals(task: TaskContext, results: Sequence[GroupResult]) -> list[GroupResult]:
    """Return the groups, each with the refusal of the whole group."""
    refused = group_refusals(task.journal.refusals.all())
    return [replace(result, refused=refused.get(result.genesys_group_id)) for result in results]


def _approval(task: TaskContext) -> dict[str, Any] | None:
    if task.facts[QUESTION] is None:
        return None
    approval = task.facts[APPROVAL]
    if approval is None:
        return {"by": None, "at": None, "decision": "waiting"}
    return {"by": approval.by, "at": approval.at.isoformat(), "decision": approval.decision}


def _mode_of(task: TaskContext, run: RunRecord) -> Mode:
    """Return what the run did: `full` or `changes`.

    `auto` was `full` if everything mapped was compared in full.
    """
    if run.mode is not Mode.AUTO:
        return run.mode
    whole = task.facts[WHOLE]
    mapping = task.facts[MAPPING] if whole else None
    targets = {pair.genesys_group_id for pair in mapping.pairs} if mapping else set()
    return Mode.FULL if targets and targets <= whole else Mode.CHANGES


def _notes(task: TaskContext, run: RunRecord, rows: Sequence[Row]) -> list[str]:
    notes = [*task.facts[NOTES]]
    if run.polled_at is None:
        notes.append("poll did not finish: Active Directory was not read, and nothing was written to Genesys Cloud")
    elif task.facts[PLAN] is None:
        notes.append("a task before patch failed: nothing was written to Genesys Cloud")
    notes += failures(task)
    if reason := _fail_reason(task):
        notes.append(reason)
    if run.dry_run:
        notes.append("dry run: nothing was written to Genesys Cloud")
    if _was_stopped(task, run, rows):
        left = sum(row.status is Status.PLANNED for row in rows)
        notes.append(f"stopped: {task.facts[STOPPED]}. {left} changes were not sent; the next live run takes them up")
    notes += [
        f"{counted(count, 'message')} of `notify:` could not be sent since {since:%Y-%m-%d %H:%M} UTC ({error}); "
        "each run tries again. The log of the task check has the details"
        for error, count, since in task.journal.notices.undelivered()
    ]
    if any(row.reason is Reason.NOT_ATTEMPTED for row in rows):
        notes.append("some changes were not attempted because their patch task failed; the next live run takes them up")
    return notes


# -- the end of the run -------------------------------------------------------------------------------


def _close(task: TaskContext, run: RunRecord, rows: Sequence[Row]) -> None:
    """Store baselines, close the question, finish the run, and forget old runs and reports."""
    now = task.clock()
    plan_done = task.facts[PLAN] is not None
    stopped = bool(_fail_reason(task))
    if plan_done and not run.dry_run and not run.bounded:
        left_out = stopped or _was_stopped(task, run, rows)
        compared = frozenset() if left_out else _compared(task, rows)
        pairs = _baselines(task, rows, compared)
        task.journal.pairs.set_baselines(pairs, run.key.dag_id, run.key.run_id, now)
        journal_identity.end_distrust(task, compared)
    task.journal.questions.close(run.key, {}, by=None, at=now)  # nobody can answer any more
    failed = any(row.status is Status.FAILED for row in rows) or not plan_done or stopped
    task.journal.runs.finish(run, "failed" if failed else "success", now)
    task.read_run_again()
    if plan_done:
        note_listed(task, run)
    if not run.dry_run:
        journal_identity.stamp_reports(task, run)
    if task.journal.housekeeping.is_due(run.key.dag_id, now):
        _clean_up(task, run, now)


def _clean_up(task: TaskContext, run: RunRecord, now: datetime) -> None:
    """Forget what is older than `report.keep_days`.

    Once a day: an object store is asked for each report.
    """
    keep_days = task.definition.report.keep_days
    before = now - timedelta(days=keep_days)
    if not run.dry_run:
        # only once the reports remember a run that stays: see `journal_identity`
        task.journal.runs.forget(task.definition.name, before)
        task.journal.housekeeping.forget_changes(before, now)
        _forget_names(task, before)
    task.journal.housekeeping.forget_large_values(now)
    try:
        task.reports.prune(keep_days, now, dag_id=run.key.dag_id)
    except ReportPathError as error:  # the report of this run is written: an old one must not fail it
        task.log(f"old reports could not be removed: {error}")
        return
    task.journal.housekeeping.note_done(run.key.dag_id, now)


def _forget_names(task: TaskContext, before: datetime) -> None:
    """Forget the names of accounts that left before then and hold nothing.

    Excluded accounts are known by their names alone, and must stay excluded.
    """
    leavers = task.journal.leavers.nameable(before)
    excluded = excluded_users(leavers, task.definition)
    task.journal.leavers.forget_names([user.guid for user in leavers if user.guid not in excluded])


def _compared(task: TaskContext, rows: Sequence[Row]) -> frozenset[str]:
    """Return the Genesys groups that this run compared in full.

    An unproven removal leaves a comparison open.
    """
    return task.facts[COMPARED] - {row.genesys_group_id for row in rows if row.reason is Reason.UNPROVEN}


def _baselines(task: TaskContext, rows: Sequence[Row], compared: frozenset[str]) -> list[tuple[Guid, str]]:
    """Return the pairs that this run compared in full.

    A failed removal leaves its group without. A failed addition does not: AD owns no more by it than before. A pair
    that no person had confirmed when the plan was made was not compared.
    """
    if not compared:
        return []
    unfinished = {row.genesys_group_id for row in rows if row.status is Status.FAILED and row.action is Action.REMOVE}
    return [
        (pair.group_guid, pair.genesys_group_id)
        for pair in task.facts.required(MAPPING).pairs
        if pair.genesys_group_id in compared - unfinished and pair.state is PairState.CONFIRMED
    ]
