"""First task: updates the journal from AD, and chooses this run's changes.

All that AD has to say is read here, so that the later tasks work on one view. Nothing is decided here about Genesys
Cloud.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from genesys_ad_sync.directory.accounts import account_states
from genesys_ad_sync.errors import ParamError, WindowError
from genesys_ad_sync.model import Action, Change, Guid, Mode, PairState, Reason, RunRecord, RunRequest
from genesys_ad_sync.polling.deletions import read_deletions
from genesys_ad_sync.polling.losses import lost_users
from genesys_ad_sync.polling.poller import DirectoryPoller, PollResult
from genesys_ad_sync.polling.session import directory_session
from genesys_ad_sync.polling.window_history import rebuild_window
from genesys_ad_sync.run import journal_identity, objections, relink, undo, whereabouts
from genesys_ad_sync.run.changes import changes_to_act_on
from genesys_ad_sync.run.claims import release_claims
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.exposure import note_exposure
from genesys_ad_sync.run.facts import ACCOUNTS, COMPLETE, LOSSES, MIRROR_ONCE, NOTES, RELINK_REQUESTS, UNDO
from genesys_ad_sync.run.failures import records_failure
from genesys_ad_sync.run.renaming import take_over_former
from genesys_ad_sync.settings import SyncDefinition

PROOF_ROUNDS = 3
GROUPS_SHOWN = 100
"""AD groups with changes in the XCom. The journal has all of them."""
_IN_DOUBT = Reason.OTHER_DOMAIN_CONTROLLER


@records_failure
def poll(task: TaskContext, request: RunRequest) -> dict[str, Any]:
    """Read AD, move the journal's view and cursor, and choose what the run acts on.

    Returns ids and counts for the XCom. Raises DirectoryError if AD cannot be read, ReportPathError if the report could
    not be written later, ParamError for `dry_run: false` against a dry definition or for params that exclude each
    other, WindowError for a window that ends before it begins, SettingsError or GenesysError for a connection to
    Genesys Cloud that is filled in wrongly.
    """
    _note_definition(task, request)
    check_window(request)
    check_mirror_once(request, task.definition)
    task.definition.is_dry(asked=request.dry_run)
    if request.mirror_once:
        request = replace(request, mode=Mode.FULL)
    run = _begin(task, request)
    task.log(f"Genesys Cloud is at {task.organisation}")  # a connection that makes no sense is found out here
    polled = _read_directory(task, request, run)
    changes = changes_to_act_on(task, run)
    return _summary(task, request, run, polled, changes)


def _note_definition(task: TaskContext, request: RunRequest) -> None:
    """Note what the definition says, before anything can fail.

    It may be the stop of another run.
    """
    now = task.clock()
    task.journal.definitions.note(dry_run=task.definition.dry_run, due_at=request.due_at or now, run=task.key, at=now)


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


def check_mirror_once(request: RunRequest, definition: SyncDefinition) -> None:
    """Refuse `mirror_once` where it cannot be meant. Raises ParamError."""
    if not request.mirror_once:
        return
    contradictions = {
        "the definition says removals: never": definition.removals == "never",
        "the run has a window": request.window is not None,
        "undo_run is given": bool(request.undo_run),
        "mode is changes": request.mode is Mode.CHANGES,
    }
    for what, is_so in contradictions.items():
        if is_so:
            raise ParamError(
                f"mirror_once compares every mapped group in full, and {what}. Nothing was done: leave one of them out."
            )


def _begin(task: TaskContext, request: RunRequest) -> RunRecord:
    """Begin the attempt in the journal, or resume it, with the first notes."""
    task.reports.check_writable(task.key.dag_id)
    replaced = journal_identity.journal_was_replaced(task)
    run = task.journal.runs.begin(task.key, task.definition.name, request, task.clock(), host=task.host)
    task.read_run_again()
    whereabouts.note_host(task)
    notes = take_over_former(task, run)
    notes += journal_identity.begin_distrust(task, run, replaced=replaced)
    notes += release_claims(task, run, request)
    task.facts[NOTES] = (*notes, *undo.begin(task, run, request))
    relink.begin(task, request)
    note_exposure(task)
    task.facts[MIRROR_ONCE] = request.mirror_once
    return run


def _read_directory(task: TaskContext, request: RunRequest, run: RunRecord) -> PollResult:
    """Read what the run needs of AD, and store it in the journal."""
    with directory_session(task) as session:
        poller = DirectoryPoller(task, session)
        polled = poller.poll(full=request.mode is Mode.FULL)
        _keep(task, run, polled)
        if run.bounded and task.facts[UNDO] is None:  # an undo leaves nothing for other runs to do
            polled = _with_notes(polled, rebuild_window(task, poller, run, polled.polled_at))
        polled = read_deletions(task, poller, polled)
        polled = _prove(task, poller, polled, run)
        task.facts[ACCOUNTS] = account_states(poller.reader, undo.put_back(task) | objections.accounts_to_watch(task))
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
    task.read_run_again()
    task.facts[NOTES] = tuple(dict.fromkeys([*task.facts[NOTES], *polled.notes]))
    task.facts[COMPLETE] = polled.complete
    task.facts[LOSSES] = lost_users(task.journal, polled.losses, task.definition.directory.policy)


def _prove(task: TaskContext, poller: DirectoryPoller, polled: PollResult, run: RunRecord) -> PollResult:
    """Read completely the AD groups whose membership the plan must be sure of.

    DirSync lists changes but proves nothing about the rest. What a complete reading shows may concern further groups,
    so it is repeated a few times; what is still not proven then is held by a guard.
    """
    tried: dict[Guid, int] = {}
    for _ in range(PROOF_ROUNDS):
        needed = _groups_to_prove(task, changes_to_act_on(task, run))
        wanted = {guid for guid, since in needed.items() if {**polled.complete, **tried}.get(guid, -1) < since}
        if polled.full or not wanted:
            break
        polled = poller.read_completely(polled, wanted)
        tried |= dict.fromkeys(wanted, polled.poll)
    return polled


def _groups_to_prove(task: TaskContext, changes: Sequence[Change]) -> dict[Guid, int]:
    """Return the AD groups in scope that must be read completely.

    Each comes with the oldest poll that may have done it.

    - Groups that feed the same Genesys group as one with a pending removal, or with an addition in doubt.
    - Groups of pairs without a baseline, which are still to be compared in full.
    - Groups that feed a Genesys group which `relink` concerns.
    """
    open_since = _open_since(changes)
    stored, views = task.journal.pairs, task.journal.views
    if task.facts[RELINK_REQUESTS]:
        active, former = stored.active(), stored.former()
    else:
        active, former = stored.sharing_a_target(open_since)
    mapped = {pair.group_guid for pair in active}
    if not stored.any_active() or (task.run.dry_run and open_since.keys() - mapped):
        # a dry run stores no pairs: others may feed the same group
        return dict.fromkeys(views.guids_in_scope(), max(open_since.values(), default=0))
    pairs = [*former, *active]  # a group that comes back is mapped later in this run
    targets = dict.fromkeys(relink.groups_concerned(task, active), 0)
    for pair in pairs:
        if pair.group_guid in open_since:
            since = max(open_since[pair.group_guid], targets.get(pair.genesys_group_id, 0))
            targets[pair.genesys_group_id] = since
    needed = {pair.group_guid: 0 for pair in stored.without_baseline() if pair.state is not PairState.REJECTED}
    for pair in pairs:
        if pair.genesys_group_id in targets:
            needed[pair.group_guid] = max(targets[pair.genesys_group_id], needed.get(pair.group_guid, 0))
    return {guid: needed[guid] for guid in views.guids_in_scope(needed)}


def _open_since(changes: Sequence[Change]) -> dict[Guid, int]:
    """Return the AD groups of open changes that need a proof.

    Each comes with the newest poll that recorded one.
    """
    since: dict[Guid, int] = {}
    for change in changes:
        to_prove = change.action is Action.REMOVE or change.held_reason is _IN_DOUBT
        if to_prove and change.settled_by is None:
            since[change.group_guid] = max(change.poll, since.get(change.group_guid, 0))
    return since


def _summary(
    task: TaskContext, request: RunRequest, run: RunRecord, polled: PollResult, changes: Sequence[Change]
) -> dict[str, Any]:
    """Log the result and return it for the XCom."""
    groups: dict[Guid, Counter[str]] = {}
    for change in changes:
        groups.setdefault(change.group_guid, Counter())[change.action.value] += 1
    for note in polled.notes:
        task.log(note)
    task.log(f"{len(changes)} changes in {len(groups)} AD groups to act on; poll {polled.poll}")
    return {
        "attempt": run.attempt,
        "host": task.host.name,
        "mode": request.mode.value,
        "dry_run": request.dry_run,
        "bounded": run.bounded,
        "poll": polled.poll,
        "polled_at": polled.polled_at.isoformat(),
        "whole_view": polled.full,
        "groups_read_completely": len(polled.complete),
        "changes": dict(islice(groups.items(), GROUPS_SHOWN)),
        "changes_in_all": len(changes),
    }
