"""Genesys users that are deleted and restored, in organisations that keep their memberships and in such that end them.

Active Directory is only told of (benchmarks/synthetic.py); Genesys is the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic import SyntheticRuns, genesys_seed, group_id, user_id
from genesys_ad_sync.genesys.errors import GenesysError
from genesys_ad_sync.model import Mode
from genesys_ad_sync.stages.patch import patch
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions

TEAM, PERSON = 0, 7
WITH: dict[int, set[int]] = {TEAM: {1, 2, PERSON}}
WITHOUT: dict[int, set[int]] = {TEAM: {1, 2}}


@pytest.fixture(params=["kept", "ended"])
def genesys(request: pytest.FixtureRequest) -> Iterator[SandboxGenesys]:
    options = SandboxOptions(rate_allowed=None, deleted_memberships=request.param)
    with SandboxGenesys.start(genesys_seed(10, WITH), options) as sandbox:
        yield sandbox


@pytest.fixture(params=["scim_patch", "group_members"])
def runs(genesys: SandboxGenesys, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SyntheticRuns]:
    """Return runs after a first one: AD owns the membership of PERSON."""
    with SyntheticRuns(
        tmp_path,
        genesys.connection(),
        retry_policy=HttpRetryPolicy(first_wait=0.01, jitter=0, attempts=2),
        sleep=lambda _: None,
        write=request.param,
    ) as runs:
        runs.tell(WITH)
        runs.run()
        yield runs


def set_state(genesys: SandboxGenesys, state: str) -> None:
    genesys.change_user(user_id(PERSON), state=state)


def is_member(genesys: SandboxGenesys) -> bool:
    return user_id(PERSON) in genesys.individuals(group_id(TEAM))


def of_person(report: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(row["action"], row["status"], row["reason"]) for row in report["details"]]


def is_owned(runs: SyntheticRuns) -> bool:
    grants = runs.journal.of(runs.definition.name).grants
    every = [*grants.of_groups([group_id(TEAM)]), *grants.asleep_in([group_id(TEAM)])]
    return any(grant.genesys_user_id == user_id(PERSON) for grant in every)


def goes_with_ad(runs: SyntheticRuns, genesys: SandboxGenesys) -> None:
    """AD takes the membership back: it is carried out, for AD owns it."""
    runs.tell(WITHOUT)
    assert of_person(runs.run()) == [("remove", "success", None)]
    assert not is_member(genesys)


def test_who_is_restored_and_still_wanted_is_a_member_again_and_goes_when_ad_says_so(
    runs: SyntheticRuns, genesys: SandboxGenesys
) -> None:
    set_state(genesys, "deleted")
    assert of_person(runs.run(Mode.FULL)) == [("add", "orphaned", "no_genesys_user")]
    assert is_owned(runs)
    report = runs.run(Mode.AUTO)
    assert (of_person(report), report["open"]["orphaned"]["count"]) == ([], 1)  # known, and not listed again
    assert is_owned(runs)
    assert genesys.writes() == []
    set_state(genesys, "active")
    runs.run(Mode.FULL)
    assert is_member(genesys)
    assert of_person(runs.run(Mode.FULL)) == []
    goes_with_ad(runs, genesys)


def test_who_left_ad_while_deleted_is_out_after_the_restoration(runs: SyntheticRuns, genesys: SandboxGenesys) -> None:
    set_state(genesys, "deleted")
    runs.tell(WITHOUT)
    assert of_person(runs.run()) == [("remove", "unchanged", "already_so")]
    assert genesys.writes() == []
    kept = is_member(genesys)
    set_state(genesys, "active")
    expected = [("remove", "success", None)] if kept else []
    assert of_person(runs.run(Mode.FULL)) == expected
    assert not is_member(genesys)
    assert not is_owned(runs)
    genesys.change_members(group_id(TEAM), add=[user_id(PERSON)])  # by hand: AD owns it no more
    runs.run(Mode.FULL)
    assert is_member(genesys)


@pytest.mark.parametrize("shown", [True, False], ids=["shown as deleted", "not shown"])
def test_a_refused_add_of_a_deleted_user_keeps_what_ad_owned_before(
    runs: SyntheticRuns, genesys: SandboxGenesys, shown: bool
) -> None:
    """The user is deleted after the look-up, so that the run takes the hidden member for a missing one."""
    run_id = runs.begin(Mode.FULL)
    set_state(genesys, "deleted")
    if not shown:  # deleted users move to the Home division, which the client's role lacks
        genesys.set_options(client_divisions=["Elsewhere"], individuals_divisions="all")
    for batch in plan(runs.task(run_id, "plan"))["batches"]:
        with suppress(GenesysError):
            patch(runs.task(run_id, f"patch[{batch['lane']}]"), batch["lane"])
    [(action, status, _)] = of_person(runs.finish(run_id, Mode.FULL))
    # failed: after a conflict of versions the refusal answers a repetition, which proves nothing
    assert (action, status in {"orphaned", "failed"}) == ("add", True)
    assert genesys.writes()
    assert is_owned(runs)
    genesys.set_options(client_divisions=None)
    set_state(genesys, "active")
    runs.run(Mode.FULL)
    goes_with_ad(runs, genesys)


def test_a_refused_add_of_a_user_whom_ad_never_owned_begins_no_ownership(
    runs: SyntheticRuns, genesys: SandboxGenesys
) -> None:
    runs.tell({TEAM: {*WITH[TEAM], 8}})
    run_id = runs.begin(Mode.FULL)
    genesys.change_user(user_id(8), state="deleted")
    for batch in plan(runs.task(run_id, "plan"))["batches"]:
        patch(runs.task(run_id, f"patch[{batch['lane']}]"), batch["lane"])
    grants = runs.journal.of(runs.definition.name).grants.of_groups([group_id(TEAM)])
    assert user_id(8) not in {grant.genesys_user_id for grant in grants}
