"""What Airflow finds in a checkout of this repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from airflow._shared.module_loading.file_discovery import find_path_from_directory
from airflow.utils.file import list_py_file_paths

import genesys_ad_sync

PROJECT = Path(genesys_ad_sync.__file__).parents[2]

NEW_MODULES = """
import runpy, sys
import airflow.providers.standard.operators.hitl, airflow.sdk.definitions.retry_policy, pendulum
from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param, TriggerRule, dag, get_current_context, task
before = set(sys.modules)
runpy.run_path(sys.argv[1])
print("NEW", *sorted(set(sys.modules) - before))
"""
"""Prints what a DAG file imports that Airflow has not loaded for its own imports."""

IMPORTED_WHEN_A_TASK_RUNS = (
    "approval",
    "directory",
    "doctor",
    "journal",
    "planning",
    "polling",
    "report",
    "run",
    "stages",
)


def test_a_dag_bundle_on_the_root_parses_the_dag_file_alone() -> None:
    assert list_py_file_paths(str(PROJECT)) == [str(PROJECT / "dags" / "genesys_ad_group_sync.py")]


def test_the_plugins_folder_holds_no_file_that_airflow_imports_by_itself() -> None:
    assert list(find_path_from_directory(str(PROJECT / "plugins"), ".airflowignore", "glob")) == []


def test_parsing_the_dag_file_loads_the_definition_and_nothing_that_only_a_task_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Airflow parses the file again for each task, so every import costs every task."""
    monkeypatch.setenv("GENESYS_AD_SYNC_CONFIG_DIR", str(PROJECT / "include" / "config"))
    dag_file = PROJECT / "dags" / "genesys_ad_group_sync.py"
    done = subprocess.run(
        [sys.executable, "-c", NEW_MODULES, str(dag_file)], check=True, capture_output=True, text=True
    )
    loaded = next(line for line in done.stdout.splitlines() if line.startswith("NEW")).split()[1:]

    assert "genesys_ad_sync.settings.definition" in loaded
    assert [
        name
        for name in loaded
        if name.startswith(tuple(f"genesys_ad_sync.{room}" for room in IMPORTED_WHEN_A_TASK_RUNS))
    ] == []
    foreign = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    assert foreign == {"genesys_ad_sync", "genesys_ad_sync_airflow", "airflow"}


TIMEOUTS = """
import runpy, sys
names = runpy.run_path(sys.argv[1])
from airflow.sdk import DAG
for value in {value.dag_id: value for value in names.values() if isinstance(value, DAG)}.values():
    for task in value.tasks:
        links = "+".join(link.name.replace(" ", "-") for link in task.operator_extra_links) or None
        print("TASK", task.task_id, task.execution_timeout, getattr(task, "response_timeout", None), links)
"""


def test_every_task_ends_in_time_and_a_person_has_a_time_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESYS_AD_SYNC_CONFIG_DIR", str(PROJECT / "include" / "config"))
    dag_file = PROJECT / "dags" / "genesys_ad_group_sync.py"
    done = subprocess.run([sys.executable, "-c", TIMEOUTS, str(dag_file)], check=True, capture_output=True, text=True)
    tasks = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("TASK")]
    assert len(tasks) == 18  # nine in each of the two DAGs
    assert {limit for _, limit, *_ in tasks} == {"6:00:00"}
    assert {answer for name, _, answer, _ in tasks if name == "approve_removals"} == {"8:00:00"}
    # The tasks that have to do with the report lead to it.
    assert {name for name, *_, links in tasks if links == "Open-report"} == {"report", "approve_removals", "check"}
    assert {links for *_, links in tasks} == {"Open-report", "None"}


WEIGHTS = """
import runpy, sys
names = runpy.run_path(sys.argv[1])
from types import SimpleNamespace
from airflow.sdk import DAG
from airflow.task.priority_strategy import validate_and_load_priority_weight_strategy as strategy
for value in {value.dag_id: value for value in names.values() if isinstance(value, DAG)}.values():
    for task in value.tasks:
        print("WEIGHT", task.task_id, strategy(str(task.weight_rule)).get_weight(SimpleNamespace(task=task)))
"""


def test_a_run_that_has_begun_goes_before_a_newer_one_where_slots_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESYS_AD_SYNC_CONFIG_DIR", str(PROJECT / "include" / "config"))
    dag_file = PROJECT / "dags" / "genesys_ad_group_sync.py"
    done = subprocess.run([sys.executable, "-c", WEIGHTS, str(dag_file)], check=True, capture_output=True, text=True)
    weights = {
        name: int(weight)
        for name, weight in (line.split()[1:] for line in done.stdout.splitlines() if line.startswith("WEIGHT"))
    }
    in_order = ["poll", "map_groups", "resolve_users", "plan", "patch", "patch_approved", "report", "check"]
    assert sorted(in_order, key=weights.__getitem__) == in_order
    assert weights["poll"] < weights["map_groups"] < weights["plan"] < weights["patch"] < weights["report"]
