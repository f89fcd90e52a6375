"""`undo` and `release` start a DAG run by Airflow's own command."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url

from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.model import Objection, Reason
from genesys_ad_sync_airflow.cli.tree import main
from tests.support.journal import T0, begin, journal, journal_url  # noqa: F401 (fixtures)

DAG = "genesys_ad_group_sync"


@pytest.fixture
def started(journal: Journal, journal_url: str, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", f"sqlite:///{make_url(journal_url).database}")
    begin(journal, key=RunKey(f"{DAG}__sales_full", "nightly"), definition="sales")
    calls: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("genesys_ad_sync_airflow.cli.trigger.subprocess.run", run)
    return calls


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize(
    ("arguments", "conf"),
    [
        (["undo", "nightly"], {"undo_run": f"{DAG}__sales_full/nightly"}),
        (
            ["undo", f"{DAG}__sales_full/nightly", "--dry-run"],
            {"undo_run": f"{DAG}__sales_full/nightly", "dry_run": True},
        ),
        (["release", "nightly"], {"release_run": f"{DAG}__sales_full/nightly"}),
    ],
)
def test_the_dag_of_the_definition_is_triggered_with_the_param(
    started: list[list[str]], arguments: list[str], conf: dict[str, Any]
) -> None:
    done = call(*arguments, "--json")
    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["dag_id"], answer["conf"]) == (0, f"{DAG}__sales", conf)
    [command] = started
    assert command[:6] == [sys.executable, "-m", "airflow", "dags", "trigger", f"{DAG}__sales"]
    assert json.loads(command[command.index("--conf") + 1]) == conf
    assert command[command.index("--run-id") + 1] == answer["run_id"]


def test_the_run_is_named_and_a_run_that_nobody_knows_starts_none(started: list[list[str]]) -> None:
    assert f"Started {DAG}__sales/manual__" in call("undo", "nightly").stdout
    started.clear()
    done = call("undo", "weekly")
    assert (done.exit_code, started) == (1, [])
    assert "knows no run 'weekly'" in done.stderr


@pytest.mark.parametrize("named", ["long ago", f"{DAG}__former/long ago"])
def test_what_was_undone_in_a_run_that_was_forgotten_can_be_released(
    started: list[list[str]], journal: Journal, named: str
) -> None:
    """After `report.keep_days`, and under the name of a DAG that is no more."""
    undone = Objection(Reason.UNDONE, RunKey(f"{DAG}__former", "long ago"), T0, last_change=7)
    journal.of("sales").pins.add({("G", "ann"): undone}, undoes=RunKey(DAG, "bad"))
    answer = json.loads(call("release", named, "--json").stdout)
    assert (answer["dag_id"], answer["conf"]) == (f"{DAG}__sales", {"release_run": f"{DAG}__former/long ago"})
    assert "knows no run 'long ago'" in call("undo", "long ago").stderr
    assert "knows no run 'never'" in call("release", "never").stderr


def test_a_refusal_of_airflow_is_shown_with_what_to_trigger_by_hand(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "Traceback\nairflow.exceptions.DagNotFound: Dag id x not found\n")
    monkeypatch.setattr("genesys_ad_sync_airflow.cli.trigger.subprocess.run", lambda *_, **__: failed)
    done = call("undo", "nightly")
    assert done.exit_code == 1
    assert "DagNotFound: Dag id x not found" in done.stderr
    assert '{"undo_run": "genesys_ad_group_sync__sales_full/nightly"}' in done.stderr
