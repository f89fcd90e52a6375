"""What `notify:` sends by Airflow's own notifiers, to a real mail server and a real web server."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import asyncio
import inspect
import json
import logging
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import RunKey
from genesys_ad_sync.model.notices import Occasion, Trouble
from genesys_ad_sync.notices import RunEnd, Sender, message_of, notify
from genesys_ad_sync.notices.messages import html_text
from genesys_ad_sync.run.facts import PLAN, QUESTION, FrozenQuestion, StoredPlan
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync_airflow import notify as by_airflow
from genesys_ad_sync_airflow.late_runs import tell_of_late_run
from tests.support.journal import T0, begin, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.receivers import MailServer, WebServer, mail_server, web_server
from tests.support.view_examples import definition
from tests.unit.genesys_ad_sync.notices.test_notices import context as context_of

FAILED = Trouble(Occasion.FAILED, "task dag poll", "the task poll failed", lasts=True)
MAIL = "[{notifier: smtp, to: [ops@example.com]}]"
RUN = "manual__{{ conn.smtp_default.password }} <b>\r\nBcc: x@y.z"
"""A run id that a person may choose: neither a template nor markup nor a header."""


def told(journal: Journal, of: SyncDefinition, *troubles: Trouble, minutes: float = 0, **more: Any) -> list[str]:
    sender = Sender("default", RunKey("dag", RUN), T0 + timedelta(minutes=minutes), "https://af/dags/dag", "file:///r")
    return notify(journal, of, sender, by_airflow.send, troubles=troubles, **more)


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Any:
    with mail_server() as server:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", server.connection())
        yield server


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Any:
    with web_server() as server:
        monkeypatch.setenv("AIRFLOW_CONN_HTTP_DEFAULT", server.connection())
        monkeypatch.setenv("AIRFLOW_CONN_HOOKS", server.connection())
        yield server


def test_a_mail_says_what_and_where_and_nothing_in_it_is_markup_or_a_template(
    journal: Journal, mail: MailServer
) -> None:
    assert told(journal, definition(notify=MAIL), FAILED) == []
    [sent] = mail.mails
    assert mail.recipients == ["ops@example.com"]
    assert sent["Subject"] == "genesys-ad-sync default: the task poll failed"
    assert sent["From"] == "airflow@example.com"
    assert sent["Bcc"] is None
    text = sent.get_payload()[0].get_content()  # type: ignore[union-attr,index]
    assert "{{ conn.smtp_default.password }}" in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert '<p>Page: <a href="https://af/dags/dag">https://af/dags/dag</a></p>' in text
    assert "file:///r" in text


@pytest.mark.parametrize("link", ['https://af/"><b>x', "javascript:alert(1)", None])
def test_a_link_brings_no_markup_and_no_script(link: str | None) -> None:
    sender = Sender("default", RunKey("dag", "run"), T0, link, None)
    text = html_text(message_of(FAILED, sender))
    assert "<b>" not in text
    assert "javascript" not in "".join(re.findall("<a [^>]*>", text))
    assert text.count("<a ") == (link or "").startswith("https")


def test_a_program_gets_ids_and_counts_at_the_endpoint(journal: Journal, web: WebServer) -> None:
    held = Trouble(Occasion.HELD, "dag/run", "3 changes held back", counts={"held": 3})
    mine = definition(notify="[{notifier: http, connection: hooks, endpoint: /hooks/sync}]")
    assert told(journal, mine, held) == []
    [(path, body)] = web.requests
    assert path == "/hooks/sync"
    assert {key: body[key] for key in ("occasion", "definition", "dag_id", "counts", "link", "at")} == {
        "occasion": "held",
        "definition": "default",
        "dag_id": "dag",
        "counts": {"held": 3},
        "link": "https://af/dags/dag",
        "at": "2024-05-01T12:00:00Z",
    }
    assert body["text"].startswith("genesys-ad-sync default: 3 changes held back\n")


def test_a_dead_server_is_an_error_by_its_type_and_the_next_run_sends_it(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = definition(notify=MAIL)
    with mail_server() as server:
        address = server.connection()
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", address)  # nobody listens there now
    [error] = told(journal, mine, FAILED)
    assert error.startswith("notify[0] (smtp): ")
    assert "127.0.0.1" not in error
    [(_, count, since)] = journal.of("default").notices.undelivered()
    assert (count, since) == (1, T0)
    with mail_server() as server:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", server.connection())
        assert told(journal, mine, FAILED, minutes=15) == []
        assert [mail["Subject"] for mail in server.mails] == ["genesys-ad-sync default: the task poll failed"]
    assert journal.of("default").notices.undelivered() == []


def test_a_refused_recipient_and_a_server_error_leave_the_other_notifier_alone(
    journal: Journal, mail: MailServer, web: WebServer
) -> None:
    mail.refuses = True
    mine = definition(notify="[{notifier: smtp, to: [ops@example.com]}, {notifier: http}]")
    [error] = told(journal, mine, FAILED)
    assert error.startswith("notify[0] (smtp): ")
    assert "ops" not in error
    assert len(web.requests) == 1
    mail.refuses, web.status = False, 500
    other = Trouble(Occasion.FAILED, "task dag plan", "the task plan failed", lasts=True)
    [error] = told(journal, mine, FAILED, other, minutes=15)
    assert error.startswith("notify[1] (http): ")
    assert len(mail.mails) == 2


def test_a_connection_that_does_not_exist_is_an_error_like_a_dead_server(journal: Journal) -> None:
    [error] = told(journal, definition(notify="[{notifier: http, connection: nowhere}]"), FAILED)
    assert error.startswith("notify[0] (http): ")


def test_a_notifier_that_is_not_installed_names_the_package(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = by_airflow.NOTIFIERS["slack"]._replace(module="airflow.providers.nowhere.notifications.slack")
    monkeypatch.setitem(by_airflow.NOTIFIERS, "slack", missing)
    mine = definition(notify='[{notifier: slack, channel: "#sync"}]')
    assert told(journal, mine, FAILED) == ["notify[0] (slack): NotifierMissing"]
    why = by_airflow.why_missing(mine.notify[0])
    assert why is not None
    assert "install the package apache-airflow-providers-slack" in why
    assert by_airflow.why_missing(definition(notify=MAIL).notify[0]) is None


def test_slack_gets_no_mention_that_a_run_id_holds() -> None:
    message = {
        "definition": "default", "summary": "x", "lines": [], "dag_id": "dag", "run_id": "<!channel>", "link": None,
        "report": None,
    }  # fmt: skip
    entry = definition(notify='[{notifier: slack, channel: "#sync", connection: c}]').notify[0]
    arguments = by_airflow._arguments(entry, message)
    assert "<" not in arguments["text"]
    assert (arguments["channel"], arguments["slack_conn_id"]) == ("#sync", "c")


def test_the_page_of_a_run_is_part_of_a_message_only_if_airflow_knows_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/x/")
    assert by_airflow.run_page("dag", "a/b c") == "https://airflow.example.com/x/dags/dag/runs/a%2Fb%20c"
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "")
    assert by_airflow.run_page("dag", "run") is None


def test_a_broken_journal_is_told_once(
    mail: MailServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class State:
        state = "success"

    class Instance:
        dag_id, run_id = "dag", "run"

        def get_previous_dagrun(self) -> State:
            return State()

    monkeypatch.setattr(by_airflow, "get_current_context", lambda: {"ti": Instance()})
    by_airflow.notify_without_journal(definition(notify=MAIL))
    State.state = "failed"
    by_airflow.notify_without_journal(definition(notify=MAIL))
    assert [sent["Subject"] for sent in mail.mails] == ["genesys-ad-sync default: the journal cannot be opened"]
    State.state = "success"
    mail.refuses = True
    with caplog.at_level(logging.ERROR):
        by_airflow.notify_without_journal(definition(notify=MAIL))
    assert "ops@example.com" not in caplog.text
    assert "nobody is notified" in caplog.text


# -- when -----------------------------------------------------------------------------------------------


@pytest.fixture
def task(journal: Journal, journal_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the context of a task of a run that asks."""
    monkeypatch.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", journal_url)
    run = begin(journal, key=RunKey("dag", "run"))
    question = FrozenQuestion("h", ["a", "b"], {"G": "Sales"}, {}, [])
    journal.facts.put(run, PLAN.key, PLAN.adapter.dump_python(StoredPlan("h", None, T0), mode="json"))
    journal.facts.put(run, QUESTION.key, QUESTION.adapter.dump_python(question, mode="json"))
    return context_of(journal, definition(notify=MAIL, dry_run="false"), "run", "dag")


