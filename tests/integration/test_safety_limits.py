"""Limits count what is pending, over runs and over a day; and runs that overlap do not undo one another."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from sandbox import company
from sandbox.directory_objects import AddMember, RemoveMember
from tests.integration.test_safety_approval import BILLING, SUPPORT, ids, rows
from tests.support.pipeline import Pipeline


def leave(pipeline: Pipeline, group: str, *people: str) -> None:
    pipeline.directory.apply([RemoveMember(group, person) for person in people])


def test_a_slow_leak_of_nine_percent_a_run_trips_the_limit_of_the_day(pipeline: Pipeline) -> None:
    """Each run stays below every limit of its own: 2 of 16 in Support, again and again."""
    pipeline.redefine(limits={"removals": 2, "removals_percent": 100, "per_run": 5, "per_day": 5})
    pipeline.run()
    for pair in (SUPPORT[0:2], SUPPORT[2:4]):
        leave(pipeline, "support", *pair)
        assert rows(pipeline.run(), "Support") == {("success", None): 2}
    leave(pipeline, "support", *SUPPORT[4:6])
    run_id, planned = pipeline.plan()
    assert planned["batches"] == []
    asked = pipeline.asked(run_id)
    assert asked is not None
    assert "limits\\.per\\_day is 5" in asked.body
    assert ids(*SUPPORT[4:6]) <= pipeline.individuals("Support")


def test_half_of_a_group_needs_a_person_and_one_of_it_does_not(pipeline: Pipeline) -> None:
    pipeline.redefine(limits={"removals_percent": 20, "min_group_size": 10})
    pipeline.run()
    leave(pipeline, "support", SUPPORT[0])
    assert rows(pipeline.run(), "Support") == {("success", None): 1}
    leave(pipeline, "support", *SUPPORT[1:6])
    run_id, _ = pipeline.plan()
    assert pipeline.asked(run_id) is not None


def test_what_waits_for_an_answer_counts_in_the_limit_of_the_next_run(pipeline: Pipeline) -> None:
    pipeline.redefine(limits={"removals": 2, "per_run": 4, "removals_percent": 100})
    pipeline.run()
    leave(pipeline, "billing", *BILLING)
    first, _ = pipeline.plan()
    leave(pipeline, "dispatch", "rosa.richter", "paul.peters")
    second, planned = pipeline.plan()
    assert planned["batches"] == []  # 3 + 2 are more than 4, though each is not
    asked = pipeline.asked(second)
    assert asked is not None
    assert asked.options[0].startswith("Dispatch")
    pipeline.answer(first, "None")
    pipeline.report(first)
    pipeline.report(second)
    later, _ = pipeline.plan()  # what went over waits for a person, though the others were rejected
    assert pipeline.asked(later) is not None
    pipeline.answer(later, "Dispatch: 2 removals")
    assert rows(pipeline.report(later), "Dispatch") == {("success", None): 2}


def test_what_waits_for_an_answer_counts_in_a_run_that_does_not_look_at_it(pipeline: Pipeline) -> None:
    pipeline.redefine(limits={"removals": 2, "per_run": 4, "removals_percent": 100})
    pipeline.run()
    leave(pipeline, "billing", *BILLING)
    pipeline.plan()
    leave(pipeline, "dispatch", "rosa.richter", "paul.peters")
    _, planned = pipeline.plan(groups=["GC-Dispatch"])
    assert planned["batches"] == []


def test_a_bounded_run_planned_before_and_written_after_a_live_run_that_saw_the_opposite(pipeline: Pipeline) -> None:
    pipeline.run()
    leave(pipeline, "support", "lena.lang")
    start = datetime.now(timezone.utc) - timedelta(minutes=5)
    bounded, planned = pipeline.plan(window=(start, start + timedelta(hours=1)), run_type="backfill")
    assert planned["batches"]
    pipeline.directory.apply([AddMember("support", "lena.lang")])
    pipeline.run()
    pipeline.patch(bounded, planned)
    report = pipeline.report(bounded)
    assert rows(report, "Support")["superseded", "newer_view"] == 1
    assert ids("lena.lang") <= pipeline.individuals("Support")


def test_two_runs_planned_at_once_write_each_change_once(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.directory.apply([AddMember("support", "quirin.quast"), RemoveMember("dispatch", "rosa.richter")])
    first, one = pipeline.plan()
    second, two = pipeline.plan()
    writes = len(pipeline.genesys.writes())
    pipeline.patch(first, one)
    written = len(pipeline.genesys.writes())
    pipeline.patch(second, two)
    assert len(pipeline.genesys.writes()) == written > writes
    assert rows(pipeline.report(first), "Dispatch") == {("success", None): 1}
    report = pipeline.report(second)
    assert not [row for row in report["details"] if row["status"] == "success" and not row["settled_by"]]


@pytest.mark.parametrize("waiting", ["approved", "unanswered"])
def test_a_question_never_holds_the_lease(pipeline: Pipeline, waiting: str) -> None:
    """While one run waits, another one writes to the same organisation, and the first one writes afterwards."""
    pipeline.redefine(limits={"removals": 2})
    pipeline.run()
    leave(pipeline, "billing", *BILLING)
    first, planned = pipeline.plan()
    pipeline.patch(first, planned)
    assert pipeline.asked(first) is not None
    pipeline.directory.apply([AddMember("support", "quirin.quast")])
    pipeline.run()
    assert ids("quirin.quast") <= pipeline.individuals("Support")
    if waiting == "approved":
        pipeline.answer(first, "Billing (ERP): 3 removals")
        assert not ids(*BILLING) & pipeline.individuals("Billing (ERP)")
    else:
        pipeline.answer(first, "Undecided", by=None)
        assert ids(*BILLING) <= pipeline.individuals("Billing (ERP)")


def test_an_untouched_group_is_never_written(pipeline: Pipeline) -> None:
    pipeline.redefine(removals="mirror", limits={"min_group_size": 1, "removals": 0})
    pipeline.run()
    run_id, _ = pipeline.plan(mode="full")
    asked = pipeline.asked(run_id)
    assert asked is not None
    pipeline.answer(run_id, "All groups")
    untouched = {company.genesys_id("group", name) for name in company.UNTOUCHED_GENESYS_GROUPS}
    assert not [write for write in pipeline.genesys.writes() if any(id_ in write["path"] for id_ in untouched)]
