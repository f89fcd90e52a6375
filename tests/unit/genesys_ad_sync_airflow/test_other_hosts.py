"""A task in Airflow on a host that does not have the run, or whose SQLite journal another machine uses."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.errors import JournalOfOtherHost, RunElsewhere
from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.journal.database import Database
from genesys_ad_sync.model import RunRequest
from genesys_ad_sync.this_machine import Host
from genesys_ad_sync_airflow import journal_connection, task_context
from tests.support.sync_examples import definition

RUN = RunKey("genesys_ad_group_sync", "scheduled__1")


@pytest.fixture
def journal_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of the journal that the connection `group_sync_journal` names."""
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    monkeypatch.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", f"sqlite:///{tmp_path / 'journal.db'}")
    monkeypatch.setattr(journal_connection, "_journals", {})
    return url


def test_a_sqlite_journal_is_not_opened_on_a_second_machine(journal_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal.open(journal_url) as journal:
        now = datetime.now(timezone.utc)
        journal.runs.begin(RUN, "default", RunRequest("scheduled"), now, host=Host("anna", "boot-of-anna"))
    monkeypatch.setattr(journal_connection, "this_host", lambda: Host("berta", "boot-of-berta"))
    for _ in range(2):  # a refused journal is not kept for the next time
        with pytest.raises(JournalOfOtherHost, match="host anna uses"):
            journal_connection.open_journal()
    monkeypatch.setattr(journal_connection, "this_host", lambda: Host("anna", "another boot"))
    assert journal_connection.open_journal().runs.get(RUN).host == Host("anna", "boot-of-anna")


def test_a_task_asks_the_xcom_of_poll_which_host_has_the_run(
    journal_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled = []

    def xcom_pull(**what: Any) -> dict[str, Any]:
        pulled.append(what)
        return {"host": "anna"}

    def context_of(task_id: str) -> dict[str, Any]:
        ti = SimpleNamespace(dag_id=RUN.dag_id, run_id=RUN.run_id, task_id=task_id, map_index=-1, xcom_pull=xcom_pull)
        return {"ti": ti, "dag_run": SimpleNamespace(run_type="scheduled")}

    ours = definition(report={"path": (tmp_path / "reports").as_uri()})
    monkeypatch.setattr(task_context, "get_current_context", lambda: context_of("map_groups"))
    with pytest.raises(RunElsewhere, match="Task 'poll' ran on host anna"):
        task_context.current_task_context(ours)
    assert pulled == [{"task_ids": "poll"}]
    monkeypatch.setattr(task_context, "get_current_context", lambda: context_of("poll"))
    assert task_context.current_task_context(ours).key == RUN  # `poll` begins it
    monkeypatch.setattr(Database, "clock_difference", lambda *_: timedelta(days=-1))
    assert task_context.current_task_context(ours).clock() < datetime.now(timezone.utc) - timedelta(hours=23)
