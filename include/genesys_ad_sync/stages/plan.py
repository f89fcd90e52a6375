"""Fourth task: what must be written to Genesys Cloud, what is held, what is done already.

Reads each concerned group's present membership, lets `planning` decide, and keeps the plan in the journal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

from genesys_ad_sync.genesys.errors import GenesysError
from genesys_ad_sync.journal.records import RunKey, RunRecord
from genesys_ad_sync.matching import excluded_users
from genesys_ad_sync.model import (
    Action,
    Change,
    GenesysGroup,
    Grant,
    Guid,
    Match,
    Mode,
    Reason,
    Row,
    SkippedGroup,
    Status,
)
from genesys_ad_sync.planning import Context, Plan, Target, Unmapped, newest_told
from genesys_ad_sync.planning import plan as plan_purely
from genesys_ad_sync.run import targets as target_groups
from genesys_ad_sync.run.context import Sync, chosen, tells_of_failure
from genesys_ad_sync.run.lanes import batches_of
from genesys_ad_sync.run.targets import TargetGroup
from genesys_ad_sync.run.undo import decide_undo, is_undo
from genesys_ad_sync.run.users import with_late_comers
from genesys_ad_sync.stages.approve_removals import freeze
from genesys_ad_sync.stages.map_groups import mapped

PLANS_ARE_CARRIED_OUT = timedelta(hours=2)
"""Within that time, or their run has died."""


@tells_of_failure
def plan(task: Sync) -> dict[str, Any]:
    """Decides and records. Returns the batches for the mapped patch instances, counts, and the plan's hash.

    A group whose present membership cannot be read has its changes held; the others go on.
    """
    run = task.run
    targets, unmapped = target_groups.collect(task)
    matches = with_late_comers(task, targets)
    # what AD tells after this moment is newer than what this run does
    task.journal.put_fact(run, "last_change", task.journal.last_change())
    # `patch` may rely on what is read here if no other run has written since
    fence = _next_fence(task)
    task.journal.put_fact(run, "reading", {"at": task.clock().isoformat(), "fence": fence})
    present = _read_present(task, [target.genesys_group_id for target in targets if _needs_reading(target)])
    for in_flight in (fence is None, True):
        if in_flight:
            _look_at_changes_again(task, targets, unmapped)
        if is_undo(task):
            decided = _decide_undo(task, run)
        else:
            decided = _decide(task, run, targets, unmapped, matches, present, in_flight)
        with task.journal.together():
            if in_flight or _next_fence(task) == fence:
                rows, settled_elsewhere = _keep(task, run, targets, decided)
                break

    counts = {status.value: sum(row.status is status for row in rows) for status in Status}
    task.say("plan: " + (", ".join(f"{n} {status}" for status, n in counts.items() if n) or "nothing to do"))
    if settled_elsewhere:
        task.say(f"{len(settled_elsewhere)} changes were settled by another run meanwhile")
    return {
        "batches": [] if run.dry_run or decided.fail_reason else batches_of(rows),
        "counts": counts,
        "hash": decided.hash,
        "fail_reason": decided.fail_reason,
    }


def _look_at_changes_again(task: Sync, targets: Sequence[TargetGroup], unmapped: dict[Guid, list[Change]]) -> None:
    """The run that is writing may have settled some of them by now."""
    lists = [*(target.changes for target in targets), *unmapped.values()]
    newest = {one.id: one for one in task.journal.changes({one.id for list_ in lists for one in list_ if one.id})}
    for list_ in lists:
        list_[:] = [newest.get(one.id, one) for one in list_]


def _next_fence(task: Sync) -> int | None:
    return task.journal.next_fence(task.organisation, task.key, now=task.clock())


def _keep(
    task: Sync, run: RunRecord, targets: Sequence[TargetGroup], decided: Plan
) -> tuple[list[Row], dict[int, RunKey]]:
    """The plan into the journal, and what it settles without a write. Gives the rows, and the changes that another run
    has settled meanwhile."""
    rows = list(freeze(task, run, decided, _with_comparison_changes(task, run, decided)))
    task.journal.save_rows(run, rows)
    task.journal.save_group_results(run, decided.group_results)
    now = task.clock()
    finished = [row for row in rows if row.lane is None]
    if not run.dry_run:
        _keep_grants(task, decided, finished)
    settled_elsewhere = task.journal.record(run, [row for row in finished if row.settled_by is None], at=now)
    told = {"hash": decided.hash, "fail_reason": decided.fail_reason, "at": now.isoformat()}
    task.journal.put_fact(run, "plan", told)
    task.journal.put_fact(run, "whole", sorted(target.genesys_group_id for target in targets if target.whole))
    task.journal.put_fact(run, "compared", sorted(decided.compared))
    return rows, settled_elsewhere


def _needs_reading(target: TargetGroup) -> bool:
    return target.whole or any(change.settled_by is None for change in target.changes)


def _read_present(task: Sync, group_ids: Sequence[str]) -> dict[str, frozenset[str] | None]:
    """The individuals of each group; None where they could not be read. "Could not read" is never "empty"."""

    def read(group_id: str) -> frozenset[str] | None:
        try:
            return task.genesys.individuals(group_id)
        except GenesysError as error:
            task.say(f"the members of Genesys group {group_id} could not be read, its changes are held: {error}")
            return None

    with ThreadPoolExecutor(max_workers=task.definition.genesys.workers) as pool:
        return dict(zip(group_ids, pool.map(read, group_ids), strict=True))


def _decide(
    task: Sync,
    run: RunRecord,
    targets: Sequence[TargetGroup],
    unmapped: dict[Guid, list[Change]],
    matches: dict[Guid, Match],
    present: dict[str, frozenset[str] | None],
    in_flight: bool,
) -> Plan:
    _, skipped, _ = mapped(task)
    guids = {change.user_guid for changes in unmapped.values() for change in changes if change.user_guid}
    groups = {guid for target in targets for guid in (*target.feeding, *target.retired)} | set(unmapped)
    groups |= {change.group_guid for target in targets for change in target.changes}
    pins = _pins(task, run, targets)
    known = planning_targets(task, targets, present, claimed_by_others(task, run))
    # a comparison may find somebody through a grant, of whom no change tells: to be left alone if excluded
    guids |= {grant.user_guid for target in known for grant in target.grants}
    return plan_purely(
        known,
        matches,
        _unmapped(task, run, skipped, unmapped),
        task.definition,
        replace(
            planning_context(task, run, groups | {s.group_guid for s in skipped}, guids | set(matches), pins),
            in_flight=in_flight and not run.dry_run,
        ),
    )


def _decide_undo(task: Sync, run: RunRecord) -> Plan:
    return decide_undo(task, planning_context(task, run, (), ()), _read_present, claimed_by_others(task, run))


def _pins(task: Sync, run: RunRecord, targets: Sequence[TargetGroup]) -> dict[tuple[str, Guid], int]:
    """The pairs that somebody undid. Where AD has told something newer, it rules again."""
    pins = task.journal.pins(task.definition.name, [target.genesys_group_id for target in targets])
    if pins and not run.dry_run:
        over = {}
        for target in targets:
            for change in target.changes:
                pair = (target.genesys_group_id, change.user_guid or change.genesys_user_id or "")
                if pair in pins and newest_told([change]) > pins[pair]:
                    over[pair] = pins[pair]
        task.journal.unpin(task.definition.name, over)
    return pins


def planning_targets(
    task: Sync,
    targets: Sequence[TargetGroup],
    present: dict[str, frozenset[str] | None],
    claimed: Mapping[str, str],
) -> list[Target]:
    """The targets with what the journal knows of them: ownership, claims, and what was read completely in this run.

    ``claimed``: see `claimed_by_others`."""
    _, _, genesys_groups = mapped(task)
    complete = set(task.fact("complete", []))
    ids = [target.genesys_group_id for target in targets]
    grants: dict[str, list[Grant]] = {id_: [] for id_ in ids}
    for grant in task.journal.grants(task.definition.name, ids):
        grants[grant.genesys_group_id].append(grant)
    return [
        Target(
            genesys_group=genesys_groups.get(target.genesys_group_id)
            or GenesysGroup(id=target.genesys_group_id, name=target.genesys_group_id, state="deleted"),
            feeding=target.feeding,
            whole=target.whole,
            effective=target.wanted,
            # nothing to prove where nothing feeds it any more: its removals are held for that
            complete=not target.feeding or set(target.feeding) <= target.nested_below <= complete,
            present=present.get(target.genesys_group_id),
            grants=tuple(grants[target.genesys_group_id]),
            changes=tuple(target.changes),
            claimed_by=claimed.get(target.genesys_group_id),
            retired=target.retired,
        )
        for target in targets
    ]


def planning_context(
    task: Sync,
    run: RunRecord,
    groups: Collection[Guid],
    users: Collection[Guid],
    pins: Mapping[tuple[str, Guid], int] | None = None,
) -> Context:
    """``groups`` and ``users``: those whom the rows may name."""
    name = task.definition.name
    people = task.journal.known_users(name, users)
    assert run.polled_at is not None
    return Context(
        observed_at=run.polled_at,
        dry_run=run.dry_run,
        removed_today=task.journal.removals_since(name, task.clock() - timedelta(days=1)),
        journal_restored=bool(task.fact("journal_restored")),
        pins=pins or {},
        being_asked=frozenset(task.journal.being_asked(name, task.clock(), but_not_by=run.key))
        | task.journal.about_to_be_removed(name, since=task.clock() - PLANS_ARE_CARRIED_OUT, but_not_by=run.key),
        excluded_users=excluded_users(people.values(), task.definition),
        groups=task.journal.known_groups(name, groups),
        users=people,
        deleted_users=task.journal.deleted_users(name),
    )


def _unmapped(
    task: Sync, run: RunRecord, skipped: Sequence[SkippedGroup], changes: dict[Guid, list[Change]]
) -> list[Unmapped]:
    """AD groups that feed nothing: one row per changed member; at a baseline, and in a whole comparison, one in all."""
    known = task.journal.known_groups(task.definition.name, {s.group_guid for s in skipped} | set(changes))
    allowed = {group.guid for group in chosen(known.values(), run.groups)}
    whole = run.mode is Mode.FULL or not any(pair.has_baseline for pair in task.journal.pairs(task.definition.name))
    whole = whole and not run.bounded
    reasons = {s.group_guid: s for s in skipped}
    return [
        Unmapped(
            reasons.get(guid) or SkippedGroup(guid, Reason.UNMAPPED, "the AD group is gone, and no pair remembers it"),
            tuple(changes.get(guid, ())),
            whole=whole,
        )
        for guid in sorted(allowed)
        if whole or guid in changes
    ]


def claimed_by_others(task: Sync, run: RunRecord) -> dict[str, str]:
    """Mapped Genesys groups that another sync definition feeds: id -> definition. The others are claimed by this one,
    and stay so until it maps them no longer, or its file is gone. A dry run asks, and neither claims nor releases."""
    name = task.definition.name
    group_ids = sorted({pair.genesys_group_id for pair in target_groups.newest_pairs(task)})
    claimed = task.journal.claim(task.organisation, name, group_ids, task.clock(), dry_run=run.dry_run)
    gone = set() if task.definitions is None else set(claimed.values()) - task.definitions
    if not run.dry_run:
        task.journal.release_claims(task.organisation, name, group_ids)
        if gone:
            for one in gone:
                task.journal.release_claims(task.organisation, one, ())
            claimed = task.journal.claim(task.organisation, name, group_ids, task.clock())
            _tell(task, run, f"released the claims of sync definitions whose file is gone: {', '.join(sorted(gone))}")
    return {group_id: by for group_id, by in claimed.items() if by not in gone}


def _tell(task: Sync, run: RunRecord, note: str) -> None:
    """In the task's log and in the report."""
    task.say(note)
    task.journal.put_fact(run, "notes", [*task.journal.fact(run, "notes", default=[]), note])


