"""A trial: dry runs before the first live one. Who leaves AD meanwhile leaves Genesys with the first live run.

Ann, bob and cid are in Voice on both sides when the trial begins. Mia is there by hand.
"""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.directory_objects import (
    CONTACT_CENTER,
    AddGroup,
    AddMember,
    Delete,
    Disable,
    Group,
    RemoveMember,
    SetAttributes,
)
from tests.support.pipeline import Pipeline
from tests.support.small_company import definition_keys, genesys_id, members, rows, small

__all__ = ["small"]


def evidence(pipeline: Pipeline) -> set[str]:
    """Return the Genesys users of the stored evidence in Voice."""
    stored = pipeline.journal.of("default").dry_evidence.of_groups([genesys_id("Voice")])
    return {one.grant.genesys_user_id for one in stored}


@pytest.fixture
def trial(small: Pipeline) -> Pipeline:
    """Return the company after the first dry run."""
    small.genesys.change_members(genesys_id("Voice"), add=[genesys_id(name) for name in ("ann", "bob", "cid")])
    assert rows(small.run(dry_run=True), "ann", "bob", "cid", "mia") == []
    return small


@pytest.mark.parametrize(
    "how", [RemoveMember("voice", "bob"), Disable("bob"), Delete("bob")], ids=["out", "off", "gone"]
)
@pytest.mark.parametrize("dry_runs", [1, 3])
def test_who_leaves_during_the_trial_is_planned_and_goes_with_the_first_live_run(
    trial: Pipeline, how: Any, dry_runs: int
) -> None:
    trial.directory.apply([how])
    for _ in range(dry_runs):
        assert rows(trial.run(dry_run=True), "bob") == [("remove", "bob", "planned", None, None)]
    assert "bob" in members(trial, "Voice")
    assert rows(trial.run(), "bob") == [("remove", "bob", "success", None, None)]
    assert members(trial, "Voice") == {"ann", "cid", "mia"}
    assert evidence(trial) == set()
    assert rows(trial.run(mode="full")) == []


def test_a_dry_run_alone_makes_no_grant(trial: Pipeline) -> None:
    assert trial.journal.of("default").grants.of_groups([genesys_id("Voice")]) == []
    assert evidence(trial) == {genesys_id(name) for name in ("ann", "bob", "cid")}


@pytest.mark.parametrize("answer", ["approved", "unanswered"])
def test_several_who_left_during_the_trial_need_a_person(trial: Pipeline, answer: str) -> None:
    trial.directory.apply([RemoveMember("voice", "ann"), RemoveMember("voice", "bob")])
    dry = trial.run(dry_run=True)
    assert [row[2:4] for row in rows(dry, "ann", "bob")] == [("planned", None)] * 2
    run_id, planned = trial.plan()
    trial.patch(run_id, planned)
    assert members(trial, "Voice") == {"ann", "bob", "cid", "mia"}
    asked = trial.asked(run_id)
    assert asked is not None
    assert asked.options[0] == "Voice: 2 removals"
    assert "dry run" in asked.body
    if answer == "unanswered":
        trial.answer(run_id, "Undecided", by=None)
        trial.report(run_id)
        run_id, planned = trial.plan(mode="full")  # the baseline is set; they still rest on the trial alone
        trial.patch(run_id, planned)
        assert members(trial, "Voice") == {"ann", "bob", "cid", "mia"}
        assert trial.asked(run_id) is not None
    trial.answer(run_id, "Voice: 2 removals")
    assert [row[2] for row in rows(trial.report(run_id), "ann", "bob")] == ["success"] * 2
    assert members(trial, "Voice") == {"cid", "mia"}


@pytest.mark.parametrize("on_excess", ["hold", "fail"])
def test_what_rests_on_the_trial_asks_whatever_happens_at_a_limit(trial: Pipeline, on_excess: str) -> None:
    trial.redefine(**{**definition_keys(), "limits": {**definition_keys()["limits"], "on_excess": on_excess}})
    trial.directory.apply([RemoveMember("voice", "ann"), RemoveMember("voice", "bob")])
    run_id, planned = trial.plan()
    trial.patch(run_id, planned)
    assert trial.asked(run_id) is not None
    trial.answer(run_id, "Voice: 2 removals")
    assert members(trial, "Voice") == {"cid", "mia"}


def test_the_limits_hold_what_rests_on_the_trial(trial: Pipeline) -> None:
    trial.redefine(**{**definition_keys(), "limits": {"removals": 0}})
    trial.directory.apply([RemoveMember("voice", "bob")])
    assert rows(trial.run(dry_run=True), "bob") == [("remove", "bob", "held", "over_limit", None)]
    trial.run()
    assert "bob" in members(trial, "Voice")


def test_an_owned_removal_beside_one_that_rests_on_the_trial_asks_nobody(trial: Pipeline) -> None:
    trial.directory.apply([RemoveMember("voice", "ann"), RemoveMember("voice", "bob")])
    run_id, _ = trial.plan()
    trial.answer(run_id, "Undecided", by=None)
    trial.report(run_id)
    trial.directory.apply([AddMember("voice", "ann")])
    trial.run()  # AD wants ann again: the membership is granted now
    trial.directory.apply([RemoveMember("voice", "ann"), RemoveMember("voice", "cid")])
    assert {row[2] for row in rows(trial.run(), "ann", "bob", "cid")} == {"success"}


