"""What the journal has forgotten of a run that ended long ago."""

from __future__ import annotations

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.model import RunRecord
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import MAPPING, PLAN


def refuse_if_forgotten(task: TaskContext, run: RunRecord) -> None:
    """Raise JournalError if a new report would be poorer than the old one."""
    if run.finished_at is not None and task.facts[PLAN] is not None and task.facts[MAPPING] is None:
        raise JournalError(
            f"Run {run.key.run_id} ended more than a day ago, and the journal has forgotten how its groups were "
            "mapped. Its report stays as it is. To repeat the run, clear the task `poll` with everything downstream."
        )
