"""Who owns a membership: mapping that changes or drifts, several sources, two definitions, a journal that is lost."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync.settings import parse_definition
from genesys_ad_sync.views.claims import note_as_far_as_named
from sandbox import company
from sandbox.directory_objects import (
    OTHER_GROUPS,
    AddGroup,
    AddMember,
    Delete,
    Group,
    Move,
    RemoveMember,
    SetAttributes,
)
from tests.integration.test_safety_approval import ids, rows
from tests.integration.test_safety_completeness import everybody, nobody_is_lost, runs
from tests.support.pipeline import Pipeline


def group_id(name: str) -> str:
    return company.genesys_id("group", name)


# -- mapping ------------------------------------------------------------------------------------------


def test_a_rule_deleted_from_the_yaml_takes_nobody_away(pipeline: Pipeline) -> None:
    pipeline.run()
    before = everybody(pipeline)
    rules = [rule for rule in company.group_rules() if rule.get("genesys_external_id") != "ERP-4711"]
    pipeline.redefine(groups=rules)
    pipeline.directory.apply([RemoveMember("billing", "lena.lang")])
    reports = list(runs(pipeline))
    nobody_is_lost(pipeline, before)
    # Lena, who has left, and those who would go with the rule
    assert rows(reports[0], "Billing (ERP)")["held", "mapping_changed"] == 3


def test_a_rule_that_names_another_group_adds_there_and_holds_here(pipeline: Pipeline) -> None:
    pipeline.run()
    before = everybody(pipeline)
    rules: list[dict[str, Any]] = [
        {**rule, "genesys_id": group_id("Empty")} if rule.get("dn", "").startswith("CN=Tier 2") else rule
        for rule in company.group_rules()
    ]
    pipeline.redefine(groups=rules)
    reports = list(runs(pipeline))
    nobody_is_lost(pipeline, before)
    assert ids("carla.nunez", "harry.hash", "karl.kuehn", "zoe.zander") <= pipeline.individuals("Empty")
    left_behind = {("held", "mapping_changed"): 4}
    # by the run that finds it out, and by each one that compares everything
    assert [rows(report, "Tier 2") for report in reports] == [left_behind, left_behind, {}, left_behind]


def test_two_genesys_groups_that_swap_names_lose_nobody_and_get_the_new_ones(pipeline: Pipeline) -> None:
    pipeline.run()
    before = everybody(pipeline)
    pipeline.genesys.change_group(group_id("Ring A"), name="swapping")
    pipeline.genesys.change_group(group_id("Dispatch"), name="Ring A")
    pipeline.genesys.change_group(group_id("Ring A"), name="Dispatch")
    list(runs(pipeline))
    nobody_is_lost(pipeline, before)
    assert ids("zoe.zander", "ralf.roth", "nina.nagel") <= pipeline.individuals("Dispatch")  # by id: now "Ring A"


@pytest.mark.parametrize("how", ["deleted", "moved out of the group base", "deleted and made again"])
def test_an_ad_group_that_goes_away_takes_nobody_away(pipeline: Pipeline, how: str) -> None:
    pipeline.run()
    before = everybody(pipeline)
    if how == "moved out of the group base":
        pipeline.directory.apply([Move("billing", OTHER_GROUPS)])
    else:
        pipeline.directory.apply([Delete("billing")])
    if how == "deleted and made again":
        again = Group("billing", "Billing & Collections", ("petra.pohl", "quirin.quast"))
        pipeline.directory.apply([AddGroup(again)])
    list(runs(pipeline))
    nobody_is_lost(pipeline, before)
    if how == "deleted and made again":
        assert ids("quirin.quast") <= pipeline.individuals("Billing (ERP)")


def test_a_policy_changed_to_never_takes_nobody_away_and_says_so(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.redefine(removals="never")
    pipeline.directory.apply([RemoveMember("support", "lena.lang")])
    assert rows(pipeline.run(), "Support") == {("skipped", "removals_never"): 1}
    assert ids("lena.lang") <= pipeline.individuals("Support")


# -- several sources ----------------------------------------------------------------------------------


def test_who_leaves_one_of_two_ad_groups_stays_and_who_leaves_both_goes(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.directory.apply([RemoveMember("support", "klaus.kern"), RemoveMember("support", "anna.arndt")])
    assert rows(pipeline.run(), "Support") == {("unchanged", "still_granted"): 2}
    pipeline.directory.apply([RemoveMember("support-nights", "klaus.kern")])
    assert rows(pipeline.run(), "Support") == {("success", None): 1}
    assert ids("anna.arndt") <= pipeline.individuals("Support")
    assert not ids("klaus.kern") & pipeline.individuals("Support")


def test_a_manual_member_is_counted_and_stays_under_granted_and_goes_under_mirror(pipeline: Pipeline) -> None:
    pipeline.run()
    report = pipeline.run(mode="full")
    assert next(g for g in report["groups"] if g["genesys_group"]["name"] == "Empty")["manual_members"] == 1
    assert ids("Manual Mary") <= pipeline.individuals("Empty")
    pipeline.redefine(removals="mirror", limits={"min_group_size": 1, "removals": 0})
    run_id, planned = pipeline.plan(mode="full")
    pipeline.patch(run_id, planned)
    assert ids("Manual Mary") <= pipeline.individuals("Empty")
    asked = pipeline.asked(run_id)
    assert asked is not None
    assert "Empty: 1 removal" in asked.options
    pipeline.answer(run_id, "Empty: 1 removal")
    assert not ids("Manual Mary") & pipeline.individuals("Empty")


# -- two definitions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["default", "other"])
@pytest.mark.follows_remedy("claimed_by")
def test_two_definitions_never_write_the_same_genesys_group(pipeline: Pipeline, first: str) -> None:
    """Whoever came first goes on; the second is told who it is, until the first gives the group up."""
    mine = pipeline.definition
    other = parse_definition(_yaml_of(pipeline), name="other")
    order = [(mine, mine.dag_id), (other, other.dag_id)]
    for definition, dag_id in order if first == "default" else reversed(order):
        pipeline.definition, pipeline.dag_id = definition, dag_id
        report = pipeline.run()
    assert {row["reason"] for row in report["details"] if row["status"] == "held"} >= {"claimed_by"}
    assert not [row for row in report["details"] if row["status"] == "success"]
    held = next(row for row in report["details"] if row["reason"] == "claimed_by")
    assert repr(first) in held["error"]

    owner = mine if first == "default" else other
    second, second_dag = pipeline.definition, pipeline.dag_id
    only_tier2 = [company.group_rules()[0]]
    pipeline.definition = parse_definition(_yaml_of(pipeline, groups=only_tier2), name=owner.name)
    pipeline.dag_id = owner.dag_id
    pipeline.run()
    pipeline.directory.apply([AddMember("support", "quirin.quast")])
    pipeline.definition, pipeline.dag_id = second, second_dag
    pipeline.run()
    assert ids("quirin.quast") <= pipeline.individuals("Support")


def test_a_definition_under_a_new_name_takes_over_what_the_former_one_fed(pipeline: Pipeline) -> None:
    pipeline.definition = parse_definition(_yaml_of(pipeline), name="support")
    pipeline.definitions = frozenset({"support", "broken"})
    pipeline.run()
    pipeline.directory.apply([AddMember("support", "quirin.quast")])
    pipeline.definition = parse_definition(_yaml_of(pipeline), name="service")
    pipeline.definitions = frozenset({"service", "broken"})

    dry = pipeline.run(dry_run=True)
    assert "claimed_by" not in {row["reason"] for row in dry["details"]}
    assert set(_claimed(pipeline, "service").values()) == {"support"}  # but nothing was released

    report = pipeline.run()
    assert "claimed_by" not in {row["reason"] for row in report["details"]}
    assert ids("quirin.quast") <= pipeline.individuals("Support")
    told = "released the claims of sync definitions whose file is gone: support"
    assert told in report["notes"]
    assert told in pipeline.said
    assert note_as_far_as_named(told, lambda name: name == "service") == told.replace("support", "another sync")
    assert not _claimed(pipeline, "service")


@pytest.mark.parametrize("definitions", [None, frozenset({"support", "service"})])
def test_claims_of_a_definition_that_may_be_there_stand(pipeline: Pipeline, definitions: frozenset[str] | None) -> None:
    pipeline.definitions = definitions
    pipeline.definition = parse_definition(_yaml_of(pipeline), name="support")
    pipeline.run()
    pipeline.definition = parse_definition(_yaml_of(pipeline), name="service")
    assert "claimed_by" in {row["reason"] for row in pipeline.run()["details"]}
    assert _claimed(pipeline, "service")


def _claimed(pipeline: Pipeline, definition: str) -> dict[str, str]:
    """Return the Genesys groups that other definitions have claimed."""
    task = pipeline.task("none", "none")
    groups = [group["id"] for group in pipeline.genesys.snapshot()["groups"]]
    return pipeline.journal.of(definition).claims.take(task.organisation, groups, task.clock(), dry_run=True)


def _yaml_of(pipeline: Pipeline, **more: Any) -> str:
    import yaml

    keys = {
        **company.sync_definition(),
        "dry_run": False,
        "report": {"path": (pipeline.folder / "reports").as_uri()},
        **more,
    }
    return str(yaml.safe_dump(keys))


# -- the journal --------------------------------------------------------------------------------------


def backup(pipeline: Pipeline) -> Path:
    copy = pipeline.folder / "backup.db"
    pipeline.journal.close()
    import sqlite3

    source = sqlite3.connect(pipeline.folder / "journal.db")
    target = sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()
    return copy


def restore(pipeline: Pipeline, copy: Path | None) -> None:
    pipeline.journal.close()
    for file in pipeline.folder.glob("journal.db*"):
        file.unlink()
    if copy is not None:
        shutil.copy(copy, pipeline.folder / "journal.db")
    pipeline.journal = Journal.open(f"sqlite:///{pipeline.folder / 'journal.db'}")


@pytest.mark.follows_remedy("journal_restored")
def test_a_journal_restored_from_this_morning_asks_before_it_removes(pipeline: Pipeline) -> None:
    """The backup does not know that somebody put Rosa back by hand.

    In the morning AD owned Rosa's membership. She has left since, and somebody has put her back.
    """
    pipeline.run()
    copy = backup(pipeline)
    pipeline.directory.apply([RemoveMember("dispatch", "rosa.richter")])
    pipeline.run()
    pipeline.genesys.change_members(group_id("Dispatch"), add=list(ids("rosa.richter")))
    restore(pipeline, copy)

    run_id, planned = pipeline.plan()
    pipeline.patch(run_id, planned)
    assert ids("rosa.richter") <= pipeline.individuals("Dispatch")
    asked = pipeline.asked(run_id)
    assert asked is not None
    assert asked.options == ["Dispatch: 1 removal", "None", "Undecided"]
    pipeline.answer(run_id, "Undecided", by=None)
    report = pipeline.report(run_id)
    assert report["mode"] == "full"
    assert rows(report, "Dispatch") == {("held", "journal_restored"): 1}
    assert any("restored from a backup" in note for note in report["notes"])

    pipeline.run(groups=["Support"])  # which sees nothing of it
    pipeline.run(undo_run=run_id)
    later, _ = pipeline.plan()  # unanswered: still not trusted
    assert pipeline.asked(later) is not None
    pipeline.answer(later, "None")
    pipeline.report(later)
    assert ids("rosa.richter") <= pipeline.individuals("Dispatch")

    pipeline.directory.apply([RemoveMember("dispatch", "paul.peters")])
    assert rows(pipeline.run(), "Dispatch")["success", None] == 1  # everything was compared, and a person has answered
    assert not ids("paul.peters") & pipeline.individuals("Dispatch")


def test_a_journal_that_is_lost_takes_nobody_away(pipeline: Pipeline) -> None:
    pipeline.run()
    before = everybody(pipeline)
    restore(pipeline, None)
    pipeline.directory.apply([RemoveMember("dispatch", "rosa.richter")])
    report = next(iter(runs(pipeline)))
    assert report["mode"] == "full"
    assert any("restored from a backup" in note for note in report["notes"])
    nobody_is_lost(pipeline, before)  # Rosa is a manual member now: nobody knows that AD granted it


def test_a_dry_run_with_a_restored_journal_says_so_and_changes_nothing(pipeline: Pipeline) -> None:
    pipeline.run()
    copy = backup(pipeline)
    pipeline.run()
    restore(pipeline, copy)
    dry = pipeline.run(dry_run=True)
    assert any("restored from a backup" in note for note in dry["notes"])
    assert any("restored from a backup" in note for note in pipeline.run()["notes"])


@pytest.mark.parametrize("folders", [1, 2])
def test_a_journal_that_two_definitions_lost_takes_nobody_away_and_is_trusted_again(
    pipeline: Pipeline, folders: int
) -> None:
    tier2, rest = company.group_rules()[0], company.group_rules()[1:]
    one = replace(pipeline, definition=parse_definition(_yaml_of(pipeline, groups=[tier2]), name="one"), dag_id="one")
    two = replace(
        pipeline,
        definition=parse_definition(_yaml_of(pipeline, groups=rest, removals="mirror"), name="two"),
        dag_id="two",
        folder=pipeline.folder / "two" if folders == 2 else pipeline.folder,
    )
    for each in (one, two):
        each.run()
    pipeline.genesys.change_members(group_id("Dispatch"), add=list(ids("carla.nunez")))
    restore(pipeline, None)
    one.journal = two.journal = pipeline.journal
    assert _is_distrusted(one.run())

    run_id, planned = two.plan()
    two.patch(run_id, planned)
    assert ids("carla.nunez") <= pipeline.individuals("Dispatch")
    asked = two.asked(run_id)
    assert asked is not None
    two.answer(run_id, *asked.options[:-2])
    assert _is_distrusted(two.report(run_id))
    assert not ids("carla.nunez") & pipeline.individuals("Dispatch")
    assert not any(_is_distrusted(each.run()) for each in (one, two, one, two))


def _is_distrusted(report: dict[str, Any]) -> bool:
    return any("restored from a backup" in note for note in report["notes"])


# -- who is who ---------------------------------------------------------------------------------------


def test_mails_swapped_between_two_people_move_nobody(pipeline: Pipeline) -> None:
    """By the link, each of them stays the same person: Lena's leaving is Lena's.

    That holds whatever mail she has now. Where mails are looked at (mode full), both are ambiguous, and nothing is
    taken.
    """
    pipeline.run()
    pipeline.directory.apply(
        [
            SetAttributes("lena.lang", {"mail": "rosa.richter@example.com"}),
            SetAttributes("rosa.richter", {"mail": "lena.lang@example.com"}),
            RemoveMember("billing", "lena.lang"),
        ]
    )
    before = everybody(pipeline)
    list(runs(pipeline))
    before["Billing (ERP)"] -= ids("lena.lang")
    nobody_is_lost(pipeline, before)
    assert not ids("rosa.richter") & pipeline.individuals("Billing (ERP)")


def test_a_mail_given_to_a_newcomer_takes_the_former_owner_nowhere(pipeline: Pipeline) -> None:
    """Rosa leaves Dispatch herself: the newcomer, who may be the same Genesys user, is not wanted there."""
    pipeline.run()
    before = everybody(pipeline)
    pipeline.directory.apply(
        [
            SetAttributes("rosa.richter", {"mail": "rosa.alt@example.com"}),
            SetAttributes("quirin.quast", {"mail": "rosa.richter@example.com"}),
            AddMember("support", "quirin.quast"),
            RemoveMember("dispatch", "rosa.richter"),
        ]
    )
    report = pipeline.run()
    assert rows(report, "Support", "add")["held", "ambiguous"] == 1
    before["Dispatch"] -= ids("rosa.richter")
    nobody_is_lost(pipeline, before)
    assert not ids("rosa.richter") & pipeline.individuals("Support")


def test_a_mail_given_to_a_newcomer_who_is_wanted_there_takes_nobody_away(pipeline: Pipeline) -> None:
    pipeline.run()
    before = everybody(pipeline)
    pipeline.directory.apply(
        [
            SetAttributes("rosa.richter", {"mail": "rosa.alt@example.com"}),
            SetAttributes("quirin.quast", {"mail": "rosa.richter@example.com"}),
            AddMember("dispatch", "quirin.quast"),
            RemoveMember("dispatch", "rosa.richter"),
        ]
    )
    for report in runs(pipeline):
        nobody_is_lost(pipeline, before)
        assert rows(report, "Dispatch", "remove")["held", "ambiguous"] == 1


def test_two_ad_accounts_with_one_mail_are_held_and_listed(pipeline: Pipeline) -> None:
    report = pipeline.run()
    assert rows(report, "Twins", "add")["held", "ambiguous"] == 2


def test_two_genesys_users_with_one_mail_are_held_and_listed(pipeline: Pipeline) -> None:
    seed = pipeline.genesys.snapshot()
    double = next(user for user in seed["users"] if user["id"] in ids("rosa.richter"))
    twin = {"id": company.genesys_id("user", "rosa.double"), "username": "rosa.double@example.com"}
    seed["users"].append({**double, **twin})
    pipeline.genesys.load_seed(seed)
    report = pipeline.run()
    assert rows(report, "Dispatch", "add")["held", "ambiguous"] == 1
    assert not ids("rosa.richter", "rosa.double") & pipeline.individuals("Dispatch")


def test_a_person_deleted_and_made_again_keeps_the_membership_until_it_is_known_who_it_is(pipeline: Pipeline) -> None:
    from sandbox.directory_objects import AddUser, User

    pipeline.run()
    pipeline.directory.apply(
        [
            Delete("rosa.richter"),
            AddUser(User("rosa.richter", "Rosa Richter", mail="rosa.richter@example.com")),
            AddMember("dispatch", "rosa.richter"),
        ]
    )
    for report in runs(pipeline):
        assert ids("rosa.richter") <= pipeline.individuals("Dispatch")
        assert {row["reason"] for row in report["details"] if row["status"] == "held"} <= {"ambiguous"}
