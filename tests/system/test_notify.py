"""What `notify:` sends from a real Airflow: a run that does not end, one that fails, and what follows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import demo
from tests.support.receivers import MailServer, WebServer, mail_server, web_server
from tests.support.stack import Stack, until

NOTICES = "genesys_ad_group_sync__notices"
POOL = "closed"


@contextmanager
def connection(stack: Stack, name: str, fields: dict[str, Any]) -> Iterator[None]:
    """Keep an Airflow connection until the end of the block."""
    stack.airflow.save_connection(name, fields)
    try:
        yield
    finally:
        stack.airflow.api("DELETE", f"connections/{name}")


def set_password(stack: Stack, name: str, password: str) -> None:
    body = {"connection_id": name, "conn_type": "active_directory", "password": password}
    stack.airflow.api("PATCH", f"connections/{name}?update_mask=password", json=body)


@pytest.fixture
def mail(stack: Stack) -> Iterator[MailServer]:
    with mail_server() as server, connection(stack, "smtp_default", json.loads(server.connection())):
        yield server


@pytest.fixture
def web(stack: Stack) -> Iterator[WebServer]:
    with web_server() as server, connection(stack, "hooks", json.loads(server.connection())):
        yield server


def definition(stack: Stack) -> dict[str, Any]:
    made = demo.definition(
        stack.reports,
        schedule="@yearly",
        full_schedule="@yearly",
        groups=[{"name": "(?P<team>Drill (Support|Service))( .+)?", "genesys_name": "{team}"}],
        exclude={"groups": [], "users": []},
    )
    notify = [
        {"notifier": "smtp", "to": ["ops@example.com"], "on": ["failed", "recovered"]},
        {"notifier": "http", "connection": "hooks", "on": ["silent", "recovered"], "silent_after": "PT1S"},
    ]
    directory = {**made["directory"], "connection": "notices_ad"}
    return {**made, "dry_run": True, "directory": directory, "notify": notify, "airflow": {"pool": POOL}}


def subjects(mail: MailServer) -> list[str]:
    return [sent["Subject"].removeprefix("genesys-ad-sync notices: ") for sent in mail.mails]


def test_people_hear_once_of_a_run_that_hangs_of_one_that_fails_and_when_it_is_over(
    stack: Stack, mail: MailServer, web: WebServer
) -> None:
    airflow = stack.airflow
    right = stack.directory.connection()
    airflow.save_connection("notices_ad", {**right, "password": "not the password"})
    airflow.api("POST", "pools", json={"name": POOL, "slots": 0})
    (airflow.config_dir / "notices.yaml").write_text(yaml.safe_dump(definition(stack)))
    airflow.start_service("triggerer")
    try:
        airflow.wait_for_dag(NOTICES)
        airflow.unpause(NOTICES)
        until("the message that a run does not end", lambda: web.requests)
        [(_, late)] = web.requests
        assert (late["occasion"], late["dag_id"], late["summary"]) == ("silent", NOTICES, "a run does not end")
        assert late["link"].startswith(f"{airflow.url}/dags/{NOTICES}/runs/")
        assert subjects(mail) == []

        airflow.api(
            "PATCH", f"pools/{POOL}?update_mask=slots", json={"pool": POOL, "slots": 4, "include_deferred": False}
        )
        [first] = airflow.runs(NOTICES)
        assert airflow.wait_for_run(NOTICES, first["dag_run_id"]) == "failed"
        assert subjects(mail) == ["the task poll failed"]
        assert [body["summary"] for _, body in web.requests][1:] == ["over: a run does not end"]
        _, state = stack.run(NOTICES)
        assert (state, subjects(mail)) == ("failed", ["the task poll failed"])

        set_password(stack, "notices_ad", right["password"])
        _, state = stack.run(NOTICES)
        assert (state, subjects(mail)) == ("success", ["the task poll failed", "over: the task poll failed"])
    finally:
        airflow.stop_service("triggerer")
        airflow.unpause(NOTICES, paused=True)
        (airflow.config_dir / "notices.yaml").unlink()
    logs = "".join(path.read_text() for path in stack.log_files(NOTICES))
    assert "ops@example.com" not in logs


def test_a_dead_mail_server_fails_no_run_and_the_next_report_says_so(stack: Stack, mail: MailServer) -> None:
    airflow, right = stack.airflow, stack.directory.connection()
    made = {**definition(stack), "notify": [{"notifier": "smtp", "to": ["ops@example.com"]}], "airflow": {}}
    made["directory"] = {**made["directory"], "connection": "dead_mail_ad"}
    airflow.save_connection("dead_mail_ad", {**right, "password": "not the password"})
    file: Path = airflow.config_dir / "deadmail.yaml"
    dag_id = "genesys_ad_group_sync__deadmail"
    file.write_text(yaml.safe_dump(made))
    try:
        airflow.wait_for_dag(dag_id)
        airflow.unpause(dag_id)
        first = until("the first run", lambda: airflow.runs(dag_id))[0]
        assert airflow.wait_for_run(dag_id, first["dag_run_id"]) == "failed"
        assert len(mail.mails) == 1
        mail.refuses = True
        set_password(stack, "dead_mail_ad", right["password"])
        run_id, state = stack.run(dag_id)
        assert state == "success"  # although that it recovered could not be sent
        assert "could not be sent" in airflow.task_log(dag_id, run_id, "check")
        run_id, state = stack.run(dag_id)
        assert state == "success"
        notes = " ".join(stack.report(dag_id, run_id)["notes"])
        assert "1 message of `notify:` could not be sent since" in notes
        assert "ops@example.com" not in notes
    finally:
        airflow.unpause(dag_id, paused=True)
        file.unlink()
