"""Which rows need an approver: over a limit, protected, or of a restored journal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from genesys_ad_sync.model import Action, Reason, Row, Status
from genesys_ad_sync.planning import guards
from genesys_ad_sync.planning.inputs import PlanContext
from genesys_ad_sync.planning.limits import EMPTY_GROUP, LimitCheck, check_limits, in_words
from genesys_ad_sync.planning.pending import GroupTotals, is_counted, is_to_be_written, pending_changes, removed_today
from genesys_ad_sync.settings import Limits, SyncDefinition

_ASK_ALWAYS = {Reason.SCOPE_CHANGED, Reason.RELINK, Reason.WAS_MANUAL}
"""Reasons of held rows that an approver is asked about whatever the limits say."""


@dataclass(frozen=True)
class LimitedRows:
    """Rows after limits and `protect:`. ``needs_approval``: keys of held rows that an approver may release."""

    rows: tuple[Row, ...]
    needs_approval: frozenset[str]
    check: LimitCheck


def apply_limits(
    rows: Sequence[Row],
    groups: Sequence[GroupTotals],
    definition: SyncDefinition,
    context: PlanContext,
    asks: Mapping[str, Reason] = MappingProxyType({}),
) -> LimitedRows:
    """Check the limits against all that is pending, and hold the rows that need approval.

    ``groups``: the Genesys groups of the rows, counted with `counts_in_limits`. ``asks``: row key -> why an approver
    must confirm it, whatever the limits say.
    """
    facts = context.limits
    counted = counts_in_limits(rows, asks)
    pending = pending_changes(groups, counted, definition, facts)
    removed = removed_today([row for row in counted if is_counted(row, facts)], facts).total()
    check = check_limits(pending, removed, definition.limits, first_comparison=facts.first_comparison)
    held_adds = {group_id for action, group_id in check.held if action is Action.ADD}
    if held_adds:  # what waits for an answer fills no group that the removals empty
        pending = pending_changes(groups, counted, definition, facts, held_adds)
        check = check_limits(pending, removed, definition.limits, first_comparison=facts.first_comparison)
    held, needs_approval = hold_for_approval(rows, check, definition, context, asks)
    return LimitedRows(tuple(held), needs_approval, check)


def counts_in_limits(rows: Iterable[Row], asks: Mapping[str, Reason]) -> list[Row]:
    """Return the rows that limits may count: what `mirror_once` asks about counts in none."""
    return [row for row in rows if asks.get(row.key) is not Reason.MIRROR_ONCE]


def fail_reason(check: LimitCheck, definition: SyncDefinition) -> str | None:
    """Return why nothing may be written under `limits.on_excess: fail`; None: the run may write."""
    if not check.texts or definition.limits.on_excess != "fail":
        return None
    return f"{'; '.join(check.texts)}. limits.on_excess is fail: nothing is written."


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
    cannot decide any more. With `limits.on_excess: hold` no approver is asked about a limit; `protect:` and a restored
    journal always ask.
    """
    result = []
    needs_approval = set()
    for row in rows:
        held, asks_person = _limited(row, check, definition, context, asks.get(row.key))
        if asks_person or (row.status is Status.HELD and _asks_always(row)):
            needs_approval.add(row.key)
        result.append(held)
    return result, frozenset(needs_approval)


def _asks_always(row: Row) -> bool:
    if row.reason is Reason.NEW_PAIR:  # a removal waits for the answer about the additions of that pair
        return row.action is Action.ADD
    return row.reason in _ASK_ALWAYS or "ask" in row.about


def _limited(
    row: Row, check: LimitCheck, definition: SyncDefinition, context: PlanContext, asked: Reason | None
) -> tuple[Row, bool]:
    """Return the row, held if it needs approval, and whether an approver is asked.

    ``asked``: why an approver must confirm it, whatever the limits say.
    """
    if not is_to_be_written(row):
        return _not_limited(row, check, context), False
    if row.key in context.limits.approved:
        return _in_flight(row, f"a person approved it, and run {context.limits.approved[row.key]} writes it"), False
    # what `mirror_once` asks ends with its run, whatever else would ask
    reason = asked if asked is Reason.MIRROR_ONCE else _approval_reason(row, definition, context) or asked
    if reason is not None:
        return dataclasses.replace(row, status=Status.HELD, reason=reason), True
    keys = check.limits_of(row.action, row.genesys_group_id)
    if not keys:
        return row, False
    reason, asks = _limit_reason(row.action, keys, definition.limits)
    about = {"limit": in_words(keys, definition.limits)}
    if not asks:
        about["on_excess"] = "hold" if reason is Reason.EMPTY_GROUP else definition.limits.on_excess
    return dataclasses.replace(row, status=Status.HELD, reason=reason, about=about), asks


def _not_limited(row: Row, check: LimitCheck, context: PlanContext) -> Row:
    """Hold an addition that seemed to be made if no more may be made.

    It was counted, and nobody is asked.
    """
    if is_counted(row, context.limits) and check.limits_of(row.action, row.genesys_group_id):
        return _in_flight(row, None)
    return row


def _in_flight(row: Row, error: str | None) -> Row:
    return dataclasses.replace(row, status=Status.HELD, reason=Reason.IN_FLIGHT, error=error)


def _approval_reason(row: Row, definition: SyncDefinition, context: PlanContext) -> Reason | None:
    """Return why an approver is asked whatever the limits say."""
    group_id = row.genesys_group_id or ""
    former_names = context.protected_names.get(group_id, ())
    reason = guards.protected(group_id, row.group_name, definition.protect, former_names)
    return reason or guards.journal_restored(restored=context.journal_restored)


def _limit_reason(action: Action, keys: Sequence[str], limits: Limits) -> tuple[Reason, bool]:
    """Return the reason for exceeded limits, and whether an approver is asked.

    The strictest limit decides.
    """
    if action is Action.ADD:
        return Reason.OVER_ADDITIONS, limits.on_excess == "approve"
    if EMPTY_GROUP in keys and limits.empty_group == "hold":
        return Reason.EMPTY_GROUP, False
    if set(keys) - {EMPTY_GROUP}:
        return Reason.OVER_LIMIT, limits.on_excess == "approve"
    return Reason.EMPTY_GROUP, limits.on_excess != "hold"
