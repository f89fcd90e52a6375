"""Which rows need an approver: over a limit, protected, or of a restored journal."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from genesys_ad_sync.model import Action, Reason, Row, RowKey, Status
from genesys_ad_sync.planning import guards
from genesys_ad_sync.planning.inputs import PlanContext, Target
from genesys_ad_sync.planning.limits import LimitCheck, PendingRemovals, check_limits
from genesys_ad_sync.settings import SyncDefinition

_ASK_ALWAYS = {Reason.SCOPE_CHANGED, Reason.RELINK}
"""Reasons of held rows that an approver is asked about whatever the limits say."""


@dataclass(frozen=True)
class LimitedRows:
    """Rows after limits and `protect:`. ``needs_approval``: keys of held rows that an approver may release."""

    rows: tuple[Row, ...]
    needs_approval: frozenset[str]
    check: LimitCheck


def apply_limits(
    rows: Iterable[Row],
    pending: Iterable[PendingRemovals],
    definition: SyncDefinition,
    context: PlanContext,
    asks: Mapping[str, Reason] = MappingProxyType({}),
) -> LimitedRows:
    """Check the limits against the pending removals, and hold the rows that need approval.

    ``asks``: row key -> why an approver must confirm it, whatever the limits say.
    """
    check = check_limits(pending, context.removed_today, definition.limits)
    held, needs_approval = hold_for_approval(rows, check, definition, context, asks)
    return LimitedRows(tuple(held), needs_approval, check)


def fail_reason(check: LimitCheck, definition: SyncDefinition) -> str | None:
    """Return why nothing may be written under `limits.on_excess: fail`; None: the run may write."""
    if not check.texts or definition.limits.on_excess != "fail":
        return None
    return f"{'; '.join(check.texts)}. limits.on_excess is fail: nothing is written."


def pending_removals(
    targets: Sequence[Target], rows: Sequence[Row], pending_elsewhere: frozenset[str], definition: SyncDefinition
) -> list[PendingRemovals]:
    """Count the removals that only a limit or an approver can stop, by Genesys group.

    Removals that wait for another run's approver count too. Most are among the rows, because they are unsettled; a run
    that acts on some groups only must add the others.
    """
    counts = Counter(row.genesys_group_id for row in rows if row.action is Action.REMOVE and _will_be_written(row))
    if not counts:
        return []  # nothing of this run can be over a limit
    elsewhere = removals_by_group(pending_elsewhere - {row.key for row in rows})
    known = {target.genesys_group.id for target in targets}
    others = [
        PendingRemovals(group_id, group_id, count, 0)
        for group_id, count in sorted(elsewhere.items())
        if group_id not in known
    ]
    return others + [
        PendingRemovals(
            target.genesys_group.id,
            target.genesys_group.name,
            counts[target.genesys_group.id] + elsewhere[target.genesys_group.id],
            _owned_members(target, definition),
        )
        for target in targets
    ]


def removals_by_group(keys: Iterable[str]) -> Counter[str]:
    """Return Genesys group id -> number of the row keys that are removals from it."""
    parsed = map(RowKey.parse, keys)
    return Counter(key.target for key in parsed if key.action is Action.REMOVE)


def _owned_members(target: Target, definition: SyncDefinition) -> int:
    """Count the present members that `limits.removals_percent` is about: owned by AD, or under `mirror` all."""
    present = target.members or frozenset()
    if definition.removals == "mirror":
        return len(present)
    return len({grant.genesys_user_id for grant in target.grants} & present)


def hold_for_approval(
    rows: Iterable[Row],
    check: LimitCheck,
    definition: SyncDefinition,
    context: PlanContext,
    asks: Mapping[str, Reason] = MappingProxyType({}),
) -> tuple[list[Row], frozenset[str]]:
    """Hold rows that need approval.

    Return all rows and the keys of those that an approver may release. Removals caused by an edited scope always need
    an approver, since only a person knows whether the edit was intended. So does a link that is to move, and what AD
    cannot decide any more. With
    `limits.on_excess: hold` no approver is asked about a limit; `protect:` and a restored journal always ask.
    """
    result = []
    needs_approval = set()
    for row in rows:
        reason = _approval_reason(row, check, definition, context, asks.get(row.key)) if _will_be_written(row) else None
        if reason is not None:
            result.append(dataclasses.replace(row, status=Status.HELD, reason=reason))
            if reason is not Reason.OVER_LIMIT or definition.limits.on_excess == "approve" or row.key in asks:
                needs_approval.add(row.key)
            continue
        if row.status is Status.HELD and (row.reason in _ASK_ALWAYS or "ask" in row.about):
            needs_approval.add(row.key)
        result.append(row)
    return result, frozenset(needs_approval)


def _will_be_written(row: Row) -> bool:
    """Return True for a planned row that is not merely checked again."""
    return row.status is Status.PLANNED and row.reason is None


def _approval_reason(
    row: Row, check: LimitCheck, definition: SyncDefinition, context: PlanContext, asked: Reason | None
) -> Reason | None:
    name = (row.genesys_group or {}).get("name") or ""
    reason = guards.protected(name, definition.protect) or guards.journal_restored(restored=context.journal_restored)
    if row.action is Action.REMOVE:
        reason = reason or asked or (Reason.OVER_LIMIT if row.genesys_group_id in check.held_groups else None)
    return reason
