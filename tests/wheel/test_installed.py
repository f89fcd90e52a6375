"""The wheel in an Airflow that was there before: the oldest that it allows, and the newest that there is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.wheel.conftest import OLDEST_AIRFLOW, OLDEST_STANDARD
from tests.wheel.environments import DAG_FILE, UV, Environment, project

BOTH_DAGS = {"genesys_ad_group_sync", "genesys_ad_group_sync_full"}
THEIR_DAG = """\
from airflow.sdk import DAG
from include.shared import DAG_ID

with DAG(dag_id=DAG_ID):
    pass
"""
DAGS_FOLDER = "AIRFLOW__CORE__DAGS_FOLDER"
CONNECTIONS = {
    "AIRFLOW_CONN_ACTIVE_DIRECTORY_DEFAULT": (
        '{"conn_type": "active_directory", "host": "dc1.example.com", "login": "a@example.com", "password": "p",'
        ' "extra": {"transport": "ldap"}}'
    ),
    "AIRFLOW_CONN_GENESYS_CLOUD_DEFAULT": (
        '{"conn_type": "genesys_cloud", "host": "eu-central-1", "login": "id", "password": "secret"}'
    ),
}
REFUSED = "Connection active_directory_default: `transport` is 'ldap'. Choose one of ldaps, starttls, plain."
IMPORT_ALL = """\
import importlib, pkgutil, genesys_ad_sync, genesys_ad_sync_airflow

for package in (genesys_ad_sync, genesys_ad_sync_airflow):
    print(package.__file__)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name.endswith(".migrations.env"):  # runs inside Alembic only
            continue
        importlib.import_module(module.name)
        print(module.name)
