"""What Airflow's side of the approval adds: who is told, and that a broken notifier keeps nobody from being asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator

from genesys_ad_sync.approval import UNDECIDED
from genesys_ad_sync.run.facts import QUESTION
from genesys_ad_sync.settings import CONFIG_FOLDER_VARIABLE
from genesys_ad_sync.stages.approve_removals import ApprovalForm
from genesys_ad_sync_airflow.approve_removals import ApproveRemovals
from genesys_ad_sync_airflow.notifiers import SafeNotifier, notifiers_of
from tests.support.sync_examples import definition


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CONFIG_FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def complaints() -> tuple[list[str], Any]:
    told: list[str] = []
    return told, lambda text, *values: told.append(text % values)


def test_without_a_notifiers_file_nobody_is_told(folder: Path) -> None:
    told, complain = complaints()
    assert notifiers_of(definition(), complain) == []
    assert told == []


def test_notifiers_get_the_definition_and_the_context(folder: Path) -> None:
    (folder / "notifiers.py").write_text(
        "seen = []\ndef approval_notifiers(definition):\n    return [lambda context: context.append(definition.name)]\n"
    )
    told, complain = complaints()
    (notifier,) = notifiers_of(definition(), complain)
    context: list[str] = []
    notifier(context)
    assert context == ["default"]
    assert told == []


@pytest.mark.parametrize(
    "text",
    [
        "def approval_notifiers(",
        "import nothing_of_that_name",
        "x = 1",
        "def approval_notifiers(d):\n    raise ValueError",
    ],
)
def test_a_broken_notifiers_file_is_told_and_forgiven(folder: Path, text: str) -> None:
    (folder / "notifiers.py").write_text(text)
    told, complain = complaints()
    assert notifiers_of(definition(), complain) == []
    assert "nobody is notified" in told[0]


def test_a_notifier_that_fails_is_told_and_forgiven(folder: Path) -> None:
    (folder / "notifiers.py").write_text("def approval_notifiers(d):\n    return [lambda context: 1 / 0]\n")
    told, complain = complaints()
    (notifier,) = notifiers_of(definition(), complain)
    notifier({})
    assert "ZeroDivisionError" in told[0]


def test_the_task_knows_who_may_answer_and_how_long_it_waits() -> None:
    task = ApproveRemovals(task_id="approve_removals", definition=definition(approvers=["olivia"]))
    assert task.assigned_users == [{"id": "olivia", "name": "olivia"}]
    assert task.response_timeout == definition().limits.answer_within
    assert task.defaults == [UNDECIDED]
    assert ApproveRemovals(task_id="x", definition=definition()).assigned_users is None


def test_nobody_is_asked_by_a_run_whose_definition_has_turned_dry(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def take(_: Any, answer: Any) -> dict[str, Any]:
        given.append(answer)
        return {"batches": [], "decision": "unanswered"}

    sync = SimpleNamespace(facts={QUESTION: "about rows"}, definition=definition())
    monkeypatch.setattr("genesys_ad_sync_airflow.task_context.current_task_context", lambda _: sync)
    monkeypatch.setattr(
        "genesys_ad_sync.stages.approve_removals.build_form", lambda _: ApprovalForm("s", "b", ["None"], "abc")
    )
    monkeypatch.setattr("genesys_ad_sync.stages.approve_removals.apply_answer", take)
    monkeypatch.setattr("genesys_ad_sync.run.stop.Stop.is_set", lambda _: True)
    pushed: dict[str, Any] = {}
    context: Any = {"ti": SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))}
    task = ApproveRemovals(task_id="approve_removals", definition=definition())
    assert task.execute(context) == []
    assert pushed == {"answer": {"decision": "unanswered"}}
    assert [(answer.chosen, answer.by) for answer in given] == [([], None)]


# -- approvers_must_differ ----------------------------------------------------------------------------


class Question:
    """The task, with what it would hand to Airflow and to the stage."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, triggered_by: str | None, **settings: Any) -> None:
        self.given: list[Any] = []
        self.asked: list[Any] = []
        self.task = ApproveRemovals(task_id="approve_removals", definition=definition(**settings))
        sync = SimpleNamespace(facts={QUESTION: "about rows"}, definition=self.task.definition)
        stage = "genesys_ad_sync.stages"
        monkeypatch.setattr("genesys_ad_sync_airflow.task_context.current_task_context", lambda _: sync)
        monkeypatch.setattr(f"{stage}.approve_removals.build_form", lambda _: ApprovalForm("s", "b", ["None"], "abc"))
        monkeypatch.setattr(f"{stage}.report.write_interim_report", lambda _: None)
        monkeypatch.setattr(f"{stage}.approve_removals.apply_answer", self._take)
        monkeypatch.setattr("genesys_ad_sync.run.stop.Stop.is_set", lambda _: False)
        monkeypatch.setattr(ApproveRemovals, "_form_is_of_an_earlier_plan", lambda *_: False)
        monkeypatch.setattr(HITLOperator, "execute", lambda task, _: self.asked.append(task.assigned_users))
        self.context: Any = {
            "ti": SimpleNamespace(xcom_push=lambda key, value: None),
            "dag_run": SimpleNamespace(triggering_user_name=triggered_by),
        }

    def _take(self, _: Any, answer: Any) -> dict[str, Any]:
        self.given.append(answer)
        return {"batches": []}

    def answer(self, user: Any, *, timedout: bool = False) -> str | None:
        """Return who has answered, as the stage is told."""
        event = {"chosen_options": ["all"], "responded_by_user": user, "timedout": timedout}
        self.task.execute_complete(self.context, event)
        by: str | None = self.given[-1].by
        return by


