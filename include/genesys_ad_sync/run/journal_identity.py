"""Check that this journal wrote the reports.

A journal that was lost, or restored from a backup, misjudges what AD owns.
"""

from __future__ import annotations

from collections.abc import Collection

from genesys_ad_sync.model import PairState, Reason, RunKey, RunRecord
from genesys_ad_sync.report import JournalStamp
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import JOURNAL_RESTORED


def journal_was_replaced(task: TaskContext) -> bool:
    """Return True if the journal was lost or restored. Raises ReportPathError.

    To be asked before the run begins in the journal, since that counts it.
    Each definition compares the journal with its own last report. Other definitions' reports prove one thing only: a
    higher run counter or generation for the same journal id means that this journal is an older copy.
    """
    journal_id, run_counter = task.journal.identity()
    generation = task.journal.generation()
    mine, seen = _last_seen(task)
    if mine and (mine.journal_id != journal_id or mine.generation > generation or not _knows_run(task, mine)):
        return True
    return any(
        stamp.journal_id == journal_id and (stamp.run_counter > run_counter or stamp.generation > generation)
        for stamp in seen
    )


def _last_seen(task: TaskContext) -> tuple[JournalStamp | None, Collection[JournalStamp]]:
    """Return the stamp of this definition's last report, and all in that folder.

    A renamed definition without a report has the one of its former name.
    """
    seen = task.reports.last_seen_journals()
    former = seen.get(task.definition.formerly) if task.definition.formerly else None
    return seen.get(task.definition.name, former or seen.get(None)), seen.values()


def _knows_run(task: TaskContext, seen: JournalStamp) -> bool:
    """Return True if the journal knows that run.

    The counter alone is not enough: later runs make it grow again.
    """
    if seen.run is None:
        return True
    dag_id, run_id, attempt = seen.run
    return task.journal.runs.exists(RunKey(dag_id, run_id), attempt, seen.started_at)


def begin_distrust(task: TaskContext, run: RunRecord, *, replaced: bool) -> list[str]:
    """Void the baselines of a replaced journal, and have all changes approved.

    This ends when all was compared in full again, see `end_distrust`.

    Returns notes for the report. A dry run changes nothing.
    A journal that is an older copy takes a new id: reports with the former id then concern only the definitions that
    wrote them.
    """
    if replaced and not run.dry_run:
        mine, _ = _last_seen(task)
        if mine is None or mine.journal_id == task.journal.identity()[0]:
            task.journal.restoration.take_new_id(task.clock())
        task.journal.restoration.begin(task.clock())
    distrusted = replaced or task.journal.restoration.is_active()
    task.facts[JOURNAL_RESTORED] = distrusted
    if not distrusted:
        return []
    return [
        "the journal is not the one that wrote the last reports here (lost, or restored from a backup): every mapped "
        "group is compared completely, and each change needs approval until then"
    ]


def end_distrust(task: TaskContext, compared: Collection[str]) -> None:
    """Trust the journal again at the end of a live run, once two things hold.

    - Every pair was compared in full since, or feeds a group that another definition feeds, or was rejected by a
      person. A change that failed does not matter: the comparison was made.
    - No change, in whatever run it was seen, waits for this alone.

    ``compared``: the Genesys groups that this run compared in full.
    """
    if not task.facts[JOURNAL_RESTORED]:
        return
    unsettled = [change.id for change in task.journal.changes.unsettled() if change.id is not None]
    outcomes = task.journal.changes.last_outcomes(unsettled).values()
    waiting = any(outcome.reason is Reason.JOURNAL_RESTORED for outcome in outcomes)
    not_yet = (p for p in task.journal.pairs.active() if not p.has_baseline and p.state is not PairState.REJECTED)
    open_groups = {pair.genesys_group_id for pair in not_yet}
    open_groups -= set(compared)
    if open_groups:
        open_groups -= task.journal.claims.take(task.organisation, open_groups, task.clock(), dry_run=True).keys()
    if not waiting and not open_groups:
        task.journal.restoration.end()


def stamp_reports(task: TaskContext, run: RunRecord) -> None:
    """Note beside the report of a live run that the journal must know it.

    Raises ReportPathError.
    """
    attempt = (run.key.dag_id, run.key.run_id, run.attempt)
    seen = JournalStamp(*task.journal.identity(), attempt, run.started_at, task.journal.generation())
    task.reports.remember_journal(task.definition.name, seen, definitions=task.all_definitions)
