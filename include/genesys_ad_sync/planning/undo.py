"""The inverse of what a run really did, minus what has legitimately changed since. Pure, like `planning`.

An undo does not ask what AD wants: a person has looked and knows better. It is bound by the same limits, `protect:`,
`exclude: users:` and approval as everything else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from genesys_ad_sync.model import Action, GenesysUser, GroupResult, Guid, Reason, Row, Status
from genesys_ad_sync.planning import guards as guard
from genesys_ad_sync.planning.verdicts import (
    Context,
    Plan,
    asking_persons,
    content_hash,
    fail_reason,
    removals_by_group,
    spread,
)
from genesys_ad_sync.settings import SyncDefinition

INVERSE = {Action.ADD: Action.REMOVE, Action.REMOVE: Action.ADD}


@dataclasses.dataclass(frozen=True)
class Present:
    """What Genesys has now. ``members``: None: the group could not be read. ``owned``: of them, those whom AD owns.
    ``users``: those who may be put back; who is missing is not known to Genesys. ``mapped``: the names of the groups
    that a rule maps today; of the others nothing is known here, since nothing is written to them."""

    members: Mapping[str, frozenset[str] | None]
    owned: Mapping[str, int]
    users: Mapping[str, GenesysUser]
    claimed_by: Mapping[str, str]
    mapped: Mapping[str, str]


def plan_undo(
    run_id: str,
    done: Sequence[Row],
    changed_since: Collection[str],
    present: Present,
    definition: SyncDefinition,
    context: Context,
) -> Plan:
    """The plan that takes back ``done``, the rows that the run wrote with success, oldest first.

    ``changed_since``: keys of those of them whose pair AD, or another run, has changed again.
    A pair that the run wrote more than once goes back to what it was before the first time.
    """
    first: dict[tuple[str, str], Row] = {}
    changed: set[tuple[str, str]] = set()
    for row in done:
        first.setdefault(_pair(row), row)
        if row.key in changed_since:
            changed.add(_pair(row))
    drafts = [
        _inverse(row, run_id, pair in changed, present, definition, context) for pair, row in sorted(first.items())
    ]
    drafts.sort(key=lambda row: (row.genesys_group_id or "", row.action is Action.REMOVE, row.key))
    pending = _pending(drafts, present, context.being_asked)
    excess = guard.excess(pending, context.removed_today, definition.limits)
    rows, to_approve = asking_persons(drafts, excess, definition, context)
    if not context.dry_run:
        rows = list(spread(rows, definition.genesys.write))
    return Plan(
        rows=tuple(rows),
        group_results=tuple(_group_results(rows, present)),
        comparison_changes=(),
        found=(),
        hash=content_hash(rows),
        fail_reason=fail_reason(excess, definition),
        to_approve=to_approve,
        excess=excess,
    )


def recheck_undo(
    frozen: Sequence[Row],
    members: frozenset[str],
    changed_since: Collection[str],
    *,
    excluded: Collection[Guid] = (),
    is_mapped: bool = True,
) -> tuple[Row, ...]:
    """The planned (or approved) rows of one Genesys group, judged again just before writing. Never grows it.

    ``changed_since``: keys of those whose pair AD has changed since the plan. ``excluded``: see
    `matching.excluded_users`. ``is_mapped``: some rule still gives the Genesys group.
    """

    def judged(row: Row) -> tuple[Status, Reason | None]:
        if row.key in changed_since:
            return Status.SUPERSEDED, Reason.NEWER_VIEW
        if row.user_guid in excluded:
            return Status.SKIPPED, Reason.EXCLUDED
        if not is_mapped:
            return Status.HELD, Reason.MAPPING_CHANGED
        return (Status.UNCHANGED, Reason.ALREADY_SO) if _is_so(row, members) else (Status.PLANNED, None)

    return tuple(
        dataclasses.replace(row, status=status, reason=reason, error=None)
        for row, (status, reason) in zip(frozen, map(judged, frozen), strict=True)
    )


def _pair(row: Row) -> tuple[str, str]:
    return row.row_key.target, row.row_key.person


def _inverse(
    row: Row, run_id: str, changed: bool, present: Present, definition: SyncDefinition, context: Context
) -> Row:
    group_id = row.genesys_group_id or ""
    inverse = dataclasses.replace(
        row,
        action=INVERSE[row.action],
        status=Status.PLANNED,
        reason=None,
        error=None,
        http_code=None,
        correlation_id=None,
        settled_by=None,
        change_ids=(),
        lane=None,
        changed_at=None,
        observed_after=None,
        observed_at=context.observed_at,
        undoes=run_id,
        genesys_group={**(row.genesys_group or {"id": group_id}), "name": present.mapped.get(group_id, row.group_name)},
    )
    members = present.members.get(group_id)
    user = present.users.get(row.genesys_user_id or "")
    status, reason, error = Status.PLANNED, None, None
    if changed:
        status, reason = Status.SUPERSEDED, Reason.NEWER_VIEW
    elif row.user_guid in context.excluded_users:
        status, reason = Status.SKIPPED, Reason.EXCLUDED
    elif group_id not in present.mapped:
        status, reason = Status.HELD, Reason.MAPPING_CHANGED
    elif members is None:
        status, reason = Status.HELD, Reason.GENESYS_UNREADABLE
    elif _is_so(inverse, members):
        status, reason = Status.UNCHANGED, Reason.ALREADY_SO
    elif group_id in present.claimed_by:
        status, reason = Status.HELD, Reason.CLAIMED_BY
        error = f"the sync definition {present.claimed_by[group_id]!r} already feeds this Genesys group"
    elif inverse.action is Action.REMOVE and definition.removals == "never":
        status, reason = Status.SKIPPED, Reason.REMOVALS_NEVER
    elif inverse.action is Action.ADD and (user is None or user.state == "deleted"):
        status, reason = Status.ORPHANED, Reason.NO_GENESYS_USER
    elif inverse.action is Action.ADD and user is not None and user.state != "active":
        status, reason = Status.ORPHANED, Reason.INACTIVE
    return dataclasses.replace(inverse, status=status, reason=reason, error=error)


def _is_so(row: Row, members: frozenset[str]) -> bool:
    return (row.genesys_user_id in members) is (row.action is Action.ADD)


def _pending(rows: Sequence[Row], present: Present, being_asked: frozenset[str]) -> list[guard.PendingRemovals]:
    """Those of other runs count, too: see `planning`."""
    here = removals_by_group(row.key for row in rows if row.action is Action.REMOVE and row.status is Status.PLANNED)
    if not here:
        return []
    counts = here + removals_by_group(being_asked - {row.key for row in rows})
    return [
        guard.PendingRemovals(group_id, present.mapped.get(group_id, group_id), count, present.owned.get(group_id, 0))
        for group_id, count in sorted(counts.items())
    ]


def _group_results(rows: Sequence[Row], present: Present) -> list[GroupResult]:
    by_group: dict[str, list[Row]] = {}
    for row in rows:
        by_group.setdefault(row.genesys_group_id or "", []).append(row)
    results = []
    for group_id, its_rows in by_group.items():
        members = present.members.get(group_id)
        results.append(
            GroupResult(
                genesys_group_id=group_id,
                genesys_group_name=its_rows[0].group_name,
                group_guids=tuple(sorted({guid for row in its_rows for guid in row.group_guids})),
                complete=False,
                before=None if members is None else len(members),
                after=None,
                added=0,
                removed=0,
                manual_members=None,
            )
        )
    return results
