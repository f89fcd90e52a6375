"""An organisation whose search minds case: nobody stays orphaned for it, and what that costs in requests.

Active Directory is only told of (benchmarks/synthetic.py); Genesys is the sandbox.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic import SyntheticRuns, genesys_seed, group_id, user_id
from genesys_ad_sync.model import Mode
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions

USERS, TEAM, PERSON = 1100, 0, 7  # three pages of active users, and one of inactive ones
OTHERS = set(range(100, 160))
BEFORE: dict[int, set[int]] = {TEAM: OTHERS}
AFTER: dict[int, set[int]] = {TEAM: {PERSON, *OTHERS}}


@pytest.fixture
def genesys() -> Iterator[SandboxGenesys]:
    options = SandboxOptions(rate_allowed=None, search_exact="match_case")
    with SandboxGenesys.start(genesys_seed(USERS, BEFORE), options) as sandbox:
        yield sandbox


@pytest.fixture
def runs(genesys: SandboxGenesys, tmp_path: Path) -> Iterator[SyntheticRuns]:
    """Return runs after a first one that linked everybody who was in AD."""
    with SyntheticRuns(tmp_path, genesys.connection(), sleep=lambda _: None) as runs:
        runs.tell(BEFORE)
        runs.run()
        yield runs


def looked_up(genesys: SandboxGenesys) -> list[str]:
    """Return the requests about users since the log was cleared."""
    paths = [(entry["path"], entry["query"]) for entry in genesys.requests(path="/api/v2/users")]
    return ["search" if path.endswith("search") else "by id" if "id=" in query else "listing" for path, query in paths]


def outcome(report: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(row["status"], row["reason"]) for row in report["details"]]


@pytest.mark.parametrize(
    ("in_ad", "in_genesys"),
    [
        ("Ann.Smith@Example.com", "Ann.Smith@Example.com"),
        ("Ann.Smith@Example.com", "ann.smith@example.com"),
        (unicodedata.normalize("NFD", "jörg@example.com"), "jörg@example.com"),
    ],
)
def test_the_value_is_searched_as_ad_has_it_and_in_lower_case(
    runs: SyntheticRuns, genesys: SandboxGenesys, in_ad: str, in_genesys: str
) -> None:
    genesys.change_user(user_id(PERSON), email=in_genesys)
    genesys.clear_log()
    runs.tell(AFTER, {PERSON: in_ad})
    assert outcome(runs.run()) == [("success", None)]
    assert looked_up(genesys) == ["search"]


def test_capitals_that_ad_does_not_have_are_found_by_the_listing_of_mode_full(
    runs: SyntheticRuns, genesys: SandboxGenesys
) -> None:
    genesys.change_user(user_id(PERSON), email="Ann.Smith@Example.com")
    runs.tell(AFTER, {PERSON: "ann.smith@example.com"})
    genesys.clear_log()
    assert outcome(runs.run()) == [("orphaned", "no_genesys_user")]
    assert looked_up(genesys) == ["search"]
    genesys.clear_log()
    assert ("success", None) in outcome(runs.run(Mode.FULL))
    assert user_id(PERSON) in genesys.individuals(group_id(TEAM))
    assert looked_up(genesys).count("listing") == 4
    assert looked_up(genesys).count("search") == 1
    genesys.clear_log()
    assert outcome(runs.run(Mode.FULL)) == []
    assert "listing" not in looked_up(genesys)  # nobody is orphaned
    assert runs.run()["requests"]["total"] <= 3


def test_who_has_no_genesys_user_costs_one_listing_in_mode_full_and_none_else(
    runs: SyntheticRuns, genesys: SandboxGenesys
) -> None:
    runs.tell({TEAM: {*OTHERS, 5000, 5001, 5002}})
    # The last run asks for one user, to see how many there are: known orphans may have got theirs.
    for mode, listings in ((Mode.AUTO, 0), (Mode.FULL, 4), (Mode.AUTO, 1)):
        genesys.clear_log()
        runs.run(mode)
        assert looked_up(genesys).count("listing") == listings, mode


def test_where_a_listing_cannot_be_complete_people_stay_orphaned_and_the_run_goes_on(
    runs: SyntheticRuns, genesys: SandboxGenesys
) -> None:
    genesys.change_user(user_id(PERSON), email="Ann.Smith@Example.com")
    genesys.change_user(user_id(8), division="Elsewhere")
    genesys.set_options(client_divisions=["Home"], totals_count_hidden=True)
    runs.tell({TEAM: {PERSON, 9, *OTHERS}}, {PERSON: "ann.smith@example.com"})
    assert sorted(outcome(runs.run(Mode.FULL)), key=str) == [("orphaned", "no_genesys_user"), ("success", None)]


def test_beyond_10000_inactive_users_the_active_ones_are_compared_all_the_same(
    runs: SyntheticRuns, genesys: SandboxGenesys
) -> None:
    many = [
        {"id": user_id(20_000 + n), "name": f"Gone {n}", "email": f"gone{n}@example.com", "state": "inactive"}
        for n in range(10_001)
    ]
    seed = genesys_seed(USERS, BEFORE)
    genesys.load_seed({**seed, "users": [*seed["users"], *many]})
    genesys.change_user(user_id(PERSON), email="Ann.Smith@Example.com")
    runs.tell(AFTER, {PERSON: "ann.smith@example.com"})
    genesys.clear_log()
    assert ("success", None) in outcome(runs.run(Mode.FULL))
    assert {entry["status"] for entry in genesys.requests(path="/api/v2/users")} == {200}
