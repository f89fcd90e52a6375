"""The DAG's tasks in mode `check`: a worker that has other reports, or another journal, than the worker of `poll`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.journal import Journal
from genesys_ad_sync_airflow import check_tasks
from tests.support.pipeline import definition_for

DAG, RUN = "genesys_ad_group_sync", "manual__1"


@pytest.fixture
def own_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the worker a journal; return its id."""
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    monkeypatch.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", url)
    with Journal.open(url) as journal:
        return journal.identity()[0]


def lines_of(folder: Path, monkeypatch: pytest.MonkeyPatch, left_by_poll: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Run `map_groups` on a worker that gets this XCom of `poll`; return the lines of its table."""
    ti = SimpleNamespace(dag_id=DAG, run_id=RUN, task_id="map_groups", xcom_pull=lambda task_ids: left_by_poll)
    context = {"ti": ti, "dag_run": SimpleNamespace(clear_number=0)}
    monkeypatch.setattr(check_tasks, "get_current_context", lambda: context)
    definition = definition_for(folder)
    check_tasks.map_groups(definition)
    document = check_tasks._check_store(definition).read_check(DAG, RUN)
    assert document is not None
    return {line["check"]: line for line in document["lines"]}


def test_a_worker_without_the_reports_and_the_journal_of_poll_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_journal: str
) -> None:
    left = {"host": "worker-0", "path": "file:///reports/manual__1.check.json", "journal": "another journal"}
    lines = lines_of(tmp_path, monkeypatch, left)
    for key, text, remedy in (
        ("reports.shared", "this task does not find it", "report.path"),
        ("journal.shared", "another journal than `poll`", "group_sync_journal"),
    ):
        assert lines[key]["outcome"] == "problem", key
        assert text in lines[key]["text"]
        assert "`poll` ran on worker-0, this task on" in lines[key]["text"]
        assert remedy in lines[key]["remedy"]


def test_a_worker_that_shares_the_journal_is_no_problem_and_reports_that_poll_did_not_write_prove_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_journal: str
) -> None:
    lines = lines_of(tmp_path, monkeypatch, {"host": "worker-0", "path": None, "journal": own_journal})
    assert (lines["reports.shared"]["outcome"], lines["journal.shared"]["outcome"]) == ("not proven", "ok")
