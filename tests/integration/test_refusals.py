"""Refusals of the client, of a group and of a person: when they are tried again, and what the report says.

Active Directory is only told of (benchmarks/synthetic.py); Genesys is the sandbox.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic import SyntheticRuns, definition_for, genesys_seed, group_id, user_id
from genesys_ad_sync.genesys.errors import GenesysError
from genesys_ad_sync.model import Mode
from genesys_ad_sync.stages.patch import patch
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync.stages.report import failures_that_count
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions
from tests.support.synthetic_runs import opened

GROUPS = 20
EVERYBODY = 99  # a group in which all are, so that all are linked
BEFORE: dict[int, set[int]] = {**{group: {group} for group in range(GROUPS)}, EVERYBODY: set(range(60))}
AFTER: dict[int, set[int]] = {**BEFORE, **{group: {group, *range(30, 36)} for group in range(GROUPS)}}
FORBIDDEN, DYNAMIC, FAILING = 0, 1, (2, 3, 4)
HOUR = timedelta(hours=1)


@pytest.fixture
def genesys() -> Iterator[SandboxGenesys]:
    with SandboxGenesys.start(genesys_seed(60, BEFORE), SandboxOptions(rate_allowed=None)) as sandbox:
        yield sandbox


@pytest.fixture
def runs(genesys: SandboxGenesys, tmp_path: Path) -> Iterator[SyntheticRuns]:
    with opened(genesys, tmp_path, BEFORE) as made:
        yield made


def run(runs: SyntheticRuns, mode: Mode = Mode.AUTO) -> dict[str, Any]:
    """Make a run as Airflow does, without its retries; return the report with the errors and what turns it red."""
    run_id = runs.begin(mode)
    errors = []
    for batch in plan(runs.task(run_id, "plan"))["batches"]:
        try:
            patch(runs.task(run_id, f"patch[{batch['lane']}]"), batch["lane"])
        except GenesysError as error:
            errors.append(type(error).__name__)
    report = runs.finish(run_id, mode)
    return {**report, "errors": errors, "red": failures_that_count(runs.task(run_id, "report"))}


def later(runs: SyntheticRuns, time: timedelta) -> None:
    runs.clock_offset += time


def served(genesys: SandboxGenesys, users: set[int]) -> set[int]:
    wanted = {user_id(user) for user in users}
    return {group for group in range(GROUPS) if wanted <= set(genesys.individuals(group_id(group)))}


def writes(genesys: SandboxGenesys) -> Counter[int]:
    counts = Counter(int(request["path"].split("/groups/")[1][:36].rsplit("-", 1)[1]) for request in genesys.writes())
    genesys.clear_log()
    return counts


def reasons(report: dict[str, Any]) -> Counter[str]:
    return Counter(row["reason"] or row["status"] for row in report["details"])


def troubled(genesys: SandboxGenesys) -> None:
    """One group forbids every write, one has dynamic members, three fail, and all others answer 504 after writing."""
    genesys.change_group(group_id(DYNAMIC), dynamic=True)
    genesys.set_options(
        forbidden_groups=[group_id(FORBIDDEN)],
        failing_groups=[group_id(group) for group in FAILING],
        dynamic_group_writes="refuse",
    )
    for group in range(5, GROUPS):
        genesys.add_fault("status", method="PATCH", path=group_id(group), status=504, processed=True, times=None)


@pytest.mark.parametrize("workers", [1, 5])
def test_twenty_groups_of_which_five_are_in_trouble(genesys: SandboxGenesys, tmp_path: Path, workers: int) -> None:
    troubled(genesys)
    with opened(genesys, tmp_path, BEFORE, workers=workers) as runs:
        runs.tell(AFTER)
        made, up_to_date, sent = [], [], []
        for _ in range(3):
            made.append(run(runs))
            sent.append(len(genesys.requests()))
            up_to_date.append(len(served(genesys, set(range(30, 36)))))
            print(
                f"{workers} workers, run {len(made)}: {up_to_date[-1]} of 20 up to date, {sent[-1]} requests, "
                f"{sum(writes(genesys).values())} writes, red for {made[-1]['red']}, {dict(reasons(made[-1]))}"
            )
            genesys.clear_log()
            later(runs, timedelta(minutes=16 if len(made) == 1 else 1))
        assert up_to_date == [15, 15, 15]
        assert [report["red"] > 0 for report in made] == [True, False, False]
        assert sent[2] == 1  # the groups' listing
        assert made[2]["open"]["failed"]["count"] == 5 * 6


@pytest.mark.follows_remedy("refused_group")
def test_a_refusal_of_a_group_is_one_fact_and_is_tried_again_after_an_hour(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    genesys.set_options(forbidden_groups=[group_id(0)])
    runs.tell(AFTER)
    first = run(runs)
    of_group = [row for row in first["details"] if row["genesys_group"]["id"] == group_id(0)]
    assert {row["reason"] for row in of_group} == {"refused_group"}
    assert {row["retry_after"] for row in of_group} != {None}
    [refused] = [group["refused"] for group in first["groups"] if group["genesys_group"]["id"] == group_id(0)]
    assert refused["http_code"] == 403
    assert writes(genesys)[0] == 1

    second = run(runs)
    assert (second["total_changes"], second["red"], second["errors"]) == (0, 0, [])
    assert second["open"]["failed"]["count"] == 6
    assert writes(genesys) == {}
    for hours in (1, 2, 4):
        later(runs, timedelta(hours=hours, minutes=-10))
        assert run(runs)["total_changes"] == 0
        later(runs, timedelta(minutes=11))
        tried = run(runs)
        assert (reasons(tried), tried["red"], tried["errors"]) == ({"refused_group": 6}, 0, [])
        assert writes(genesys) == {0: 1}
    genesys.set_options(forbidden_groups=[])
    later(runs, timedelta(hours=9))
    assert run(runs)["successes"] == 6
    assert run(runs)["open"] is None


@pytest.mark.parametrize("what", ["manual", "full", "group", "definition", "new change"])
def test_what_makes_a_refused_group_be_tried_at_once(
    genesys: SandboxGenesys, runs: SyntheticRuns, tmp_path: Path, what: str
) -> None:
    genesys.set_options(forbidden_groups=[group_id(0)])
    runs.tell(AFTER)
    run(runs)
    genesys.set_options(forbidden_groups=[])
    assert run(runs)["successes"] == 0
    if what == "group":
        genesys.change_group(group_id(0), external_id="ERP-1")
    if what == "definition":
        runs.definition = definition_for(tmp_path, exclude={"users": ["nobody"]})
    if what == "new change":
        runs.tell({**AFTER, 0: AFTER[0] | {40}})
    runs.run_type = "manual" if what == "manual" else "scheduled"
    report = run(runs, Mode.FULL if what == "full" else Mode.AUTO)
    assert report["successes"] == (7 if what == "new change" else 6)


def test_refused_removals_are_tried_each_hour_stay_in_sight_and_turn_runs_red_after_a_day(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    genesys.set_options(forbidden_groups=[group_id(0)])
    runs.tell({**BEFORE, 0: set()})
    assert run(runs)["red"] == 1
    for _ in range(3):
        later(runs, HOUR / 2)
        genesys.clear_log()
        assert reasons(run(runs)) == {"refused_group": 1}  # listed
        assert genesys.requests() == genesys.requests()[:1]  # and not sent
        later(runs, HOUR / 2 + timedelta(minutes=1))
        genesys.clear_log()
        report = run(runs)
        assert (reasons(report), report["red"]) == ({"refused_group": 1}, 0)
        assert writes(genesys) == {0: 1}
    later(runs, timedelta(hours=21))
    assert run(runs)["red"] == 1
    assert run(runs)["red"] == 1  # not sent, and red all the same: somebody keeps access


@pytest.mark.follows_remedy("refused")
def test_a_refusal_of_a_person_concerns_nobody_else_and_ends_with_a_change_in_ad(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    genesys.set_options(max_groups_per_user=2)  # 30 is in two already
    runs.tell({**BEFORE, 5: {5, 30}})
    run(runs)
    runs.tell({**BEFORE, 5: {5, 30}, 6: {6, 30, 31}})
    first = run(runs)
    assert reasons(first) == {"refused": 1, "success": 1}
    assert first["groups"][0]["refused"] is None
    genesys.clear_log()
    assert run(runs)["total_changes"] == 0
    runs.tell({**BEFORE, 5: {5, 30}, 6: {6, 30, 31, 32}})
    assert reasons(run(runs)) == {"success": 1}  # the other person's change does not try it again
    genesys.set_options(max_groups_per_user=100)
    later(runs, HOUR + timedelta(minutes=1))
    assert reasons(run(runs)) == {"success": 1}


@pytest.mark.follows_remedy("refused_client")
@pytest.mark.parametrize("night", [1, 40])
def test_a_night_in_which_the_client_may_write_nothing_delays_nothing(
    genesys: SandboxGenesys, runs: SyntheticRuns, night: int
) -> None:
    genesys.set_options(permissions=["directory:group:view", "directory:user:view"])
    runs.tell(AFTER)
    for number in range(night):
        report = run(runs)
        assert reasons(report) == {"refused_client": 20 * 6}
        assert sum("refuses the writes of this OAuth client" in note for note in report["notes"]) == 1
        assert (sum(writes(genesys).values()) == 1) or number == 0  # five workers were under way
        assert report["errors"] == ["PermissionMissing"]
        later(runs, timedelta(minutes=15))
    assert {refusal.kind.value for refusal in runs.journal.of("default").refusals.all()} == {"client"}
    genesys.set_options(permissions=["directory:group:view", "directory:user:view", "directory:group:edit"])
    report = run(runs)
    assert (report["successes"], report["failures"], report["open"]) == (20 * 6, 0, None)
    assert runs.journal.of("default").refusals.all() == []


ONE_EACH: dict[int, set[int]] = {**BEFORE, **{group: {group, 30 + group} for group in range(6)}}


@pytest.mark.parametrize(("status", "night"), [(400, 1), (415, 2), (400, 9)])
def test_a_night_in_which_the_client_may_write_nothing_delays_nothing_with_one_change_in_each_group_either(
    genesys: SandboxGenesys, runs: SyntheticRuns, status: int, night: int
) -> None:
    """A refusal of one person in a group does not look like the client's, however many groups there are."""
    genesys.add_fault("status", method="PATCH", path="/scim/", status=status, message="no write for you", times=None)
    runs.tell(ONE_EACH)
    assert reasons(run(runs)) == {"refused": 6}
    assert sum(writes(genesys).values()) == 6
    sent = []
    for _ in range(night):
        later(runs, timedelta(minutes=15))
        report = run(runs)
        assert report["red"] == 0
        sent.append(sum(writes(genesys).values()))
    assert all(sent)
    assert sent.count(1) >= night - 1  # after an hour comes the time of those that were not tried again
    genesys.clear_faults()
    later(runs, timedelta(minutes=15))
    assert run(runs)["successes"] >= 1
    report = run(runs)
    assert report["open"] is None
    assert served(genesys, {30}) == {0}
    assert sum(genesys.individuals(group_id(group)).count(user_id(30 + group)) for group in range(6)) == 6


