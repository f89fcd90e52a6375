"""Make the plan of a dry run, and return its report instead of writing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from genesys_ad_sync.model import RunRequest
from genesys_ad_sync.preview.offline import poll_offline
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.stages.map_groups import map_groups
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync.stages.poll import poll
from genesys_ad_sync.stages.report import report_document
from genesys_ad_sync.stages.resolve_users import resolve_users

MakeTask = Callable[[str], TaskContext]
"""Returns the context of a task, by the task's name. Its journal must be a scratch copy: the stages write to it."""


def preview_plan(task: MakeTask, request: RunRequest) -> dict[str, Any]:
    """Return the report that a dry run would write now.

    Raises GroupSyncError as its tasks would.
    """
    poll(task("poll"), replace(request, dry_run=True))
    return _decide(task)


def preview_offline(task: MakeTask, request: RunRequest) -> dict[str, Any]:
    """Return the same without a network: by what the last runs saw. Raises GroupSyncError."""
    poll_offline(task("poll"), replace(request, dry_run=True))
    return _decide(task)


def _decide(task: MakeTask) -> dict[str, Any]:
    map_groups(task("map_groups"))
    resolve_users(task("resolve_users"))
    plan(task("plan"))
    return report_document(task("report"))
