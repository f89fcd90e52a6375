"""Last task: turns the run red after a failed change or task, or limits.

Limits count if they stopped the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genesys_ad_sync.errors import GroupSyncError


class RunFailed(GroupSyncError):
    """A failed change or task that counts.

    Raised by `check`: the DAG run is red, and the report green.
    """


def check(document_counts: dict[str, Any], failed_tasks: Sequence[str], why_stopped: str | None) -> None:
    """Raise RunFailed for a failed change or task, or limits that stopped the run.

    A failed change is one that `fail_on` counts. ``document_counts``: of the report, with ``failures_that_count``;
    without it, all count.
    """
    problems = []
    if failed_tasks:
        problems.append(f"failed tasks: {', '.join(failed_tasks)}")
    if failures := document_counts.get("failures_that_count", document_counts.get("failures")):
        problems.append(f"{failures} changes failed: see the report {document_counts.get('path')}")
    if why_stopped:
        problems.append(why_stopped)
    if problems:
        raise RunFailed("; ".join(problems))
