"""Known orphans: when a run looks for their Genesys users again, what that costs, and what the report says.

Active Directory is only told of (benchmarks/synthetic.py); Genesys is the sandbox.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, select

from benchmarks.synthetic import (
    SyntheticRuns,
    definition_for,
    endpoint_counts,
    genesys_seed,
    group_id,
    user_guid,
    user_id,
)
from genesys_ad_sync.journal import tables
from genesys_ad_sync.model import Mode
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions

KNOWN = 20
ORPHANS = range(100, 170)  # more than one search carries
TOLD: dict[int, set[int]] = {0: {0, 1}, 1: {2, *ORPHANS}, 2: {3, 100}}
LAST_LOOKED_UP = 149  # by the run before each test: not in turn again in the next one
GROUPS, USERS, SEARCH = "GET /api/v2/groups", "GET /api/v2/users", "POST /api/v2/users/search"


@pytest.fixture
def genesys() -> Iterator[SandboxGenesys]:
    seed = genesys_seed(KNOWN, {group: set() for group in TOLD})
    with SandboxGenesys.start(seed, SandboxOptions(rate_allowed=None)) as sandbox:
        yield sandbox


@pytest.fixture
def runs(genesys: SandboxGenesys, tmp_path: Path) -> Iterator[SyntheticRuns]:
    """After a first run, which found the orphans, and one that knows how many users there are."""
    with SyntheticRuns(
        tmp_path,
        genesys.connection(),
        retry_policy=HttpRetryPolicy(first_wait=0.01, jitter=0, attempts=3),
        sleep=lambda _: None,
    ) as made:
        made.tell(TOLD)
        first = made.run()
        assert (first["orphans"], first["open"]) == (71, None)
        made.run()
        genesys.clear_log()
        yield made


def sent(genesys: SandboxGenesys) -> dict[str, int]:
    counts = endpoint_counts(genesys.requests())
    genesys.clear_log()
    return counts


def rows(report: dict[str, Any]) -> Counter[tuple[str, str, str | None]]:
    return Counter((row["action"], row["status"], row["reason"]) for row in report["details"])


def waiting(report: dict[str, Any]) -> int:
    return report["open"]["orphaned"]["count"] if report["open"] else 0


def outcomes(runs: SyntheticRuns) -> int:
    engine = create_engine(f"sqlite:///{runs.folder / 'journal.db'}")
    with engine.connect() as connection:
        return int(connection.scalar(select(func.count()).select_from(tables.outcome)) or 0)


def hire(genesys: SandboxGenesys, *numbers: int) -> None:
    """Give people a Genesys user."""
    seed = genesys.snapshot()
    seed["users"] += [{"id": user_id(n), "name": f"User {n:06d}", "email": f"user{n:06d}@example.com"} for n in numbers]
    genesys.load_seed(seed)


def members(genesys: SandboxGenesys, group: int) -> set[str]:
    return set(genesys.individuals(group_id(group)))


def test_an_idle_run_costs_three_requests_lists_nobody_and_stores_no_outcome(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    before = outcomes(runs)
    for _ in range(3):
        report = runs.run()
        assert (report["total_changes"], waiting(report)) == (0, 71)
        assert report["open"]["listed_in"] == "genesys_ad_group_sync/run-1"
        assert report["open"]["orphaned"]["oldest_first_seen_at"] is not None
        assert sent(genesys) == {GROUPS: 1, USERS: 1, SEARCH: 1}
    assert outcomes(runs) == before


def test_a_person_who_gets_a_genesys_user_is_added_by_the_next_run(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    hire(genesys, LAST_LOOKED_UP)
    report = runs.run()
    assert rows(report) == {("add", "success", None): 1}
    assert waiting(report) == 70
    assert user_id(LAST_LOOKED_UP) in members(genesys, 1)


def test_where_the_number_of_users_stays_the_same_everybodys_turn_comes(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    for number, person in enumerate(ORPHANS):
        if number in (0, 35, 69):
            hire(genesys, person)
            genesys.change_user(user_id(19 - number // 5), state="inactive")  # one comes, one goes
    added = sum(runs.run()["successes"] for _ in range(2))  # two searches carry them all
    assert added == 4


@pytest.mark.parametrize("how", ["manual", "full"])
def test_a_run_that_a_person_triggers_looks_at_all_and_lists_them(
    genesys: SandboxGenesys, runs: SyntheticRuns, how: str
) -> None:
    hire(genesys, 169)
    genesys.change_user(user_id(19), state="inactive")
    runs.run_type = "manual" if how == "manual" else "scheduled"
    before = outcomes(runs)
    report = runs.run(Mode.FULL if how == "full" else Mode.AUTO)
    assert rows(report) == {("add", "success", None): 1, ("add", "orphaned", "no_genesys_user"): 70}
    assert report["open"] is None
    assert outcomes(runs) == before + 1
    runs.run_type = "scheduled"
    assert runs.run()["open"]["listed_in"] == f"genesys_ad_group_sync/run-{runs._number - 1}"


@pytest.mark.follows_remedy("no_genesys_user")
def test_a_mail_that_is_corrected_in_ad_is_looked_up_at_once(genesys: SandboxGenesys, runs: SyntheticRuns) -> None:
    runs.tell(TOLD)
    guid = user_guid(LAST_LOOKED_UP)
    person = runs._next.users[guid]
    runs._next.users[guid] = dataclasses.replace(person, attributes={"mail": "user000007@example.com"})
    assert rows(runs.run()) == {("add", "success", None): 1}
    assert user_id(7) in members(genesys, 1)


def test_an_orphan_whom_ad_takes_out_again_waits_no_longer(runs: SyntheticRuns) -> None:
    runs.tell({**TOLD, 1: TOLD[1] - {169}})
    report = runs.run()
    assert rows(report) == {("add", "superseded", "newer_view"): 1, ("remove", "unchanged", "no_genesys_user"): 1}
    assert waiting(report) == 70


def test_an_orphan_is_listed_when_it_is_new_and_when_the_reason_is_another_one(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    runs.tell({**TOLD, 0: {0, 1, 200}})
    report = runs.run()
    assert rows(report) == {("add", "orphaned", "no_genesys_user"): 1}
    assert waiting(report) == 71
    assert (rows(again := runs.run()), waiting(again)) == ({}, 72)
    hire(genesys, 200)
    genesys.change_user(user_id(200), state="inactive")
    found = [rows(runs.run()) for _ in range(2)]
    assert {("add", "orphaned", "inactive"): 1} in found


def test_a_plan_that_is_made_once_more_lists_the_new_orphans_again(runs: SyntheticRuns) -> None:
    runs.tell({**TOLD, 0: {0, 1, 200}})
    run_id = runs.begin()
    plan(runs.task(run_id, "plan"))
    plan(runs.task(run_id, "plan"))
    report = runs.finish(run_id)
    assert (rows(report), waiting(report)) == ({("add", "orphaned", "no_genesys_user"): 1}, 71)


def test_a_definition_that_is_edited_takes_up_everybody(
    genesys: SandboxGenesys, runs: SyntheticRuns, tmp_path: Path
) -> None:
    runs.definition = definition_for(tmp_path, exclude={"users": ["User 000169"]})
    assert rows(runs.run()) == {("add", "skipped", "excluded"): 1}
    runs.definition = definition_for(tmp_path, groups=[{"name": "Team 000[02]", "genesys_name": "Team 0000"}])
    report = runs.run()
    assert ("add", "skipped", "unmapped") in rows(report)


def test_a_person_who_is_looked_up_for_another_reason_and_found_is_added(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    hire(genesys, 169)
    genesys.change_user(user_id(19), state="inactive")
    runs.tell({**TOLD, 1: TOLD[1] - {2}})  # somebody leaves the group, so that everybody in it must be known
    report = runs.run()
    assert rows(report) == {("remove", "success", None): 1, ("add", "success", None): 1}
    assert waiting(report) == 70


@pytest.mark.follows_remedy("not_looked_up")
def test_a_value_that_genesys_refuses_is_not_asked_for_in_each_run(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    genesys.set_options(search_refuses=["user000200"], inactive_users_cap=0)  # so users cannot be listed instead
    genesys.change_user(user_id(19), state="inactive")
    runs.tell({**TOLD, 0: {0, 1, 200}})
    first = runs.run()
    assert ("add", "held", "not_looked_up") in rows(first)
    sent(genesys)
    report = runs.run()
    assert (report["total_changes"], report["open"]["held"]["count"]) == (0, 1)
    assert sent(genesys)[SEARCH] == 1
    hire(genesys, 200)
    genesys.change_user(user_id(18), state="inactive")
    genesys.set_options(search_refuses=[])
    runs.clock_offset += timedelta(hours=25)
    assert rows(runs.run()) == {("add", "success", None): 1}


# -- several rules ------------------------------------------------------------------------------------


def with_two_names(runs: SyntheticRuns) -> None:
    """Give everybody a user principal name of their own, and capitals in both: each is a spelling more."""
    runs.tell(TOLD)
    for guid, person in runs._next.users.items():
        mail = person.attributes["mail"]
        names = {"mail": mail.capitalize(), "userPrincipalName": f"Upn-{mail}"}
        runs._next.users[guid] = dataclasses.replace(person, attributes=names)
    runs.run()
    runs.run()


def test_an_idle_run_costs_three_requests_with_two_rules_and_two_spellings_too(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    with_two_names(runs)
    sent(genesys)
    fields = set()
    for _ in range(8):
        runs.run()
        (searched,) = (request for request in genesys.requests() if request["path"].endswith("/users/search"))
        fields.add(searched["body"]["query"][0]["fields"][0])
        assert len(searched["body"]["query"][0]["values"]) <= 50
        assert sent(genesys) == {GROUPS: 1, USERS: 1, SEARCH: 1}
    assert fields == {"email", "username"}


def test_a_user_name_that_a_known_genesys_user_got_is_found_in_time(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    """The number of users stays the same, so nothing but their turn tells."""
    with_two_names(runs)
    genesys.change_user(user_id(19), username="upn-user000150@example.com")
    assert any(runs.run()["successes"] for _ in range(40))
    assert user_id(19) in members(genesys, 1)


def test_a_linked_user_who_is_active_again_is_added_in_time(genesys: SandboxGenesys, runs: SyntheticRuns) -> None:
    with_two_names(runs)
    genesys.change_user(user_id(3), state="inactive")
    runs.tell({**TOLD, 0: {0, 1, 3}})
    assert ("add", "orphaned", "inactive") in rows(runs.run())
    runs.run()
    genesys.change_user(user_id(3), state="active")
    genesys.change_user(user_id(19), state="inactive")
    for _ in range(20):
        runs.run()
    assert user_id(3) in members(genesys, 0)


def test_external_ids_take_a_request_each_and_are_few(genesys: SandboxGenesys, runs: SyntheticRuns) -> None:
    rules = [
        {"directory": "mail", "genesys": "email"},
        {"directory": "mail", "genesys": "external_id", "authority": "HR"},
    ]
    runs.definition = definition_for(runs.folder, users=rules)
    runs.run()
    runs.run()
    sent(genesys)
    most = 0
    for _ in range(8):
        runs.run()
        most = max(most, sum(sent(genesys).values()))
    assert most == 2 + 5
