"""What a task needs from Airflow before the domain can work: connections, params, the run's identity, its log."""

from __future__ import annotations

import difflib
import logging
import os
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import BaseHook, ObjectStoragePath, get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException
from sqlalchemy import URL

from genesys_ad_sync.errors import JournalError, ParamError, ReportPathError, SettingsError, WindowError
from genesys_ad_sync.journal.records import RunKey
from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync.model import Mode, Window
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.settings import SyncDefinition, config_folder, find_definitions
from genesys_ad_sync.stages.context import RunRequest, Sync

if TYPE_CHECKING:
    from airflow.sdk import Connection, Context

JOURNAL_CONNECTION = "group_sync_journal"
JOURNAL_FILE = "group_sync_journal.db"
AIRFLOWS_OWN = ("openlineage", "airflow/task_span_detail_level")
"""Keys of a run's conf that are no params: TriggerDagRunOperator adds the first, Airflow's tracing reads the second."""

log = logging.getLogger(__name__)


def sync_of_task(definition: SyncDefinition) -> Sync:
    """The domain's view of the running task. Raises JournalError if the journal cannot be opened."""
    # The hooks pull in Airflow's HTTP provider and ldap3: not wanted when DAG files are parsed.
    from genesys_ad_sync_airflow.active_directory.hook import ActiveDirectoryHook
    from genesys_ad_sync_airflow.genesys_cloud.hook import GenesysCloudHook
    from genesys_ad_sync_airflow.token_store import token_store

    context = get_current_context()
    ti = context["ti"]
    mapped = ti.map_index is not None and ti.map_index >= 0
    genesys = GenesysCloudHook(
        definition.genesys.connection,
        rate_reserve=definition.genesys.rate_reserve,
        token_store=token_store(open_journal),
    )
    return Sync(
        definition=definition,
        journal=open_journal(),
        key=RunKey(ti.dag_id, ti.run_id),
        task_key=f"{ti.task_id}[{ti.map_index}]" if mapped else ti.task_id,
        directory=lambda: ActiveDirectoryHook(definition.directory.connection).get_conn(),
        client=lambda: genesys,
        api_url=lambda: genesys.settings.api_url,
        client_id=lambda: genesys.settings.client_id,
        reports=report_store(definition),
        clock=lambda: datetime.now(timezone.utc),
        sleep=time.sleep,
        say=log.info,
        definitions=names_of_definitions(definition),
    )


def names_of_definitions(running: SyncDefinition) -> frozenset[str] | None:
    """Of all sync definitions, those that cannot be loaded included. None where that cannot be told: the folder cannot
    be listed, or the running one is not in it, so that others may be missing, too."""
    try:
        names = frozenset(path.stem for path in find_definitions(config_folder()))
    except SettingsError:
        return None
    return names if running.name in names else None


def request_of_run(definition: SyncDefinition, context: Context | None = None) -> RunRequest:
    """What the run was asked for: run type, params, and for a backfill its data interval.

    A run is bounded if it is a backfill or a window param is given; `mode: full` ignores a backfill's interval. Raises
    ParamError for a key of the run's conf that is no param, WindowError for a window param that is no time.
    """
    context = context or get_current_context()
    _refuse_unknown_keys(context)
    asked = _without_window(definition, context)
    dag_run, params = context["dag_run"], context["params"]
    start, end = _time(params.get("window_start"), "window_start"), _time(params.get("window_end"), "window_end")
    window: Window | None = None
    if start is not None or end is not None:
        window = Window(start, end)
    elif asked.run_type == "backfill" and asked.mode is not Mode.FULL:
        window = Window(_utc(dag_run.data_interval_start), _utc(dag_run.data_interval_end))
    return replace(asked, window=window)


def request_to_report(definition: SyncDefinition, context: Context | None = None) -> RunRequest:
    """The same for `report`, which also has to tell of a run that `poll` refused."""
    context = context or get_current_context()
    try:
        return request_of_run(definition, context)
    except (ParamError, WindowError) as error:
        return replace(_without_window(definition, context), refused=str(error))


