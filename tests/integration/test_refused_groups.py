"""Genesys groups that refuse, fail or lag: their trouble is theirs, and the other groups of a lane are served.

Active Directory is only told of (benchmarks/synthetic.py); Genesys is the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic import SyntheticRuns, endpoint_counts, genesys_seed, group_id, user_id
from genesys_ad_sync.genesys.errors import GenesysError
from genesys_ad_sync.stages.patch import patch
from genesys_ad_sync.stages.plan import plan
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions
from tests.support.synthetic_runs import opened

GROUPS = 20
EVERYBODY = 99  # a group in which all are, so that all are linked
BEFORE: dict[int, set[int]] = {**{group: {group} for group in range(GROUPS)}, EVERYBODY: set(range(60))}
AFTER: dict[int, set[int]] = {**BEFORE, **{group: {group, 30} for group in range(GROUPS)}}
STRATEGIES = ["scim_patch", "group_members"]


@pytest.fixture
def genesys() -> Iterator[SandboxGenesys]:
    with SandboxGenesys.start(genesys_seed(60, BEFORE), SandboxOptions(rate_allowed=None)) as sandbox:
        yield sandbox


def patched(runs: SyntheticRuns) -> GenesysError | None:
    """Make a run; return the error with which its lanes ended."""
    run_id = runs.begin()
    raised: GenesysError | None = None
    for batch in plan(runs.task(run_id, "plan"))["batches"]:
        try:
            patch(runs.task(run_id, f"patch[{batch['lane']}]"), batch["lane"])
        except GenesysError as error:
            raised = error
    runs.finish(run_id)
    return raised


def served(genesys: SandboxGenesys) -> set[int]:
    return {group for group in range(GROUPS) if user_id(30) in genesys.individuals(group_id(group))}


def all_but(*groups: int) -> set[int]:
    return set(range(GROUPS)) - set(groups)


@pytest.mark.parametrize("workers", [1, 5])
@pytest.mark.parametrize("write", STRATEGIES)
def test_a_group_that_refuses_every_write_starves_no_other(
    genesys: SandboxGenesys, tmp_path: Path, workers: int, write: str
) -> None:
    genesys.set_options(forbidden_groups=[group_id(0)])
    with opened(genesys, tmp_path, BEFORE, workers=workers, write=write) as runs:
        runs.tell(AFTER)
        error = patched(runs)
        assert served(genesys) == all_but(0)
        assert error is not None
        assert "answered 403" in str(error)
        assert "You are not authorized" in error.report_text()
        genesys.clear_log()
        assert patched(runs) is None
        assert genesys.writes() == []  # the others are done, and its time has not come


def test_where_the_first_groups_refuse_the_others_come_first_in_the_next_run(
    genesys: SandboxGenesys, tmp_path: Path
) -> None:
    refusing = (0, 1, 2, 3)
    genesys.set_options(forbidden_groups=[group_id(group) for group in refusing])
    with opened(genesys, tmp_path, BEFORE, workers=1) as runs:
        runs.tell(AFTER)
        patched(runs)
        patched(runs)
        assert served(genesys) == all_but(*refusing)


def test_a_client_whose_permission_is_named_as_missing_is_found_out_by_one_group(
    genesys: SandboxGenesys, tmp_path: Path
) -> None:
    with opened(genesys, tmp_path, BEFORE, workers=1) as runs:
        runs.tell(AFTER)
        run_id = runs.begin()
        lane = plan(runs.task(run_id, "plan"))["batches"][0]["lane"]
        genesys.set_options(permissions=["directory:group:view", "directory:user:view"])
        with pytest.raises(GenesysError, match="directory:group:edit"):
            patch(runs.task(run_id, "patch"), lane)
        assert len(genesys.writes()) == 1


@pytest.mark.parametrize("workers", [1, 5])
def test_groups_that_always_fail_starve_no_other(genesys: SandboxGenesys, tmp_path: Path, workers: int) -> None:
    failing = (0, 7, 13, 19)
    genesys.set_options(failing_groups=[group_id(group) for group in failing])
    with opened(genesys, tmp_path, BEFORE, workers=workers) as runs:
        runs.tell(AFTER)
        patched(runs)
        patched(runs)
        assert served(genesys) == all_but(*failing)


def test_errors_after_writes_that_were_carried_out_stop_nothing(genesys: SandboxGenesys, tmp_path: Path) -> None:
    with opened(genesys, tmp_path, BEFORE, workers=1) as runs:
        runs.tell(AFTER)
        genesys.add_fault("status", method="PATCH", status=504, processed=True, times=None)
        assert patched(runs) is None
        assert served(genesys) == all_but()


@pytest.mark.parametrize("write", STRATEGIES)
def test_a_refusal_of_the_whole_group_is_not_bisected(genesys: SandboxGenesys, tmp_path: Path, write: str) -> None:
    genesys.change_group(group_id(0), dynamic=True)
    genesys.set_options(dynamic_group_writes="refuse")
    with opened(genesys, tmp_path, BEFORE, workers=1, write=write) as runs:
        runs.tell({**BEFORE, 0: set(range(50)), 1: {1, 30}})
        patched(runs)
        assert len([request for request in genesys.writes() if group_id(0) in request["path"]]) == 5
        assert user_id(30) in genesys.individuals(group_id(1))


@pytest.mark.parametrize(
    ("kind", "more"),
    [("throttle", {"retry_after": 1}), ("unauthorized", {}), ("status", {"status": 409})],
    ids=["429", "401", "409"],
)
def test_a_refusal_after_an_answer_with_which_nothing_was_done_is_a_refusal(
    genesys: SandboxGenesys, tmp_path: Path, kind: Any, more: dict[str, Any]
) -> None:
    """Else it is waited for, called not in effect, and its group fails instead of being refused."""
    genesys.change_group(group_id(0), dynamic=True)
    genesys.set_options(dynamic_group_writes="refuse")
    genesys.add_fault(kind, method="PATCH", path=group_id(0), **more)
    with opened(genesys, tmp_path, BEFORE, workers=1) as runs:
        runs.tell({**BEFORE, 0: {0, *range(30, 36)}})
        report = runs.run()
        assert {(row["status"], row["reason"]) for row in report["details"]} == {("failed", "refused_group")}
        assert endpoint_counts(genesys.requests())["GET /api/v2/groups/{id}/individuals"] <= GROUPS + 3


@pytest.mark.parametrize("lag", [5, 6])
def test_a_group_that_lags_behind_is_read_once_more_at_the_end_of_the_lane(
    genesys: SandboxGenesys, tmp_path: Path, lag: int
) -> None:
    with opened(genesys, tmp_path, BEFORE, workers=1) as runs:
        genesys.add_fault("stale", method="GET", path=f"{group_id(0)}/individuals", seconds=86400, skip=1, times=lag)
        runs.tell({**BEFORE, 0: {0, 30}, 1: {1, 30}})
        report = runs.run()
        of_group = {row["genesys_group"]["id"]: (row["status"], row["reason"]) for row in report["details"]}
        late = ("success", None) if lag == 5 else ("failed", "not_in_effect")
        assert of_group == {group_id(0): late, group_id(1): ("success", None)}


def test_a_group_that_could_not_be_read_back_is_read_once_more(genesys: SandboxGenesys, tmp_path: Path) -> None:
    with opened(genesys, tmp_path, BEFORE, workers=1) as runs:
        runs.tell({**BEFORE, 0: {0, 30}})
        genesys.add_fault("status", method="GET", path="individuals", status=503, skip=1, times=15)
        assert runs.run()["successes"] == 1


def test_what_the_late_reading_waits_for_is_a_setting(genesys: SandboxGenesys, tmp_path: Path) -> None:
    with opened(genesys, tmp_path, BEFORE, workers=1, verify_within="PT1S") as runs:
        genesys.add_fault("stale", method="GET", path="individuals", seconds=86400, skip=1, times=2)
        runs.tell({**BEFORE, 0: {0, 30}})
        assert runs.run()["successes"] == 1
