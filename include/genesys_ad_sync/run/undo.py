"""Params `undo_run` and `release_run`: take back a run's changes, keep them so, release.

What the run did is taken back, kept so, and released again. An undo run reads AD (to know what has changed since) and
acts on nothing but what it takes back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from genesys_ad_sync.errors import RunAmbiguous, RunUnknown
from genesys_ad_sync.model import (
    AccountState,
    Action,
    Change,
    Grant,
    Guid,
    Objection,
    Reason,
    Row,
    RunKey,
    RunRecord,
    RunRequest,
    Status,
    WrittenRow,
)
from genesys_ad_sync.planning import Plan, PlanContext
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE
from genesys_ad_sync.planning.sleeping import Sleepers
from genesys_ad_sync.planning.undo import INVERSE, Present, plan_undo
from genesys_ad_sync.run.changes import groups_in_param
from genesys_ad_sync.run.claims import claimed_by_others
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import ACCOUNTS, APPROVAL, LAST_CHANGE, MAPPING, RELEASED, REQUESTED_BY, UNDO
from genesys_ad_sync.run.limit_facts import gather_limit_facts
from genesys_ad_sync.run.objections import Objections, newest_told
from genesys_ad_sync.run.planning_inputs import begin_reading, planning_context
from genesys_ad_sync.run.present_members import read_present
from genesys_ad_sync.run.targets import target_of
from genesys_ad_sync.run.undo_view import granted_otherwise, linked_otherwise, wanted_by_group
from genesys_ad_sync.settings import SyncDefinition


@dataclass(frozen=True)
class UndoRun:
    """A run that takes back another one, ``undone``, and does nothing else."""

    undone: RunKey


def undo_run(task: TaskContext) -> UndoRun | None:
    """Return what this run takes back; None for any other run."""
    undone = task.facts[UNDO]
    return None if undone is None else UndoRun(undone)


# -- for `poll` ---------------------------------------------------------------------------------------


def begin(task: TaskContext, run: RunRecord, request: RunRequest) -> list[str]:
    """Note what the run must undo, and release; return notes for the report.

    What is to be released is released at once. Raises RunUnknown if the journal knows no such run of this definition,
    RunAmbiguous if it knows two.
    """
    notes = []
    if request.release_run:
        notes.append(_release(task, run, request.release_run))
    undone = None
    if request.undo_run:
        undone = _find(task, request.undo_run, lambda key: _knows(task, key))
        notes.append(f"undoes run {undone.run_id} of {undone.dag_id}, and does nothing else")
    task.facts[UNDO] = undone
    task.facts[REQUESTED_BY] = request.requested_by
    return notes


def _release(task: TaskContext, run: RunRecord, asked: str) -> str:
    """Release a run and return the note. A retry returns what the first try released."""
    note = task.facts[RELEASED]
    if note is not None:
        return note
    # a rejection and a pin outlive the run itself (see `Runs.forget`) and the name of the definition
    pins, rejections = task.journal.pins.all(), task.journal.questions.rejections()
    pairs = task.journal.pairs.rejections()
    key = _find(
        task,
        asked,
        lambda key: (
            _knows(task, key)
            or task.journal.pins.exist(key)
            or task.journal.questions.exists(key)
            or any(said.run == key for said in pairs.values())
        ),
        former={one.run.dag_id for one in (*pins.values(), *rejections.values(), *pairs.values())},
    )
    if run.dry_run:
        return f"dry run: nothing of run {key.run_id} of {key.dag_id} was released"
    released = task.journal.pins.release(key)
    rejected = task.journal.questions.reopen_rejected(key)
    new_pairs = task.journal.pairs.release(key)
    note = f"run {key.run_id} of {key.dag_id} was released: {released} undone pairs, {rejected} rejected changes"
    note += f", {new_pairs} rejected new pairs" if new_pairs else ""
    task.facts[RELEASED] = note
    return note


def _find(task: TaskContext, asked: str, knows: Callable[[RunKey], bool], former: Collection[str] = ()) -> RunKey:
    """Return the run that a run id, or DAG id/run id, means.

    ``former``: other DAG ids that are searched.
    """
    definition = task.definition
    own = (task.key.dag_id, definition.dag_id, definition.full_dag_id, *definition.former_dag_ids)
    taken_over = task.journal.runs.dag_ids(definition.name)  # also once the key `formerly` is gone from the file
    dag_ids = dict.fromkeys((*own, *sorted({*former, *taken_over})))
    meant = [RunKey(dag_id, run_id) for dag_id in dag_ids for run_id in {asked, asked.removeprefix(f"{dag_id}/")}]
    known = [key for key in meant if key != task.key and knows(key)]
    if not known:
        raise RunUnknown(
            f"The journal knows no run {asked!r} of {definition.dag_id} or {definition.full_dag_id}. "
            "Copy the run id from the run's page in Airflow, or from its report."
        )
    if len(known) > 1:
        raise RunAmbiguous(f"Both DAGs have a run {asked!r}. Say which one is meant: {' or '.join(map(str, known))}.")
    return known[0]


def _knows(task: TaskContext, key: RunKey) -> bool:
    try:
        task.journal.runs.get(key)
    except RunUnknown:
        return False
    return True


# -- for `plan` ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UndoInputs:
    """Everything that the plan of an undo depends on.

    ``done``: the rows that the run wrote, oldest first; ``changed_since``: keys of those that have changed again.
    ``fence``: see `PlanInputs`.
    """

    undo: UndoRun
    done: tuple[Row, ...]
    changed_since: frozenset[str]
    present: Present
    context: PlanContext
    fence: int | None
    compared_in_full: frozenset[str] = frozenset()
    decisions: Objections = field(default_factory=Objections)
    sleepers: Sleepers = field(default_factory=Sleepers)
    empty_sources: dict[str, tuple[Guid, ...]] = field(default_factory=dict)

    def decide(self, definition: SyncDefinition) -> Plan:
        """Return the plan. Pure."""
        return plan_undo(self.undo.undone.run_id, self.done, self.changed_since, self.present, definition, self.context)

    def gather_again(self, task: TaskContext) -> UndoInputs:
        """Return the inputs as they are after another run has written."""
        return _inputs(task, self.undo, fence=None)


def gather_undo_inputs(task: TaskContext, undo: UndoRun) -> UndoInputs:
    """Read everything that the plan of an undo depends on.

    Raises GenesysError if users cannot be read.
    """
    return _inputs(task, undo, fence=begin_reading(task))


def _inputs(task: TaskContext, undo: UndoRun, *, fence: int | None) -> UndoInputs:
    run = task.run
    written = _chosen(task, task.journal.pins.writes_of(undo.undone))
    rows = tuple(done.row for done in written)
    moved = linked_otherwise(task, rows)
    mapped = {pair.genesys_group_id: pair.genesys_group_name for pair in task.facts.required(MAPPING).pairs}
    group_ids = sorted({row.genesys_group_id or "" for row in rows} & mapped.keys())
    members = {id_: None if ids is None else frozenset(ids) for id_, ids in read_present(task, group_ids).items()}
    claimed = claimed_by_others(task, run)
    grants: dict[str, list[Grant]] = {}
    for grant in task.journal.grants.of_groups(group_ids):
        grants.setdefault(grant.genesys_group_id, []).append(grant)
    user_ids = sorted({row.genesys_user_id for row in rows if row.genesys_user_id})
    return UndoInputs(
        undo=undo,
        done=rows,
        changed_since=frozenset(_changed_since(task, undo.undone, written)),
        present=Present(
            members=members,
            grants={group_id: tuple(of_group) for group_id, of_group in grants.items()},
            users={user.id: user for user in task.genesys.users_by_id(user_ids)},
            # of the Genesys groups that are mapped today; others are not written
            claimed_by={id_: by for id_, by in claimed.items() if id_ in group_ids},
            mapped=mapped,
            wanted={
                group_id: {guid for guid in wanted if (group_id, guid) not in moved}
                for group_id, wanted in wanted_by_group(task, group_ids).items()
            },
            accounts=unusable_accounts(task),
        ),
        context=replace(
            planning_context(task, run, (), {row.user_guid for row in rows if row.user_guid}),
            limits=gather_limit_facts(task, run, _owned(grants), ()),
        ),
        fence=fence,
    )


def _owned(grants: Mapping[str, Sequence[Grant]]) -> Iterator[tuple[str, str]]:
    return ((group_id, grant.genesys_user_id) for group_id, of_group in grants.items() for grant in of_group)


def _chosen(task: TaskContext, written: list[WrittenRow]) -> list[WrittenRow]:
    """Return the rows on which param `groups` lets this run act.

    A membership that was written more than once, through whatever AD groups, is one thing.
    """
    patterns = task.run.groups
    if not patterns:
        return written
    known = task.journal.views.groups({guid for done in written for guid in done.row.group_guids})
    allowed = {group.guid for group in groups_in_param(known.values(), patterns)}
    memberships = {_membership(done.row) for done in written if not allowed.isdisjoint(done.row.group_guids)}
    return [done for done in written if _membership(done.row) in memberships]


def _membership(row: Row) -> tuple[str | None, str]:
    return row.genesys_group_id, row.person


def _changed_since(task: TaskContext, key: RunKey, written: Sequence[WrittenRow]) -> set[str]:
    """Return keys of rows whose membership AD, or another run, has changed since the plan."""
    changed = task.journal.pins.written_since(written, key)
    newest = _newest_told(task, [done.row for done in written])
    known = task.journal.facts.of_attempts({done.attempt_id for done in written}, LAST_CHANGE.key)
    for done in written:
        known_then = known.get(done.attempt_id) or max(done.row.change_ids, default=0)
        if newest[done.row.key] > known_then:
            changed.add(done.row.key)
    return changed | granted_otherwise(task, [done.row for done in written if done.row.action is Action.ADD])


# -- for `patch` --------------------------------------------------------------------------------------


def changed_since_plan(task: TaskContext, rows: Sequence[Row]) -> set[str]:
    """Return keys of rows whose membership AD has changed since this undo was planned."""
    known = task.facts[LAST_CHANGE]
    newest = _newest_told(task, rows)
    changed = {row.key for row in rows if newest[row.key] > known}
    return changed | granted_otherwise(task, [row for row in rows if row.action is Action.REMOVE])


def pin_undone(task: TaskContext, run: RunRecord, undo: UndoRun, rows: Sequence[Row]) -> None:
    """Hold what was taken back, until AD changes that membership or a person releases it.

    What AD wants otherwise becomes a change. Each later run lists it, and carries it out once nothing holds it.
    """
    undone = [row for row in rows if row.status is Status.SUCCESS and row.genesys_group_id]
    if not undone:
        return
    approval = task.facts[APPROVAL]
    task.journal.pins.add(
        {
            (row.genesys_group_id or "", row.person): Objection(
                reason=Reason.UNDONE,
                run=run.key,
                at=task.clock(),
                last_change=task.facts[LAST_CHANGE],
                by=approval.by if approval and _was_approved(row) else task.facts[REQUESTED_BY],
                action=INVERSE[row.action],
            )
            for row in undone
        },
        undoes=undo.undone,
    )
    task.journal.changes.add_compared(_left_to_do(task, run, undone))


def _was_approved(row: Row) -> bool:
    return row.lane is not None and row.lane >= FIRST_APPROVED_LANE


def _left_to_do(task: TaskContext, run: RunRecord, undone: Sequence[Row]) -> list[Change]:
    """Return the changes that AD's newest view asks for against what the undo wrote."""
    feeding = {row.genesys_group_id or "": target_of(task, row.genesys_group_id or "").sources for row in undone}
    wanted = wanted_by_group(task, feeding)
    changes = []
    for row in undone:
        group_id = row.genesys_group_id or ""
        if (row.person in wanted[group_id]) is (row.action is Action.ADD):
            continue
        sources = wanted[group_id].get(row.person) or set(row.group_guids) & set(feeding[group_id]) or feeding[group_id]
        changes += [
            Change(
                group_guid=guid,
                user_guid=row.user_guid,
                action=INVERSE[row.action],
                observed_at=run.polled_at or task.clock(),
                origin="comparison",
                genesys_user_id=row.genesys_user_id,
            )
            for guid in sorted(sources)
        ]
    return changes