"""


def dag_ids(environment: Environment, settings: Mapping[str, str]) -> set[str]:
    """Return the ids of the DAGs that Airflow makes of a DAGs folder, read afresh."""
    return {dag["dag_id"] for dag in environment.airflow_list("dags", "list", "--local", settings=settings)}


def test_the_wheel_changes_no_version_that_was_there(
    installed: Environment, record_property: Callable[[str, object], None]
) -> None:
    after = installed.versions()
    assert {name: after.get(name) for name in installed.before} == dict(installed.before)
    added = sorted(f"{name} {after[name]}" for name in after.keys() - installed.before.keys())
    assert installed.airflow("version").stdout.strip() == installed.before["apache-airflow"]
    installed.run(UV, "pip", "check", "--python", installed.python)
    record_property(
        "environment",
        f"Airflow {after['apache-airflow']}, standard provider {after['apache-airflow-providers-standard']}:"
        f" nothing changed, and the wheel added {', '.join(added)}",
    )


def test_both_dags_load_from_the_copied_file_without_an_import_error(installed: Environment) -> None:
    installed.airflow("dags", "reserialize")
    listed = installed.airflow_list("dags", "list")
    assert {dag["dag_id"] for dag in listed} == BOTH_DAGS
    assert {Path(dag["fileloc"]) for dag in listed} == {installed.home / "dags" / DAG_FILE.name}
    assert "No data found" in installed.airflow("dags", "list-import-errors").stdout
    assert not (installed.home / "plugins").exists()


def test_both_connection_types_are_listed(installed: Environment) -> None:
    classes = {hook["connection_type"]: hook["class"] for hook in installed.airflow_list("providers", "hooks")}
    assert classes["active_directory"] == "genesys_ad_sync_airflow.active_directory.hook.ActiveDirectoryHook"
    assert classes["genesys_cloud"] == "genesys_ad_sync_airflow.genesys_cloud.hook.GenesysCloudHook"


def test_the_provider_is_listed_beside_an_unchanged_standard_provider(installed: Environment) -> None:
    versions = {found["package_name"]: found["version"] for found in installed.airflow_list("providers", "list")}
    assert versions["genesys-ad-sync"] == installed.versions()["genesys-ad-sync"]
    standard = "apache-airflow-providers-standard"
    assert versions[standard] == installed.before[standard]


def test_a_run_that_cannot_read_the_directory_still_writes_its_journal_and_report(installed: Environment) -> None:
    # Migrations and the page's template are read from the installed packages. A wrong connection is not retried.
    done = installed.airflow("dags", "test", "genesys_ad_group_sync", expect=1, settings=CONNECTIONS)
    assert REFUSED in done.stdout
    (page,) = (installed.home / "reports").rglob("*.html")
    assert "active_directory_default" in page.read_text()
    assert (installed.home / "group_sync_journal.db").is_file()


def test_the_command_reads_the_journal_that_airflow_tasks_use(installed: Environment) -> None:
    command = str(installed.venv / "bin" / "genesys-ad-sync")
    home = {"AIRFLOW_HOME": str(installed.home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    assert json.loads(installed.run(command, "claims", "--json", settings=home).stdout) == []
    # A connection in Airflow's database counts, as for a task.
    elsewhere = installed.folder / "elsewhere.db"
    installed.airflow("connections", "add", "group_sync_journal", "--conn-uri", f"sqlite:///{elsewhere}")
    said = installed.run(command, "claims", expect=1, settings=home).stderr
    assert f"There is no journal in {elsewhere}." in said
    installed.airflow("connections", "delete", "group_sync_journal")


def test_without_a_definition_one_dag_fails_and_says_what_to_do(installed: Environment, tmp_path: Path) -> None:
    dags = project(tmp_path / "dags", definition=False)
    settings = {DAGS_FOLDER: str(dags)}
    assert dag_ids(installed, settings) == {"genesys_ad_group_sync"}
    said = installed.airflow("dags", "test", "genesys_ad_group_sync", expect=1, settings=settings).stdout
    assert f"{dags}/genesys-ad-sync: no sync definition there. Put one into that folder" in said
    assert "Start from include/config/default.yaml in the repository of genesys-ad-sync." in said


@pytest.mark.parametrize("with_init", [True, False], ids=["package", "namespace"])
def test_an_include_folder_of_the_team_is_still_imported(
    installed: Environment, tmp_path: Path, with_init: bool
) -> None:
    dags = project(tmp_path / "dags")
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "shared.py").write_text('DAG_ID = "theirs"\n')
    if with_init:
        (tmp_path / "include" / "__init__.py").touch()
    (dags / "theirs.py").write_text(THEIR_DAG)
    # Astronomer's layout: the folder around the DAGs folder is on the path.
    settings = {DAGS_FOLDER: str(dags), "PYTHONPATH": str(tmp_path)}
    assert dag_ids(installed, settings) == {*BOTH_DAGS, "theirs"}


@pytest.mark.xdist_group("lowest")
def test_every_module_is_imported_with_the_lowest_version_of_each_dependency(
    lowest: Environment, record_property: Callable[[str, object], None]
) -> None:
    after = lowest.versions()
    assert {name: after.get(name) for name in lowest.before} == dict(lowest.before)
    # Of the rest, Airflow itself may need more than our ranges say.
    expected = [OLDEST_AIRFLOW, OLDEST_STANDARD, "apache-airflow-providers-http==6.0.0", "ldap3==2.9.1"]
    for name, _, version in (requirement.partition("==") for requirement in expected):
        assert after[name] == version
    printed = lowest.run(lowest.python, "-c", IMPORT_ALL).stdout.split()
    places, modules = [line for line in printed if "/" in line], [line for line in printed if "/" not in line]
    assert all(Path(place).is_relative_to(lowest.venv) for place in places)
    assert len(modules) > 80
    names = ("apache-airflow", "apache-airflow-providers-http", "ldap3", "requests", "sqlalchemy", "pydantic")
    record_property("environment", "lowest versions: " + ", ".join(f"{name} {after[name]}" for name in names))


@pytest.mark.xdist_group("lowest")
def test_all_extras_together_can_be_resolved_with_the_oldest_airflow(wheel: Path, lowest: Environment) -> None:
    wanted = lowest.folder / "wanted.txt"
    extras = f"genesys-ad-sync[postgres,celery,s3,gcs,azure] @ {wheel.as_uri()}"
    wanted.write_text("\n".join([extras, OLDEST_AIRFLOW, OLDEST_STANDARD]))
    found = lowest.run(UV, "pip", "compile", "-q", "--python", lowest.python, str(wanted)).stdout
    for package in ("psycopg2-binary", "celery", "s3fs", "apache-airflow-providers-google"):
        assert f"\n{package}==" in found
