"""Owners who are individual members through *Include Owners*: a mirror leaves them alone, unless AD granted it.

Active Directory is only told of (benchmarks/synthetic.py); Genesys is the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic import SyntheticRuns, genesys_seed, group_id, user_id
from genesys_ad_sync.model import Mode
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions

TEAM, OWNER, STRANGER = 0, 20, 21
WANTED = {1, 2, 3}
EVERYBODY = {TEAM: WANTED, 99: {1, 2, 3, OWNER, STRANGER}}


@pytest.fixture
def genesys() -> Iterator[SandboxGenesys]:
    """In the team are those whom AD wants, an owner by Include Owners, and somebody by hand."""
    with SandboxGenesys.start(genesys_seed(30, EVERYBODY), SandboxOptions(rate_allowed=None)) as sandbox:
        sandbox.change_group(group_id(TEAM), include_owners=True)
        sandbox.change_group(group_id(TEAM), owners=[user_id(OWNER)])
        sandbox.change_members(group_id(TEAM), add=[user_id(STRANGER)])
        yield sandbox


def opened(genesys: SandboxGenesys, folder: Path, **more: Any) -> SyntheticRuns:
    runs = SyntheticRuns(
        folder,
        genesys.connection(),
        retry_policy=HttpRetryPolicy(first_wait=0.01, jitter=0, attempts=2),
        sleep=lambda _: None,
        **{"removals": "mirror", **more},
    )
    runs.tell(EVERYBODY)
    return runs


def in_team(genesys: SandboxGenesys) -> set[int]:
    present = set(genesys.individuals(group_id(TEAM)))
    return {number for number in range(30) if user_id(number) in present}


def of_team(report: dict[str, Any]) -> dict[str, Any]:
    return next(group for group in report["groups"] if group["genesys_group"]["id"] == group_id(TEAM))


@pytest.mark.parametrize("write", ["scim_patch", "group_members", "user_patch"])
@pytest.mark.parametrize("shown", [True, False], ids=["owners listed", "owners not listed"])
def test_a_mirror_takes_strangers_and_leaves_owners(
    genesys: SandboxGenesys, tmp_path: Path, write: str, shown: bool
) -> None:
    genesys.set_options(owners_in_listing=shown, user_patch_groups="honoured")
    with opened(genesys, tmp_path, write=write) as runs:
        for _ in range(2):
            genesys.clear_log()
            report = runs.run(Mode.FULL)
            assert in_team(genesys) == {*WANTED, OWNER}
            assert of_team(report)["manual_member_ids"] is not None
            assert user_id(OWNER) in of_team(report)["manual_member_ids"]
            asked = [e for e in genesys.requests(method="GET", path=r"/groups/[^/]+$") if "/scim/" not in e["path"]]
            if write == "scim_patch":
                assert len(asked) == (0 if shown else 2)
        assert genesys.writes() == []


def test_owners_that_cannot_be_read_hold_the_group(genesys: SandboxGenesys, tmp_path: Path) -> None:
    genesys.set_options(owners_in_listing=False)
    with opened(genesys, tmp_path) as runs:
        genesys.add_fault("status", method="GET", path=f"v2/groups/{group_id(TEAM)}$", status=500, times=None)
        report = runs.run(Mode.FULL)
        assert in_team(genesys) == {*WANTED, OWNER, STRANGER}
        assert {(row["status"], row["reason"]) for row in report["details"]} == {("held", "genesys_unreadable")}
        genesys.clear_faults()
        runs.run(Mode.FULL)
        assert in_team(genesys) == {*WANTED, OWNER}


def test_an_owner_whom_ad_granted_the_membership_goes_when_ad_takes_it_back(
    genesys: SandboxGenesys, tmp_path: Path
) -> None:
    with opened(genesys, tmp_path) as runs:
        runs.tell({**EVERYBODY, TEAM: {*WANTED, OWNER}})
        runs.run(Mode.FULL)
        runs.tell(EVERYBODY)
        assert [(row["action"], row["status"]) for row in runs.run()["details"]] == [("remove", "success")]
        assert in_team(genesys) == WANTED


def test_who_is_owner_no_more_is_a_stranger_again(genesys: SandboxGenesys, tmp_path: Path) -> None:
    with opened(genesys, tmp_path) as runs:
        runs.run(Mode.FULL)
        genesys.change_group(group_id(TEAM), owners=[])
        runs.run(Mode.FULL)
        assert in_team(genesys) == WANTED


def test_without_a_mirror_owners_cost_no_request_and_stay(genesys: SandboxGenesys, tmp_path: Path) -> None:
    genesys.set_options(owners_in_listing=False)
    with opened(genesys, tmp_path, removals="granted") as runs:
        runs.run(Mode.FULL)
        assert in_team(genesys) == {*WANTED, OWNER, STRANGER}
        assert genesys.requests(method="GET", path=r"v2/groups/[^/]+$") == []
