"""Errors that end a stage: recorded for the report, which is written whatever failed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from typing import Concatenate, ParamSpec, TypeVar

from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.genesys.errors import GenesysError
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import failure_of

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")

RECORDED_STAGES = ("poll", "map_groups", "resolve_users", "plan")
"""Stages whose errors the report lists. An error of `patch` is in its rows."""


def records_failure(
    stage: Callable[Concatenate[TaskContext, _Given], _Result],
) -> Callable[Concatenate[TaskContext, _Given], _Result]:
    """Record a stage's error until a retry succeeds, and always its request counts."""
    fact = failure_of(stage.__name__)

    @functools.wraps(stage)
    def recording(task: TaskContext, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        try:
            result = stage(task, *args, **kwargs)
        except GroupSyncError as error:
            with suppress(GroupSyncError):  # no run yet, or the journal itself is what fails
                task.facts[fact] = error.report_text() if isinstance(error, GenesysError) else str(error)
            raise
        finally:
            with suppress(GroupSyncError):
                task.count_requests()
        if task.facts[fact] is not None:
            task.facts[fact] = None
        return result

    return recording


def failures(task: TaskContext) -> list[str]:
    """Return why stages of this run ended with an error."""
    errors = {stage: task.facts[failure_of(stage)] for stage in RECORDED_STAGES}
    return [f"{stage} failed: {error}" for stage, error in errors.items() if error]
