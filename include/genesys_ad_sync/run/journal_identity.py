"""Part of `poll`: is this the journal that wrote the reports? One that was lost, or restored from a backup, knows too
little or too much of what AD owns."""

from __future__ import annotations

from collections.abc import Collection

from genesys_ad_sync.journal.records import RunKey, RunRecord
from genesys_ad_sync.model import Reason
from genesys_ad_sync.report.store import SeenJournal
from genesys_ad_sync.run.context import Sync


def is_other_journal(task: Sync) -> bool:
    """To be asked before the run begins in the journal, since that counts it. Raises ReportPathError.

    Each definition finds it out for itself, by what its own last report says. Those of others tell only that this very
    journal has counted more runs once: it may have forgotten theirs since, if they write elsewhere by now.
    """
    journal_id, run_counter = task.journal.identity()
    mine, seen = _last_seen(task)
    if mine and (mine.journal_id != journal_id or not _knows_run(task, mine)):
        return True
    return any(one.journal_id == journal_id and one.run_counter > run_counter for one in seen)


def _last_seen(task: Sync) -> tuple[SeenJournal | None, Collection[SeenJournal]]:
    """The journal with which this definition wrote its last report; and those of all that write into that folder."""
    seen = task.reports.last_seen_journals()
    return seen.get(task.definition.name, seen.get(None)), seen.values()


def _knows_run(task: Sync, seen: SeenJournal) -> bool:
    """The counter alone is not enough: what runs after a restore makes it grow again."""
    if seen.run is None:
        return True
    dag_id, run_id, attempt = seen.run
    return task.journal.has_attempt(RunKey(dag_id, run_id), attempt, seen.started_at)


def note(task: Sync, run: RunRecord, other_journal: bool) -> list[str]:
    """Voids the baselines of a journal that was lost or restored, and has removals approved until everything was
    compared as a whole again. A dry run only says so. Gives notes for the report.

    A journal that is older than it was takes another id: reports with the former one tell nothing new about it, but to
    the definition that wrote them.
    """
    name = task.definition.name
    if other_journal and not run.dry_run:
        mine, _ = _last_seen(task)
        if mine is None or mine.journal_id == task.journal.identity()[0]:
            task.journal.note_restored(task.clock())
        task.journal.distrust(name, task.clock())
    distrusted = other_journal or task.journal.distrusts(name)
    task.journal.put_fact(run, "journal_restored", distrusted)
    if not distrusted:
        return []
    return [
        "the journal is not the one that wrote the last reports here (lost, or restored from a backup): every mapped "
        "group is compared as a whole, and each removal needs approval until then"
    ]


def close(task: Sync) -> None:
    """Called at the end of a live run: trusts the journal again, if every pair was compared as a whole and no removal
    is left that waits only for this, in whatever run it was seen."""
    if not task.fact("journal_restored"):
        return
    name = task.definition.name
    unsettled = [change.id for change in task.journal.unsettled(name) if change.id is not None]
    waiting = any(one.reason is Reason.JOURNAL_RESTORED for one in task.journal.outcomes(unsettled).values())
    if not waiting and all(pair.has_baseline for pair in task.journal.pairs(name)):
        task.journal.trust_again(name)


def remember(task: Sync, run: RunRecord) -> None:
    """Called when a live run has written its report: notes beside it that the journal must know this run from now on.
    Raises ReportPathError."""
    attempt = (run.key.dag_id, run.key.run_id, run.attempt)
    seen = SeenJournal(*task.journal.identity(), attempt, run.started_at)
    task.reports.remember_journal(task.definition.name, seen, definitions=task.definitions)
