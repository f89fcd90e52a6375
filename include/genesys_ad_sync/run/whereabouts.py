"""Where a run was polled, and what other hosts must share with that one.

No executor is refused by its name: a database, a bucket or a shared volume is all that is needed. A host proves once
per run that it has the reports: each later task there would cost two requests to a bucket for the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from genesys_ad_sync.errors import JournalOfOtherHost, RunElsewhere
from genesys_ad_sync.model import RunRecord
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import Fact
from genesys_ad_sync.this_machine import Host

_SHARE_JOURNAL = (
    "Set the connection group_sync_journal to one PostgreSQL database for all hosts; on host {host}, "
    "`genesys-ad-sync journal copy --to URL` moves the journal there. Then trigger a new run."
)
_SHARE_REPORTS = (
    "Set report.path of the sync definition to a bucket, or to a folder that all hosts share. Then clear the task "
    "'poll' with everything downstream."
)


def note_host(task: TaskContext) -> None:
    """Note beside the reports where `poll` began the run.

    The note has the host and the journal. Raises ReportPathError.
    """
    note = {
        "dag_id": task.key.dag_id,
        "run_id": task.key.run_id,
        "attempt": task.run.attempt,
        "host": task.host.name,
        "journal": task.journal.place,
    }
    task.reports.note_run(task.key.dag_id, task.key.run_id, note)


def refuse_elsewhere(task: TaskContext, host_of_poll: Callable[[], str | None]) -> None:
    """Refuse a task whose host lacks the journal or the reports of the run.

    A run that `poll` has not begun is left to the stage.

    :param host_of_poll: what the XCom of `poll` says; asked only if the journal does not have the run.
    :raises RunElsewhere: the journal or the reports here are not those in which `poll` began the run.
    :raises JournalOfOtherHost: the journal is a SQLite file, and `poll` ran on another machine.
    :raises ReportPathError: the reports cannot be read.
    """
    run = task.journal.runs.find(task.key)
    if run is None:
        _refuse_without_run(task, task.reports.noted_run(task.key.dag_id, task.key.run_id), host_of_poll)
    elif run.host is not None and run.host.name != task.host.name:  # None: an earlier version began the run
        _refuse_other_machine(task, run.host)
        _refuse_without_note(task, run, run.host)


def _refuse_without_run(task: TaskContext, note: dict[str, Any] | None, host_of_poll: Callable[[], str | None]) -> None:
    host = note["host"] if note else host_of_poll()
    if host is None or host == task.host.name:  # it has not begun, or the journal was replaced: the stage says so
        return
    where = f", in its journal ({note['journal']})" if note else ""
    raise RunElsewhere(
        f"Task '{task.task_key}' runs on host {task.host.name}, and the journal there ({task.journal.place}) does not "
        f"have the run {task.key.run_id}. Task 'poll' ran on host {host}, which has it{where}. "
        f"{_SHARE_JOURNAL.format(host=host)}"
        + ("" if note else f" The reports are not shared either: {task.reports.place} is not the same place there.")
    )


def _refuse_other_machine(task: TaskContext, run_host: Host) -> None:
    if task.journal.is_file and not run_host.shares_memory_with(task.host):
        raise JournalOfOtherHost(
            f"Task '{task.task_key}' runs on host {task.host.name}, and the journal ({task.journal.place}) is a SQLite "
            f"file that host {run_host.name} uses: task 'poll' ran there. Two hosts can damage such a file. "
            f"{_SHARE_JOURNAL.format(host=run_host.name)} If host {run_host.name} does not exist any more, clear the "
            "task 'poll' with everything downstream instead."
        )


def _refuse_without_note(task: TaskContext, run: RunRecord, run_host: Host) -> None:
    proven = _proven_by(task.host)
    if task.facts[proven] == task.reports.place:
        return
    note = task.reports.noted_run(task.key.dag_id, task.key.run_id)
    if note is None or note.get("attempt") != run.attempt:
        raise RunElsewhere(
            f"Task '{task.task_key}' runs on host {task.host.name}, and the folder of reports there "
            f"({task.reports.place}) does not have the file that task 'poll' put there on host {run_host.name}. "
            f"The two hosts do not share the reports. {_SHARE_REPORTS}"
        )
    task.facts[proven] = task.reports.place


def _proven_by(host: Host) -> Fact[str | None]:
    """Return the fact that names the folder in which a host has seen `poll`'s note."""
    return Fact(f"shares_reports:{host.name}", str | None, None)
