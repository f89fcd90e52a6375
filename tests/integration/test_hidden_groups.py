"""Where Genesys counts groups that the client may not see, additions go on, and nothing is concluded from an absence.

Active Directory is only told of (benchmarks/synthetic.py); Genesys is the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic import SyntheticRuns, genesys_seed, group_id, user_id
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions

BEFORE: dict[int, set[int]] = {0: {0, 10}, 1: {1, 11}, 2: {2, 12}}
AFTER: dict[int, set[int]] = {0: {0, 10, 5}, 1: {1}, 2: {2, 12, 6}}
HIDDEN = 2


@pytest.fixture
def genesys() -> Iterator[SandboxGenesys]:
    with SandboxGenesys.start(genesys_seed(20, BEFORE), SandboxOptions(rate_allowed=None)) as sandbox:
        yield sandbox


@pytest.fixture
def runs(genesys: SandboxGenesys, tmp_path: Path) -> Iterator[SyntheticRuns]:
    with SyntheticRuns(
        tmp_path,
        genesys.connection(),
        retry_policy=HttpRetryPolicy(first_wait=0.01, jitter=0, attempts=3),
        sleep=lambda _: None,
    ) as made:
        yield made


def hide(genesys: SandboxGenesys) -> None:
    genesys.set_options(private_groups=[group_id(HIDDEN)], totals_count_hidden=True)


def rows(report: dict[str, Any]) -> set[tuple[int, str, str, str | None]]:
    return {
        (
            int((row["genesys_group"] or {"id": "none-99"})["id"].rsplit("-", 1)[1]),
            row["action"],
            row["status"],
            row["reason"],
        )
        for row in report["details"]
    }


def test_additions_go_on_removals_are_held_and_no_pair_ends(genesys: SandboxGenesys, runs: SyntheticRuns) -> None:
    runs.tell(BEFORE)
    runs.run()
    hide(genesys)
    runs.tell(AFTER)
    report = runs.run()
    assert rows(report) >= {(0, "add", "success", None), (1, "remove", "held", "genesys_unreadable")}
    assert {status for group, _, status, _ in rows(report) if group == HIDDEN} <= {"held", "success"}
    assert any("hides 1 of them" in note and "Private Group" in note for note in report["notes"])
    genesys.set_options(private_groups=[], totals_count_hidden=False)
    runs.run_type = "manual"
    runs.run()
    for group, people in AFTER.items():
        assert set(genesys.individuals(group_id(group))) == {user_id(person) for person in people}


def test_in_the_first_run_an_ad_group_whose_genesys_group_is_hidden_is_held_not_settled(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    hide(genesys)
    runs.tell(AFTER)
    report = runs.run()
    assert (0, "add", "success", None) in rows(report)
    assert (99, "add", "held", "genesys_unreadable") in rows(report)  # of the AD group without a visible target
    genesys.set_options(private_groups=[], totals_count_hidden=False)
    report = runs.run()
    assert (HIDDEN, "add", "success", None) in rows(report)
