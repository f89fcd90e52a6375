"""`undo_run` and `release_run`, told with one person at a time: what is newer, what is left alone, which run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from genesys_ad_sync.errors import RunAmbiguous, RunUnknown
from genesys_ad_sync.stages.poll import poll
from sandbox.directory_objects import AddGroup, AddMember, Group, RemoveMember
from tests.support.pipeline import Pipeline
from tests.support.small_company import MANUAL, definition_keys, genesys_id, members, rows, small

__all__ = ["small"]

ONE_REMOVAL = {"removals": 1, "removals_percent": 100}


@pytest.fixture
def ready(small: Pipeline) -> Pipeline:
    """After the first run. Nights feeds the Genesys group Voice, too."""
    small.directory.apply([AddGroup(Group("nights", "Nights", ("dan",), info=genesys_id("Voice")))])
    small.run("first")
    return small


def reject_two_removals(pipeline: Pipeline, run_id: str) -> None:
    pipeline.redefine(**{**definition_keys(), "limits": ONE_REMOVAL})
    pipeline.directory.apply([RemoveMember("voice", "bob"), RemoveMember("voice", "cid")])
    pipeline.plan(run_id)
    assert pipeline.asked(run_id)
    pipeline.answer(run_id, "None")
    assert {row[2:4] for row in rows(pipeline.report(run_id), "bob", "cid")} == {("held", "rejected")}
    pipeline.redefine(**definition_keys())


def test_who_is_excluded_by_now_is_left_alone(ready: Pipeline) -> None:
    ready.directory.apply([AddMember("voice", "eve"), RemoveMember("voice", "bob"), AddMember("voice", "fay")])
    ready.run("bad")
    ready.redefine(**{**definition_keys(), "exclude": {"users": ["EVE", "bob@example.com"]}})
    assert set(rows(ready.run("undo", undo_run="bad"))) == {
        ("remove", "eve", "skipped", "excluded", None),
        ("add", "bob", "skipped", "excluded", None),
        ("remove", "fay", "success", None, None),
    }
    assert members(ready, "Voice") == {"ann", "cid", "dan", "eve", MANUAL}


# -- what is newer than what is undone --


def test_what_ad_says_through_another_group_is_newer_too(ready: Pipeline) -> None:
    ready.directory.apply([AddMember("voice", "eve")])
    ready.run("bad")
    ready.directory.apply([AddMember("nights", "eve")])
    assert rows(ready.run()) == [("add", "eve", "unchanged", "already_so", None)]
    assert rows(ready.run("undo", undo_run="bad")) == [("remove", "eve", "superseded", "newer_view", None)]
    assert "eve" in members(ready, "Voice")
    assert rows(ready.run(mode="full")) == []


def test_what_ad_says_through_another_group_while_the_undo_waits_is_newer_too(ready: Pipeline) -> None:
    ready.directory.apply([AddMember("voice", "eve")])
    ready.run("bad")
    run_id, planned = ready.plan("undo", undo_run="bad")
    ready.directory.apply([AddMember("nights", "eve")])
    ready.run(dry_run=True)
    ready.patch(run_id, planned)
    assert rows(ready.report(run_id)) == [("remove", "eve", "superseded", "newer_view", None)]
    assert "eve" in members(ready, "Voice")


def test_nobody_is_put_back_who_has_left_another_group_since(ready: Pipeline) -> None:
    ready.directory.apply([RemoveMember("voice", "bob")])
    ready.run("bad")
    ready.directory.apply([AddMember("nights", "bob")])
    ready.run(dry_run=True)
    ready.directory.apply([RemoveMember("nights", "bob")])
    assert rows(ready.run("undo", undo_run="bad")) == [("add", "bob", "superseded", "newer_view", None)]
    assert "bob" not in members(ready, "Voice")


def test_whom_a_group_that_was_mapped_since_grants_it_the_undo_of_an_add_does_not_remove(ready: Pipeline) -> None:
    """AD has told nothing: a rule was added, and Late, in which eve always was, feeds Voice now."""
    keys = definition_keys()
    ready.directory.apply([AddGroup(Group("late", "Late", ("eve",))), AddMember("voice", "eve")])
    ready.run("bad")
    ready.redefine(**{**keys, "groups": [*keys["groups"], {"name": "Late", "genesys_name": "Voice"}]})
    assert rows(ready.run("undo", undo_run="bad"), "eve") == [("remove", "eve", "superseded", "newer_view", None)]
    assert "eve" in members(ready, "Voice")


# -- what an undo may not touch --


def test_a_genesys_group_that_no_rule_maps_any_more_is_not_written_by_an_undo_either(ready: Pipeline) -> None:
    ready.directory.apply([AddMember("voice", "fay"), AddMember("chat", "bob")])
    ready.run("bad")
    ready.redefine(**{**definition_keys(), "exclude": {"groups": ["Voice", "Nights"], "users": []}})
    report = ready.run("undo", undo_run="bad")
    assert rows(report, "fay") == [("remove", "fay", "held", "mapping_changed", None)]
    assert rows(report, "bob") == [("remove", "bob", "success", None, None)]
    assert "fay" in members(ready, "Voice")


def test_an_undo_keeps_to_the_groups_that_are_chosen(ready: Pipeline) -> None:
    ready.directory.apply([AddMember("voice", "eve"), AddMember("chat", "fay")])
    ready.run("bad")
    report = ready.run("undo", undo_run="bad", groups=["voi*"])
    assert rows(report) == [("remove", "eve", "success", None, None)]
    assert "fay" in members(ready, "Chat")
    assert rows(ready.run("rest", undo_run="bad"), "fay") == [("remove", "fay", "success", None, None)]


# -- what was undone stays so --


def test_the_undo_of_a_mirrored_removal_stays_undone_until_it_is_released(ready: Pipeline) -> None:
    """Mia is nobody whom AD knows."""
    ready.redefine(**{**definition_keys(), "removals": "mirror"})
    ready.journal.of("default").pairs.confirm_mirror({genesys_id("Voice")}, ready.task("none", "none").clock())
    assert rows(ready.run("bad", mode="full")) == [("remove", MANUAL, "success", None, None)]
    assert rows(ready.run_approved("undo", undo_run="bad")) == [("add", MANUAL, "success", None, None)]
    assert rows(ready.run(mode="full")) == [("remove", MANUAL, "held", "undone", None)]
    assert MANUAL in members(ready, "Voice")
    assert rows(ready.run(mode="full", release_run="undo")) == [("remove", MANUAL, "success", None, None)]


# -- which run is meant --


def test_a_run_id_that_both_dags_know_is_refused_until_the_dag_is_named(ready: Pipeline) -> None:
    """Both were scheduled for three in the morning."""
    full = replace(ready, dag_id=ready.definition.full_dag_id)
    ready.directory.apply([AddMember("voice", "fay")])
    ready.run("scheduled__03")
    ready.directory.apply([AddMember("voice", "eve")])
    full.run("scheduled__03", mode="full")
    for asked in ("undo_run", "release_run"):
        with pytest.raises(RunAmbiguous, match=f"{full.dag_id}/scheduled__03"):
            ready.plan(f"any {asked}", **{asked: "scheduled__03"})
    report = ready.run("undo", undo_run=f"{full.dag_id}/scheduled__03")
    assert rows(report) == [("remove", "eve", "success", None, None)]
    assert members(ready, "Voice") == {"ann", "bob", "cid", "dan", "fay", MANUAL}


def test_a_release_frees_nothing_of_the_other_dags_run_of_that_id(ready: Pipeline) -> None:
    full = replace(ready, dag_id=ready.definition.full_dag_id)
    ready.directory.apply([AddMember("voice", "fay")])
    ready.run("scheduled__03")
    ready.run("undo", undo_run="scheduled__03")
    reject_two_removals(full, "scheduled__03")
    report = ready.run("mine", release_run=f"{ready.dag_id}/scheduled__03")
    assert any("1 undone pairs, 0 rejected changes" in note for note in report["notes"])
    assert {row[3] for row in rows(report, "bob", "cid")} == {"rejected"}
    assert rows(report, "fay") == [("add", "fay", "success", None, None)]
    ready.run("again", undo_run="mine")
    report = ready.run("other", release_run=f"{full.dag_id}/scheduled__03")
    assert any("0 undone pairs, 2 rejected changes" in note for note in report["notes"])
    assert {row[2:] for row in rows(report, "bob", "cid")} == {("success", None, None)}


def test_what_was_rejected_or_undone_in_a_run_that_was_forgotten_can_be_released(ready: Pipeline) -> None:
    ready.directory.apply([AddMember("voice", "fay")])
    ready.run("bad")
    ready.run("undo", undo_run="bad")
    reject_two_removals(ready, "asked")
    ready.clock_offset = timedelta(days=400)
    ready.run()  # forgets them
    with pytest.raises(RunUnknown):
        ready.plan("too late", undo_run="bad")
    with pytest.raises(RunUnknown):
        ready.plan("typo", release_run="typo")
    assert {row[2:4] for row in rows(ready.run(release_run="asked"), "bob", "cid")} == {("success", None)}
    assert rows(ready.run(mode="full", release_run="undo")) == [("add", "fay", "success", None, None)]


def test_a_poll_that_is_retried_tells_what_its_first_try_released(ready: Pipeline) -> None:
    reject_two_removals(ready, "asked")
    poll(ready.task("release", "poll"), ready.request(release_run="asked"))
    report = ready.run("release", release_run="asked")
    assert report["attempt"] == 1
    assert [note for note in report["notes"] if "released" in note] == [
        "run asked of genesys_ad_group_sync was released: 0 undone pairs, 2 rejected changes"
    ]
