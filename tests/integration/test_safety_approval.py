"""A limit trips, a person is asked, and exactly what was approved is done: whole runs against Samba and the sandbox.

What Airflow adds to it (the form, the timeout, who may answer) is tested in tests/system/test_approval.py.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias

from genesys_ad_sync.errors import DirectoryError
from genesys_ad_sync.journal.questions import Questions
from genesys_ad_sync.report.schema import validate
from genesys_ad_sync.stages.approve_removals import ApprovalAnswer, apply_answer
from genesys_ad_sync.stages.check import RunFailed
from genesys_ad_sync.stages.map_groups import map_groups
from genesys_ad_sync.stages.poll import poll
from genesys_ad_sync.stages.report import write_interim_report
from genesys_ad_sync.stages.resolve_users import resolve_users
from genesys_ad_sync_airflow import params, task_context, tasks
from sandbox import company
from sandbox.directory_objects import AddMember, RemoveMember
from tests.support.pipeline import Pipeline

SUPPORT = ("bernd.boehm", "carla.nunez", "emil.ernst", "fatma.fidan", "georg.gross", "hanna.hess", "jana.jansen")
BILLING = ("lena.lang", "mario.maier", "petra.pohl")
LOW = {"removals": 2, "removals_percent": 100}


def ids(*people: str) -> set[str]:
    return {company.genesys_id("user", person) for person in people}


def rows(report: dict[str, Any], group: str, action: str = "remove") -> Counter:
    """(status, reason) of the rows of one Genesys group."""
    return Counter(
        (row["status"], row["reason"])
        for row in report["details"]
        if row["genesys_group"] and row["genesys_group"]["name"] == group and row["action"] == action
    )


@pytest.fixture
def limited(pipeline: Pipeline) -> Pipeline:
    """Everything is in sync, and more than two removals of a group need a person."""
    pipeline.redefine(limits=LOW)
    pipeline.run()
    return pipeline


def leave(pipeline: Pipeline, group: str, *people: str) -> None:
    pipeline.directory.apply([RemoveMember(group, person) for person in people])


@pytest.mark.follows_remedy("over_limit")
def test_a_group_emptied_on_purpose_trips_the_limit_is_approved_and_applied(limited: Pipeline) -> None:
    leave(limited, "billing", "hans.huber", "ines.iglesias", *BILLING)
    run_id, planned = limited.plan()
    assert planned["batches"] == []
    before = limited.individuals("Billing (ERP)")
    asked = limited.asked(run_id)
    assert asked is not None
    assert asked.options == ["Billing (ERP): 3 removals", "None", "Undecided"]
    assert "3 removals in" in asked.body
    assert ids(*BILLING) <= before
    limited.answer(run_id, "Billing (ERP): 3 removals")
    report = limited.report(run_id)
    validate(report)
    assert rows(report, "Billing (ERP)")["success", None] == 3
    assert limited.individuals("Billing (ERP)") == before - ids(*BILLING)
    assert report["approval"]["by"] == "olivia"
    assert report["approval"]["decision"] == "approved"


def test_until_the_answer_everything_else_is_done_and_nothing_of_the_question_is(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    limited.directory.apply([AddMember("support", "quirin.quast"), RemoveMember("dispatch", "rosa.richter")])
    run_id, planned = limited.plan()
    limited.patch(run_id, planned)
    assert ids("quirin.quast") <= limited.individuals("Support")
    assert not ids("rosa.richter") & limited.individuals("Dispatch")
    assert ids(*BILLING) <= limited.individuals("Billing (ERP)")


def test_one_group_approved_and_another_rejected(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    leave(limited, "support", *SUPPORT)
    run_id, _ = limited.plan()
    asked = limited.asked(run_id)
    assert asked is not None
    assert asked.options == ["All groups", "Support: 7 removals", "Billing (ERP): 3 removals", "None", "Undecided"]
    limited.answer(run_id, "Billing (ERP): 3 removals")
    report = limited.report(run_id)
    assert report["approval"]["decision"] == "approved_in_part"
    assert rows(report, "Billing (ERP)")["success", None] == 3
    assert rows(report, "Support") == {("held", "rejected"): 7}
    assert ids(*SUPPORT) <= limited.individuals("Support")


def test_a_rejection_stands_until_ad_changes_that_pair(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    run_id, _ = limited.plan()
    limited.answer(run_id, "None")
    limited.report(run_id)
    for mode in ("auto", "full"):
        later, planned = limited.plan(mode=mode)
        assert planned["batches"] == []
        assert limited.asked(later) is None
        assert rows(limited.report(later), "Billing (ERP)")["held", "rejected"] == 3
    limited.directory.apply([AddMember("billing", BILLING[0])])
    limited.run()
    leave(limited, "billing", BILLING[0])
    report = limited.run()
    assert rows(report, "Billing (ERP)") == {("success", None): 1, ("held", "rejected"): 2}


@pytest.mark.follows_remedy("rejected")
def test_a_rejection_is_opened_again_by_release_run(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    run_id, _ = limited.plan()
    limited.answer(run_id, "None")
    limited.report(run_id)
    later, _ = limited.plan(release_run=run_id)
    assert limited.asked(later) is not None
    limited.answer(later, "Billing (ERP): 3 removals")
    assert not ids(*BILLING) & limited.individuals("Billing (ERP)")


def test_unanswered_means_nothing_is_done_and_a_later_run_asks_again(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    run_id, _ = limited.plan()
    limited.answer(run_id, "Undecided", by=None)
    report = limited.report(run_id)
    assert report["approval"]["decision"] == "unanswered"
    assert rows(report, "Billing (ERP)") == {("held", "over_limit"): 3}
    later, _ = limited.plan()
    assert limited.asked(later) is not None


def test_a_later_run_goes_on_and_does_not_ask_for_what_is_being_asked(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    first, _ = limited.plan()
    limited.directory.apply([AddMember("support", "quirin.quast")])
    second, planned = limited.plan()
    assert limited.asked(second) is None
    limited.patch(second, planned)
    report = limited.report(second)
    assert rows(report, "Support", "add") == {("success", None): 1}
    assert rows(report, "Billing (ERP)") == {("held", "over_limit"): 3}
    limited.answer(first, "All groups", "Billing (ERP): 3 removals")
    assert rows(limited.report(first), "Billing (ERP)") == {("success", None): 3}
    assert rows(limited.run(), "Billing (ERP)") == {}


def test_somebody_added_again_in_ad_while_the_question_was_open_stays(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    run_id, _ = limited.plan()
    limited.directory.apply([AddMember("billing", BILLING[0])])
    limited.answer(run_id, "Billing (ERP): 3 removals")
    report = limited.report(run_id)
    assert rows(report, "Billing (ERP)") == {("success", None): 2, ("superseded", "newer_view"): 1}
    assert ids(BILLING[0]) <= limited.individuals("Billing (ERP)")
    assert not ids(*BILLING[1:]) & limited.individuals("Billing (ERP)")


def test_what_left_after_the_question_is_not_done_with_it(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    run_id, _ = limited.plan()
    leave(limited, "support", *SUPPORT)
    leave(limited, "dispatch", "rosa.richter")
    limited.answer(run_id, "Billing (ERP): 3 removals")
    assert ids(*SUPPORT) <= limited.individuals("Support")
    assert ids("rosa.richter") <= limited.individuals("Dispatch")


def test_an_answer_that_says_yes_and_no_approves_nothing(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    run_id, _ = limited.plan()
    limited.answer(run_id, "Billing (ERP): 3 removals", "None")
    assert ids(*BILLING) <= limited.individuals("Billing (ERP)")


def test_a_group_that_cannot_be_read_any_more_after_the_approval_loses_nobody(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    run_id, _ = limited.plan()
    limited.directory.kill()
    with pytest.raises(DirectoryError):
        limited.answer(run_id, "Billing (ERP): 3 removals")
    report = limited.report(run_id)
    assert rows(report, "Billing (ERP)") == {("failed", "not_attempted"): 3}
    assert ids(*BILLING) <= limited.individuals("Billing (ERP)")


def test_hold_asks_nobody(pipeline: Pipeline) -> None:
    pipeline.redefine(limits={**LOW, "on_excess": "hold"})
    pipeline.run()
    leave(pipeline, "billing", *BILLING)
    run_id, planned = pipeline.plan()
    assert pipeline.asked(run_id) is None
    pipeline.patch(run_id, planned)
    assert rows(pipeline.report(run_id), "Billing (ERP)") == {("held", "over_limit"): 3}


def test_fail_stops_before_anything_is_written(pipeline: Pipeline) -> None:
    pipeline.redefine(limits={**LOW, "on_excess": "fail"})
    pipeline.run()
    writes = len(pipeline.genesys.writes())
    leave(pipeline, "billing", *BILLING)
    pipeline.directory.apply([AddMember("support", "quirin.quast")])
    run_id, planned = pipeline.plan()
    assert "limits.removals is 2" in planned["fail_reason"]
    assert planned["batches"] == []
    report = pipeline.report(run_id)
    assert report["planned"] == 1
    assert any("nothing is written" in note for note in report["notes"])
    assert len(pipeline.genesys.writes()) == writes


def test_what_stops_a_run_is_told_by_the_report_and_the_error_and_no_xcom_names_the_group(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.redefine(limits={**LOW, "on_excess": "fail"})
    pipeline.run()
    leave(pipeline, "billing", *BILLING)
    poll(pipeline.task("red", "poll"), pipeline.request())
    map_groups(pipeline.task("red", "map_groups"))
    resolve_users(pipeline.task("red", "resolve_users"))

    told: dict[str, Any] = {}
    asset, event = Asset("told"), SimpleNamespace(extra=None)
    ti = SimpleNamespace(
        dag_id=pipeline.dag_id,
        run_id="red",
        xcom_push=lambda key, value: told.update({key: value}),
        get_task_states=lambda **_: {},
    )
    monkeypatch.setattr(tasks, "get_current_context", lambda: {"ti": ti, "outlet_events": {asset: event}})
    monkeypatch.setattr(task_context, "current_task_context", lambda _: pipeline.task("red", "task"))
    monkeypatch.setattr(params, "request_to_report", lambda _: pipeline.request())
    monkeypatch.setattr(params, "is_check", lambda: False)
    assert tasks.plan(pipeline.definition) == []
    told["report"] = tasks.report(pipeline.definition, asset, AssetAlias("groups"))
    assert told["summary"]["stopped_by_limits"] is told["report"]["stopped_by_limits"] is True
    assert "Billing" not in str([told, event.extra])

    with pytest.raises(RunFailed, match=r"3 removals in 'Billing \(ERP\)' are more than allowed"):
        tasks.check(pipeline.definition, told["report"], [])
    assert "Billing (ERP)" in " ".join(pipeline.report("red")["notes"])


def test_who_answered_stands_in_the_report_and_not_in_the_xcom(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    run_id, _ = limited.plan()
    given = ApprovalAnswer(("None",), "olivia", datetime.now(timezone.utc))
    told = apply_answer(limited.task(run_id, "approve_removals"), given)
    assert told["decision"] == "rejected"
    assert "olivia" not in str(told)
    assert limited.report(run_id)["approval"]["by"] == "olivia"


@pytest.mark.follows_remedy("protected")
def test_a_protected_group_asks_for_additions_and_for_removals(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.redefine(protect=["disp*"])
    pipeline.directory.apply([AddMember("dispatch", "quirin.quast"), RemoveMember("dispatch", "rosa.richter")])
    run_id, planned = pipeline.plan()
    assert planned["batches"] == []
    asked = pipeline.asked(run_id)
    assert asked is not None
    assert asked.options == ["Dispatch: 1 removal and 1 addition", "None", "Undecided"]
    pipeline.answer(run_id, "None")
    assert rows(pipeline.report(run_id), "Dispatch", "add") == {("held", "rejected"): 1}
    assert pipeline.asked(pipeline.plan(mode="full")[0]) is None
    released, _ = pipeline.plan(release_run=run_id)
    pipeline.answer(released, "Dispatch: 1 removal and 1 addition")
    assert ids("quirin.quast") <= pipeline.individuals("Dispatch")
    assert not ids("rosa.richter") & pipeline.individuals("Dispatch")


def test_a_dry_run_asks_nobody_and_keeps_nothing(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    dry, _ = limited.plan(dry_run=True)
    assert limited.asked(dry) is None
    report = limited.report(dry, dry_run=True)
    assert rows(report, "Billing (ERP)") == {("held", "over_limit"): 3}
    assert report["approval"] is None
    real, _ = limited.plan()
    assert limited.asked(real) is not None


def test_the_report_says_who_is_waited_for_and_that_nothing_is_lost(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    run_id, _ = limited.plan()
    path = write_interim_report(limited.task(run_id, "patch[0]"))
    assert path is not None
    report = limited.task(run_id, "x").reports.read(limited.dag_id, run_id)
    validate(report)
    assert rows(report, "Billing (ERP)") == {("held", "over_limit"): 3}
    assert report["approval"] == {"by": None, "at": None, "decision": "waiting"}
    limited.answer(run_id, "None")
    assert limited.report(run_id)["approval"]["decision"] == "rejected"


def test_the_form_as_it_opened_decides_nothing_and_does_not_spoil_a_choice(limited: Pipeline) -> None:
    leave(limited, "billing", *BILLING)
    run_id, _ = limited.plan()
    limited.answer(run_id, "Undecided")
    assert limited.report(run_id)["approval"]["decision"] == "unanswered"
    later, _ = limited.plan()
    limited.answer(later, "Undecided", "Billing (ERP): 3 removals")
    assert not ids(*BILLING) & limited.individuals("Billing (ERP)")


def test_an_answer_whose_task_died_is_taken_up_by_its_next_try(
    limited: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is kept first of all: nobody is asked twice, and a rejection is not lost."""
    leave(limited, "billing", *BILLING)
    run_id, _ = limited.plan()
    with monkeypatch.context() as broken:
        broken.setattr(Questions, "close", _dies)
        with pytest.raises(RuntimeError):
            limited.answer(run_id, "None")
    assert limited.asked(run_id) is None
    apply_answer(limited.task(run_id, "approve_removals"), None)
    assert limited.report(run_id)["approval"]["decision"] == "rejected"
    assert rows(limited.run(), "Billing (ERP)")["held", "rejected"] == 3


def _dies(*_: object, **__: object) -> None:
    raise RuntimeError("the worker was killed")
