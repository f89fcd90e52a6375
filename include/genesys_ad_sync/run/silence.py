"""Tell whether a DAG is silent: a run was due, and none was completed."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import RunRecord
from genesys_ad_sync.run.facts import PLAN
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.settings.values import has_tick, occurrences

RUNS_MISSED = 3
"""A DAG is silent after so many intervals of its schedule, and not before `LEAST_SILENCE`."""

LEAST_SILENCE = timedelta(hours=2)
_RUNS_TO_SEARCH = (10, 200)
"""The newest runs first: one of them nearly always was completed."""


@functools.lru_cache(maxsize=256)
def silence_of(schedule: str) -> timedelta:
    """Return how long a DAG of that schedule may be without a run."""
    longest = max(later - earlier for earlier, later in itertools.pairwise(occurrences(schedule, count=200)))
    return max(RUNS_MISSED * longest, LEAST_SILENCE)


def schedules(definition: SyncDefinition) -> dict[str, str]:
    """Return the schedule of each DAG of a definition."""
    found = {definition.dag_id: definition.schedule}
    if definition.full_schedule:
        found[definition.full_dag_id] = definition.full_schedule
    return found


def last_carried_through(journal: Journal, dag_id: str, definition: SyncDefinition | None) -> datetime | None:
    """Return when the newest run that was completed ended.

    Such a run came to a plan which limits did not stop.
    A run with failed rows is not silent. One that could not read AD is. Dry runs count only for a dry definition.
    """
    dry_run = None if definition is not None and definition.dry_run else False
    for number in _RUNS_TO_SEARCH:
        ended = journal.lookups.last_runs(number, dag_id=dag_id, finished=True, dry_run=dry_run)
        if found := _carried_through(journal, ended):
            return found
    return None


def _carried_through(journal: Journal, runs: Iterable[RunRecord]) -> datetime | None:
    runs = list(runs)
    plans = journal.facts.of_attempts([run.id for run in runs], PLAN.key)
    for run in runs:
        if run.id in plans and not plans[run.id].get("fail_reason"):
            return run.finished_at
    return None


def is_overdue(
    through: datetime, now: datetime, definition: SyncDefinition, schedule: str, after: timedelta | None
) -> bool:
    """Return True if a run was due long ago, and none was completed since.

    ``through``: when the last run of the schedule was completed. ``after``: how long ago a run was due; None:
    see `silence_of`.
    """
    if after is None:
        return now - through > silence_of(schedule)
    return now - after > through and has_tick(schedule, definition.timezone, through, now - after)


def silent_dags(
    journal: Journal, definition: SyncDefinition, now: datetime, after: timedelta | None
) -> dict[str, datetime]:
    """Return the silent DAGs of a definition, each with the time since when.

    A DAG whose newest run waits for a person is not silent. One without a run counts from the definition's first live
    mapping on, or for a dry definition from its first poll on.
    """
    asking = {run.dag_id for _, run, *_ in journal.lookups.open_questions(now, definition.name)}
    silent = {}
    for dag_id, schedule in schedules(definition).items():
        through = last_carried_through(journal, dag_id, definition) or _began(journal, definition)
        if dag_id in asking or through is None:
            continue
        if is_overdue(through, now, definition, schedule, after):
            silent[dag_id] = through
    return silent


def _began(journal: Journal, definition: SyncDefinition) -> datetime | None:
    mine = journal.of(definition.name)
    if not definition.dry_run:
        return mine.new_pairs.first_mapped_at()
    cursor = mine.views.cursor()
    return cursor.began_at if cursor else None
