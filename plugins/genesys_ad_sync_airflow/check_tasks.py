"""The bodies of the DAG's tasks in mode `check`.

Each tries what it would use, from the worker where it would run. A task never fails because of a line. The last one,
`check`, turns the run red if a line is a problem.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any, TypeVar

from airflow.sdk import get_current_context

from genesys_ad_sync.doctor.directory import check_directory
from genesys_ad_sync.doctor.document import CheckedBy, counts_of, document_of, problems_in
from genesys_ad_sync.doctor.genesys_parts import check_groups, check_users
from genesys_ad_sync.doctor.handover import Handover
from genesys_ad_sync.doctor.journal import check_journal
from genesys_ad_sync.doctor.lines import Line, Outcome, not_proven, ok, problem
from genesys_ad_sync.doctor.page import render_check_page
from genesys_ad_sync.errors import GroupSyncError, JournalError, ReportPathError
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.examination import examine
from genesys_ad_sync.report.check_store import CheckStore
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.stages.check import RunFailed
from genesys_ad_sync_airflow import check_subjects, params
from genesys_ad_sync_airflow.airflow_checks import check_airflow
from genesys_ad_sync_airflow.journal_connection import journal_address
from genesys_ad_sync_airflow.task_context import report_folder

log = logging.getLogger(__name__)

_T = TypeVar("_T")

TASKS = ("poll", "map_groups", "resolve_users")
"""Tasks that leave lines."""

_NO_HANDOVER = "Not tried: this task does not have what `poll` read, see the lines above."


def poll(definition: SyncDefinition) -> dict[str, Any]:
    """Try Airflow, the journal, the reports and Active Directory. Raises ParamError for other params."""
    params.refuse_params_beside_check(get_current_context())
    by = _checked_by(definition)
    journal_id = None
    with check_subjects.journal_subject(definition, by.dag_id) as journal:
        lines = [*check_airflow(definition), *check_journal(journal)]
        if journal.journal is not None:
            journal_id = journal.journal.identity()[0]
    directory = check_subjects.directory_subject(definition)
    lines += check_directory(directory)
    if directory.view is not None:
        _hand_over(definition, by, Handover(directory.view))
    return {**_record(definition, by, lines, first=True), "journal": journal_id}


def map_groups(definition: SyncDefinition) -> dict[str, Any]:
    """Try what the groups of Genesys Cloud and their mapping need."""
    by = _checked_by(definition)
    lines = _shared_lines(definition, by)
    subject = check_subjects.genesys_subject(definition)
    handed_over = _handed_over(definition, by)
    subject.why_no_view = _NO_HANDOVER
    if handed_over is not None:
        subject.view = handed_over.view
    subject.claims = _of_journal(_claims, {})
    lines += check_groups(subject)
    if handed_over is not None and subject.pairs is not None:
        _hand_over(definition, by, Handover(handed_over.view, tuple(subject.pairs)))
    return _record(definition, by, lines)


def resolve_users(definition: SyncDefinition) -> dict[str, Any]:
    """Try what the users of Genesys Cloud and the matching of people need."""
    by = _checked_by(definition)
    subject = check_subjects.genesys_subject(definition)
    handed_over = _handed_over(definition, by)
    subject.why_no_view = _NO_HANDOVER
    if handed_over is not None:
        subject.view, subject.pairs = handed_over.view, handed_over.pairs
    subject.links = _of_journal(lambda journal: journal.of(definition.name).links.all(), {})
    lines = check_users(subject)
    _hand_over(definition, by, None)
    return _record(definition, by, lines)


def judge(definition: SyncDefinition, failed_tasks: Sequence[str]) -> None:
    """Turn the run red if a line is a problem, or lines are missing.

    Raises RunFailed.
    """
    by = _checked_by(definition)
    _hand_over(definition, by, None)  # it holds names, and a task that failed has left it
    problems = [f"failed tasks: {', '.join(failed_tasks)}"] if failed_tasks else []
    try:
        document = _check_store(definition).read_check(by.dag_id, by.run_id)
    except ReportPathError as error:
        raise RunFailed("; ".join([*problems, f"the table of the check cannot be read: {error}"])) from error
    if document is None:
        problems.append("no table of the check was found in report.path: the logs of the tasks hold the lines")
    else:
        missing = [task for task in TASKS if task not in document["tasks"]]
        if missing:
            problems.append(f"lines of {', '.join(missing)} are missing in the table: the logs of the tasks hold them")
        problems += problems_in(document)
    if problems:
        raise RunFailed("\n".join(problems))


# -- between the tasks --------------------------------------------------------------------------------


def _checked_by(definition: SyncDefinition) -> CheckedBy:
    context = get_current_context()
    ti, dag_run = context["ti"], context["dag_run"]
    return CheckedBy(
        definition=definition.name,
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        attempt=(dag_run.clear_number or 0) + 1,
        task=ti.task_id,
        host=socket.gethostname(),
        at=datetime.now(timezone.utc),
    )


def _record(definition: SyncDefinition, by: CheckedBy, lines: Sequence[Line], *, first: bool = False) -> dict[str, Any]:
    """Log the lines, and add them to the table.

    Returns ids and counts for the XCom.
    """
    for line in lines:
        level = logging.WARNING if line.outcome is Outcome.PROBLEM else logging.INFO
        log.log(level, "%s%s: %s: %s", line.check, f" {line.about}" if line.about else "", line.outcome, line.text)
    path = None
    try:
        reports = _check_store(definition)
        before = None if first else reports.read_check(by.dag_id, by.run_id)
        document = document_of(by, lines, before)
        path = str(reports.write_check(document, render_check_page(document)))
        log.info("table: %s", path)
    except ReportPathError as error:  # `reports.path` says it, too; the log holds the lines
        log.error("The table cannot be written: %s", error)
    return {"mode": "check", **counts_of(lines), "host": by.host, "path": path}


def _shared_lines(definition: SyncDefinition, by: CheckedBy) -> list[Line]:
    """Compare what this worker has with what the worker of `poll` had."""
    before: dict[str, Any] = get_current_context()["ti"].xcom_pull(task_ids="poll") or {}
    hosts = f"`poll` ran on {before.get('host')}, this task on {by.host}"
    return [*_reports_shared(definition, by, before, hosts), *_journal_shared(by, before, hosts)]


def _reports_shared(definition: SyncDefinition, by: CheckedBy, before: dict[str, Any], hosts: str) -> list[Line]:
    key = "reports.shared"
    try:
        found = _check_store(definition).read_check(by.dag_id, by.run_id)
    except ReportPathError as error:
        return [problem(key, str(error))]
    if found is not None:
        return [ok(key, f"The table that `poll` wrote is there. {hosts}.")]
    if before.get("path") is None:
        return [not_proven(key, "`poll` could not write its table.")]
    return [problem(key, f"`poll` wrote its table, and this task does not find it. {hosts}.")]


def _journal_shared(by: CheckedBy, before: dict[str, Any], hosts: str) -> list[Line]:
    key, own = "journal.shared", _of_journal(lambda journal: journal.identity()[0], "") or None
    if own is not None and own == before.get("journal"):
        return [ok(key, f"Both tasks have the same journal. {hosts}.")]
    if own != before.get("journal"):
        return [problem(key, f"This task has another journal than `poll`, or does not reach it. {hosts}.")]
    if by.host == before.get("host"):
        return []
    return [not_proven(key, f"There is no journal yet. {hosts}.", "Run the check again after the first run.")]


def _of_journal(ask: Callable[[Journal], _T], otherwise: _T) -> _T:
    """Ask the journal, if it can be read without an upgrade.

    If not, a line of `poll` says why.
    """
    try:
        if examine(journal_address()).is_current:
            with Journal.open(journal_address(), create=False) as journal:
                return ask(journal)
    except JournalError as error:
        log.info("The journal cannot be read: %s", error)
    return otherwise


def _claims(journal: Journal) -> dict[str, str]:
    return {claim.genesys_group_id: claim.definition for claim in journal.claims.list()}


def _check_store(definition: SyncDefinition) -> CheckStore:
    return CheckStore(report_folder(definition), mode=definition.report.file_mode)


def _hand_over(definition: SyncDefinition, by: CheckedBy, left: Handover | None) -> None:
    try:
        _check_store(definition).hand_over(by.dag_id, by.run_id, None if left is None else left.as_bytes())
    except GroupSyncError as error:
        log.warning("Nothing can be passed to the next task: %s", error)


def _handed_over(definition: SyncDefinition, by: CheckedBy) -> Handover | None:
    try:
        content = _check_store(definition).handed_over(by.dag_id, by.run_id)
    except ReportPathError:
        return None
    return None if content is None else Handover.of(content)
