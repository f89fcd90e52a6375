"""First task: bring the journal up to date with AD, and choose what this run acts on.

All that AD has to say is read here, so that the later tasks work on one view. Nothing is decided here about Genesys
Cloud.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from genesys_ad_sync.errors import WindowError
from genesys_ad_sync.model import Action, Change, Guid, Mode, RunRecord, RunRequest
from genesys_ad_sync.polling.deletions import read_deletions
from genesys_ad_sync.polling.poller import DirectoryPoller, PollResult
from genesys_ad_sync.polling.window_history import rebuild_window
from genesys_ad_sync.run import journal_identity, undo
from genesys_ad_sync.run.changes import changes_to_act_on
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import COMPLETE, NOTES, UNDO
from genesys_ad_sync.run.failures import records_failure

PROOF_ROUNDS = 3


@records_failure
def poll(task: TaskContext, request: RunRequest) -> dict[str, Any]:
    """Read AD, move the journal's view and cursor, and choose what the run acts on.

    Returns ids and counts for the XCom. Raises DirectoryError if AD cannot be read, ReportPathError if the report could
    not be written later, WindowError for a window that ends before it begins, SettingsError or GenesysError for a
    connection to Genesys Cloud that is filled in wrongly.
    """
    check_window(request)
    run = _begin(task, request)
    task.log(f"Genesys Cloud is at {task.organisation}")  # a connection that makes no sense is found out here
    polled = _read_directory(task, request, run)
    changes = changes_to_act_on(task, run)
    return _summary(task, request, run, polled, changes)


def check_window(request: RunRequest) -> None:
    """Refuse a window that cannot be meant, before anything is read. Raises WindowError."""
    window = request.window
    if window is None:
        return
    if request.mode is Mode.FULL:
        raise WindowError("mode `full` compares everything and takes no window: leave window_start and window_end out")
    if window.start is not None and window.end is not None and window.end <= window.start:
        raise WindowError(
            f"window_end must be after window_start (got {window.end.isoformat()} and {window.start.isoformat()})"
        )


def _begin(task: TaskContext, request: RunRequest) -> RunRecord:
    """Begin the attempt in the journal, or resume it, with the first notes."""
    task.reports.check_writable(task.key.dag_id)
    replaced = journal_identity.journal_was_replaced(task)
    run = task.journal.runs.begin(task.key, task.definition.name, request, task.clock())
    notes = journal_identity.begin_distrust(task, run, replaced=replaced)
    task.facts[NOTES] = (*notes, *undo.begin(task, run, request))
    return run


def _read_directory(task: TaskContext, request: RunRequest, run: RunRecord) -> PollResult:
    """Read what the run needs of AD, and store it in the journal."""
    with task.directory() as session:
        poller = DirectoryPoller(task, session)
        polled = poller.poll(full=request.mode is Mode.FULL)
        _keep(task, run, polled)
        if run.bounded and task.facts[UNDO] is None:  # an undo leaves nothing for other runs to do
            polled = _with_notes(polled, rebuild_window(task, poller, run, polled.polled_at))
        polled = read_deletions(task, poller, polled)
        polled = _prove(task, poller, polled, run)
        polled = _with_notes(polled, poller.final_notes())
    _keep(task, run, polled)
    return polled


def _with_notes(polled: PollResult, notes: Sequence[str]) -> PollResult:
    return replace(polled, notes=(*polled.notes, *notes))


def _keep(task: TaskContext, run: RunRecord, polled: PollResult) -> None:
    """Store the poll's result for later tasks.

    Notes are merged, because a retry does not repeat what its first try noted (such as why it read everything).
    """
    task.journal.runs.set_polled(run, polled.poll, polled.polled_at)
    task.facts[NOTES] = tuple(dict.fromkeys([*task.facts[NOTES], *polled.notes]))
    task.facts[COMPLETE] = polled.complete


def _prove(task: TaskContext, poller: DirectoryPoller, polled: PollResult, run: RunRecord) -> PollResult:
    """Read completely the AD groups whose membership the plan must be sure of.

    DirSync lists changes but proves nothing about the rest. What a complete reading shows may concern further groups,
    so it is repeated a few times; what is still not proven then is held by a guard.
    """
    tried: set[Guid] = set()
    for _ in range(PROOF_ROUNDS):
        wanted = _groups_to_prove(task, changes_to_act_on(task, run)) - tried
        if polled.full or not wanted:
            break
        polled = poller.read_completely(polled, wanted)
        tried |= wanted
    return polled


def _groups_to_prove(task: TaskContext, changes: Sequence[Change]) -> set[Guid]:
    """Return the AD groups in scope that must be read completely.

    - Groups that feed the same Genesys group as one with a pending removal.
    - Groups of pairs without a baseline, which are still to be compared in full.
    """
    pairs = task.journal.pairs.active()
    in_scope = {group.guid for group in task.journal.views.groups_in_scope()}
    if not pairs:  # nothing was ever mapped but in a dry run
        return in_scope
    losing = {c.group_guid for c in changes if c.action is Action.REMOVE and c.settled_by is None}
    targets = {pair.genesys_group_id for pair in pairs if pair.group_guid in losing}
    sources = {pair.group_guid for pair in pairs if pair.genesys_group_id in targets}
    without_baseline = {pair.group_guid for pair in pairs if not pair.has_baseline}
    return (sources | without_baseline) & in_scope


def _summary(
    task: TaskContext, request: RunRequest, run: RunRecord, polled: PollResult, changes: Sequence[Change]
) -> dict[str, Any]:
    """Log the result and return it for the XCom."""
    groups = Counter(change.group_guid for change in changes)
    for note in polled.notes:
        task.log(note)
    task.log(f"{len(changes)} changes in {len(groups)} AD groups to act on; view number {polled.poll}")
    return {
        "attempt": run.attempt,
        "mode": request.mode.value,
        "dry_run": request.dry_run,
        "bounded": run.bounded,
        "poll": polled.poll,
        "polled_at": polled.polled_at.isoformat(),
        "whole_view": polled.full,
        "groups_read_completely": len(polled.complete),
        "changes": {
            guid: Counter(change.action.value for change in changes if change.group_guid == guid) for guid in groups
        },
    }
