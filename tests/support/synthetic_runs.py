"""Runs whose Active Directory is made up, on a Genesys sandbox, after a first one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.synthetic import SyntheticRuns
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from sandbox.genesys_cloud import SandboxGenesys


def opened(
    genesys: SandboxGenesys, folder: Path, before: Mapping[int, set[int]], *, attempts: int = 3, **more: Any
) -> SyntheticRuns:
    """Return runs after a first one that compared everything and linked everybody.

    :param before: the members of each group that AD has in that run.
    :param attempts: of each request.
    """
    runs = SyntheticRuns(
        folder,
        genesys.connection(),
        retry_policy=HttpRetryPolicy(first_wait=0.01, jitter=0, attempts=attempts),
        sleep=lambda _: None,
        **more,
    )
    runs.tell(before)
    runs.run()
    genesys.clear_log()
    return runs