# -- what AD says by now ------------------------------------------------------------------------------


def put_back(task: TaskContext) -> set[Guid]:
    """Return the accounts that this undo would add to a Genesys group."""
    undo = undo_run(task)
    written = task.journal.pins.writes_of(undo.undone) if undo else []
    return {done.row.user_guid for done in written if done.row.action is Action.REMOVE and done.row.user_guid}


def unusable_accounts(task: TaskContext) -> dict[Guid, str]:
    """Return the accounts through which nobody may be put back, with the reason in words."""
    return {
        guid: f"the AD account {_STATE_WORDS[state]}: an undo does not add it"
        for guid, state in task.facts[ACCOUNTS].items()
        if state in _STATE_WORDS
    }


_STATE_WORDS = {
    AccountState.DISABLED: "is disabled",
    AccountState.EXPIRED: "has expired",
    AccountState.DELETED: "is deleted",
    AccountState.UNSEEN: "cannot be read",
}


def _newest_told(task: TaskContext, rows: Sequence[Row]) -> dict[str, int]:
    """Return the id of the newest change that AD reported, by row key.

    The id is 0 if there is none. Every AD group counts that feeds the Genesys group, or did so once: the newest change
    rules, whatever its group. A change from before the journal kept its evidence counts, too.
    """
    newest = newest_told(task, {(row.genesys_group_id or "", row.person) for row in rows}, or_not_known=True)
    return {row.key: newest[row.genesys_group_id or "", row.person] for row in rows}
