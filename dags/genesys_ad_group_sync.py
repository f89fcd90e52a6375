"""Keeps Genesys Cloud group membership equal to what Active Directory says.

Two DAGs for each sync definition (a YAML file in the folder genesys-ad-sync/ beside this file, or in the folder that
GENESYS_AD_SYNC_CONFIG_DIR names): one for the changes, and one that compares everything, daily by default. This file
is the order of the tasks; their work is in genesys_ad_sync.stages.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, TriggerRule, dag, get_parsing_context, task

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.settings import (
    SyncDefinition,
    config_folder,
    dag_id_of_broken,
    dag_ids_of,
    find_definitions,
    load_definition,
)
from genesys_ad_sync_airflow import assets, tasks
from genesys_ad_sync_airflow.approve_removals import ApproveRemovals
from genesys_ad_sync_airflow.dag_docs import dag_docs
from genesys_ad_sync_airflow.late_runs import deadline_of
from genesys_ad_sync_airflow.params import params
from genesys_ad_sync_airflow.report_link import ReportLink
from genesys_ad_sync_airflow.retry_policy import SyncRetryPolicy

LONGEST_TRY = timedelta(hours=6)
"""A try that takes longer hangs. What it has done is in the journal: the next try goes on from there."""

DEFAULT_ARGS: dict[str, Any] = {
    "execution_timeout": LONGEST_TRY,
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": SyncRetryPolicy(),
    # A run that has begun goes first. By Airflow's default, the first task of a newer run does, and where slots are few
    # no run comes to its end.
    "weight_rule": "upstream",
}
CHECKED_TASKS = [
    "poll",
    "map_groups",
    "resolve_users",
    "plan",
    "patch",
    "approve_removals",
    "patch_approved",
    "report",
]
"""Tasks whose failure turns the run red."""

BATCH_LABEL = (
    "+{{ task.op_kwargs['batch']['add'] }}"
    " -{{ task.op_kwargs['batch']['remove'] }} in {{ task.op_kwargs['batch']['groups'] | length }} groups"
)


def _where(queue: str | None, definition: SyncDefinition) -> dict[str, Any]:
    """Return where a task runs; what the definition does not say is Airflow's default."""
    said = {"queue": queue, "pool": definition.airflow.pool, "owner": definition.airflow.owner}
    return {key: value for key, value in said.items() if value is not None}


def _new_dag(definition: SyncDefinition, *, full: bool) -> DAG:
    return DAG(
        dag_id=definition.full_dag_id if full else definition.dag_id,
        description="Compares every mapped group completely"
        if full
        else "Brings membership changes from AD to Genesys",
        # A plain cron string would give zero-length data intervals, and a backfill nothing to replay.
        schedule=CronDataIntervalTimetable(
            definition.full_schedule if full else definition.schedule, timezone=definition.timezone
        ),
        start_date=datetime(2020, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        max_active_runs=definition.full_max_active_runs if full else definition.max_active_runs,
        params=params("full" if full else "auto", dry=definition.dry_run),
        default_args=DEFAULT_ARGS | _where(definition.airflow.queue, definition),
        render_template_as_native_obj=True,
        deadline=deadline_of(definition),
        doc_md=dag_docs(definition, full=full),
        tags=["genesys", "active-directory", *definition.airflow.tags],
        auto_register=False,  # a DAG that could not be finished must not remain beside the `broken` one of its id
    )


def pipeline(definition: SyncDefinition, *, full: bool) -> DAG:
    """Build one DAG of a definition.

    poll → map_groups → resolve_users → plan → patch*, approve_removals → patch_approved* → report → check (*: mapped)
    """
    reported_asset, changed = assets.report_asset(definition), assets.changed_groups(definition)
    near_ad = _where(definition.airflow.ad_queue or definition.airflow.queue, definition)

    @task(multiple_outputs=False, **near_ad)
    def poll() -> dict[str, Any]:
        return tasks.poll(definition)

    @task(multiple_outputs=False)
    def map_groups() -> dict[str, Any]:
        return tasks.map_groups(definition)

    @task(multiple_outputs=False, **near_ad)
    def resolve_users() -> dict[str, Any]:
        return tasks.resolve_users(definition)

    @task(multiple_outputs=False, **near_ad)
    def plan() -> list[dict[str, Any]]:
        return tasks.plan(definition)

    @task(multiple_outputs=False, map_index_template=BATCH_LABEL)
    def patch(batch: dict[str, Any]) -> dict[str, Any]:
        return tasks.patch(definition, batch)

    @task(multiple_outputs=False, map_index_template=BATCH_LABEL, **near_ad)
    def patch_approved(batch: dict[str, Any]) -> dict[str, Any]:
        return tasks.patch_approved(definition, batch)

    @task(multiple_outputs=False, trigger_rule=TriggerRule.ALL_DONE, outlets=[reported_asset, changed])
    def report() -> dict[str, Any]:
        return tasks.report(definition, reported_asset, changed)

    # An ALL_DONE leaf would leave a failed run green; a raising report would emit no asset event.
    @task(trigger_rule=TriggerRule.ALL_DONE, retries=0)
    def check(reported: Any) -> None:
        tasks.check(definition, reported, CHECKED_TASKS)

    with _new_dag(definition, full=full) as dag:
        planned = plan()
        poll() >> map_groups() >> resolve_users() >> planned
        # Waits beside `patch`, and holds no worker while it does.
        approve_removals = ApproveRemovals(task_id="approve_removals", definition=definition)
        planned >> approve_removals
        reported = report()
        [patch.expand(batch=planned), patch_approved.expand(batch=approve_removals.output)] >> reported
        for last in (reported, check(reported)):
            last.operator.operator_extra_links = (ReportLink(),)  # type: ignore[attr-defined]  # a PlainXComArg
    return dag


def broken(dag_id: str, message: str) -> DAG:
    """Build a DAG that fails with the reason why its definition cannot be read.

    Raising here would take every DAG of this file out of the schedule.
    """

    @dag(dag_id=dag_id, schedule=None, start_date=datetime(2020, 1, 1, tzinfo=timezone.utc), tags=["genesys", "broken"])
    def build() -> None:
        @task(retries=0)
        def read_definition() -> None:
            raise SettingsError(message)

        read_definition()

    return build()


def dags(only: str | None) -> Iterator[DAG]:
    """Build the DAGs of all definitions.

    ``only``: the id of a DAG. If a definition has it, the DAGs of that definition are enough.
    """
    try:
        paths = find_definitions(config_folder(Path(__file__).parent))
    except SettingsError as error:
        yield broken("genesys_ad_group_sync", str(error))
        return
    for path in [path for path in paths if only in dag_ids_of(path)] or paths:
        try:
            definition = load_definition(path)
            made = [pipeline(definition, full=False)]
            if definition.full_schedule:
                made.append(pipeline(definition, full=True))
        except SettingsError as error:
            made = [broken(dag_id_of_broken(path), str(error))]
        except Exception as error:  # noqa: BLE001  raised here, it would take the DAGs of all other files away, too
            made = [broken(dag_id_of_broken(path), f"{path}: {type(error).__name__}: {error}")]
        yield from made


# Airflow reads this file again for each task, and needs that task's DAG alone. The id may be that of a DAG in another
# file: a command that a task starts inherits it.
for found in dags(only=get_parsing_context().dag_id):
    globals()[found.dag_id] = found
