"""What a run does about people of whom it is not certain who they are in Genesys, or who are to be left alone.

Active Directory is only told of (benchmarks/synthetic.py); Genesys is the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic import SyntheticRuns, definition_for, genesys_seed, group_id, user_guid, user_id
from genesys_ad_sync.genesys.errors import GenesysError
from genesys_ad_sync.model import Mode
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions

BY_NUMBER = [
    {"directory": "mail", "genesys": "email"},
    {"directory": "employeeNumber", "genesys": "external_id", "authority": "HR"},
]
HIRED = 1000
"""A person with an employee number and no mail: Genesys does not know them by anything else."""


@pytest.fixture
def genesys() -> Iterator[SandboxGenesys]:
    with SandboxGenesys.start(genesys_seed(20, {0: {0, 1}, 1: {5}}), SandboxOptions(rate_allowed=None)) as sandbox:
        yield sandbox


def opened(genesys: SandboxGenesys, folder: Path, **definition: Any) -> SyntheticRuns:
    policy = HttpRetryPolicy(first_wait=0.01, jitter=0, attempts=2)
    return SyntheticRuns(folder, genesys.connection(), retry_policy=policy, sleep=lambda _: None, **definition)


def hire(runs: SyntheticRuns, employee_number: str, mail: str | None = None) -> None:
    """To be called after ``runs.tell``."""
    guid = user_guid(HIRED)
    attributes = {"employeeNumber": employee_number, **({"mail": mail} if mail else {})}
    runs._next.users[guid] = replace(runs._next.users[guid], attributes=attributes)


def rows(report: dict[str, Any]) -> dict[tuple[str, str | None], tuple[str, str | None]]:
    """Return (status, reason) by (action, AD user)."""
    return {
        (row["action"], (row["directory_user"] or {}).get("guid")): (row["status"], row["reason"])
        for row in report["details"]
    }


# -- a key that Genesys does not take ----------------------------------------------------------------


@pytest.mark.parametrize("number", [".", "4/11"])
def test_a_key_that_genesys_does_not_take_holds_that_person_and_nobody_elses_add(
    genesys: SandboxGenesys, tmp_path: Path, number: str
) -> None:
    genesys.add_fault("status", path="/externalid/HR/4", status=400, times=None)
    with opened(genesys, tmp_path, users=BY_NUMBER) as runs:
        runs.tell({0: {0, 1, 2, HIRED}, 1: {5, 6}})
        hire(runs, number)
        hired = ("add", user_guid(HIRED))
        report = runs.run()
        assert rows(report) == {
            ("add", user_guid(2)): ("success", None),
            ("add", user_guid(6)): ("success", None),
            hired: ("held", "not_looked_up"),
        }
        [remedy] = {row["remedy"] for row in report["details"] if row["reason"] == "not_looked_up"}
        assert number in remedy
        assert "employeeNumber=external_id" in remedy
        runs.tell({0: {0, 2, HIRED}, 1: {6}})
        hire(runs, number)
        report = runs.run()
        assert rows(report) == {
            ("remove", user_guid(1)): ("success", None),
            ("remove", user_guid(5)): ("success", None),
        }
        assert report["open"]["held"]["count"] == 1  # known, and not listed again
        # Mended in AD, everything that was held is done.
        runs.tell({0: {0, 2, HIRED}, 1: {6}})
        hire(runs, number, mail="user000009@example.com")
        assert rows(runs.run()) == {hired: ("success", None)}
        assert set(genesys.individuals(group_id(0))) == {user_id(n) for n in (0, 2, 9)}


def test_whom_genesys_refuses_to_look_up_keeps_the_membership_if_another_value_says_so(
    genesys: SandboxGenesys, tmp_path: Path
) -> None:
    """Her number is refused; her mail is that of the member who is to go."""
    rules = [BY_NUMBER[1], BY_NUMBER[0]]
    genesys.add_fault("status", path="/externalid/HR/4", status=400, times=None)
    with opened(genesys, tmp_path, users=rules) as runs:
        runs.tell({0: {0, 1}})
        runs.run()
        runs.tell({0: {0, HIRED}})
        hire(runs, "4711", mail="user000001@example.com")
        report = runs.run()
        assert rows(report)["remove", user_guid(1)] == ("held", "ambiguous")
        [row] = [row for row in report["details"] if row["action"] == "remove"]
        assert row["rivals"] == [{"guid": user_guid(HIRED), "genesys_user_id": user_id(1)}]
        assert user_id(1) in genesys.individuals(group_id(0))


@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 403}, {"kind": "status", "status": 503}, {"kind": "throttle"}]
)
def test_what_does_not_lie_with_the_key_fails_the_task(
    genesys: SandboxGenesys, tmp_path: Path, fault: dict[str, Any]
) -> None:
    genesys.add_fault(fault.pop("kind"), path="/externalid/", times=None, **fault)
    with opened(genesys, tmp_path, users=BY_NUMBER) as runs:
        runs.tell({0: {0, 1, HIRED}})
        hire(runs, "4711")
        with pytest.raises(GenesysError, match=str(fault.get("status", 429))):
            runs.begin()


# -- people who are to be left alone -----------------------------------------------------------------

LEFT_ALONE = 8
EXCLUDED = {"exclude": {"groups": [], "users": ["user000008"]}}
NO_REMOVALS = {"limits": {"removals": 0}}
ONE_GROUP = {"groups": [{"name": "Team 0000", "genesys_name": "Team 0000"}]}
STAYS = {("remove", user_guid(LEFT_ALONE)): ("skipped", "excluded")}


def about_members(report: dict[str, Any]) -> dict[tuple[str, str | None], tuple[str, str | None]]:
    return {key: told for key, told in rows(report).items() if told != ("skipped", "unmapped")}


def test_mirror_leaves_an_excluded_person_whom_ad_knows_and_does_not_want_there(
    genesys: SandboxGenesys, tmp_path: Path
) -> None:
    genesys.change_members(group_id(0), add=[user_id(LEFT_ALONE), user_id(9)])
    with opened(genesys, tmp_path, removals="mirror", **ONE_GROUP, **EXCLUDED) as runs:
        runs.tell({0: {0, 1}, 7: {LEFT_ALONE}})
        assert about_members(runs.run()) == {**STAYS, ("remove", None): ("success", None)}
        runs.tell({0: {0, 1}, 7: set()})  # in no group any more
        assert about_members(runs.run(Mode.FULL)) == STAYS
        assert set(genesys.individuals(group_id(0))) == {user_id(n) for n in (0, 1, LEFT_ALONE)}


def test_mirror_leaves_whom_the_definition_excludes_while_the_removal_is_held(
    genesys: SandboxGenesys, tmp_path: Path
) -> None:
    genesys.change_members(group_id(0), add=[user_id(LEFT_ALONE)])
    with opened(genesys, tmp_path, removals="mirror", **ONE_GROUP, **NO_REMOVALS) as runs:
        runs.tell({0: {0, 1}, 7: {LEFT_ALONE}})
        assert about_members(runs.run()) == {("remove", None): ("held", "over_limit")}
        runs.definition = definition_for(tmp_path, removals="mirror", **ONE_GROUP, **EXCLUDED)
        assert about_members(runs.run()) == STAYS
        assert user_id(LEFT_ALONE) in genesys.individuals(group_id(0))


def test_nobody_is_asked_about_an_excluded_person_whose_membership_only_a_grant_tells_of(
    genesys: SandboxGenesys, tmp_path: Path
) -> None:
    with opened(genesys, tmp_path) as runs:
        runs.tell({0: {0, 1, LEFT_ALONE}})
        runs.run()
        runs.definition = definition_for(tmp_path, **EXCLUDED, **NO_REMOVALS)
        runs.tell({0: {0, 1}})
        assert rows(runs.run()) == STAYS
        assert rows(runs.run(Mode.FULL)) == STAYS
        assert user_id(LEFT_ALONE) in genesys.individuals(group_id(0))
