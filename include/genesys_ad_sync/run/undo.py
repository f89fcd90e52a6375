"""Params `undo_run` and `release_run`: takes back what a run did, keeps it so, and lets go of it again.

An undo run reads AD (to know what has changed since) and acts on nothing else than what it takes back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from genesys_ad_sync.errors import RunAmbiguous, RunUnknown
from genesys_ad_sync.journal.records import Done, RunKey, RunRecord
from genesys_ad_sync.matching import excluded_users
from genesys_ad_sync.model import Action, Guid, Row, Status
from genesys_ad_sync.planning import Context, Plan
from genesys_ad_sync.run.context import RunRequest, Sync, chosen
from genesys_ad_sync.run.wanted import wanted_members
from genesys_ad_sync.stages.map_groups import mapped
from genesys_ad_sync.undo import Present, plan_undo

ReadMembers = Callable[[Sync, Sequence[str]], dict[str, frozenset[str] | None]]


def begin(task: Sync, run: RunRecord, request: RunRequest) -> list[str]:
    """Called by `poll`: notes what is to be undone, and releases what is to be released. Gives notes for the report.

    Raises RunUnknown if the journal knows no such run of this definition, RunAmbiguous if it knows two."""
    notes = []
    if request.release_run:
        notes.append(_release(task, run, request.release_run))
    undone = None
    if request.undo_run:
        key = _find(task, request.undo_run, lambda key: _knows(task, key))
        undone = {"dag_id": key.dag_id, "run_id": key.run_id}
        notes.append(f"undoes run {key.run_id} of {key.dag_id}, and does nothing else")
    task.journal.put_fact(run, "undo", undone)
    return notes


def is_undo(task: Sync) -> bool:
    return bool(task.fact("undo"))


def decide_undo(task: Sync, context: Context, read_members: ReadMembers, claimed: dict[str, str]) -> Plan:
    """The plan of an undo run. ``claimed``: of the Genesys groups that are mapped today; others are not written."""
    undone = task.fact("undo")
    key = RunKey(**undone)
    done = _chosen(task, task.journal.done_by(key))
    fed = {pair.genesys_group_id: pair.genesys_group_name for pair in mapped(task)[0]}
    group_ids = sorted({one.row.genesys_group_id or "" for one in done} & fed.keys())
    members = read_members(task, group_ids)
    user_ids = sorted({one.row.genesys_user_id for one in done if one.row.genesys_user_id})
    granted: dict[str, set[str]] = {}
    for grant in task.journal.grants(task.definition.name, group_ids):
        granted.setdefault(grant.genesys_group_id, set()).add(grant.genesys_user_id)
    present = Present(
        members=members,
        owned={id_: len(granted.get(id_, set()) & (members[id_] or frozenset())) for id_ in group_ids},
        users={user.id: user for user in task.genesys.users_by_id(user_ids)},
        claimed_by={id_: by for id_, by in claimed.items() if id_ in group_ids},
        mapped=fed,
    )
    # only here it is known whom the rows name
    people = task.journal.known_users(task.definition.name, {one.row.user_guid for one in done if one.row.user_guid})
    context = replace(context, excluded_users=excluded_users(people.values(), task.definition))
    return plan_undo(
        key.run_id, [one.row for one in done], _changed_since(task, key, done), present, task.definition, context
    )


def changed_since_plan(task: Sync, rows: Sequence[Row]) -> set[str]:
    """Keys of the rows whose pair AD has changed since this undo was planned."""
    known = task.fact("last_change", 0)
    newest = _newest_told(task, rows)
    changed = {row.key for row in rows if newest[row.key] > known}
    return changed | _granted_otherwise(task, [row for row in rows if row.action is Action.REMOVE])


def pin_undone(task: Sync, run: RunRecord, rows: Sequence[Row]) -> None:
    """What was taken back stays so, until AD changes that pair or somebody releases it."""
    undone = [row for row in rows if row.undoes and row.status is Status.SUCCESS]
    if not undone:
        return
    task.journal.pin(
        task.definition.name,
        [(row.genesys_group_id, row.person) for row in undone if row.genesys_group_id],
        key=run.key,
        undoes=RunKey(**task.fact("undo")),
        last_change=task.fact("last_change", 0),
        at=task.clock(),
    )


def _release(task: Sync, run: RunRecord, asked: str) -> str:
    """Gives the note. A repeated try finds nothing left to release, and tells what the first one released."""
    name = task.definition.name
    told: str | None = task.journal.fact(run, "released", default=None)
    if told is not None:
        return told
    # a rejection and a pin outlive the run itself, see `Journal.forget_runs`
    key = _find(
        task,
        asked,
        lambda key: _knows(task, key) or task.journal.has_pins(name, key) or task.journal.has_asked(name, key),
    )
    if run.dry_run:
        return f"dry run: nothing of run {key.run_id} of {key.dag_id} was released"
    pins = task.journal.release_pins(name, key)
    rejected = task.journal.reopen_rejected(name, key)
    note = f"run {key.run_id} of {key.dag_id} was released: {pins} undone pairs, {rejected} rejected changes"
    task.journal.put_fact(run, "released", note)
    return note


def _find(task: Sync, asked: str, knows: Callable[[RunKey], bool]) -> RunKey:
    """The run that a person means: a run id, of this DAG or of the other one of the definition, or DAG id/run id."""
    definition = task.definition
    dag_ids = dict.fromkeys((task.key.dag_id, definition.dag_id, definition.full_dag_id))
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


def _knows(task: Sync, key: RunKey) -> bool:
    try:
        task.journal.run(key)
    except RunUnknown:
        return False
    return True


def _chosen(task: Sync, done: list[Done]) -> list[Done]:
    """Of what the run did, that on which param `groups` lets this one act. A pair that it wrote more than once, through
    whatever AD groups, is one thing."""
    if not task.run.groups:
        return done
    known = task.journal.known_groups(task.definition.name, {guid for one in done for guid in one.row.group_guids})
    allowed = {group.guid for group in chosen(known.values(), task.run.groups)}
    pairs = {_pair(one.row) for one in done if not allowed.isdisjoint(one.row.group_guids)}
    return [one for one in done if _pair(one.row) in pairs]


def _pair(row: Row) -> tuple[str | None, str]:
    return row.genesys_group_id, row.person


def _changed_since(task: Sync, key: RunKey, done: Sequence[Done]) -> set[str]:
    """Keys of the rows whose pair was changed again: AD told so after the run was planned, or another run wrote."""
    changed = task.journal.written_since(done, key)
    newest = _newest_told(task, [one.row for one in done])
    known = task.journal.facts_of_attempts({one.attempt_id for one in done}, "last_change")
    for one in done:
        known_then = known.get(one.attempt_id) or max(one.row.change_ids, default=0)
        if newest[one.row.key] > known_then:
            changed.add(one.row.key)
    return changed | _granted_otherwise(task, [one.row for one in done if one.row.action is Action.ADD])


def _newest_told(task: Sync, rows: Sequence[Row]) -> dict[str, int]:
    """Row key -> id of the newest change that AD told of its pair, 0 if none: through any AD group that feeds the
    Genesys group, or did so once. AD's newer word counts, whatever group it comes through."""
    name = task.definition.name
    feeding: dict[str, set[Guid]] = {}
    for pair in (*mapped(task)[0], *task.journal.pairs(name), *task.journal.inactive_pairs(name)):
        feeding.setdefault(pair.genesys_group_id, set()).add(pair.group_guid)
    told: dict[str, set[tuple[Guid, Guid]]] = {row.key: set() for row in rows}
    for row in rows:
        if row.user_guid:
            groups = feeding.get(row.genesys_group_id or "", set()).union(row.group_guids)
            told[row.key] |= {(guid, row.user_guid) for guid in groups}
    newest = task.journal.newest_told(name, set().union(*told.values()))
    return {key: max((newest.get(pair, 0) for pair in pairs), default=0) for key, pairs in told.items()}


def _granted_otherwise(task: Sync, rows: Sequence[Row]) -> set[str]:
    """Keys of the rows whose person AD's newest view grants the membership through an AD group of which the row knows
    nothing. AD need not have told of a change: a rule may have been added since."""
    feeding: dict[str | None, set[Guid]] = {row.genesys_group_id: set() for row in rows}
    for pair in mapped(task)[0]:
        if pair.genesys_group_id in feeding:
            feeding[pair.genesys_group_id].add(pair.group_guid)
    view = task.journal.load_view(task.definition.name, set().union(*feeding.values()))
    wanted = {group_id: wanted_members(task, view, groups) for group_id, groups in feeding.items()}
    return {row.key for row in rows if set(wanted[row.genesys_group_id].get(row.person, ())) - set(row.group_guids)}
