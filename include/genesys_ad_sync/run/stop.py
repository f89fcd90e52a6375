"""`dry_run: true` as a stop of a run under way.

A definition that turns dry while a run is under way ends its writing.
"""

from __future__ import annotations

from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import STOPPED
from genesys_ad_sync.settings.current import CurrentDefinition


class Stop:
    """Tells whether a run may go on writing. To be asked before each Genesys group."""

    def __init__(self, task: TaskContext) -> None:
        self._task = task
        self._current = CurrentDefinition(task.definition)

    def is_set(self) -> bool:
        """Return whether nothing more may be sent, and note the cause for the report."""
        why = self._current.why_dry() or _why_dry_by_journal(self._task)
        if why is None:
            return False
        if self._task.facts[STOPPED] is None:
            self._task.log(f"nothing more is sent: {why}")
            self._task.facts[STOPPED] = why
        return True


def _why_dry_by_journal(task: TaskContext) -> str | None:
    """Return why the definition is dry by the note of a newer version.

    A run from the newer version left the note. None: the note is not dry, or there is none.
    """
    noted = task.journal.definitions.noted()
    if noted is None or not noted.dry_run:
        return None
    return f"the sync definition {task.definition.name} is dry, or has another name, since run {noted.run}"
