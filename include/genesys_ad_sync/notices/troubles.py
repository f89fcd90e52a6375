"""Find the troubles of a run in the journal.

Troubles hold ids and counts, never names of people or groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from genesys_ad_sync.errors import RunUnknown
from genesys_ad_sync.model import Row, RunKey, RunRecord, Status
from genesys_ad_sync.model.notices import Occasion, Trouble
from genesys_ad_sync.report.wording import reason_words
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import PLAN, QUESTION, UNDO
from genesys_ad_sync.run.fail_on import new_failures, overdue_removals
from genesys_ad_sync.text import counted


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, as Airflow knows it.

    ``failed_tasks``: those that failed, not those that did not come to their turn. ``refused``: the run's params were
    refused, so that it did nothing.
    """

    failed_tasks: tuple[str, ...] = ()
    refused: bool = False
    report: str | None = None


@dataclass(frozen=True)
class Found:
    """The troubles of a run.

    ``judged``: keys of lasting troubles that are over if they are not among ``troubles``.
    """

    troubles: tuple[Trouble, ...]
    judged: tuple[str, ...]


def troubles_of_run(task: TaskContext, end: RunEnd) -> Found:
    """Return the troubles that a run shows after its end.

    A run that was refused shows none: the person that triggered it sees why.
    """
    if end.refused:
        return Found((), ())
    try:
        run = task.run
    except RunUnknown:  # `poll` could not begin it
        return Found((*_failed_tasks(task.key, end),), ())
    rows = task.journal.rows.of_run(run)
    troubles = [*_failed_tasks(task.key, end), *_failed_changes(task, rows), *_held(task, rows), *_stopped(task)]
    return Found(tuple(troubles), (_late_key(task.key.dag_id), *_judged(task, run)))


def question_of(task: TaskContext) -> Trouble | None:
    """Return that the run asks a person; None: it does not."""
    question, plan = task.facts[QUESTION], task.facts[PLAN]
    if question is None:
        return None
    count = len(question.rows)
    until = task.clock() + task.definition.limits.answer_within
    return Trouble(
        Occasion.QUESTION,
        f"{task.key} {plan.hash if plan else ''}".strip(),
        f"{counted(count, 'change')} need{'s' if count == 1 else ''} your approval",
        (f"Answer until {_utc(until)}. No answer means no.", "Look for “Required Actions” of the task."),
        {"asked": count},
    )


def late_run(key: RunKey) -> Trouble:
    """Return the trouble that a run does not end.

    All such runs of a DAG are one trouble, which is over when one of them ends.
    """
    line = "Is it waiting for a pool, a queue or another run, or does a task hang?"
    return Trouble(Occasion.SILENT, _late_key(key.dag_id), "a run does not end", (line,), lasts=True)


def silent_dag(dag_id: str, since: datetime) -> Trouble:
    """Return that no run of a DAG was completed for too long."""
    line = f"No run of {dag_id} was completed since {_utc(since)}. Is the DAG paused, or does it fail?"
    return Trouble(Occasion.SILENT, silent_key(dag_id), f"the DAG {dag_id} is silent", (line,), lasts=True)


def silent_key(dag_id: str) -> str:
    """Return the key of the trouble that a DAG is silent."""
    return f"silent {dag_id}"


def _failed_tasks(key: RunKey, end: RunEnd) -> Iterable[Trouble]:
    for name in end.failed_tasks:
        yield Trouble(Occasion.FAILED, _task_key(key, name), f"the task {name} failed", lasts=True)


def _failed_changes(task: TaskContext, rows: Iterable[Row]) -> Iterable[Trouble]:
    failed = [row for row in rows if row.status is Status.FAILED]
    if new := new_failures(task, failed):
        summary = f"{counted(len(new), 'change')} failed that had not failed before"
        yield Trouble(Occasion.FAILED, f"{task.key} changes", summary, _by_reason(new), {"failed": len(new)})
    if late := overdue_removals(task, failed):
        summary = f"{counted(len(late), 'removal')} failed for 24 hours or more"
        more = ("Users keep access that AD has removed.", *_by_reason(late))
        key = _removals_key(task.key.dag_id)
        yield Trouble(Occasion.FAILED, key, summary, more, {"removals": len(late)}, lasts=True)


def _held(task: TaskContext, rows: Iterable[Row]) -> Iterable[Trouble]:
    """Return what this run holds and listed first."""
    held = [row for row in rows if row.status is Status.HELD]
    seen = task.journal.changes.first_seen({id_ for row in held for id_ in row.change_ids})
    new = [row for row in held if _first_run(row, seen) == task.key]
    of_no_change = [row for row in held if not row.change_ids and not row.undoes_run]
    if of_no_change and not task.run.dry_run:  # such as a loss that nothing explains: no change remembers it
        before = task.journal.rows.held_before(task.run)
        new += [row for row in of_no_change if row.key not in before]
    if new:
        summary = f"{counted(len(new), 'change')} held back, listed for the first time"
        yield Trouble(Occasion.HELD, str(task.key), summary, _by_reason(new), {"held": len(new)})


def _first_run(row: Row, seen: dict[int, tuple[datetime, RunKey]]) -> RunKey | None:
    times = [seen[id_] for id_ in row.change_ids if id_ in seen]
    return min(times, key=lambda time: time[0])[1] if times else None


def _stopped(task: TaskContext) -> Iterable[Trouble]:
    plan = task.facts[PLAN]
    if plan is not None and plan.fail_reason:  # its text names Genesys groups
        line = "`limits.on_excess: fail`. The report says which limits."
        key = _stopped_key(task.key.dag_id)
        yield Trouble(Occasion.STOPPED, key, "limits stopped the run before it wrote anything", (line,), lasts=True)


# -- what a run proves --------------------------------------------------------------------------------


def _judged(task: TaskContext, run: RunRecord) -> Iterable[str]:
    """Yield the keys of lasting troubles that this run would have shown; see `outbox.notify`.

    A run of a window, of some groups, an undo, or one that is dry although the definition is not proves nothing.
    """
    if run.bounded or run.groups or run.dry_run != task.definition.dry_run or task.facts[UNDO] is not None:
        return
    yield _task_key(task.key, "")
    if task.facts[PLAN] is not None:
        yield _stopped_key(run.key.dag_id)
        yield _removals_key(run.key.dag_id)


def _task_key(key: RunKey, task: str) -> str:
    return f"task {key.dag_id} {task}"


def _stopped_key(dag_id: str) -> str:
    return f"stopped {dag_id}"


def _removals_key(dag_id: str) -> str:
    return f"removals {dag_id}"


def _late_key(dag_id: str) -> str:
    return f"late {dag_id}"


def _by_reason(rows: Iterable[Row]) -> tuple[str, ...]:
    counts = Counter(row.reason.value if row.reason else "" for row in rows)
    return tuple(
        f"{count:,}: {reason_words(reason) or 'No reason is known.'}" for reason, count in counts.most_common()
    )


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
