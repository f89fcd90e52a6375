"""Builds a task's context from Airflow: connections, the run's identity, its log."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timezone
from typing import Any

from airflow.sdk import ObjectStoragePath, get_current_context

from genesys_ad_sync.errors import ReportPathError, SettingsError
from genesys_ad_sync.model import RunKey
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.whereabouts import refuse_elsewhere
from genesys_ad_sync.settings import SyncDefinition, find_definitions
from genesys_ad_sync_airflow.journal_connection import open_journal

log = logging.getLogger(__name__)

_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States of a task that does no more, as Airflow writes them."""


def current_task_context(definition: SyncDefinition) -> TaskContext:
    """Build the context of the running task.

    Raises JournalError if the journal cannot be opened, or if another host has the run.
    """
    # The hooks pull in Airflow's HTTP provider and ldap3: not wanted when DAG files are parsed.
    from genesys_ad_sync_airflow.active_directory.hook import ActiveDirectoryHook
    from genesys_ad_sync_airflow.genesys_cloud.hook import GenesysCloudHook
    from genesys_ad_sync_airflow.logins import directory_login, genesys_login, logins_of
    from genesys_ad_sync_airflow.token_store import token_store

    context = get_current_context()
    ti = context["ti"]
    key = RunKey(ti.dag_id, ti.run_id)
    run_type = context["dag_run"].run_type
    clock = open_journal().clock(utc_now)
    logins = logins_of(open_journal(), key, str(getattr(run_type, "value", run_type)), clock)
    mapped = ti.map_index is not None and ti.map_index >= 0
    directory = ActiveDirectoryHook(
        definition.directory.connection, login_attempt=directory_login(logins, definition.directory.connection)
    )
    genesys = GenesysCloudHook(
        definition.genesys.connection,
        rate_reserve=definition.genesys.rate_reserve,
        token_store=token_store(open_journal),
        login_attempt=genesys_login(logins, definition.genesys.connection),
    )
    task = TaskContext(
        definition=definition,
        journal=open_journal().of(definition.name),
        key=key,
        task_key=f"{ti.task_id}[{ti.map_index}]" if mapped else ti.task_id,
        directory=directory.get_conn,
        client=lambda: genesys,
        api_url=lambda: genesys.settings.api_url,
        client_id=lambda: genesys.settings.client_id,
        reports=report_store(definition),
        clock=clock,
        sleep=time.sleep,
        log=log.info,
        all_definitions=names_of_definitions(definition),
        awaits_answer=lambda key: awaits_answer(ti, key),
        connection_warnings=lambda: [*directory.warnings(), *genesys.settings.warnings],
    )
    if ti.task_id != "poll":
        refuse_elsewhere(task, lambda: host_of_poll(ti))
    return task


def host_of_poll(ti: Any) -> str | None:
    """Return the host on which the run's `poll` ended well.

    None: it did not, or its version did not say.
    """
    polled = ti.xcom_pull(task_ids="poll")
    host = polled.get("host") if isinstance(polled, dict) else None
    return None if host is None else str(host)


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


def awaits_answer(ti: Any, key: RunKey) -> bool:
    """Return True if the approval task of a run may still be answered.

    True also where Airflow cannot say. A DAG run that was deleted has no tasks any more. One that was marked as failed
    has no report to close its question.
    """
    try:
        states = ti.get_task_states(dag_id=key.dag_id, task_ids=["approve_removals"], run_ids=[key.run_id])
    except Exception:  # whatever Airflow raises, the question stays open
        log.warning("Airflow did not say whether a run that asks for approval still exists", exc_info=True)
        return True
    return (states.get(key.run_id) or {}).get("approve_removals", "removed") not in _ENDED


def names_of_definitions(running: SyncDefinition) -> frozenset[str] | None:
    """Return the names of all sync definitions, those that cannot be loaded included.

    None where that is not known: the folder cannot be listed, or the running definition is not in it, so that others
    may be missing, too.
    """
    if running.folder is None:
        return None
    try:
        names = frozenset(path.stem for path in find_definitions(running.folder))
    except SettingsError:
        return None
    return names if running.name in names else None


def report_store(definition: SyncDefinition) -> ReportStore:
    """Open the folder of the definition's reports: any ObjectStoragePath URL.

    Raises ReportPathError for another text.
    """
    return ReportStore(report_folder(definition), mode=definition.report.file_mode)


def report_folder(definition: SyncDefinition) -> ObjectStoragePath:
    """Return the folder of the definition's reports.

    Raises ReportPathError for a text that is not a URL.
    """
    try:
        return ObjectStoragePath(definition.report.path)
    except (ValueError, ImportError) as error:
        raise ReportPathError(
            f"report.path: {definition.report.path} cannot be opened: {error}. Use a URL like file:///… or s3://…, and "
            "install the Airflow provider that its scheme needs."
        ) from error


def counts_for_xcom(document: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the ids and counts of the report.

    An XCom and an asset event may hold nothing else of it.
    """
    keys = ("dag_id", "run_id", "attempt", "mode", "dry_run", "total_changes", "successes", "failures", "orphans")
    more = ("skipped", "held", "unchanged", "superseded", "planned")
    return {**{key: document[key] for key in (*keys, *more)}, "requests": document["requests"]["total"], "path": path}