def _with_comparison_changes(task: Sync, run: RunRecord, decided: Plan) -> list[Row]:
    """Rows that only the comparison found become changes of the journal, so that a later run takes them up if this
    one cannot settle them. A dry run keeps nothing."""
    if run.dry_run or not decided.comparison_changes:
        return list(decided.rows)
    changes = [change for _, change in decided.comparison_changes]
    ids: dict[str, list[int]] = {}
    recorded = task.journal.record_comparison(task.definition.name, changes)
    for (key, _), change in zip(decided.comparison_changes, recorded, strict=True):
        assert change.id is not None
        ids.setdefault(key, []).append(change.id)
    return [
        replace(row, change_ids=(*row.change_ids, *ids[row.key])) if row.key in ids else row for row in decided.rows
    ]


def _keep_grants(task: Sync, decided: Plan, finished: Sequence[Row]) -> None:
    """AD owns what it grants and Genesys has. What no row writes is owned from here on; what is written, by `patch`."""
    task.journal.add_grants(task.definition.name, decided.found, task.clock())
    task.journal.remove_grants(task.definition.name, decided.outdated)
    grant_settled_adds(task, finished)
    drop_grants_of_settled_removals(task, finished)


def grant_settled_adds(task: Sync, rows: Sequence[Row]) -> None:
    """An add that is in effect is a grant of each AD group that says so."""
    grant(
        task,
        [
            row
            for row in rows
            if row.action is Action.ADD
            # what an undo finds there already, somebody else has put back
            and (row.status is Status.SUCCESS or (row.status is Status.UNCHANGED and not row.undoes))
            and row.settled_by is None
        ],
    )


