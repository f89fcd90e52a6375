"""What each run warns of: places and connections that others can read or alter."""

from __future__ import annotations

from genesys_ad_sync.run.context import TaskContext


def note_exposure(task: TaskContext) -> None:
    """Note in the log and in the report what others can read or alter."""
    reports = task.reports.warning(task.key.dag_id)
    for warning in (*task.journal.warnings, *([reports] if reports else []), *task.connection_warnings()):
        task.note(f"security: {warning}")
