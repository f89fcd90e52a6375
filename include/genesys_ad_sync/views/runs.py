"""The runs that the journal knows, and which run somebody means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from genesys_ad_sync.errors import RunAmbiguous, RunUnknown
from genesys_ad_sync.journal import DefinitionJournal, Journal
from genesys_ad_sync.model import RunKey, RunRecord, Status


@dataclass(frozen=True)
class ListedRun:
    """One attempt of a run.

    ``state`` None: it has not ended, or died before its report.
    """

    dag_id: str
    run_id: str
    attempt: int
    definition: str
    run_type: str
    mode: str
    dry_run: bool
    bounded: bool
    started_at: datetime
    finished_at: datetime | None
    state: str | None
    counts: dict[str, int]

    @property
    def key(self) -> str:
        """Return DAG id and run id, as `report`, `undo` and `release` take them."""
        return f"{self.dag_id}/{self.run_id}"


def list_runs(journal: Journal, *, limit: int, definition: str | None = None) -> list[ListedRun]:
    """Return the newest attempts of runs, the newest first."""
    return as_listed(journal, journal.lookups.last_runs(limit, definition))


def as_listed(
    journal: Journal, runs: Sequence[RunRecord], counts: Mapping[int, Mapping[Status, int]] | None = None
) -> list[ListedRun]:
    """Return runs with their numbers of rows by status.

    ``counts``: by `RunRecord.id`, where they are known.
    """
    if counts is None:
        counts = journal.lookups.counts_of(runs)
    return [
        ListedRun(
            run.key.dag_id,
            run.key.run_id,
            run.attempt,
            run.definition,
            run.run_type,
            run.mode.value,
            run.dry_run,
            run.bounded,
            run.started_at,
            run.finished_at,
            run.state,
            {status.value: counts[run.id][status] for status in Status if counts[run.id].get(status)},
        )
        for run in runs
    ]


def find_decided(journal: Journal, text: str) -> tuple[str, RunKey]:
    """Return the run in which something was undone or rejected, with its definition.

    What a person decided outlives the run itself, and the name of its DAG. ``text``: see `find_run`.

    :raises RunUnknown: the journal has no such run, and nobody decided anything in one.
    :raises RunAmbiguous: several DAGs have a run of that id.
    """
    try:
        run = find_run(journal, text)
    except RunUnknown:
        decided = {
            (name, run)
            for name in journal.lookups.definitions()
            for run in _decided_runs(journal.of(name))
            if text in (run.run_id, str(run))
        }
        if len(decided) > 1:
            named = " and ".join(sorted(str(run) for _, run in decided))
            raise RunAmbiguous(f"Several DAGs have a run {text!r}: {named}. Give the DAG id, too.") from None
        if not decided:
            raise
        return decided.pop()
    return run.definition, run.key


def _decided_runs(mine: DefinitionJournal) -> set[RunKey]:
    decisions = (*mine.pins.all().values(), *mine.questions.rejections().values(), *mine.pairs.rejections().values())
    return {one.run for one in decisions}


def find_run(journal: Journal, text: str) -> RunRecord:
    """Return the last attempt of a run, found by its name.

    The name is its run id, or DAG id/run id.

    :raises RunUnknown: the journal has no such run.
    :raises RunAmbiguous: several DAGs have a run of that id.
    """
    called = journal.lookups.runs_called(text)
    dag_id, slash, run_id = text.partition("/")
    if slash:
        called += [run for run in journal.lookups.runs_called(run_id) if run.key == RunKey(dag_id, run_id)]
    if not called:
        raise RunUnknown(
            f"The journal knows no run {text!r}. `genesys-ad-sync runs` lists them; the oldest are forgotten after "
            "report.keep_days."
        )
    if len(called) > 1:
        names = " and ".join(str(run.key) for run in called)
        raise RunAmbiguous(f"Several DAGs have a run {text!r}: {names}. Give the DAG id, too.")
    return called[0]
