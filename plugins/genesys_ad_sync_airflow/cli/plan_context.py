"""The context of a plan's tasks, made without a running task of Airflow."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from genesys_ad_sync.errors import DirectoryNotAsked, SettingsError
from genesys_ad_sync.genesys.errors import ConnectionFailed
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import RunKey
from genesys_ad_sync.preview.offline import RecordedGenesys
from genesys_ad_sync.preview.plan import MakeTask
from genesys_ad_sync.preview.read_only_reports import ReadOnlyReports
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync_airflow.cli.definitions import load_all

# --offline does not read a bucket: this folder, which never exists, takes its place.
_NO_FOLDER = Path(os.devnull).parent / "no-reports"
_NO_NETWORK = "a plan with --offline uses no network"


def tasks(definition: SyncDefinition, scratch: Journal, now: datetime, log: Callable[[str], None]) -> MakeTask:
    """Return the tasks of a plan that reads Active Directory and Genesys Cloud.

    ``scratch``: a copy of the journal. The access token in it is used and not renewed in the journal itself.
    """
    from genesys_ad_sync_airflow.active_directory.hook import ActiveDirectoryHook
    from genesys_ad_sync_airflow.genesys_cloud.hook import GenesysCloudHook
    from genesys_ad_sync_airflow.task_context import report_folder
    from genesys_ad_sync_airflow.token_store import token_store

    genesys = GenesysCloudHook(
        definition.genesys.connection,
        rate_reserve=definition.genesys.rate_reserve,
        token_store=token_store(lambda: scratch),
    )

    def make(task: str) -> TaskContext:
        return TaskContext(
            directory=lambda: ActiveDirectoryHook(definition.directory.connection).get_conn(),
            client=lambda: genesys,
            api_url=lambda: genesys.settings.api_url,
            client_id=lambda: genesys.settings.client_id,
            reports=ReadOnlyReports(report_folder(definition)),
            **_common(definition, scratch, now, log, task),
        )

    return make


def offline_tasks(definition: SyncDefinition, scratch: Journal, now: datetime, log: Callable[[str], None]) -> MakeTask:
    """Return the tasks of a plan that goes by what the journal has.

    Reports on this machine are read, too: they show whether the journal was lost. Those in a bucket are not.
    """
    mine = scratch.of(definition.name)
    recorded = RecordedGenesys(mine)
    organisation, client = mine.lookups.organisation()

    def make(task: str) -> TaskContext:
        context = TaskContext(
            directory=_no_directory,
            client=_no_client,
            api_url=lambda: organisation,
            client_id=lambda: client,
            reports=ReadOnlyReports(_local_path(definition.report.path) or _NO_FOLDER),
            **_common(definition, scratch, now, log, task),
        )
        context.genesys = recorded
        return context

    return make


def _common(
    definition: SyncDefinition, scratch: Journal, now: datetime, log: Callable[[str], None], task: str
) -> dict[str, Any]:
    return {
        "definition": definition,
        "journal": scratch.of(definition.name),
        "key": RunKey(definition.dag_id, f"plan__{now.isoformat(timespec='seconds')}"),
        "task_key": task,
        "clock": lambda: datetime.now(timezone.utc),
        "sleep": time.sleep,
        "log": log,
        "all_definitions": _all_names(definition),
    }


def _local_path(url: str) -> Path | None:
    """Return the path of a folder on this machine; None for any other place."""
    path = url.removeprefix("file://")
    return Path(path) if path.startswith("/") else None


def _all_names(definition: SyncDefinition) -> frozenset[str] | None:
    """Return the names of all definitions, with that of an uninstalled file.

    None: not known.
    """
    try:
        return load_all().names | {definition.name}
    except SettingsError:
        return None


def _no_directory() -> AbstractContextManager[Any]:
    raise DirectoryNotAsked(_NO_NETWORK)


def _no_client() -> Any:
    raise ConnectionFailed(_NO_NETWORK)
