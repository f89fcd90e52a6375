"""First task: bring the journal up to date with AD, and choose what this run acts on.

Everything that AD has to say is read here, so that the later tasks work on one view. Nothing is decided here
about Genesys Cloud.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from genesys_ad_sync.errors import WindowError
from genesys_ad_sync.journal.records import RunRecord
from genesys_ad_sync.model import Action, Change, Guid, Mode, Window
from genesys_ad_sync.polling.poller import Follower, Polled
from genesys_ad_sync.polling.window_history import kept_apart, reach_back
from genesys_ad_sync.run import journal_identity as restored
from genesys_ad_sync.run import undo
from genesys_ad_sync.run.context import RunRequest, Sync, chosen, tells_of_failure

PROOF_ROUNDS = 3


@tells_of_failure
def poll(task: Sync, request: RunRequest) -> dict[str, Any]:
    """Reads AD, moves the journal's view and cursor, and says what the run acts on.

    Returns ids and counts for the XCom. Raises DirectoryError if AD cannot be read, ReportPathError if the report could
    not be written later, WindowError for a window that ends before it begins, SettingsError or GenesysError for a
    connection to Genesys Cloud that is filled in wrongly.
    """
    check_window(request)
    task.reports.check_writable(task.key.dag_id)
    other_journal = restored.is_other_journal(task)
    run = task.journal.begin_run(
        task.key,
        task.definition.name,
        clear_number=request.clear_number,
        run_type=request.run_type,
        mode=request.mode,
        dry_run=request.dry_run,
        window=request.window,
        groups=request.groups,
        started_at=task.clock(),
        undo_run=request.undo_run,
        release_run=request.release_run,
    )
    task.journal.put_fact(run, "notes", [*restored.note(task, run, other_journal), *undo.begin(task, run, request)])
    task.say(f"Genesys Cloud is at {task.organisation}")  # a connection that makes no sense is found out here
    with task.directory() as session:
        follower = Follower(task, session)
        polled = follower.bring_up_to_date(whole=request.mode is Mode.FULL)
        _keep(task, run, polled)
        if run.bounded and not undo.is_undo(task):  # an undo leaves nothing for other runs to do
            told = reach_back(task, follower, run, polled.polled_at)
            polled = replace(polled, notes=(*polled.notes, *told))
        polled = _prove(task, follower, polled, run)
        polled = replace(polled, notes=(*polled.notes, *follower.notes_at_the_end()))
    _keep(task, run, polled)
    changes = changes_to_act_on(task, run)

    groups = Counter(change.group_guid for change in changes)
    for note in polled.notes:
        task.say(note)
    task.say(f"{len(changes)} changes in {len(groups)} AD groups to act on; view number {polled.poll}")
    return {
        "attempt": run.attempt,
        "mode": request.mode.value,
        "dry_run": request.dry_run,
        "bounded": run.bounded,
        "poll": polled.poll,
        "polled_at": polled.polled_at.isoformat(),
        "whole_view": polled.whole,
        "groups_read_completely": len(polled.complete),
        "changes": {
            guid: Counter(change.action.value for change in changes if change.group_guid == guid) for guid in groups
        },
    }


def check_window(request: RunRequest) -> None:
    """A window that cannot be meant is refused before anything is read."""
    window = request.window
    if window is None:
        return
    if request.mode is Mode.FULL:
        raise WindowError("mode `full` compares everything and takes no window: leave window_start and window_end out")
    if window.start is not None and window.end is not None and window.end <= window.start:
        raise WindowError(
            f"window_end {window.end.isoformat()} is not after window_start {window.start.isoformat()}: mend them"
        )


def changes_to_act_on(task: Sync, run: RunRecord) -> list[Change]:
    """What the run takes up: its window if it is bounded, else everything unsettled; only the groups it may touch."""
    definition = task.definition.name
    if undo.is_undo(task):
        return []
    if run.bounded:
        assert run.window is not None
        changes = task.journal.changes_in(definition, run.window)
        changes += kept_apart(task, changes)
    else:
        changes = task.journal.unsettled(definition)
    if not run.groups:
        return changes
    known = task.journal.known_groups(definition, {change.group_guid for change in changes})
    allowed = {group.guid for group in chosen(known.values(), run.groups)}
    return [change for change in changes if change.group_guid in allowed]


def _keep(task: Sync, run: RunRecord, polled: Polled) -> None:
    """For the later tasks and the report. What an earlier try of this task had to note (why it took the whole view,
    say) is not known any more to the one that takes up its work."""
    earlier = task.journal.fact(run, "notes", default=[])
    task.journal.set_polled(run, polled.poll, polled.polled_at)
    task.journal.put_fact(run, "notes", list(dict.fromkeys([*earlier, *polled.notes])))
    task.journal.put_fact(run, "complete", sorted(polled.complete))


def _prove(task: Sync, follower: Follower, polled: Polled, run: RunRecord) -> Polled:
    """Reads completely every AD group that feeds a Genesys group with a pending removal, and every group whose pair
    has no baseline yet. DirSync tells of changes but proves nothing about the whole.

    What that shows may concern further groups, so it is repeated a few times. What is still not proven then is held by
    the guard.
    """
    tried: set[Guid] = set()
    for _ in range(PROOF_ROUNDS):
        wanted = _groups_to_prove(task, changes_to_act_on(task, run)) - tried
        if polled.whole or not wanted:
            break
        polled = follower.prove(polled, wanted)
        tried |= wanted
    return polled


def _groups_to_prove(task: Sync, changes: Sequence[Change]) -> set[Guid]:
    """The in-scope AD groups that feed the same Genesys group as one with a pending removal, and those of pairs that
    are still to be compared as a whole."""
    name = task.definition.name
    pairs = task.journal.pairs(name)
    in_scope = {group.guid for group in task.journal.scope_groups(name)}
    if not pairs:  # nothing was ever mapped but in a dry run
        return in_scope
    losing = {change.group_guid for change in changes if change.action is Action.REMOVE and not _is_settled(change)}
    targets = {pair.genesys_group_id for pair in pairs if pair.group_guid in losing}
    feeding = {pair.group_guid for pair in pairs if pair.genesys_group_id in targets}
    without_baseline = {pair.group_guid for pair in pairs if not pair.has_baseline}
    return (feeding | without_baseline) & in_scope


def _is_settled(change: Change) -> bool:
    return change.settled_by is not None


def window_of(task: Sync, run: RunRecord) -> Window | None:
    """What the report calls the run's window: null for full, the bounds, or previous live poll to this poll."""
    if run.mode is Mode.FULL:
        return None
    if run.window is not None:
        stored = task.journal.stored_cursor(task.definition.name)
        began = stored.began_at if stored is not None else None
        return Window(run.window.start or began, run.window.end or run.polled_at)
    return Window(task.journal.previous_live_poll(task.definition.name, run), run.polled_at)
