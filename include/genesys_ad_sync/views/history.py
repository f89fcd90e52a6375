"""Counts of days and of runs.

They are remembered where they cannot change any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import Action, RunRecord, Status
from genesys_ad_sync.views.runs import ListedRun, as_listed

DAY = timedelta(days=1)
DAYS = 30

_CERTAIN_AFTER = timedelta(hours=1)
"""So long after its end, the rows of a run stay as they are: a task that is cleared makes another attempt."""

_MOST = 50_000
"""Entries of a memory. Beyond, it is emptied: that costs time, never a wrong number."""


@dataclass(frozen=True)
class Day:
    """Memberships of a sync on one day in UTC, by what live runs recorded."""

    on: date
    added: int
    removed: int
    orphaned: int
    held: int

    @property
    def most(self) -> int:
        """Return the largest of its numbers."""
        return max(self.added, self.removed, self.orphaned, self.held)


class History:
    """Counts that pages show again and again. One for each process and journal."""

    def __init__(self) -> None:
        self._days: dict[tuple[str, date], Day] = {}
        self._rows: dict[int, dict[Status, int]] = {}

    def days(self, journal: Journal, definition: str, now: datetime, number: int = DAYS) -> list[Day]:
        """Return the last days of a definition, today's last."""
        today = now.astimezone(timezone.utc).date()
        return [self._day(journal, definition, today - DAY * back, today) for back in reversed(range(number))]

    def listed(self, journal: Journal, runs: Sequence[RunRecord], now: datetime) -> list[ListedRun]:
        """Return runs with their numbers of rows by status."""
        unknown = [run for run in runs if run.id not in self._rows]
        counted = journal.lookups.counts_of(unknown) if unknown else {}
        listed = as_listed(journal, runs, {**{run.id: self._rows.get(run.id, {}) for run in runs}, **counted})
        if len(self._rows) > _MOST:
            self._rows.clear()
        for run in unknown:
            if run.finished_at is not None and now - run.finished_at > _CERTAIN_AFTER:
                self._rows[run.id] = counted[run.id]
        return listed

    def _day(self, journal: Journal, definition: str, on: date, today: date) -> Day:
        if (definition, on) in self._days:
            return self._days[definition, on]
        start = datetime.combine(on, time(), timezone.utc)
        day = _as_day(on, journal.listings.recorded(definition, start, start + DAY))
        if on < today:
            if len(self._days) > _MOST:
                self._days.clear()
            self._days[definition, on] = day
        return day


def _as_day(on: date, counts: Counter[tuple[str, str]]) -> Day:
    either = [action.value for action in Action]
    return Day(
        on,
        counts[Action.ADD.value, Status.SUCCESS.value],
        counts[Action.REMOVE.value, Status.SUCCESS.value],
        sum(counts[action, Status.ORPHANED.value] for action in either),
        sum(counts[action, Status.HELD.value] for action in either),
    )