def test_people_who_are_refused_alike_while_others_are_accepted_wait_for_their_time(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    refused = "|".join(group_id(group) for group in range(5))
    genesys.add_fault("status", method="PATCH", path=refused, status=400, message="not this one", times=None)
    runs.tell(ONE_EACH)
    assert reasons(run(runs)) == {"refused": 5, "success": 1}
    genesys.clear_log()
    later(runs, timedelta(minutes=15))
    run(runs)
    assert len(genesys.requests()) == 1


def test_a_version_conflict_is_no_refusal(genesys: SandboxGenesys, tmp_path: Path) -> None:
    with opened(genesys, tmp_path, BEFORE, write="group_members") as runs:
        genesys.add_fault("status", method="POST", path=f"{group_id(0)}/members", status=409, times=None)
        runs.tell({**BEFORE, 0: {0, 30}})
        for _ in range(3):
            assert run(runs)["failures"] == 1
            assert writes(genesys)[0] > 0
        assert runs.journal.of("default").refusals.all() == []


@pytest.mark.follows_remedy("not_attempted")
def test_a_group_that_fails_is_tried_less_and_less_whatever_is_new(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    genesys.set_options(failing_groups=[group_id(0)])
    runs.tell({**BEFORE, 0: {0, 30}, 1: {1, 30}})
    assert run(runs)["red"] == 1
    assert run(runs)["failures"] == 1  # the second run in a row
    for minutes in (15, 30, 60, 120, 240, 240):
        genesys.clear_log()
        later(runs, timedelta(minutes=minutes - 2))
        assert run(runs)["total_changes"] == 0
        assert writes(genesys) == {}
        later(runs, timedelta(minutes=3))
        assert run(runs)["failures"] == 1
        assert set(writes(genesys)) == {0}
    runs.tell({**BEFORE, 0: {0, 30, 31}, 1: {1, 30}})
    report = run(runs)
    assert reasons(report) == {"not_attempted": 1}
    assert report["details"][0]["retry_after"] is not None
    assert writes(genesys) == {}
    genesys.set_options(failing_groups=[])
    later(runs, timedelta(hours=4))
    assert run(runs)["successes"] == 2


def test_a_group_that_cannot_be_read_is_read_less_and_less(genesys: SandboxGenesys, runs: SyntheticRuns) -> None:
    genesys.add_fault("status", method="GET", path=f"{group_id(0)}/individuals", status=503, times=None)
    runs.tell({**BEFORE, 0: {0, 30}, 1: {1, 30}})
    assert reasons(run(runs)) == {"genesys_unreadable": 1, "success": 1}
    assert reasons(run(runs)) == {"genesys_unreadable": 1}
    genesys.clear_log()
    report = run(runs)
    assert (report["total_changes"], report["open"]["held"]["count"]) == (0, 1)
    assert len(genesys.requests()) == 1
    genesys.clear_faults()
    later(runs, timedelta(minutes=16))
    assert run(runs)["successes"] == 1


def test_with_fail_on_any_a_known_refusal_turns_each_run_red(genesys: SandboxGenesys, tmp_path: Path) -> None:
    genesys.set_options(forbidden_groups=[group_id(0)])
    with opened(genesys, tmp_path, BEFORE, fail_on="any") as runs:
        runs.tell({**BEFORE, 0: {0, 30}})
        assert [run(runs)["red"] for _ in range(3)] == [1, 1, 1]


def test_a_later_refusal_for_another_cause_turns_a_run_red_again(genesys: SandboxGenesys, runs: SyntheticRuns) -> None:
    genesys.set_options(forbidden_groups=[group_id(0)])
    runs.tell({**BEFORE, 0: {0, 30}})
    assert run(runs)["red"] == 1
    genesys.set_options(forbidden_groups=[], dynamic_group_writes="refuse")
    genesys.change_group(group_id(0), dynamic=True)
    assert run(runs)["red"] == 1


def test_what_is_refused_alike_is_tried_when_one_of_it_succeeds(genesys: SandboxGenesys, runs: SyntheticRuns) -> None:
    genesys.set_options(forbidden_groups=[group_id(0), group_id(1)])
    runs.tell({**BEFORE, 0: {0, 30}, 2: {2, 30}})
    run(runs)
    later(runs, HOUR / 2)
    runs.tell({**BEFORE, 0: {0, 30}, 1: {1, 30}, 2: {2, 30, 31}})
    assert reasons(run(runs)) == {"refused_group": 1, "success": 1}
    genesys.set_options(forbidden_groups=[])
    later(runs, HOUR / 2 + timedelta(minutes=1))
    assert served(genesys, {30}) == {2}
    assert run(runs)["successes"] == 1  # the first one's hour is over
    assert run(runs)["successes"] == 1
    assert served(genesys, {30}) == {0, 1, 2}


def test_refused_removals_count_in_no_limit(genesys: SandboxGenesys, tmp_path: Path) -> None:
    limits = {"removals": 10, "removals_percent": 100, "per_run": 2, "per_day": 100, "empty_group": "allow"}
    with opened(genesys, tmp_path, BEFORE, limits=limits) as runs:
        genesys.set_options(forbidden_groups=[group_id(0), group_id(1)])
        runs.tell({**BEFORE, 0: set(), 1: set()})
        assert reasons(run(runs)) == {"refused_group": 2}
        runs.groups, runs.run_type = ("Team 0002",), "manual"
        runs.tell({**BEFORE, 0: set(), 1: set(), 2: set()})
        assert reasons(run(runs)) == {"success": 1}
        runs.groups, runs.run_type = (), "scheduled"
        runs.tell({**BEFORE, 0: set(), 1: set(), 2: set(), 3: set()})
        assert reasons(run(runs)) == {"refused_group": 2, "success": 1}