def _refuse_unknown_keys(context: Context) -> None:
    """Airflow checks the values of params and lets any other key pass: {"dryrun": true} would be a run that writes."""
    known = list(context["dag"].params)
    told = []
    for key in context["dag_run"].conf or {}:
        if key not in (*known, *AIRFLOWS_OWN):
            near = difflib.get_close_matches(key.lower(), known, n=1)
            told.append(f"`{key}` is no param of this DAG." + (f" Did you mean `{near[0]}`?" if near else ""))
    if told:
        params = ", ".join(f"`{name}`" for name in known)
        raise ParamError(f"{' '.join(told)} Its params are {params}. Nothing was done: trigger a new run with them.")


def _without_window(definition: SyncDefinition, context: Context) -> RunRequest:
    dag_run, params = context["dag_run"], context["params"]
    dry_run = params.get("dry_run")
    return RunRequest(
        run_type=str(getattr(dag_run.run_type, "value", dag_run.run_type)),
        clear_number=dag_run.clear_number or 0,
        mode=Mode(params["mode"]),
        dry_run=definition.dry_run if dry_run is None else dry_run,
        groups=tuple(params.get("groups") or ()),
        undo_run=params.get("undo_run") or None,
        release_run=params.get("release_run") or None,
    )


def _time(text: str | None, name: str) -> datetime | None:
    """A time without zone is UTC."""
    if not text:
        return None
    try:
        parsed = pendulum.parse(text, tz="UTC", exact=True)
    except ValueError as error:
        raise WindowError(f"{name}: {text!r} is no time. Write it like 2026-11-24T07:15:00Z") from error
    if not isinstance(parsed, datetime):
        parsed = pendulum.parse(text, tz="UTC")
    if not isinstance(parsed, datetime):
        raise WindowError(f"{name}: {text!r} is no time. Write it like 2026-11-24T07:15:00Z")
    return _utc(parsed)


def _utc(moment: datetime | None) -> datetime | None:
    # plain datetime: pendulum's subclass would be pickled and compared as what it is
    return datetime.fromtimestamp(moment.timestamp(), timezone.utc) if moment is not None else None


_journals: dict[str, Journal] = {}


def open_journal() -> Journal:
    """The journal of connection `group_sync_journal`; without such a connection, the SQLite file in AIRFLOW_HOME."""
    try:
        connection: Connection = BaseHook.get_connection(JOURNAL_CONNECTION)
    except AirflowNotFoundException:
        url = URL.create("sqlite", database=str(airflow_home() / JOURNAL_FILE))
    else:
        url = journal_url(connection)
    key = url.render_as_string(hide_password=False)
    if key not in _journals:
        _journals[key] = Journal.open(key)
    return _journals[key]


def journal_url(connection: Connection) -> URL:
    """An Airflow connection as a SQLAlchemy URL, of SQLite or PostgreSQL: `Journal.open` refuses everything else.
    Raises JournalError for a connection without a type."""
    drivers = {"postgres": "postgresql+psycopg2", "postgresql_psycopg2": "postgresql+psycopg2"}
    driver = drivers.get(connection.conn_type or "", (connection.conn_type or "").replace("_", "+", 1))
    if not driver:
        raise JournalError(f"connection {JOURNAL_CONNECTION} has no type: give it a postgresql:// or sqlite:// URL")
    if driver.startswith("sqlite"):
        path = connection.schema or connection.host or ""
        return URL.create(driver, database=path if path.startswith("/") else f"/{path}")
    return URL.create(
        driver,
        username=connection.login,
        password=connection.password,
        host=connection.host,
        port=connection.port,
        database=connection.schema,
        query={key: str(value) for key, value in connection.extra_dejson.items()},
    )


def airflow_home() -> Path:
    return Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()


def report_store(definition: SyncDefinition) -> ReportStore:
    """Where the definition's reports lie: any ObjectStoragePath URL. Raises ReportPathError for one that is none."""
    try:
        path = ObjectStoragePath(definition.report.path)
    except (ValueError, ImportError) as error:
        raise ReportPathError(
            f"report.path: {definition.report.path} cannot be opened: {error}. Use a URL like file:///… or s3://…, and "
            "install the Airflow provider that its scheme needs."
        ) from error
    return ReportStore(path)


def counts_for_xcom(document: dict[str, Any], path: str) -> dict[str, Any]:
    """What of the report may stand in an XCom and in an asset event: ids and counts."""
    keys = ("dag_id", "run_id", "attempt", "mode", "dry_run", "total_changes", "successes", "failures", "orphans")
    more = ("skipped", "held", "unchanged", "superseded", "planned")
    return {**{key: document[key] for key in (*keys, *more)}, "requests": document["requests"]["total"], "path": path}