def test_a_member_put_back_by_hand_during_the_trial_is_manual(trial: Pipeline) -> None:
    trial.directory.apply([RemoveMember("voice", "bob")])
    trial.genesys.change_members(genesys_id("Voice"), remove=[genesys_id("bob")])
    trial.run(dry_run=True)
    trial.genesys.change_members(genesys_id("Voice"), add=[genesys_id("bob")])
    trial.run()
    assert "bob" in members(trial, "Voice")


# -- trials that were wrong ---------------------------------------------------------------------------


def test_a_rule_that_mapped_another_group_in_the_trial_leaves_no_rows(small: Pipeline) -> None:
    small.genesys.change_members(genesys_id("Chat"), add=[genesys_id(name) for name in ("ann", "bob")])
    voice = {"name": "Voice", "genesys_name": "Voice"}
    small.redefine(**{**definition_keys(), "groups": [{"name": "Voice", "genesys_name": "Chat"}]})
    small.run(dry_run=True)
    small.directory.apply([RemoveMember("voice", "bob")])
    small.redefine(**{**definition_keys(), "groups": [voice, {"name": "Chat", "genesys_name": "Chat"}]})
    for dry_run in (True, False):
        report = small.run(dry_run=dry_run)
        assert [row for row in rows(report, "ann", "bob") if row[0] == "remove" and row[2] in {"planned", "held"}] == []
    assert {"ann", "bob"} <= members(small, "Chat")


def test_a_scope_that_was_wrong_in_the_trial_takes_nobody_away(small: Pipeline) -> None:
    """Eve is a member of Chat by nesting alone; the trial began with nested groups."""
    small.genesys.change_members(genesys_id("Chat"), add=[genesys_id("eve"), genesys_id("dan")])
    small.run(dry_run=True)
    small.redefine(**{**definition_keys(), "directory": {"group_base": CONTACT_CENTER, "nested_groups": False}})
    assert rows(small.run(dry_run=True), "eve") == [("remove", "eve", "skipped", "not_owned", None)]
    assert rows(small.run(), "eve") == [("remove", "eve", "skipped", "not_owned", None)]
    assert members(small, "Chat") == {"eve", "dan"}
    assert rows(small.run(mode="full")) == []


def test_a_rule_that_found_the_wrong_person_in_the_trial_takes_nobody_away(small: Pipeline) -> None:
    """By description, bob was fay in the trial. By mail he is himself."""
    small.genesys.change_members(genesys_id("Voice"), add=[genesys_id("fay")])
    small.directory.apply([SetAttributes("bob", {"description": "fay@example.com"})])
    by_description = [{"directory": "description", "genesys": "email"}]
    small.redefine(**{**definition_keys(), "users": by_description})
    small.run(dry_run=True)
    assert genesys_id("fay") in evidence(small)
    small.directory.apply([RemoveMember("voice", "bob")])
    small.redefine(**definition_keys())
    for dry_run in (True, False):
        report = small.run(dry_run=dry_run)
        assert [row for row in rows(report) if row[0] == "remove" and row[2] in {"planned", "held", "success"}] == []
    assert "fay" in members(small, "Voice")


@pytest.mark.follows_remedy("not_owned")
def test_evidence_of_a_group_that_is_mapped_no_more_is_dropped(trial: Pipeline) -> None:
    trial.redefine(**{**definition_keys(), "groups": [{"name": "Nothing", "genesys_name": "Voice"}]})
    trial.run(dry_run=True)
    assert evidence(trial) == set()
    trial.directory.apply([RemoveMember("voice", "bob")])
    trial.redefine(**definition_keys())
    assert rows(trial.run(), "bob") == [("remove", "bob", "held", "not_owned", None)]
    assert "bob" in members(trial, "Voice")
    trial.genesys.change_members(genesys_id("Voice"), remove=[genesys_id("bob")])  # by hand, as the remedy says
    assert rows(trial.run(), "bob") == [("remove", "bob", "unchanged", "already_so", None)]
    assert rows(trial.run(), "bob") == []


def test_a_dry_run_after_the_first_live_one_keeps_no_evidence(small: Pipeline) -> None:
    small.run()
    small.genesys.change_members(genesys_id("Voice"), add=[genesys_id("fay")])
    small.directory.apply([AddMember("voice", "fay")])
    small.run(dry_run=True, mode="full")
    assert evidence(small) == set()


def test_a_second_feeding_group_mapped_in_a_later_trial_takes_only_its_own(small: Pipeline) -> None:
    small.run()
    small.directory.apply([AddGroup(Group("nights", "Nights", ("dan",), info=genesys_id("Voice")))])
    small.genesys.change_members(genesys_id("Voice"), add=[genesys_id("dan")])
    small.run(dry_run=True)
    small.directory.apply([RemoveMember("nights", "dan")])
    assert rows(small.run(dry_run=True), "dan") == [("remove", "dan", "planned", None, None)]
    small.run()  # maps it; only the next run knows before it reads AD what has to be proven
    grants = small.journal.of("default").grants.of_groups([genesys_id("Voice")])
    assert genesys_id("dan") in {grant.genesys_user_id for grant in grants}
    small.run()
    assert "dan" not in members(small, "Voice")
