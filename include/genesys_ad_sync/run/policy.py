"""The policy of removals in this run."""

from __future__ import annotations

from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import MIRROR_ONCE


def mirrors(task: TaskContext) -> bool:
    """Return True if this run removes members that AD does not own."""
    return task.facts[MIRROR_ONCE] or task.definition.removals == "mirror"
