"""A token that dies while requests are under way: one new token for all of them, and none fails for it.

Active Directory is only told of (benchmarks/synthetic.py); Genesys is the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.synthetic import SyntheticRuns, endpoint_counts, genesys_seed
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions

GROUPS = 40
EVERYBODY = 99  # a group in which all are, so that all are linked
BEFORE: dict[int, set[int]] = {**{group: {group} for group in range(GROUPS)}, EVERYBODY: set(range(60))}
AFTER: dict[int, set[int]] = {**BEFORE, **{group: {group, 50} for group in range(GROUPS)}}


@pytest.fixture
def genesys() -> Iterator[SandboxGenesys]:
    with SandboxGenesys.start(genesys_seed(60, BEFORE), SandboxOptions(rate_allowed=None)) as sandbox:
        yield sandbox


def test_a_token_that_dies_again_and_again_under_parallel_requests_costs_one_refresh_each(
    genesys: SandboxGenesys, tmp_path: Path
) -> None:
    with SyntheticRuns(
        tmp_path,
        genesys.connection(),
        retry_policy=HttpRetryPolicy(first_wait=0.01, jitter=0, attempts=3),
        sleep=lambda _: None,
        workers=5,
    ) as runs:
        runs.tell(BEFORE)
        runs.run()
        genesys.clear_log()
        genesys.add_fault("slow", path="/groups/", seconds=0.02, when="before", times=None)
        deaths = 0
        for method, path in (("GET", "individuals"), ("PATCH", "/scim/")):
            for skip in (3, 14, 25):  # `plan` reads, then `patch` writes
                genesys.add_fault("token_revoked", method=method, path=path, skip=skip)
                deaths += 1
        runs.tell(AFTER)
        report = runs.run()
        assert report["successes"] == GROUPS
        assert report["failures"] == report["held"] == 0
        assert endpoint_counts(genesys.requests())["POST /oauth/token"] == deaths
