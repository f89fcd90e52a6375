"""The bodies of the DAG's tasks.

Each hands Airflow's side over to the stage of the same name.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from genesys_ad_sync_airflow import params

if TYPE_CHECKING:
    from genesys_ad_sync.settings import SyncDefinition

# Stages and task_context are imported when a task runs: parsing a DAG file shall not load ldap3 and SQLAlchemy.

log = logging.getLogger(__name__)

# What is imported never becomes garbage. Without this, each search for garbage walks all of Airflow, for a tenth of a
# second; the first one comes while a task imports its stage. To leave out the stage's own modules, too, saves 6 ms.
gc.freeze()


def poll(definition: SyncDefinition) -> dict[str, Any]:
    """Bring the journal up to date with Active Directory and choose what to act on."""
    if params.is_check():
        from genesys_ad_sync_airflow import check_tasks

        return check_tasks.poll(definition)
    from genesys_ad_sync.stages.poll import poll as stage
    from genesys_ad_sync_airflow import metrics, task_context

    with metrics.poll_time(definition):
        return stage(task_context.current_task_context(definition), params.request_of_run(definition))


def map_groups(definition: SyncDefinition) -> dict[str, Any]:
    """Find the Genesys group of each AD group."""
    if params.is_check():
        from genesys_ad_sync_airflow import check_tasks

        return check_tasks.map_groups(definition)
    from genesys_ad_sync.stages.map_groups import map_groups as stage
    from genesys_ad_sync_airflow import task_context

    return stage(task_context.current_task_context(definition))


def resolve_users(definition: SyncDefinition) -> dict[str, Any]:
    """Find the Genesys user of each AD user that this run concerns."""
    if params.is_check():
        from genesys_ad_sync_airflow import check_tasks

        return check_tasks.resolve_users(definition)
    from genesys_ad_sync.stages.resolve_users import resolve_users as stage
    from genesys_ad_sync_airflow import task_context

    return stage(task_context.current_task_context(definition))


def plan(definition: SyncDefinition) -> list[dict[str, Any]]:
    """Decide; return one batch for each mapped `patch`.

    XCom `summary` holds counts, the plan's hash and whether `limits.on_excess: fail` stops the run.
    """
    _skip_in_check()
    from genesys_ad_sync.stages.plan import plan as stage
    from genesys_ad_sync_airflow import task_context

    planned = stage(task_context.current_task_context(definition))
    batches: list[dict[str, Any]] = planned.pop("batches")
    planned["stopped_by_limits"] = bool(planned.pop("fail_reason"))  # its text names Genesys groups
    get_current_context()["ti"].xcom_push(key="summary", value=planned)
    return batches


def patch(definition: SyncDefinition, batch: dict[str, Any]) -> dict[str, Any]:
    """Write one batch and read it back.

    Writes the report, too, if the run goes on to wait for an approval.
    """
    from genesys_ad_sync.stages.patch import patch as stage
    from genesys_ad_sync.stages.report import write_interim_report
    from genesys_ad_sync_airflow import task_context

    task = task_context.current_task_context(definition)
    counts = stage(task, batch["lane"])
    write_interim_report(task)
    return counts


def patch_approved(definition: SyncDefinition, batch: dict[str, Any]) -> dict[str, Any]:
    """Read Active Directory again, write one batch of approved changes, and read it back."""
    from genesys_ad_sync.stages.approve_removals import reread_sources
    from genesys_ad_sync.stages.patch import patch as stage
    from genesys_ad_sync_airflow import task_context

    task = task_context.current_task_context(definition)
    reread_sources(task, batch["lane"])
    return stage(task, batch["lane"])


def report(definition: SyncDefinition, asset: Asset, changed: AssetAlias) -> dict[str, Any]:
    """Write the reconciliation report, print its summary, and fill the asset events.

    ``changed``: through it, each Genesys group that the run has changed gets an event.
    """
    _skip_in_check()
    from genesys_ad_sync.report.summary import render_summary
    from genesys_ad_sync.stages.report import fail_reason, failures_that_count, write_report
    from genesys_ad_sync_airflow import params, task_context

    task = task_context.current_task_context(definition)
    document, path = write_report(task, params.request_to_report(definition))
    for line in render_summary(document).splitlines():
        log.info(line)
    log.info("report: %s", path)
    counts = task_context.counts_for_xcom(document, path)
    counts["failures_that_count"] = failures_that_count(task)
    counts["stopped_by_limits"] = bool(fail_reason(task))  # its text names Genesys groups
    counts["groups_without_event"] = _tell_of_groups(definition, document, changed)
    get_current_context()["outlet_events"][asset].extra = counts
    return counts


def _tell_of_groups(definition: SyncDefinition, document: dict[str, Any], changed: AssetAlias) -> int:
    """Emit an event for each changed Genesys group, and count those without one."""
    from airflow.sdk.configuration import conf

    from genesys_ad_sync_airflow import assets

    events = assets.group_events(document, definition.name, conf.get("api", "base_url", fallback=""))
    for genesys_group_id, extra in list(events.items())[: assets.MOST_GROUPS]:
        get_current_context()["outlet_events"][changed].add(assets.group_asset(genesys_group_id), extra=extra)
    left = max(0, len(events) - assets.MOST_GROUPS)
    if left:
        log.warning("%d more groups were changed than Airflow gets asset events for: see docs/assets.md", left)
    return left


def check(definition: SyncDefinition, reported: dict[str, Any] | None, task_ids: Sequence[str]) -> None:
    """Turn the DAG run red if a change failed or a task did. Raises RunFailed."""
    from genesys_ad_sync.errors import JournalError
    from genesys_ad_sync.notices import RunEnd
    from genesys_ad_sync.stages.check import check as stage
    from genesys_ad_sync.stages.report import fail_reason
    from genesys_ad_sync_airflow import metrics, notify, task_context
    from genesys_ad_sync_airflow.journal_connection import open_journal

    ti = get_current_context()["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=list(task_ids), run_ids=[ti.run_id])
    failed = sorted(task for task, state in states.get(ti.run_id, {}).items() if state in ("failed", "upstream_failed"))
    if params.is_check():
        from genesys_ad_sync_airflow import check_tasks

        check_tasks.judge(definition, failed)
        return
    counts = reported or {}
    try:
        task = task_context.current_task_context(definition)
    except JournalError:
        notify.notify_without_journal(definition)
        raise
    refused = params.request_to_report(definition).refused is not None
    own = [name for name in failed if states[ti.run_id][name] == "failed"]
    notify.notify_of_run(task, RunEnd(tuple(own), refused=refused, report=counts.get("path")))
    metrics.tell_of_run(definition, open_journal(), ti.dag_id, counts, task.clock())
    why = fail_reason(task) if counts.get("stopped_by_limits") else None
    stage(counts, failed, why)


def _skip_in_check() -> None:
    """Skip the task in mode `check`. Raises AirflowSkipException."""
    if params.is_check():
        raise AirflowSkipException("mode check plans nothing")