def test_the_person_who_triggered_the_run_is_not_among_those_who_may_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    question = Question(monkeypatch, "olivia", approvers=["Olivia", "oscar"], approvers_must_differ=True)
    question.task.execute(question.context)
    assert question.asked == [[{"id": "oscar", "name": "oscar"}]]


@pytest.mark.parametrize("triggered_by", [None, "olivia", "eve"])
def test_without_the_key_who_triggered_the_run_may_answer(
    monkeypatch: pytest.MonkeyPatch, triggered_by: str | None
) -> None:
    question = Question(monkeypatch, triggered_by, approvers=["olivia"])
    question.task.execute(question.context)
    assert question.asked == [[{"id": "olivia", "name": "olivia"}]]
    assert question.answer({"id": "olivia", "name": "olivia"}) == "olivia"


def test_where_nobody_else_may_answer_a_later_run_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    question = Question(monkeypatch, "olivia", approvers=["olivia"], approvers_must_differ=True)
    question.task.execute(question.context)
    assert question.asked == []
    assert [(given.chosen, given.by) for given in question.given] == [([], None)]


@pytest.mark.parametrize(
    "user",
    [{"id": "7", "name": "olivia"}, {"id": "Olivia", "name": None}, SimpleNamespace(id="7", name="OLIVIA")],
)
def test_an_answer_of_who_triggered_the_run_counts_as_none(monkeypatch: pytest.MonkeyPatch, user: Any) -> None:
    """Where `approvers` is empty, or has ids, Airflow lets everybody answer."""
    question = Question(monkeypatch, "olivia", approvers_must_differ=True)
    question.task.execute(question.context)
    assert question.asked == [None]
    assert question.answer(user) is None


def test_an_answer_of_somebody_else_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for triggered_by in ("olivia", None):
        question = Question(monkeypatch, triggered_by, approvers_must_differ=True)
        assert question.answer({"id": "8", "name": "oscar"}) == "oscar"
        assert question.answer({"id": "8", "name": "oscar"}, timedout=True) is None
        assert question.answer(None) is None


def test_the_text_of_a_notifiers_error_is_not_logged() -> None:
    def notify(_: Any) -> None:
        raise ValueError("550 no such user: mia.stone@example.com")

    told, complain = complaints()
    SafeNotifier(notify, complain)({})  # type: ignore[arg-type]
    assert "ValueError" in told[0]
    assert "mia" not in told[0]


def test_the_form_is_set_after_templates_are_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow renders `subject` and `body` before `execute`, so what a name says in braces is never a template."""
    question = Question(monkeypatch, None)
    assert (question.task.body, question.task.subject) == (None, "Approve removals")
    hostile = ApprovalForm("{{ 7 * 7 }}", "{{ 7 * 7 }} {% raw %}", ["{{ 7 * 7 }}"], "abc")
    monkeypatch.setattr("genesys_ad_sync.stages.approve_removals.build_form", lambda _: hostile)
    question.task.execute(question.context)
    assert (question.task.subject, question.task.body) == (hostile.subject, hostile.body)
    assert "options" not in question.task.template_fields
