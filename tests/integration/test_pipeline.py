"""Whole runs against a real Samba domain controller and the Genesys sandbox, without Airflow."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from genesys_ad_sync.errors import RunUnknown
from genesys_ad_sync.model import RunKey
from genesys_ad_sync.report.schema import validate
from sandbox import company
from sandbox.directory_objects import AddMember, RemoveMember
from tests.support.pipeline import Pipeline


def statuses(report: dict) -> Counter:
    return Counter((row["action"], row["status"], row["reason"]) for row in report["details"])


def assert_equal_to_directory(pipeline: Pipeline, at_first: dict[str, set[str]]) -> None:
    """By the sandbox's own state and plain LDAP: no product code."""
    expected = company.expected_individuals(at_first, pipeline.directory.truth_by_name())
    assert {group: set(pipeline.genesys.individuals(group)) for group in expected} == expected


def test_first_run_makes_every_mapped_group_equal_and_touches_no_other(pipeline: Pipeline) -> None:
    at_first = pipeline.directory.truth_by_name()
    report = pipeline.run()
    validate(report)
    assert report["mode"] == "full"
    assert report["failures"] == 0
    assert_equal_to_directory(pipeline, at_first)


def test_demo_changes_give_one_of_each_and_a_third_run_writes_nothing(pipeline: Pipeline) -> None:
    at_first = pipeline.directory.truth_by_name()
    pipeline.run()
    pipeline.directory.apply(company.demo_changes())
    report = pipeline.run()
    validate(report)
    assert report["mode"] == "changes"
    assert_equal_to_directory(pipeline, at_first)
    seen = statuses(report)
    assert {("add", "success"), ("remove", "success"), ("add", "orphaned"), ("add", "skipped")} <= {
        (action, status) for action, status, _ in seen
    }
    assert report["unchanged"] >= 1
    writes = len(pipeline.genesys.writes())
    third = pipeline.run()
    assert len(pipeline.genesys.writes()) == writes
    assert third["successes"] == third["failures"] == 0


@pytest.mark.parametrize("mode", ["auto", "full"])
def test_a_dry_run_plans_the_same_and_writes_nothing(pipeline: Pipeline, mode: str) -> None:
    dry = pipeline.run(mode=mode, dry_run=True)
    assert pipeline.genesys.writes() == []
    assert dry["planned"] > 0
    assert dry["successes"] == 0
    real = pipeline.run(mode=mode)
    planned = {
        (r["action"], r["user_id"], r["genesys_group"]["id"]) for r in dry["details"] if r["status"] == "planned"
    }
    done = {(r["action"], r["user_id"], r["genesys_group"]["id"]) for r in real["details"] if r["status"] == "success"}
    assert planned == done


def test_what_somebody_added_by_hand_stays_even_when_everything_is_compared(pipeline: Pipeline) -> None:
    pipeline.run()
    report = pipeline.run(mode="full")
    support = next(g for g in report["groups"] if g["genesys_group"]["name"] == "Support")
    assert support["manual_members"] == 1
    assert company.genesys_id("user", "Manual Mary") in pipeline.individuals("Support")


def test_a_person_put_back_by_hand_after_the_removal_stays(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.directory.apply([RemoveMember("support", "lena.lang")])
    pipeline.run()
    lena, support = company.genesys_id("user", "lena.lang"), company.genesys_id("group", "Support")
    assert lena not in pipeline.individuals("Support")
    pipeline.genesys.change_members(support, add=[lena])
    pipeline.run(mode="full")
    assert lena in pipeline.individuals("Support")


def test_a_full_run_heals_what_was_changed_by_hand(pipeline: Pipeline) -> None:
    pipeline.run()
    anna, support = company.genesys_id("user", "anna.arndt"), company.genesys_id("group", "Support")
    pipeline.genesys.change_members(support, remove=[anna])
    assert pipeline.run()["total_changes"] == 0 or anna not in pipeline.individuals("Support")
    pipeline.run(mode="full")
    assert anna in pipeline.individuals("Support")


def test_an_orphan_is_taken_up_again_when_genesys_knows_the_person(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.directory.apply([AddMember("support", "hans.huber")])
    assert pipeline.run()["orphans"] >= 1
    seed = pipeline.genesys.snapshot()
    hans = company.genesys_id("user", "hans.huber")
    seed["users"].append(
        {"id": hans, "name": "Hans", "email": "hans.huber@example.com", "username": "hans.huber@example.com",
         "state": "active", "external_ids": []}
    )  # fmt: skip
    pipeline.genesys.load_seed(seed)
    pipeline.run()
    assert hans in pipeline.individuals("Support")


def test_after_keep_days_the_journal_forgets_the_run_and_no_membership(pipeline: Pipeline) -> None:
    pipeline.redefine(report={"path": (pipeline.folder / "reports").as_uri(), "keep_days": 30})
    pipeline.run("first")
    before = {name: pipeline.individuals(name) for name in company.PAIRS.values()}
    pipeline.clock_offset = timedelta(days=31)
    pipeline.run("second")
    assert list((pipeline.folder / "reports").rglob("first*")) == []
    with pytest.raises(RunUnknown):
        pipeline.journal.runs.get(RunKey(pipeline.dag_id, "first"))
    report = pipeline.run("third", mode="full")
    assert not any("restored" in note for note in report["notes"])
    assert {name: pipeline.individuals(name) for name in company.PAIRS.values()} == before
    pipeline.directory.apply([RemoveMember("support", "lena.lang")])  # still owned
    assert pipeline.run()["successes"] == 1
