"""`undo_run` and `release_run`: what a run did is taken back, stays so, and can be let go of again."""

from __future__ import annotations

import pytest

from genesys_ad_sync.errors import RunUnknown
from genesys_ad_sync.report.schema import validate
from sandbox.directory_objects import AddMember, RemoveMember
from tests.integration.test_safety_approval import ids, rows
from tests.support.pipeline import Pipeline


@pytest.fixture
def changed(pipeline: Pipeline) -> Pipeline:
    """Run "bad" added Quirin to Support and removed Rosa from Dispatch and Lena from Billing."""
    pipeline.run()
    pipeline.directory.apply(
        [
            AddMember("support", "quirin.quast"),
            RemoveMember("dispatch", "rosa.richter"),
            RemoveMember("billing", "lena.lang"),
        ]
    )
    report = pipeline.run("bad")
    assert report["successes"] == 3
    return pipeline


def as_before(pipeline: Pipeline) -> bool:
    return (
        not ids("quirin.quast") & pipeline.individuals("Support")
        and ids("rosa.richter") <= pipeline.individuals("Dispatch")
        and ids("lena.lang") <= pipeline.individuals("Billing (ERP)")
    )


def test_undo_takes_back_what_the_run_did_and_nothing_else(changed: Pipeline) -> None:
    changed.directory.apply([AddMember("support", "viktor.vogel")])
    report = changed.run_approved("undo", undo_run="bad")
    validate(report)
    assert as_before(changed)
    assert report["successes"] == report["total_changes"] == 3
    assert not ids("viktor.vogel") & changed.individuals("Support")
    assert any("undoes run bad" in note for note in report["notes"])
    changed.run()
    assert ids("viktor.vogel") <= changed.individuals("Support")


@pytest.mark.parametrize("mode", ["auto", "full"])
def test_what_was_undone_stays_undone(changed: Pipeline, mode: str) -> None:
    changed.run_approved("undo", undo_run="bad")
    report = changed.run(mode=mode)
    assert as_before(changed)
    undone = [row for row in report["details"] if row["reason"] == "undone"]
    assert {(row["action"], row["status"]) for row in undone} == {("add", "held"), ("remove", "held")}
    assert len(undone) == 3


def test_a_newer_change_in_ad_rules_an_undone_pair_again(changed: Pipeline) -> None:
    changed.run_approved("undo", undo_run="bad")
    changed.directory.apply([AddMember("dispatch", "rosa.richter")])
    changed.run()
    changed.directory.apply([RemoveMember("dispatch", "rosa.richter")])
    changed.run()
    assert not ids("rosa.richter") & changed.individuals("Dispatch")
    assert not ids("quirin.quast") & changed.individuals("Support")


@pytest.mark.follows_remedy("undone")
def test_release_lets_the_next_whole_comparison_do_it_again(changed: Pipeline) -> None:
    changed.run_approved("undo", undo_run="bad")
    changed.run(release_run="undo", mode="full")
    assert ids("quirin.quast") <= changed.individuals("Support")
    assert not ids("rosa.richter") & changed.individuals("Dispatch")
    assert not ids("lena.lang") & changed.individuals("Billing (ERP)")


def test_what_ad_has_changed_again_since_is_left_alone(changed: Pipeline) -> None:
    """Rosa is back by AD, and Quirin has left and come again: that is newer than what is undone."""
    changed.directory.apply([AddMember("dispatch", "rosa.richter"), RemoveMember("support", "quirin.quast")])
    changed.run()
    changed.directory.apply([AddMember("support", "quirin.quast")])
    changed.run()
    report = changed.run_approved("undo", undo_run="bad")
    assert rows(report, "Dispatch", "add") == {("superseded", "newer_view"): 1}
    assert rows(report, "Support", "remove") == {("superseded", "newer_view"): 1}
    assert rows(report, "Billing (ERP)", "add") == {("success", None): 1}
    assert ids("quirin.quast") <= changed.individuals("Support")


def test_what_somebody_put_back_by_hand_is_unchanged_and_stays_theirs(changed: Pipeline) -> None:
    from sandbox import company

    changed.genesys.change_members(company.genesys_id("group", "Dispatch"), add=list(ids("rosa.richter")))
    report = changed.run_approved("undo", undo_run="bad")
    assert rows(report, "Dispatch", "add") == {("unchanged", "already_so"): 1}
    changed.run(release_run="undo", mode="full")
    assert ids("rosa.richter") <= changed.individuals("Dispatch")


def test_an_undo_obeys_the_limits_and_asks(changed: Pipeline) -> None:
    changed.redefine(limits={"removals": 0})
    run_id, planned = changed.plan("undo", undo_run="bad")
    changed.patch(run_id, planned)
    assert not ids("rosa.richter") & changed.individuals("Dispatch")  # whom AD does not want there
    assert ids("quirin.quast") <= changed.individuals("Support")
    asked = changed.asked(run_id)
    assert asked is not None
    assert "undoes run `bad`" in asked.body
    changed.answer(run_id, "All groups")
    assert rows(changed.report(run_id), "Support") == {("success", None): 1}
    assert as_before(changed)


def test_a_change_in_ad_while_the_undo_waits_is_newer(changed: Pipeline) -> None:
    changed.redefine(limits={"removals": 0})
    run_id, _ = changed.plan("undo", undo_run="bad")
    changed.directory.apply([RemoveMember("support", "quirin.quast")])
    changed.plan()
    changed.directory.apply([AddMember("support", "quirin.quast")])  # nobody but the fresh look sees it
    changed.answer(run_id, "Support: 1 removal")
    assert rows(changed.report(run_id), "Support") == {("superseded", "newer_view"): 1}
    assert ids("quirin.quast") <= changed.individuals("Support")


def test_a_dry_undo_writes_and_pins_nothing(changed: Pipeline) -> None:
    report = changed.run("undo", undo_run="bad", dry_run=True)
    assert (report["planned"], report["held"]) == (1, 2)  # two would be asked about
    assert not as_before(changed)
    assert changed.run(mode="full")["held"] == changed.run("x", mode="full", dry_run=True)["held"]


def test_an_undo_can_be_undone(changed: Pipeline) -> None:
    changed.run_approved("undo", undo_run="bad")
    changed.run("redo", undo_run="undo")
    assert ids("quirin.quast") <= changed.individuals("Support")
    assert not ids("rosa.richter") & changed.individuals("Dispatch")


def test_a_run_that_nobody_knows_is_refused_before_anything_is_read(changed: Pipeline) -> None:
    with pytest.raises(RunUnknown, match="knows no run 'typo'"):
        changed.plan("undo", undo_run="typo")
