"""Does the sync run, which runs wait for an answer, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.lookup_answers import Waiting
from genesys_ad_sync.report.wording import reason_words
from genesys_ad_sync.run.silence import is_overdue, last_carried_through, schedules, silence_of
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.views.named import Definitions
from genesys_ad_sync.views.runs import ListedRun, as_listed

DAG_WITHOUT_FILE = timedelta(hours=2)
"""After that time, a DAG whose definition cannot be read counts as silent."""

_RUNS_TO_SEARCH = 200


@dataclass(frozen=True)
class DagStatus:
    """One of the DAGs of a definition.

    ``last``: its newest run. ``carried_through``: when the newest run ended that planned and wrote its report: a live
    one, or for a definition that is dry any one. ``silent_after``: None where nobody expects runs.
    """

    dag_id: str
    last: ListedRun | None
    carried_through: datetime | None
    silent_after: timedelta | None
    stale: bool
    words: str


@dataclass(frozen=True)
class WaitingChanges:
    """Changes that wait for the same. ``since``: the oldest of them."""

    status: str
    reason: str | None
    words: str
    count: int
    since: datetime


@dataclass(frozen=True)
class OpenQuestion:
    """A run asks a person."""

    run: str
    asked_at: datetime
    until: datetime
    changes: int


@dataclass(frozen=True)
class DefinitionStatus:
    """A sync definition. ``dry_run`` None: its file could not be read."""

    definition: str
    dry_run: bool | None
    directory_read_at: datetime | None
    domain_controller: str | None
    doubted_since: datetime | None
    distrusted: bool
    dags: tuple[DagStatus, ...]
    waits: tuple[WaitingChanges, ...]
    questions: tuple[OpenQuestion, ...]

    @property
    def stale(self) -> bool:
        """Return whether one of its DAGs is silent."""
        return any(dag.stale for dag in self.dags)


def status(
    journal: Journal, definitions: Definitions, *, now: datetime, silent_after: timedelta | None = None
) -> list[DefinitionStatus]:
    """Return how each sync definition does. ``silent_after``: in place of what the schedules say."""
    names = sorted({*journal.lookups.definitions(), *definitions})
    return [status_of(journal, name, definitions.get(name), now, silent_after) for name in names]


def status_of(
    journal: Journal,
    name: str,
    definition: SyncDefinition | None,
    now: datetime,
    silent_after: timedelta | None = None,
    *,
    with_waits: bool = True,
) -> DefinitionStatus:
    """Return how one sync definition does. ``with_waits``: False leaves out what waits."""
    mine = journal.of(name)
    cursor = mine.views.cursor()
    return DefinitionStatus(
        name,
        definition.dry_run if definition else None,
        cursor.cursor.polled_at if cursor else None,
        cursor.cursor.domain_controller if cursor else None,
        cursor.cursor.doubted_since if cursor else None,
        mine.restoration.is_active(),
        tuple(
            _dag_status(journal, dag_id, definition, now, (silent_after, usual), cursor.began_at if cursor else None)
            for dag_id, usual in _dags(journal, name, definition).items()
        ),
        tuple(_as_waiting(waiting) for waiting in journal.lookups.waiting(name)) if with_waits else (),
        tuple(
            OpenQuestion(str(run), asked_at, until, count)
            for _, run, asked_at, until, count in journal.lookups.open_questions(now, name)
        ),
    )


def _dags(journal: Journal, name: str, definition: SyncDefinition | None) -> dict[str, timedelta]:
    """Return the DAGs of a definition, each with its limit for silence.

    The limit is the time after which it counts as silent.
    """
    if definition is None:  # the DAGs that ran last
        return {
            run.key.dag_id: DAG_WITHOUT_FILE if not run.key.dag_id.endswith("_full") else timedelta(days=3)
            for run in reversed(journal.lookups.last_runs(_RUNS_TO_SEARCH, name))
        }
    chosen = definition.silent_after
    return {dag_id: chosen or silence_of(schedule) for dag_id, schedule in schedules(definition).items()}


def _dag_status(
    journal: Journal,
    dag_id: str,
    definition: SyncDefinition | None,
    now: datetime,
    silent_after: tuple[timedelta | None, timedelta],
    began_at: datetime | None,
) -> DagStatus:
    """Return how a DAG does.

    - ``silent_after``: what the caller asks for, and what counts otherwise.
    - ``began_at``: the first poll of its definition; before, nothing was expected of it.
    """
    asked, usual = silent_after
    runs = journal.lookups.last_runs(1, dag_id=dag_id)
    through = last_carried_through(journal, dag_id, definition)
    sign_of_life = through or began_at
    stale = sign_of_life is None or now - sign_of_life > (asked or usual)
    if stale and through and definition and definition.silent_after and not asked:
        stale = is_overdue(through, now, definition, schedules(definition)[dag_id], definition.silent_after)
    listed = as_listed(journal, runs)
    words = _words(through, now, asked or usual, stale=stale)
    return DagStatus(dag_id, listed[0] if listed else None, through, asked or usual, stale, words)


def _words(through: datetime | None, now: datetime, silent_after: timedelta, *, stale: bool) -> str:
    if through is None:
        expected = f"; expected at least every {_rounded(silent_after)}" if stale else ""
        return f"{'SILENT: no' if stale else 'No'} run was completed yet{expected}."
    ago = _rounded(now - through)
    if stale:
        return f"SILENT: no run was completed for {ago}; expected at least every {_rounded(silent_after)}."
    return f"The last run was completed {ago} ago."


def _rounded(time: timedelta) -> str:
    minutes = int(time.total_seconds() // 60)
    if minutes < 120:  # noqa: PLR2004  two hours
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 60 * 72 else f"{minutes // 1440} days"


def _as_waiting(waiting: Waiting) -> WaitingChanges:
    words = reason_words(waiting.reason) if waiting.status else "No live run has acted on it yet."
    return WaitingChanges(waiting.status or "new", waiting.reason, words, waiting.count, waiting.since)
