"""A removal is settled by what was seen, never because Genesys shows a user nowhere.

The organisation hides inactive members: `/individuals` lists active users only.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sandbox.directory_objects import AddMember, Delete, Disable, RemoveMember
from tests.support.pipeline import Pipeline
from tests.support.small_company import definition_keys, genesys_id, members, rows, small

__all__ = ["small"]

HIDDEN = ("active",)
LISTED = ("active", "inactive")


def set_state(pipeline: Pipeline, name: str, state: str) -> None:
    pipeline.genesys.change_user(genesys_id(name), state=state)


def hide_inactive(pipeline: Pipeline, **more: Any) -> None:
    pipeline.genesys.set_options(individuals_states=list(HIDDEN), **more)


def keep_as_member(pipeline: Pipeline, name: str) -> None:
    """Put somebody back, as if the removal had not been in effect."""
    pipeline.genesys.change_members(genesys_id("Voice"), add=[genesys_id(name)])


@pytest.fixture(params=["scim_patch", "group_members"])
def ready(small: Pipeline, request: pytest.FixtureRequest) -> Pipeline:
    """After the first run, in an organisation that hides inactive members."""
    small.redefine(**{**definition_keys(), "genesys": {"write": request.param}})
    small.run()
    hide_inactive(small)
    return small


def test_a_hidden_member_is_removed_although_genesys_does_not_show_the_user(ready: Pipeline) -> None:
    set_state(ready, "bob", "inactive")
    ready.directory.apply([RemoveMember("voice", "bob")])
    assert rows(ready.run(), "bob") == [("remove", "bob", "unchanged", "member_not_visible", None)]
    assert "bob" not in members(ready, "Voice")
    sent = len(ready.genesys.writes())
    for mode in ("auto", "full"):
        assert rows(ready.run(mode=mode), "bob") == []
    assert len(ready.genesys.writes()) == sent


def test_a_hidden_member_whose_removal_was_not_in_effect_goes_once_active_again(ready: Pipeline) -> None:
    set_state(ready, "bob", "inactive")
    ready.directory.apply([RemoveMember("voice", "bob")])
    ready.run()
    keep_as_member(ready, "bob")
    assert rows(ready.run(mode="full"), "bob") == []
    set_state(ready, "bob", "active")
    assert rows(ready.run(), "bob") == []  # mode full looks
    assert rows(ready.run(mode="full"), "bob") == [("remove", "bob", "success", None, None)]
    assert "bob" not in members(ready, "Voice")
    assert ready.journal.of("default").grants.asleep_in([genesys_id("Voice")]) == []


def test_a_user_who_is_active_again_and_no_member_ends_the_sleeping_grant(ready: Pipeline) -> None:
    set_state(ready, "bob", "inactive")
    ready.directory.apply([RemoveMember("voice", "bob")])
    ready.run()
    grants = ready.journal.of("default").grants
    assert len(grants.asleep_in([genesys_id("Voice")])) == 1
    set_state(ready, "bob", "active")
    ready.run(mode="full")
    assert grants.asleep_in([genesys_id("Voice")]) == []
    keep_as_member(ready, "bob")  # by hand: AD does not own it any more
    assert rows(ready.run(mode="full"), "bob") == []
    assert "bob" in members(ready, "Voice")


def test_a_removal_that_was_seen_ends_the_sleeping_grants_of_that_user_too(small: Pipeline) -> None:
    """Bob leaves one AD group while he is hidden, and later a second one that feeds the same Genesys group."""
    small.redefine(**{**definition_keys(), "groups": [{"name": "Voice|Chat", "genesys_name": "Voice"}]})
    small.run()
    hide_inactive(small)
    set_state(small, "bob", "inactive")
    small.directory.apply([RemoveMember("voice", "bob")])
    small.run()
    set_state(small, "bob", "active")
    small.directory.apply([AddMember("chat", "bob")])
    assert rows(small.run(), "bob") == [("add", "bob", "success", None, None)]
    small.directory.apply([RemoveMember("chat", "bob")])
    assert rows(small.run(), "bob") == [("remove", "bob", "success", None, None)]
    keep_as_member(small, "bob")  # by hand: AD does not own it any more
    assert rows(small.run(mode="full"), "bob") == []
    assert "bob" in members(small, "Voice")


def test_who_comes_and_leaves_while_hidden_is_no_member_by_hand_afterwards(ready: Pipeline) -> None:
    set_state(ready, "bob", "inactive")
    ready.directory.apply([RemoveMember("voice", "bob")])
    ready.run()
    keep_as_member(ready, "bob")  # the removal was not in effect
    ready.directory.apply([AddMember("voice", "bob")])
    assert rows(ready.run(), "bob") == [("add", "bob", "orphaned", "inactive", None)]
    ready.directory.apply([RemoveMember("voice", "bob")])
    assert ("remove", "bob", "unchanged", "already_so", None) in rows(ready.run(), "bob")
    set_state(ready, "bob", "active")
    assert rows(ready.run(mode="full"), "bob") == [("remove", "bob", "success", None, None)]
    assert "bob" not in members(ready, "Voice")


def test_who_is_wanted_again_wakes_the_grant(ready: Pipeline) -> None:
    set_state(ready, "bob", "inactive")
    ready.directory.apply([RemoveMember("voice", "bob")])
    ready.run()
    set_state(ready, "bob", "active")
    ready.directory.apply([AddMember("voice", "bob")])
    assert rows(ready.run(), "bob") == [("add", "bob", "success", None, None)]
    ready.directory.apply([RemoveMember("voice", "bob")])
    assert rows(ready.run(), "bob") == [("remove", "bob", "success", None, None)]
    assert "bob" not in members(ready, "Voice")


def test_a_deleted_user_settles_the_removal_and_a_restored_one_wakes_the_grant(ready: Pipeline) -> None:
    set_state(ready, "bob", "deleted")
    ready.directory.apply([RemoveMember("voice", "bob")])
    sent = len(ready.genesys.writes())
    assert rows(ready.run(), "bob") == [("remove", "bob", "unchanged", "already_so", None)]
    assert len(ready.genesys.writes()) == sent
    set_state(ready, "bob", "active")  # restored, with its memberships
    assert "bob" in members(ready, "Voice")
    assert rows(ready.run(mode="full"), "bob") == [("remove", "bob", "success", None, None)]
    assert "bob" not in members(ready, "Voice")


@pytest.mark.parametrize("states", [LISTED, HIDDEN], ids=["listed", "hidden"])
def test_an_ordinary_leaver_is_settled_once_and_is_no_failure(ready: Pipeline, states: tuple[str, ...]) -> None:
    ready.genesys.set_options(individuals_states=list(states), member_not_there="refuse")
    set_state(ready, "bob", "inactive")
    ready.directory.apply([Disable("bob")])
    report = ready.run()
    expected = ("success", None) if states == LISTED else ("unchanged", "member_not_visible")
    assert rows(report, "bob") == [("remove", "bob", *expected, None)]
    assert report["failures"] == 0
    assert "bob" not in members(ready, "Voice")
    assert rows(ready.run(mode="full"), "bob") == []


def test_a_refused_removal_of_a_user_who_is_no_member_is_settled_once(ready: Pipeline) -> None:
    """Somebody took bob out by hand, and deactivated the user. Genesys refuses the removal."""
    ready.genesys.set_options(member_not_there="refuse")
    ready.genesys.change_members(genesys_id("Voice"), remove=[genesys_id("bob")])
    set_state(ready, "bob", "inactive")
    ready.directory.apply([RemoveMember("voice", "bob")])
    assert rows(ready.run(), "bob") == [("remove", "bob", "unchanged", "member_not_visible", None)]
    assert rows(ready.run(), "bob") == []


def test_an_active_user_who_is_no_member_needs_no_write(ready: Pipeline) -> None:
    ready.genesys.change_members(genesys_id("Voice"), remove=[genesys_id("bob")])
    ready.directory.apply([RemoveMember("voice", "bob")])
    sent = len(ready.genesys.writes())
    assert rows(ready.run(), "bob") == [("remove", "bob", "unchanged", "already_so", None)]
    assert len(ready.genesys.writes()) == sent
    assert ready.journal.of("default").grants.asleep_in([genesys_id("Voice")]) == []


@pytest.mark.parametrize("guard", [{"limits": {"removals": 0}}, {"protect": ["Voice"]}], ids=["limit", "protect"])
def test_the_removal_of_a_hidden_member_needs_a_person_as_any_other(ready: Pipeline, guard: dict[str, Any]) -> None:
    ready.redefine(**{**definition_keys(), **guard})
    set_state(ready, "bob", "inactive")
    ready.directory.apply([RemoveMember("voice", "bob")])
    run_id, planned = ready.plan()
    ready.patch(run_id, planned)
    assert "bob" in members(ready, "Voice")
    assert ready.asked(run_id) is not None
    ready.answer(run_id, "Voice: 1 removal")
    assert rows(ready.report(run_id), "bob") == [("remove", "bob", "unchanged", "member_not_visible", None)]
    assert "bob" not in members(ready, "Voice")
    keep_as_member(ready, "bob")
    set_state(ready, "bob", "active")
    assert ("remove", "bob", "held") in [row[:3] for row in rows(ready.run(mode="full"), "bob")]


@pytest.mark.parametrize("minutes", [0, 20], ids=["at once", "later, so that members are read again"])
def test_a_leaver_who_is_deactivated_between_plan_and_patch_is_a_success(ready: Pipeline, minutes: int) -> None:
    ready.directory.apply([RemoveMember("voice", "bob")])
    run_id, planned = ready.plan()
    set_state(ready, "bob", "inactive")
    ready.clock_offset = timedelta(minutes=minutes)
    ready.patch(run_id, planned)
    assert rows(ready.report(run_id), "bob") == [("remove", "bob", "success", None, None)]
    assert "bob" not in members(ready, "Voice")


def test_without_read_back_a_hidden_member_leaves_a_sleeping_grant(ready: Pipeline) -> None:
    ready.redefine(**{**definition_keys(), "verify": False})
    set_state(ready, "bob", "inactive")
    ready.directory.apply([RemoveMember("voice", "bob")])
    assert rows(ready.run(), "bob") == [("remove", "bob", "unchanged", "member_not_visible", None)]
    assert len(ready.journal.of("default").grants.asleep_in([genesys_id("Voice")])) == 1


def test_an_account_deleted_in_ad_keeps_its_sleeping_grant(ready: Pipeline) -> None:
    set_state(ready, "bob", "inactive")
    ready.directory.apply([Delete("bob")])
    assert rows(ready.run(), "bob") == [("remove", "bob", "unchanged", "member_not_visible", None)]
    keep_as_member(ready, "bob")
    set_state(ready, "bob", "active")
    assert [row[2] for row in rows(ready.run(mode="full"), "bob")] == ["success"]
    assert "bob" not in members(ready, "Voice")


def test_a_dry_run_shows_the_removal_of_a_hidden_member_as_planned(ready: Pipeline) -> None:
    set_state(ready, "bob", "inactive")
    ready.directory.apply([RemoveMember("voice", "bob")])
    assert rows(ready.run(dry_run=True), "bob") == [("remove", "bob", "planned", None, None)]
