"""An AD group that begins to feed a Genesys group after the first live run grants nothing until a person says so."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.directory_objects import (
    CONTACT_CENTER,
    OTHER_GROUPS,
    AddGroup,
    AddMember,
    Group,
    Move,
    RemoveMember,
    Rename,
    SetAttributes,
)
from tests.support.pipeline import Pipeline
from tests.support.small_company import MANUAL, definition_keys, genesys_id, genesys_seed, members, rows, small
from tests.support.two_controllers import TwoControllers, domain, two

__all__ = ["domain", "small", "two"]

BY_NAME = [{"name": "(?P<same>.+)", "genesys_name": "{same}"}]
LUNCH = Group("lunch", "Lunch club", ("eve", "fay"), info=genesys_id("Admins"))
ADMINS = "Admins, new from AD group Lunch club: 2 additions"


@pytest.fixture
def company(small: Pipeline) -> Pipeline:
    """Return the small company with a Genesys group Admins that no AD group feeds. It had its first live run."""
    seed = genesys_seed()
    seed["groups"].append({"id": genesys_id("Admins"), "name": "Admins", "individuals": [genesys_id(MANUAL)]})
    small.genesys.load_seed(seed)
    redefine(small)
    return small


@pytest.fixture
def live(company: Pipeline) -> Pipeline:
    company.run("first")
    return company


def redefine(pipeline: Pipeline, **more: Any) -> None:
    limits = {**definition_keys()["limits"], "new_pairs": "approve", **more.pop("limits", {})}
    pipeline.redefine(**{**definition_keys(), "limits": limits, **more})


def plan(pipeline: Pipeline, run_id: str, **asked: Any) -> list[tuple[Any, ...]]:
    """Make a run up to its question; return its rows."""
    _, planned = pipeline.plan(run_id, **asked)
    pipeline.patch(run_id, planned)
    return [row[:4] for row in rows(pipeline.report(run_id))]


def held(*people: str, action: str = "add", reason: str = "new_pair") -> list[tuple[str, str, str, str]]:
    return [(action, person, "held", reason) for person in people]


def added(*people: str) -> list[tuple[str, str, str, None]]:
    return [("add", person, "success", None) for person in people]


# -- who can name a group cannot grant with it --------------------------------------------------------


def writes_the_attribute(pipeline: Pipeline) -> None:
    pipeline.directory.apply([AddGroup(Group("lunch", "Lunch club", ("eve", "fay")))])
    pipeline.run()
    pipeline.directory.apply([SetAttributes("lunch", {"info": genesys_id("Admins")})])


def creates_a_group_of_that_name(pipeline: Pipeline) -> None:
    redefine(pipeline, groups=BY_NAME)
    pipeline.run()
    pipeline.directory.apply([AddGroup(Group("lunch", "Admins", ("eve", "fay")))])


def renames_a_group(pipeline: Pipeline) -> None:
    redefine(pipeline, groups=BY_NAME)
    pipeline.directory.apply([AddGroup(Group("lunch", "Lunch club", ("eve", "fay")))])
    pipeline.run()
    pipeline.directory.apply([Rename("lunch", "Admins")])


def takes_the_name_of_a_rule(pipeline: Pipeline) -> None:
    rule = {"dn": f"CN=Root,{CONTACT_CENTER}", "genesys_id": genesys_id("Admins")}
    redefine(pipeline, groups=[rule, *definition_keys()["groups"]])
    pipeline.directory.apply([AddGroup(Group("lunch", "Lunch club", ("eve", "fay")))])
    pipeline.run()
    pipeline.directory.apply([Rename("lunch", "Root")])


WAYS = [writes_the_attribute, creates_a_group_of_that_name, renames_a_group, takes_the_name_of_a_rule]


@pytest.mark.follows_remedy("new_pair")
@pytest.mark.parametrize("happens", WAYS)
def test_a_new_pair_asks_once_for_all_its_changes(live: Pipeline, happens: Any) -> None:
    happens(live)
    assert plan(live, "asks") == held("eve", "fay")
    assert members(live, "Admins") == {MANUAL}
    asked = live.asked("asks")
    assert asked is not None
    [option] = [option for option in asked.options if option.startswith("Admins")]
    assert "No person has confirmed" in asked.body
    assert "by the rule" in asked.body
    live.answer("asks", option)
    assert [row[:4] for row in rows(live.report("asks"))] == added("eve", "fay")
    live.directory.apply([AddMember("lunch", "cid"), RemoveMember("lunch", "eve")])
    assert plan(live, "later") == [*added("cid"), ("remove", "eve", "success", None)]
    assert live.asked("later") is None
    assert plan(live, "full", mode="full") == []
    assert members(live, "Admins") == {"cid", "fay", MANUAL}


@pytest.mark.parametrize("limits", [{"on_excess": "hold"}, {"on_excess": "fail"}, {"additions": 0}])
def test_it_asks_whatever_the_limits_say(live: Pipeline, limits: dict[str, Any]) -> None:
    redefine(live, limits=limits)
    live.directory.apply([AddGroup(LUNCH)])
    assert plan(live, "asks") == held("eve", "fay")
    assert live.asked("asks") is not None
    live.answer("asks", ADMINS)
    assert members(live, "Admins") == {"eve", "fay", MANUAL}


def test_new_pairs_allow_asks_nobody(live: Pipeline) -> None:
    redefine(live, limits={"new_pairs": "allow"})
    live.directory.apply([AddGroup(LUNCH)])
    assert plan(live, "allowed") == added("eve", "fay")
    assert live.asked("allowed") is None
    redefine(live)
    live.directory.apply([AddMember("lunch", "cid")])
    assert plan(live, "later") == added("cid")


@pytest.mark.parametrize("key", ["guid", "sid"])
def test_a_rule_that_names_both_groups_for_good_asks_nobody(live: Pipeline, key: str) -> None:
    live.directory.apply([AddGroup(Group("lunch", "Lunch club", ("eve", "fay")))])
    live.run()
    [group] = [group for group in live.journal.of("default").views.groups_in_scope() if group.name == "Lunch club"]
    rule = {key: getattr(group, key), "genesys_id": genesys_id("Admins")}
    redefine(live, groups=[rule, *definition_keys()["groups"]])
    assert plan(live, "named") == added("eve", "fay")


# -- after a no ---------------------------------------------------------------------------------------


def test_a_rejected_pair_stays_rejected_until_its_run_is_released(live: Pipeline) -> None:
    live.directory.apply([AddGroup(LUNCH)])
    plan(live, "asks")
    live.asked("asks")
    live.answer("asks", "None")
    assert [row[:4] for row in rows(live.report("asks"))] == held("eve", "fay", reason="rejected")
    live.directory.apply([AddMember("lunch", "cid"), RemoveMember("lunch", "eve")])
    live.run()
    live.directory.apply([Move("lunch", OTHER_GROUPS)])
    live.run()
    live.directory.apply([Move("lunch", CONTACT_CENTER)])
    live.run()
    for mode in ("auto", "full", "changes"):
        assert [row for row in plan(live, f"later-{mode}", mode=mode) if row[2] == "held"] == held(
            "cid", "fay", reason="rejected"
        )
        assert live.asked(f"later-{mode}") is None
    for row in live.report("later-full")["details"]:
        assert "by olivia" in row["remedy"]
        assert "release_run: genesys_ad_group_sync/asks" in row["remedy"]
    assert plan(live, "again", release_run="asks") == held("cid", "fay")
    assert any("1 rejected new pairs" in note for note in live.report("again")["notes"])
    live.asked("again")
    live.answer("again", ADMINS)
    assert members(live, "Admins") == {"cid", "fay", MANUAL}


def test_a_rejected_pair_costs_no_request_in_later_runs(live: Pipeline) -> None:
    live.directory.apply([AddGroup(LUNCH)])
    plan(live, "asks")
    live.asked("asks")
    live.answer("asks", "None")
    live.report("asks")
    live.run()
    before = len(live.genesys.requests(path="Admins")) + len(live.genesys.requests(path=genesys_id("Admins")))
    for _ in range(3):
        live.run()
    after = len(live.genesys.requests(path="Admins")) + len(live.genesys.requests(path=genesys_id("Admins")))
    assert after == before


def test_nobody_answers_and_a_later_run_asks_again(live: Pipeline) -> None:
    live.directory.apply([AddGroup(LUNCH)])
    plan(live, "asks")
    live.asked("asks")
    live.answer("asks", "Undecided", by=None)
    live.report("asks")
    assert plan(live, "again") == held("eve", "fay")
    assert live.asked("again") is not None


# -- while it waits -----------------------------------------------------------------------------------


def test_what_comes_to_the_pair_while_a_person_is_asked_waits_for_that_answer(live: Pipeline) -> None:
    live.directory.apply([AddGroup(LUNCH)])
    live.plan("asks")
    assert live.asked("asks") is not None
    live.directory.apply([AddMember("lunch", "cid")])
    report = live.run("second")
    assert [row[:4] for row in rows(report)] == held("cid", "eve", "fay")
    assert all("of run asks" in row["remedy"] for row in report["details"])
    assert live.asked("second") is None
    live.answer("asks", ADMINS)
    live.report("asks")
    assert plan(live, "third") == added("cid")


def test_two_pairs_of_one_genesys_group_are_two_questions(live: Pipeline) -> None:
    live.directory.apply([AddGroup(LUNCH), AddGroup(Group("tea", "Tea club", ("cid",), info=genesys_id("Admins")))])
    plan(live, "asks")
    asked = live.asked("asks")
    assert asked is not None
    assert asked.options[1:3] == [ADMINS, "Admins, new from AD group Tea club: 1 addition"]
    live.answer("asks", "Admins, new from AD group Tea club: 1 addition")
    assert members(live, "Admins") == {"cid", MANUAL}
    assert {row[:4] for row in rows(live.report("asks"))} == {*added("cid"), *held("eve", "fay", reason="rejected")}


def test_a_new_pair_takes_nothing_over_and_removes_nobody_until_it_is_confirmed(live: Pipeline) -> None:
    """The new group lists ann, who is in Voice through another AD group, and nobody else."""
    night = Group("night", "Night", ("ann",), info=genesys_id("Voice"))
    live.directory.apply([AddGroup(night)])
    assert plan(live, "asks") == held("ann")
    assert live.asked("asks") is not None
    live.directory.apply([RemoveMember("voice", "ann"), RemoveMember("voice", "bob")])
    assert set(plan(live, "meanwhile")) == {
        *held("ann"),
        *held("ann", action="remove"),
        ("remove", "bob", "success", None),
    }
    assert "ann" in members(live, "Voice")


@pytest.mark.parametrize("approved", [True, False])
def test_the_answer_decides_about_a_member_who_left_the_other_group(live: Pipeline, approved: bool) -> None:
    live.directory.apply([AddGroup(Group("night", "Night", ("ann",), info=genesys_id("Voice")))])
    plan(live, "asks")
    asked = live.asked("asks")
    assert asked is not None
    live.directory.apply([RemoveMember("voice", "ann")])
    live.answer("asks", asked.options[0] if approved else "None")
    live.report("asks")
    live.run()
    live.run()
    assert ("ann" in members(live, "Voice")) is approved
    live.directory.apply([RemoveMember("night", "ann")])
    live.run()
    assert "ann" not in members(live, "Voice")


def test_an_undo_goes_by_confirmed_pairs_alone(live: Pipeline) -> None:
    """bob was taken out of Voice. A new AD group that wants him there is no reason to put him back unasked."""
    live.directory.apply([RemoveMember("voice", "bob")])
    live.run("fire")
    live.directory.apply([AddGroup(Group("night", "Night", ("bob",), info=genesys_id("Voice")))])
    assert plan(live, "undo", undo_run="fire") == held("bob", reason="against_ad")
    assert "bob" not in members(live, "Voice")


# -- another target -----------------------------------------------------------------------------------


def test_another_target_asks_and_the_way_back_asks_again(live: Pipeline) -> None:
    live.directory.apply([SetAttributes("voice", {"info": genesys_id("Admins")})])
    assert [row for row in plan(live, "there") if row[0] == "add"] == held("ann", "bob", "cid")
    asked = live.asked("there")
    assert asked is not None
    assert "It fed the Genesys group Voice before" in asked.body
    live.answer("there", asked.options[0])
    live.report("there")
    assert members(live, "Admins") == {"ann", "bob", "cid", MANUAL}
    live.run()
    live.directory.apply([SetAttributes("voice", {"info": genesys_id("Voice")}), AddMember("voice", "fay")])
    assert held("fay")[0] in plan(live, "back")
    assert "fay" not in members(live, "Voice")


def test_an_unanswered_target_that_goes_away_again_asks_nothing(live: Pipeline) -> None:
    live.directory.apply([SetAttributes("voice", {"info": genesys_id("Admins")})])
    live.run()
    live.directory.apply([SetAttributes("voice", {"info": genesys_id("Voice")}), AddMember("voice", "fay")])
    live.run()
    assert "fay" in members(live, "Voice")


def test_a_pair_that_comes_and_goes_asks_nobody(live: Pipeline) -> None:
    redefine(live, directory={"group_base": CONTACT_CENTER, "group_filter": "(cn=Voyce)"})
    live.run()
    redefine(live)
    live.directory.apply([AddMember("voice", "fay")])
    live.run()
    assert "fay" in members(live, "Voice")


def test_an_old_mapping_that_a_lagging_domain_controller_brings_back_asks(two: TwoControllers) -> None:
    pipeline = two.pipeline
    redefine(pipeline)
    try:
        two.dc1.apply([SetAttributes("voice", {"info": genesys_id("Chat")})])
        two.use(two.dc1)
        pipeline.run_approved("moved")
        pipeline.run("after")
        two.dc1.apply([AddMember("voice", "fay")])
        pipeline.run("joined")
        assert "fay" in members(pipeline, "Chat")
        two.dc2.apply([AddMember("voice", "eve")])
        report = two.run_on(two.dc2, mode="full")
        assert {row[1] for row in rows(report) if row[0] == "add" and row[3] == "new_pair"} >= {"eve"}
        assert "eve" not in members(pipeline, "Voice")
    finally:
        two.replicate()
        two.dc1.apply([SetAttributes("voice", {"info": genesys_id("Voice")})])
        two.replicate()


# -- the first live run -------------------------------------------------------------------------------


def test_the_pairs_that_dry_reports_listed_ask_nobody(company: Pipeline) -> None:
    company.run(dry_run=True)
    company.run("first")
    assert company.asked("first") is None
    assert members(company, "Voice") == {"ann", "bob", "cid", MANUAL}


def test_a_pair_that_came_after_the_last_dry_report_asks_in_the_first_live_run(company: Pipeline) -> None:
    company.run(dry_run=True)
    company.directory.apply([AddGroup(LUNCH)])
    assert {*held("eve", "fay"), *added("ann", "bob", "cid", "dan")} <= set(plan(company, "first"))
    assert members(company, "Admins") == {MANUAL}


def test_rules_that_were_corrected_after_the_dry_runs_ask_nobody(company: Pipeline) -> None:
    redefine(company, groups=[{"name": "Voice", "genesys_name": "Chat"}])
    company.run(dry_run=True)
    redefine(company)
    company.run("first")
    assert company.asked("first") is None
    assert members(company, "Voice") == {"ann", "bob", "cid", MANUAL}


def test_a_dry_run_shows_a_new_pair_as_held_and_asks_nobody(live: Pipeline) -> None:
    live.directory.apply([AddGroup(LUNCH)])
    assert plan(live, "dry", dry_run=True) == held("eve", "fay")
    assert live.asked("dry") is None
    assert all("A live run asks" in row["remedy"] for row in live.report("dry")["details"])


# -- protect ------------------------------------------------------------------------------------------


def test_a_protected_group_that_is_renamed_in_genesys_stays_protected(live: Pipeline) -> None:
    redefine(live, protect=["Voice"])
    live.run()
    live.genesys.change_group(genesys_id("Voice"), name="Lunch room")
    live.directory.apply([AddMember("voice", "eve"), RemoveMember("voice", "bob")])
    report = live.run("renamed")
    assert {row[:4] for row in rows(report)} == {
        *held("eve", reason="protected"),
        *held("bob", action="remove", reason="protected"),
    }
    assert not [note for note in report["notes"] if "protects nothing" in note]
    redefine(live, protect=[])
    live.run()
    assert members(live, "Voice") == {"ann", "cid", "eve", MANUAL}


def test_a_dry_run_notes_what_is_protected(company: Pipeline) -> None:
    redefine(company, protect=["Voice"])
    company.run(dry_run=True)
    company.genesys.change_group(genesys_id("Voice"), name="Lunch room")
    assert set(held("ann", "bob", "cid", reason="protected")) <= set(plan(company, "first"))