AIRFLOW: Any = {"ti": SimpleNamespace(dag_id="dag", run_id="run")}


def test_a_question_is_told_when_its_form_is_there_and_once(task: Any, mail: MailServer) -> None:
    for _ in range(2):  # a try that is begun again asks again
        by_airflow.notify_of_question(task, AIRFLOW)
    assert [sent["Subject"] for sent in mail.mails] == ["genesys-ad-sync default: 2 changes need your approval"]
    assert "Sales" not in str(mail.mails[0])


def test_the_operator_asks_the_notifiers_after_it_has_made_the_form() -> None:
    source = inspect.getsource(HITLOperator.execute)
    assert source.index("upsert_hitl_detail(") < source.index("notifier(context)")


def test_a_question_is_asked_although_nobody_can_be_told(
    task: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", "mysql://nowhere/x")
    by_airflow.notify_of_question(task, AIRFLOW)
    assert "nobody is notified: JournalError" in caplog.text


def test_a_run_that_ends_tells_its_troubles_and_fails_nothing(
    task: Any, mail: MailServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(by_airflow, "get_current_context", lambda: AIRFLOW)
    mail.refuses = True
    by_airflow.notify_of_run(task, RunEnd(("plan",)))
    assert "notify[0] (smtp): " in caplog.text
    assert "ops@example.com" not in caplog.text
    mail.refuses = False
    by_airflow.notify_of_run(task, RunEnd(("plan",)))
    assert [sent["Subject"] for sent in mail.mails] == ["genesys-ad-sync default: the task plan failed"]


def test_a_late_run_is_told_by_what_the_deadline_carries_along_but_not_one_that_asks(
    task: Any, mail: MailServer, journal: Journal
) -> None:
    entries = [entry.model_dump(mode="json") for entry in task.definition.notify]

    def tell(run_id: str, run_type: str = "scheduled") -> list[str]:
        run = {"dag_id": "dag", "dag_run_id": run_id, "run_type": run_type}
        asyncio.run(tell_of_late_run("default", json.loads(json.dumps(entries)), {"dag_run": run}))
        return [sent["Subject"] for sent in mail.mails]

    now = datetime.now(timezone.utc)
    journal.of("default").questions.open(
        RunKey("dag", "run"), {"a": [1]}, last_change=1, at=now, until=now + timedelta(hours=8)
    )
    assert tell("run") == []
    assert tell("other", "backfill") == []
    assert tell("other") == ["genesys-ad-sync default: a run does not end"]
    assert tell("third") == ["genesys-ad-sync default: a run does not end"]


# -- what may be written ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ("{notifier: sendmail}", ["`notify[0].notifier`", "smtp, http, slack or slack_webhook"]),
        ("{notifier: smtp}", ["`notify[0]`", "no `to`", "mail addresses"]),
        ("{notifier: smtp, to: ops@example.com}", ["`notify[0].to`", "not a list"]),
        ('{notifier: smtp, to: ["a@b.c, d@e.f"]}', ["`notify[0].to`", "not a mail address"]),
        ('{notifier: smtp, to: ["a@b.c\\nBcc: x@y.z"]}', ["`notify[0].to`", "not a mail address"]),
        ("{notifier: slack}", ["no `channel`"]),
        ('{notifier: slack_webhook, channel: "#x"}', ["`channel`", "does not take"]),
        ('{notifier: http, endpoint: "https://hooks.example.com/T0/secret"}', ["not a path", "Airflow connection"]),
        ("{notifier: http, on: []}", ["`notify[0].on` is empty"]),
        ("{notifier: http, on: [fails]}", ["`notify[0].on[0]` ('fails')", "question, failed"]),
        ("{notifier: http, silent_after: 2}", ["`notify[0].silent_after`", "ISO 8601", ]),
        ("{notifier: http, silent_after: PT0S}", ["`notify[0].silent_after`", "longer than zero"]),
        ("{notifier: http, token: abc}", ["`notify[0].token`", "not a known key"]),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_write(entry: str, parts: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        definition(notify=f"[{entry}]")
    assert [part for part in parts if part not in str(caught.value)] == []
    assert "secret" not in str(caught.value)


def test_on_needs_no_quotes_although_yaml_takes_it_for_true() -> None:
    assert definition(notify="[{notifier: http, on: [held]}]").notify[0].on == (Occasion.HELD,)
    assert definition(notify='[{notifier: http, "on": [held]}]').notify[0].on == (Occasion.HELD,)
    assert definition(notify="[{notifier: http}]").notify[0].on == tuple(Occasion)


def test_the_allowed_notifiers_and_those_that_can_be_written_are_the_same() -> None:
    schema = json.loads(
        (Path(by_airflow.__file__).parents[2] / "include/genesys_ad_sync/settings/definition.schema.json").read_text()
    )
    assert schema["$defs"]["NotifySettings"]["properties"]["notifier"]["enum"] == list(by_airflow.NOTIFIERS)


def test_settings_of_messages_change_nothing_that_a_run_decides_by() -> None:
    assert definition(notify=MAIL, airflow="{queue: a}").digest == definition().digest