def grant(task: Sync, rows: Sequence[Row]) -> None:
    """AD owns the memberships that these adds are about."""
    task.journal.add_grants(task.definition.name, _grants_of(rows), task.clock())


def take_back_grants(task: Sync, rows: Sequence[Row]) -> None:
    """Of adds that were to be sent, and are known not to have come to anything."""
    not_carried_out = (Reason.REFUSED, Reason.NOT_ATTEMPTED)
    in_vain = [
        row
        for row in rows
        if row.action is Action.ADD
        and not row.undoes
        and (row.status is Status.ORPHANED or (row.status is Status.FAILED and row.reason in not_carried_out))
    ]
    task.journal.remove_grants(task.definition.name, _grants_of(in_vain))


def _grants_of(rows: Sequence[Row]) -> list[Grant]:
    return [
        Grant(row.genesys_group_id, row.genesys_user_id, row.user_guid, group)
        for row in rows
        if row.user_guid and row.genesys_user_id and row.genesys_group_id
        for group in row.group_guids
    ]


def drop_grants_of_settled_removals(task: Sync, rows: Sequence[Row]) -> None:
    """When a removal is settled, AD no longer owns that membership through those AD groups."""
    over = [
        row
        for row in rows
        if row.action is Action.REMOVE
        and (row.status is Status.SUCCESS or (row.status is Status.UNCHANGED and not row.undoes))
        and row.genesys_group_id
        and row.settled_by is None
    ]
    if not over:
        return
    name = task.definition.name
    deleted = task.journal.deleted_users(name)
    grants: dict[tuple[str, str], list[Grant]] = {}
    for one in task.journal.grants(name, sorted({row.genesys_group_id for row in over if row.genesys_group_id})):
        # what was granted through an account that was made anew since goes with that of the new one
        owner = one.genesys_user_id if one.user_guid in deleted else one.user_guid
        grants.setdefault((one.genesys_group_id, owner), []).append(one)
    gone = []
    for row in over:
        gone += [
            one
            for owner in {row.user_guid, row.genesys_user_id}
            for one in grants.get((row.genesys_group_id or "", owner or ""), ())
            # a person who is still granted by another group keeps that group's grant
            if row.reason is not Reason.STILL_GRANTED or one.group_guid in row.group_guids
        ]
    task.journal.remove_grants(name, gone)
