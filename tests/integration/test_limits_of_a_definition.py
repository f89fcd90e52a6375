"""Limits count what is pending of the definition and what a day has removed, whatever a single run chooses."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from genesys_ad_sync.report.schema import validate
from genesys_ad_sync.stages.report import write_interim_report
from sandbox.directory_objects import SetAttributes
from tests.support.limits_company import (
    PEOPLE,
    definition_keys,
    genesys_id,
    join,
    leave,
    members,
    rows,
)
from tests.support.limits_company import company as company  # noqa: PLC0414  the fixture, used by its name
from tests.support.pipeline import Pipeline

PERCENT = {"removals": 99, "removals_percent": 20, "min_group_size": 10}


def limit(pipeline: Pipeline, *, keys: dict[str, Any] | None = None, **limits: Any) -> None:
    pipeline.redefine(**definition_keys(limits=limits, **(keys or {})))


def held(reason: str, *people: str, action: str = "remove") -> list[tuple[str, str, str, str | None]]:
    return [(action, person, "held", reason) for person in people]


def done(*people: str, action: str = "remove") -> list[tuple[str, str, str, str | None]]:
    return [(action, person, "success", None) for person in people]


# -- a rolling day ------------------------------------------------------------------------------------


def test_a_group_that_loses_a_tenth_each_run_asks_once_a_fifth_of_its_day_is_gone(company: Pipeline) -> None:
    """Also on the first live day: no history of sizes is needed."""
    limit(company, **PERCENT)
    company.run()
    for pair in (PEOPLE[0:2], PEOPLE[2:4]):
        leave(company, "team", *pair)
        assert rows(company.run()) == done(*pair)
    leave(company, "team", PEOPLE[4])
    run_id, planned = company.plan()
    assert planned["batches"] == []
    asked = company.asked(run_id)
    assert asked is not None
    assert "limits\\.removals\\_percent is 20" in asked.body
    company.answer(run_id, asked.options[0])
    assert PEOPLE[4] not in members(company, "Team")


def test_what_went_over_the_share_of_a_day_waits_for_a_person_also_when_that_day_is_over(company: Pipeline) -> None:
    limit(company, **PERCENT)
    company.run()
    leave(company, "team", *PEOPLE[0:4])
    assert rows(company.run()) == done(*PEOPLE[0:4])
    leave(company, "team", PEOPLE[4])
    assert rows(company.run("over")) == held("over_limit", PEOPLE[4])
    company.clock_offset = timedelta(hours=25)
    leave(company, "team", PEOPLE[5])
    run_id, _ = company.plan("a day later")
    asked = company.asked(run_id)
    assert asked is not None
    assert asked.options[0] == "Team: 2 removals"
    company.answer(run_id, asked.options[0])
    assert rows(company.report(run_id)) == done(*PEOPLE[4:6])
    leave(company, "team", PEOPLE[6])
    assert rows(company.run()) == done(PEOPLE[6])


def test_removals_that_a_person_approved_count_in_no_limit(company: Pipeline) -> None:
    limit(company, removals=4, removals_percent=50, per_day=6)
    company.run()
    leave(company, "team", *PEOPLE[0:9])
    run_id, _ = company.plan()
    company.answer(run_id, "Team: 9 removals")
    assert rows(company.report(run_id)) == done(*PEOPLE[0:9])
    leave(company, "team", PEOPLE[9])  # 10 of 20 in the day, and 10 after 0 unapproved: neither limit counts the nine
    leave(company, "nine", PEOPLE[0])
    assert sorted(rows(company.run())) == sorted(done(PEOPLE[9], PEOPLE[0]))


# -- a group that would be empty ----------------------------------------------------------------------


def test_a_small_group_that_loses_everybody_at_once_asks_a_person(company: Pipeline) -> None:
    company.run()
    leave(company, "nine", *PEOPLE[:9])
    run_id, planned = company.plan()
    assert planned["batches"] == []
    asked = company.asked(run_id)
    assert asked is not None
    assert "limits\\.empty\\_group" in asked.body
    assert rows(company.report(run_id)) == held("empty_group", *PEOPLE[:9])
    assert members(company, "Nine") == set(PEOPLE[:9])


@pytest.mark.follows_remedy("empty_group")
def test_a_small_group_that_drips_empty_within_a_day_asks_for_the_last_one(company: Pipeline) -> None:
    company.run()
    for people in (PEOPLE[:7], PEOPLE[7:8]):
        leave(company, "nine", *people)
        assert rows(company.run()) == done(*people)
    leave(company, "nine", PEOPLE[8])
    assert rows(company.run("asks")) == held("empty_group", PEOPLE[8])
    company.clock_offset = timedelta(hours=25)
    run_id, _ = company.plan("a day later")
    assert company.asked(run_id) is not None
    company.answer(run_id, "Nine: 1 removal")
    assert members(company, "Nine") == set()


def test_the_only_member_goes_without_a_question(company: Pipeline) -> None:
    company.run()
    leave(company, "solo", PEOPLE[0])
    assert rows(company.run()) == done(PEOPLE[0])
    join(company, "solo", PEOPLE[1])
    company.run()
    leave(company, "solo", PEOPLE[1])  # two within a day, but never two at once
    assert rows(company.run()) == done(PEOPLE[1])


@pytest.mark.parametrize(
    ("limits", "outcome"),
    [
        ({"empty_group": "allow"}, "success"),
        ({"empty_group": "hold"}, "held"),
        ({"on_excess": "hold"}, "held"),
    ],
)
def test_a_group_that_would_be_empty_is_allowed_or_held_as_the_definition_says(
    company: Pipeline, limits: dict[str, str], outcome: str
) -> None:
    limit(company, **limits)
    company.run()
    leave(company, "nine", *PEOPLE[:9])
    run_id, planned = company.plan()
    assert company.asked(run_id) is None
    company.patch(run_id, planned)
    report = company.report(run_id)
    assert {row[2] for row in rows(report)} == {outcome}
    if outcome == "held":
        assert {row["reason"] for row in report["details"]} == {"empty_group"}
        assert all("limits.empty_group" in row["remedy"] for row in report["details"])
        limit(company, **{**limits, "empty_group": "allow"})  # what the remedy says
        assert rows(company.run()) == done(*PEOPLE[:9])


# -- whatever a run chooses ---------------------------------------------------------------------------


def test_runs_that_choose_groups_one_by_one_are_limited_together(company: Pipeline) -> None:
    limit(company, removals=9, removals_percent=100, per_run=15, empty_group="allow")
    company.run()
    for group, people in (("team", 8), ("nine", 6), ("late", 5)):
        leave(company, group, *PEOPLE[:people])
    for group, people in (("Team", 8), ("Nine", 6), ("Late", 5)):
        report = company.run(groups=[group])
        assert rows(report) == held("over_limit", *PEOPLE[:people])


def test_runs_that_choose_windows_one_by_one_are_limited_together(company: Pipeline) -> None:
    limit(company, removals=9, removals_percent=100, per_run=15, empty_group="allow")
    company.run()
    edges = [_next_second()]
    for group, people in (("team", 8), ("nine", 6), ("late", 5)):
        leave(company, group, *PEOPLE[:people])
        company.plan(dry_run=True)  # polls, so that the changes of each group lie in a window of their own
        edges.append(_next_second())
    for group, people, start, end in zip(("Team", "Nine", "Late"), (8, 6, 5), edges, edges[1:], strict=False):
        report = company.run(run_type="backfill", window=(start, end))
        assert rows(report, group) == held("over_limit", *PEOPLE[:people])


def _next_second() -> datetime:
    """Wait for the next second: the time of a poll has no fractions in AD."""
    now = datetime.now(timezone.utc)
    time.sleep(1.2)
    return now.replace(microsecond=0) + timedelta(seconds=1)


def test_runs_that_choose_groups_for_their_first_comparison_are_limited_together(company: Pipeline) -> None:
    """38 additions in four groups, of which no run may make more than 25."""
    limit(company, additions_per_run=25)
    for group, people in (("Team", 20), ("Nine", 9), ("Late", 8)):
        assert rows(company.run(groups=[group])) == held("over_additions", *PEOPLE[:people], action="add")
    run_id, _ = company.plan()
    assert company.asked(run_id) is not None
    company.answer(run_id, "All groups")
    assert members(company, "Team") == set(PEOPLE)


def test_removals_of_the_day_count_for_a_run_that_chooses_other_groups(company: Pipeline) -> None:
    limit(company, removals=20, removals_percent=100, per_run=20, per_day=10, empty_group="allow")
    company.run()
    leave(company, "team", *PEOPLE[:8])
    assert rows(company.run(groups=["Team"])) == done(*PEOPLE[:8])
    leave(company, "late", *PEOPLE[:2])
    leave(company, "nine", PEOPLE[0])
    assert rows(company.run(groups=["Late"])) == held("over_limit", *PEOPLE[:2])


def test_what_is_asked_about_counts_for_additions_of_other_groups(company: Pipeline) -> None:
    company.run()
    limit(company, additions_per_run=6)
    join(company, "solo", *PEOPLE[1:8])
    company.plan("asks")
    assert company.asked("asks") is not None
    join(company, "late", PEOPLE[8])
    for asked in ({"groups": ["Late"]}, {"mode": "changes"}, {}):
        assert rows(company.run(**asked), "Late") == held("over_additions", PEOPLE[8], action="add")


def test_what_a_chosen_group_would_lose_in_full_and_nobody_granted_does_not_count(company: Pipeline) -> None:
    """A removal that a guard holds is pending for nobody: it must not use up the limits of others."""
    limit(company, removals=9, removals_percent=100, per_run=8, empty_group="allow")
    company.run(groups=["Team", "Late"])
    leave(company, "nine", *PEOPLE[:5])  # never compared: AD owns nobody there
    leave(company, "team", *PEOPLE[:5])
    assert rows(company.run(groups=["Team"])) == done(*PEOPLE[:5])


# -- additions ----------------------------------------------------------------------------------------


@pytest.mark.follows_remedy("over_additions")
def test_more_additions_to_a_group_than_allowed_ask_a_person(company: Pipeline) -> None:
    limit(company, additions=5)
    company.run()
    report = company.run("again")
    assert {row[2:] for row in rows(report, "Team")} == {("held", "over_additions")}
    assert members(company, "Solo") == {PEOPLE[0]}
    run_id, _ = company.plan()
    asked = company.asked(run_id)
    assert asked is not None
    assert "limits\\.additions is 5" in asked.body
    company.answer(run_id, "All groups")
    assert members(company, "Team") == set(PEOPLE)


def test_the_first_live_comparison_of_many_asks_one_question_that_says_so(company: Pipeline) -> None:
    limit(company, additions_per_run=20)
    run_id, planned = company.plan()
    assert planned["batches"] == []
    asked = company.asked(run_id)
    assert asked is not None
    assert "first live comparison" in asked.body
    assert asked.options[0] == "All groups"
    company.answer(run_id, "All groups")
    assert members(company, "Team") == set(PEOPLE)
    assert members(company, "Nine") == set(PEOPLE[:9])
    company.report(run_id)
    assert company.run(mode="full")["total_changes"] == 0
    join(company, "solo", *PEOPLE[1:])
    join(company, "vip", *PEOPLE)
    later, _ = company.plan()
    asked = company.asked(later)
    assert asked is not None
    assert "first live comparison" not in asked.body


def test_a_group_that_grows_a_little_each_run_asks_once_its_day_is_over_the_share(company: Pipeline) -> None:
    company.run()
    limit(company, additions_percent=50, min_group_size=8)
    company.clock_offset = timedelta(hours=25)
    for pair in (PEOPLE[8:10], PEOPLE[10:12]):
        join(company, "late", *pair)
        assert rows(company.run()) == done(*pair, action="add")
    join(company, "late", PEOPLE[12])  # five after eight
    run_id, planned = company.plan()
    assert planned["batches"] == []
    asked = company.asked(run_id)
    assert asked is not None
    assert "limits\\.additions\\_percent is 50" in asked.body


def test_on_excess_hold_holds_additions_and_names_the_key_that_lets_them_go(company: Pipeline) -> None:
    limit(company, additions=5, on_excess="hold")
    run_id, planned = company.plan()
    assert company.asked(run_id) is None
    company.patch(run_id, planned)
    report = company.report(run_id)
    row = next(row for row in report["details"] if row["reason"] == "over_additions")
    assert "limits.additions is 5" in row["remedy"]
    assert "approve_removals" not in row["remedy"]
    limit(company, additions=50, on_excess="hold")  # what the remedy says
    assert {row[2] for row in rows(company.run())} == {"success"}


def test_on_excess_fail_writes_nothing_when_additions_are_too_many(company: Pipeline) -> None:
    limit(company, additions=5, on_excess="fail")
    _, planned = company.plan()
    assert planned["batches"] == []
    assert "limits.additions is 5" in planned["fail_reason"]


# -- names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["[VIP] Voice", "[vip]*", " [VIP]  voice ", genesys_id("[VIP] Voice")])
def test_a_name_with_brackets_is_protected(company: Pipeline, pattern: str) -> None:
    limit(company, keys={"protect": [pattern]})
    company.run()
    join(company, "vip", *PEOPLE[:3])
    report = company.run()
    assert rows(report) == held("protected", *PEOPLE[:3], action="add")
    assert not [note for note in report["notes"] if "matches" in note]


def test_a_pattern_that_matches_nothing_is_said_in_the_notes(company: Pipeline) -> None:
    limit(company, keys={"protect": ["VIP *", "Team"], "exclude": {"groups": ["Tema"], "users": ["p00", "nobody*"]}})
    notes = company.run(groups=["Soli", "Nine"])["notes"]
    assert [note for note in notes if "matches no" in note] == [
        "protect: the pattern 'VIP *' matches no Genesys group, so it protects nothing. Correct it, or write the id "
        "of the Genesys group.",
        "exclude.groups: the pattern 'Tema' matches no AD group in scope. Correct it, or remove it.",
        "exclude.users: the pattern 'nobody*' matches no AD user that was read. Correct it, or remove it.",
        "param groups: the pattern 'Soli' matches no AD group, so this run acts on nothing for it.",
    ]
    assert not [said for said in company.said if "nobody*" in said]  # a pattern may be a person's name


# -- what waits ---------------------------------------------------------------------------------------


def test_a_row_says_since_when_it_waits_and_what_ends_it(company: Pipeline) -> None:
    limit(company, removals=2, removals_percent=100)
    company.run()
    leave(company, "team", *PEOPLE[:3])
    company.run("dry", dry_run=True)
    first_id, _ = company.plan("asks")
    waiting = json.loads(Path(write_interim_report(company.task(first_id, "approve_removals")) or "").read_text())
    second_id, _ = company.plan("meanwhile")
    meanwhile = company.report(second_id)
    company.answer(first_id, "Undecided", by=None)
    over = company.report(first_id)
    validate(over)
    assert {row["first_seen_run"] for row in meanwhile["details"] + over["details"]} == {"dry"}
    assert len({row["first_seen_at"] for row in meanwhile["details"] + over["details"]}) == 1
    assert {row["remedy"] for row in waiting["details"]} == {
        "Exceeded: limits.removals is 2. Answer in the task approve_removals of this run."
    }
    assert {row["remedy"] for row in meanwhile["details"]} == {
        "Exceeded: limits.removals is 2. Answer in the task approve_removals of run asks, which asks about it."
    }
    assert {row["remedy"] for row in over["details"]} == {
        "Exceeded: limits.removals is 2. A later run asks again: answer in its task approve_removals."
    }


@pytest.mark.follows_remedy("no_genesys_user")
@pytest.mark.follows_remedy("no_matching_attribute")
def test_a_person_without_a_match_is_added_once_the_value_is_there(company: Pipeline) -> None:
    company.genesys.change_user(genesys_id("p00"), email="other@example.com", username="other@example.com")
    company.directory.apply([SetAttributes("p01", {"mail": None})])
    company.redefine(**definition_keys(users=[{"directory": "mail", "genesys": "email"}]))
    report = company.run()
    found = {
        (row["reason"], row["directory_user"]["dn"].split(",")[0]): row["remedy"]
        for row in report["details"]
        if row["status"] == "orphaned" and row["genesys_group"]["name"] == "Team"
    }
    assert found.keys() == {("no_genesys_user", "CN=P00"), ("no_matching_attribute", "CN=P01")}
    assert "CN=P00" in found["no_genesys_user", "CN=P00"]
    assert "CN=P01" in found["no_matching_attribute", "CN=P01"]
    company.genesys.change_user(genesys_id("p00"), email="p00@example.com", username="p00@example.com")
    company.directory.apply([SetAttributes("p01", {"mail": "p01@example.com"})])
    assert {row[2] for row in rows(company.run(), "Team")} == {"success"}
    assert members(company, "Team") == set(PEOPLE)
