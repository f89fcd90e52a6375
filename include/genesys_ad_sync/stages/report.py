"""Sixth task: writes the reconciliation report, whatever happened before; and what `check` asks of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from genesys_ad_sync.errors import GroupSyncError, ReportPathError, RunUnknown
from genesys_ad_sync.journal.records import RunRecord
from genesys_ad_sync.model import Action, GroupResult, Guid, Mode, Reason, Row, Status
from genesys_ad_sync.report.build import build_report
from genesys_ad_sync.run import journal_identity as restored
from genesys_ad_sync.run.context import RunRequest, Sync, failures
from genesys_ad_sync.stages.map_groups import mapped
from genesys_ad_sync.stages.poll import window_of


class RunFailed(GroupSyncError):
    """A change failed, or a task did. Raised by `check`, so that the DAG run is red while the report is green."""


def report(task: Sync, request: RunRequest) -> tuple[dict[str, Any], str]:
    """Builds the report from the journal and writes it. Returns the report and its path.

    Raises ReportPathError if it cannot be written. A run whose `poll` never began has an empty report that says so.
    """
    if request.refused:
        task.know("failed:poll", request.refused)  # it was refused before the stage began, which notes its failures
    run = _run_if_it_began(task)
    if run is None:
        document = _nothing_done(task, request)
        return document, str(task.reports.write(document))
    rows = _final_rows(task, run)
    document = _document(task, run, rows)
    path = str(task.reports.write(document))
    _close(task, run, rows)
    return document, path


def report_so_far(task: Sync) -> str | None:
    """Writes the report while a person is being waited for: what waits is `held`, and nothing is closed. Returns its
    path; None if this run asks nobody."""
    if not task.fact("question"):
        return None
    run = task.run
    rows = _with_settled_before(task, run, task.journal.rows(run))
    return str(task.reports.write(_document(task, run, rows)))


def _document(task: Sync, run: RunRecord, rows: Sequence[Row]) -> dict[str, Any]:
    groups = _with_figures(task.journal.group_results(run), rows)
    known = task.journal.known_groups(task.definition.name, {guid for result in groups for guid in result.group_guids})
    return build_report(
        dag_id=run.key.dag_id,
        run_id=run.key.run_id,
        run_type=run.run_type,
        attempt=run.attempt,
        mode=_mode_of(task, run),
        dry_run=run.dry_run,
        timestamp=task.clock(),
        window=window_of(task, run) if run.polled_at else None,
        rows=rows,
        groups=groups,
        directory_groups={guid: {"guid": guid, "dn": group.dn, "name": group.name} for guid, group in known.items()},
        requests=task.journal.requests(run),
        approval=_approval(task, run),
        notes=_notes(task, run, rows),
    )


def _with_figures(results: Sequence[GroupResult], rows: Sequence[Row]) -> list[GroupResult]:
    """How many the run added and removed: what its rows say."""
    done = Counter(
        (row.genesys_group_id, row.action) for row in rows if row.status is Status.SUCCESS and row.settled_by is None
    )
    return [
        replace(one, added=done[one.genesys_group_id, Action.ADD], removed=done[one.genesys_group_id, Action.REMOVE])
        for one in results
    ]


def _approval(task: Sync, run: RunRecord) -> dict[str, Any] | None:
    if not task.fact("question"):
        return None
    told = task.journal.fact(run, "approval", default=None)
    if told is None:
        return {"by": None, "at": None, "decision": "waiting"}
    return {key: told[key] for key in ("by", "at", "decision")}


def check(document_counts: dict[str, Any], failed_tasks: Sequence[str], why_stopped: str | None) -> None:
    """Raises RunFailed if a change of the report failed, a task before it did, or limits stopped the run."""
    problems = []
    if failed_tasks:
        problems.append(f"failed tasks: {', '.join(failed_tasks)}")
    if failures := document_counts.get("failures"):
        problems.append(f"{failures} changes failed: see the report {document_counts.get('path')}")
    if why_stopped:
        problems.append(why_stopped)
    if problems:
        raise RunFailed("; ".join(problems))


def _final_rows(task: Sync, run: RunRecord) -> list[Row]:
    """The rows of this attempt, and those which earlier attempts of the same run settled."""
    rows = task.journal.rows(run)
    if not run.dry_run and not _fail_reason(task):
        left = [row for row in rows if row.status is Status.PLANNED]
        if left:
            sent = task.journal.sending(run, [row.key for row in left])
            task.journal.record(run, [_unfinished(row, row.key in sent) for row in left], at=task.clock())
            rows = task.journal.rows(run)
    return _with_settled_before(task, run, rows)


def _unfinished(row: Row, sent: bool) -> Row:
    if sent:
        reason, error = Reason.UNVERIFIED, "it was sent, and its patch task ended before it could be read back"
    else:
        reason, error = Reason.NOT_ATTEMPTED, "its patch task did not come to it"
    return replace(row, status=Status.FAILED, reason=reason, error=error)


def fail_reason(task: Sync) -> str | None:
    """Why `plan` allowed nothing to be written (`limits.on_excess: fail`); None also if the run did not come to it."""
    return _fail_reason(task) if _run_if_it_began(task) else None


def _fail_reason(task: Sync) -> str | None:
    reason: str | None = (task.fact("plan") or {}).get("fail_reason")
    return reason


def _run_if_it_began(task: Sync) -> RunRecord | None:
    try:
        return task.run
    except RunUnknown:  # `poll` failed before it could begin it
        return None


def _with_settled_before(task: Sync, run: RunRecord, rows: list[Row]) -> list[Row]:
    """Of a row that occurs in several attempts the newest stands, since a row stands once; but what this run settled
    earlier and merely lists again stands as it was settled."""
    before = {row.key: row for row in task.journal.rows_settled_before(run)}  # oldest first: the newest wins
    mine = [before.pop(row.key) if row.settled_by == str(run.key) and row.key in before else row for row in rows]
    keys = {row.key for row in rows}
    return mine + [row for key, row in before.items() if key not in keys]


def _mode_of(task: Sync, run: RunRecord) -> Mode:
    """`auto` is for asking; what the run did was one of the other two. It was `full` if everything mapped was
    compared as a whole."""
    if run.mode is not Mode.AUTO:
        return run.mode
    whole = set(task.fact("whole", []))
    targets = {pair.genesys_group_id for pair in mapped(task)[0]} if task.fact("mapping") else set()
    return Mode.FULL if targets and targets <= whole else Mode.CHANGES


def _notes(task: Sync, run: RunRecord, rows: Sequence[Row]) -> list[str]:
    notes = list(task.fact("notes", []))
    if run.polled_at is None:
        notes.append("poll did not finish: Active Directory was not read, and nothing was written to Genesys Cloud")
    elif task.fact("plan") is None:
        notes.append("a task before patch failed: nothing was written to Genesys Cloud")
    notes += failures(task)
    if reason := _fail_reason(task):
        notes.append(reason)
    if run.dry_run:
        notes.append("dry run: nothing was written to Genesys Cloud")
    if any(row.reason is Reason.NOT_ATTEMPTED for row in rows):
        notes.append("some changes were not attempted because their patch task failed; the next live run takes them up")
    return notes


def _close(task: Sync, run: RunRecord, rows: Sequence[Row]) -> None:
    """Baselines, what the reports know of the journal, old reports, and the run's end."""
    now = task.clock()
    plan_done = task.fact("plan") is not None
    if plan_done and not run.dry_run and not run.bounded and not _fail_reason(task):
        task.journal.set_baselines(
            task.definition.name, _baselines(task, run, rows), run.key.dag_id, run.key.run_id, now
        )
    if plan_done and not run.dry_run and not run.bounded:
        restored.close(task)
    task.journal.close_question(run.key, {}, by=None, at=now)  # nobody can answer any more
    failed = any(row.status is Status.FAILED for row in rows) or not plan_done or bool(_fail_reason(task))
    task.journal.finish_run(run, "failed" if failed else "success", now)
    keep_days = task.definition.report.keep_days
    if not run.dry_run:
        restored.remember(task, run)
        # only once the reports remember a run that stays: see `restored`
        task.journal.forget_runs(task.definition.name, now - timedelta(days=keep_days))
    try:
        task.reports.prune(keep_days, now, dag_id=run.key.dag_id)
    except ReportPathError as error:  # the report of this run is written: an old one is no reason to fail
        task.say(f"old reports could not be removed: {error}")


def _baselines(task: Sync, run: RunRecord, rows: Sequence[Row]) -> list[tuple[Guid, str]]:
    """Pairs that this run compared as a whole, in a Genesys group of which no change failed."""
    compared = set(task.fact("compared", []))
    unfinished = {row.genesys_group_id for row in rows if row.status is Status.FAILED or row.reason is Reason.UNPROVEN}
    return [
        (pair.group_guid, pair.genesys_group_id)
        for pair in mapped(task)[0]
        if pair.genesys_group_id in compared and pair.genesys_group_id not in unfinished
    ]


def _nothing_done(task: Sync, request: RunRequest) -> dict[str, Any]:
    return build_report(
        dag_id=task.key.dag_id,
        run_id=task.key.run_id,
        run_type=request.run_type,
        attempt=request.clear_number + 1,
        mode=Mode.FULL if request.mode is Mode.FULL else Mode.CHANGES,
        dry_run=request.dry_run,
        timestamp=task.clock(),
        window=None if request.mode is Mode.FULL else request.window,
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
