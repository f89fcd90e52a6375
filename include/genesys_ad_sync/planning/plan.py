"""The plan of a run: AD's view, the grants and the members, compared."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from genesys_ad_sync.model import Change, DryEvidence, Grant, GroupResult, Guid, Match, Reason, Row
from genesys_ad_sync.planning.approvals import LimitedRows, apply_limits, fail_reason
from genesys_ad_sync.planning.facts import TargetFacts, claims_by_genesys_user
from genesys_ad_sync.planning.grants import (
    carried_grants,
    dry_evidence,
    new_grants,
    stale_grants,
    transferred_grants,
)
from genesys_ad_sync.planning.inputs import PlanContext, Target, UnmappedGroup
from genesys_ad_sync.planning.lanes import MAX_LANES, assign_lanes
from genesys_ad_sync.planning.limits import NOTHING_EXCEEDED, LimitCheck
from genesys_ad_sync.planning.losses import rows_of_losses
from genesys_ad_sync.planning.pending import GroupMembers
from genesys_ad_sync.planning.refusals import Waiting
from genesys_ad_sync.planning.rows import (
    comparison_changes,
    group_result,
    order,
    rows_of_target,
    rows_of_unmapped,
    rows_of_waiting,
)
from genesys_ad_sync.planning.strangers import why_asked
from genesys_ad_sync.planning.trial import asked_after_trial, with_trial_limit
from genesys_ad_sync.settings import SyncDefinition

NOTHING_WAITS = Waiting()


@dataclass(frozen=True)
class Plan:
    """What a run will write, hold and skip.

    ``rows``: in the order of writing, by Genesys group, adds before removals: a move leaves no gap.
    ``comparison_changes``: (row key, change) of rows that only a comparison found: changes to add to the journal.
    ``new_grants``: grants to add. Memberships that AD wants and Genesys already has (complete comparison only), and
    grants that pass from one AD group, account or Genesys user to another.
    ``stale_grants``: grants to remove. See `stale_grants`.
    ``trial``: of a dry run: the evidence of its comparisons.
    ``compared_groups``: ids of Genesys groups that were compared completely.
    ``hash``: see `content_hash`.
    ``fail_reason``: why nothing may be written (`limits.on_excess: fail`).
    ``needs_approval``: keys of held rows that an approver may release.
    ``excess``: the limits that are exceeded.
    """

    rows: tuple[Row, ...]
    group_results: tuple[GroupResult, ...]
    comparison_changes: tuple[tuple[str, Change], ...]
    new_grants: tuple[Grant, ...]
    hash: str
    fail_reason: str | None = None
    needs_approval: frozenset[str] = frozenset()
    excess: LimitCheck = NOTHING_EXCEEDED
    compared_groups: frozenset[str] = frozenset()
    stale_grants: tuple[Grant, ...] = ()
    trial: tuple[DryEvidence, ...] = ()

    @property
    def lanes(self) -> tuple[tuple[Row, ...], ...]:
        """The rows to write, one tuple per mapped instance."""
        lanes: dict[int, list[Row]] = {}
        for row in self.rows:
            if row.lane is not None:
                lanes.setdefault(row.lane, []).append(row)
        return tuple(tuple(lanes[lane]) for lane in sorted(lanes))


@dataclass(frozen=True)
class _Draft:
    """The rows of one target before limits and approvers, and what else follows from it.

    The facts of the target are not kept: of thousands of targets they would take hundreds of megabytes.
    ``asks``: row key -> why a person is asked.
    """

    group_id: str
    rows: tuple[Row, ...]
    asks: Mapping[str, Reason]
    result: GroupResult
    is_compared: bool
    proven_by: int
    new_grants: tuple[Grant, ...]
    stale_grants: tuple[Grant, ...]
    trial: tuple[DryEvidence, ...]

    @classmethod
    def of(cls, facts: TargetFacts, waiting: Collection[str]) -> _Draft:
        """Decide one target alone. ``waiting``: keys of rows that are not tried yet."""
        decided = [row for row in rows_of_target(facts) if row.key not in waiting]
        asked = asked_after_trial(decided, facts)
        rows = tuple(with_trial_limit(decided, asked, facts))
        asks = dict.fromkeys(asked, Reason.OVER_LIMIT)
        asks |= {row.key: reason for row in rows if (reason := why_asked(row, facts))}
        return cls(
            group_id=facts.target.genesys_group.id,
            rows=rows,
            asks=asks,
            result=group_result(facts),
            is_compared=facts.is_compared,
            proven_by=facts.target.proven_by or 0,
            new_grants=(*new_grants(facts), *carried_grants(facts), *transferred_grants(facts, rows)),
            stale_grants=tuple(stale_grants(facts)),
            trial=tuple(dry_evidence(facts)) if facts.context.dry_run else (),
        )


def plan(
    targets: Sequence[Target],
    matches: Mapping[Guid, Match],
    unmapped: Sequence[UnmappedGroup],
    definition: SyncDefinition,
    context: PlanContext,
    waiting: Waiting = NOTHING_WAITS,
) -> Plan:
    """Return the plan of a run.

    ``matches``: of all AD users of changes, and of all wanted AD users of targets that are compared completely. An AD
    user without a match was not looked up, and is held.
    ``waiting``: what is not tried yet.
    Raises ValueError if a Genesys group is the target of two.
    """
    drafts = _drafts(targets, matches, definition, context, waiting.keys)
    rows = [row for draft in drafts for row in draft.rows]
    asks = {key: reason for draft in drafts for key, reason in draft.asks.items()}
    limited = apply_limits(rows, [GroupMembers.of(target) for target in targets], definition, context, asks)
    others = [row for group in unmapped for row in rows_of_unmapped(group, context)]
    others += rows_of_waiting(waiting, targets, context)
    left_alone = _drafts(waiting.targets, matches, definition, context, waiting.keys)
    made = _assemble(drafts, limited, others, definition, context)
    return dataclasses.replace(made, group_results=(*made.group_results, *(draft.result for draft in left_alone)))


def _drafts(
    targets: Sequence[Target],
    matches: Mapping[Guid, Match],
    definition: SyncDefinition,
    context: PlanContext,
    waiting: Collection[str],
) -> list[_Draft]:
    """Decide each target alone. ``waiting``: keys of rows that are not tried yet."""
    _refuse_doubles(targets)
    claims = claims_by_genesys_user(matches, context.relinks)
    return [_Draft.of(TargetFacts.of(target, matches, claims, definition, context), waiting) for target in targets]


def _assemble(
    drafts: Sequence[_Draft],
    limited: LimitedRows,
    others: Iterable[Row],
    definition: SyncDefinition,
    context: PlanContext,
) -> Plan:
    """Order the rows, assign lanes, and add what follows from the targets."""
    lost = rows_of_losses({row.key for row in limited.rows}, context)
    rows: Sequence[Row] = sorted((*limited.rows, *others, *lost), key=order)
    if not context.dry_run:
        rows = assign_lanes(rows, definition.genesys.write, most=1 if context.client_refused else MAX_LANES)
    proven_by = {draft.group_id: draft.proven_by for draft in drafts}
    return Plan(
        rows=tuple(rows),
        group_results=tuple(draft.result for draft in drafts),
        comparison_changes=tuple(
            (row.key, change)
            for row in rows
            for change in comparison_changes(row, context, proven_by.get(row.genesys_group_id or "", 0))
        ),
        new_grants=tuple(grant for draft in drafts for grant in draft.new_grants),
        stale_grants=tuple(grant for draft in drafts for grant in draft.stale_grants),
        trial=tuple(one for draft in drafts for one in draft.trial),
        compared_groups=frozenset(draft.group_id for draft in drafts if draft.is_compared),
        hash=content_hash(rows),
        fail_reason=fail_reason(limited.check, definition),
        needs_approval=limited.needs_approval,
        excess=limited.check,
    )


def content_hash(rows: Iterable[Row]) -> str:
    """Return a SHA-256 over what the rows say: user, group, action, status and reason.

    The order of the rows and the ids of changes do not matter.
    """
    content = sorted(
        [row.key, row.status.value, row.reason.value if row.reason else "", row.genesys_user_id or "", *row.group_guids]
        for row in rows
    )
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _refuse_doubles(targets: Iterable[Target]) -> None:
    seen: set[str] = set()
    for target in targets:
        if target.genesys_group.id in seen:
            raise ValueError(f"the Genesys group {target.genesys_group.id} is the target of two: merge them first")
        seen.add(target.genesys_group.id)
