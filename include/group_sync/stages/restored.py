"""Part of `poll`: is this the journal that wrote the reports? One that was lost, or restored from a backup, knows too
little or too much of what AD owns."""

from __future__ import annotations

from collections.abc import Sequence

from include.group_sync.errors import RunUnknown
from include.group_sync.journal.records import RunKey, RunRecord
from include.group_sync.model import Reason, Row
from include.group_sync.stages.context import Sync


def is_other_journal(sync: Sync) -> bool:
    """To be asked before the run begins in the journal, since that counts it. Raises ReportPathError."""
    seen = sync.reports.last_seen_journal()
    journal_id, run_counter = sync.journal.identity()
    if seen is None:
        return False
    return seen.journal_id != journal_id or seen.run_counter > run_counter or not _knows(sync, seen.run)


def _knows(sync: Sync, run: tuple[str, str, int] | None) -> bool:
    """The counter alone is not enough: what runs after a restore makes it grow again."""
    if run is None:
        return True
    dag_id, run_id, attempt = run
    try:
        return sync.journal.run(RunKey(dag_id, run_id)).attempt >= attempt
    except RunUnknown:
        return False


def note(sync: Sync, run: RunRecord, other_journal: bool) -> list[str]:
    """Voids the baselines of a journal that was lost or restored, and has removals approved until everything was
    compared as a whole again. A dry run only says so. Gives notes for the report."""
    name = sync.definition.name
    if other_journal and not run.dry_run:
        sync.journal.note_restored(sync.clock())
        sync.journal.distrust(name, sync.clock())
    distrusted = other_journal or sync.journal.distrusts(name)
    sync.journal.put_fact(run, "journal_restored", distrusted)
    if not distrusted:
        return []
    return [
        "the journal is not the one that wrote the last reports here (lost, or restored from a backup): every mapped "
        "group is compared as a whole, and each removal needs approval until then"
    ]


def close(sync: Sync, run: RunRecord, rows: Sequence[Row]) -> None:
    """Called at the end of a live run: trusts the journal again, if every pair was compared as a whole and no removal
    is left that waits only for this."""
    if not sync.fact("journal_restored"):
        return
    name = sync.definition.name
    waiting = any(row.reason is Reason.JOURNAL_RESTORED for row in rows)
    if not waiting and all(pair.has_baseline for pair in sync.journal.pairs(name)):
        sync.journal.trust_again(name)
