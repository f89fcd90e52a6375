"""The plan of a run: AD's view, the grants and the members, compared."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from genesys_ad_sync.model import (
    Change,
    DryEvidence,
    GenesysGroup,
    Grant,
    GroupResult,
    Guid,
    ManyGrants,
    Match,
    Reason,
    Row,
)
from genesys_ad_sync.planning.approvals import LimitedRows, apply_limits, counts_in_limits, fail_reason
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
from genesys_ad_sync.planning.pending import GroupMembers, GroupTotals
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
    new_grants: Sequence[Grant]
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


class _Drafts:
    """The rows of all targets before limits and approvers, and what else follows from each.

    Each target is decided alone, and forgotten: of its members and grants only numbers are kept. Thousands of targets
    would take hundreds of megabytes.
    ``asks``: row key -> why a person is asked. ``totals``: what the limits count in each Genesys group.
    """

    def __init__(
        self,
        matches: Mapping[Guid, Match],
        definition: SyncDefinition,
        context: PlanContext,
        waiting: Collection[str],
    ) -> None:
        """Decide nothing yet. ``waiting``: keys of rows that are not tried yet."""
        self._matches = matches
        self._claims = claims_by_genesys_user(matches, context.relinks)
        self._definition = definition
        self._context = context
        self._waiting = waiting
        self.groups: dict[str, GenesysGroup] = {}
        self.rows: list[Row] = []
        self.asks: dict[str, Reason] = {}
        self.totals: list[GroupTotals] = []
        self.results: list[GroupResult] = []
        self.proven_by: dict[str, int] = {}
        self.compared: set[str] = set()
        self.new_grants = ManyGrants()
        self.stale_grants: list[Grant] = []
        self.trial: list[DryEvidence] = []

    def of(self, targets: Iterable[Target]) -> _Drafts:
        """Decide these targets one after another.

        Raises ValueError if a Genesys group is the target of two.
        """
        for target in targets:
            if target.genesys_group.id in self.groups:
                raise ValueError(f"the Genesys group {target.genesys_group.id} is the target of two: merge them first")
            self.groups[target.genesys_group.id] = target.genesys_group
            self._add(TargetFacts.of(target, self._matches, self._claims, self._definition, self._context))
        return self

    def _add(self, facts: TargetFacts) -> None:
        target, context = facts.target, self._context
        decided = [row for row in rows_of_target(facts) if row.key not in self._waiting]
        asked = asked_after_trial(decided, facts)
        rows = list(with_trial_limit(decided, asked, facts))
        asks = dict.fromkeys(asked, Reason.OVER_LIMIT)
        asks |= {row.key: reason for row in rows if (reason := why_asked(row, facts))}
        counted = counts_in_limits(rows, asks)
        self.rows += rows
        self.asks |= asks
        self.totals.append(GroupTotals.of(GroupMembers.of(target), counted, self._definition, context.limits))
        self.results.append(group_result(facts))
        self.proven_by[target.genesys_group.id] = target.proven_by or 0
        if facts.is_compared:
            self.compared.add(target.genesys_group.id)
        self.new_grants.extend((*new_grants(facts), *carried_grants(facts), *transferred_grants(facts, rows)))
        self.stale_grants += stale_grants(facts)
        if context.dry_run:
            self.trial += dry_evidence(facts)


def plan(
    targets: Iterable[Target],
    matches: Mapping[Guid, Match],
    unmapped: Sequence[UnmappedGroup],
    definition: SyncDefinition,
    context: PlanContext,
    waiting: Waiting = NOTHING_WAITS,
) -> Plan:
    """Return the plan of a run.

    ``targets``: are asked for once, one after another, and not kept.
    ``matches``: of all AD users of changes, and of all wanted AD users of targets that are compared completely. An AD
    user without a match was not looked up, and is held.
    ``waiting``: what is not tried yet.
    Raises ValueError if a Genesys group is the target of two.
    """
    keys = waiting.keys
    drafts = _Drafts(matches, definition, context, keys).of(targets)
    limited = apply_limits(drafts.rows, drafts.totals, definition, context, drafts.asks)
    others = [row for group in unmapped for row in rows_of_unmapped(group, context)]
    others += rows_of_waiting(waiting, drafts.groups.values(), context)
    left_alone = _Drafts(matches, definition, context, keys).of(waiting.targets)
    made = _assemble(drafts, limited, others, definition, context)
    return dataclasses.replace(made, group_results=(*made.group_results, *left_alone.results))


def _assemble(
    drafts: _Drafts,
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
    return Plan(
        rows=tuple(rows),
        group_results=tuple(drafts.results),
        comparison_changes=tuple(
            (row.key, change)
            for row in rows
            for change in comparison_changes(row, context, drafts.proven_by.get(row.genesys_group_id or "", 0))
        ),
        new_grants=drafts.new_grants,
        stale_grants=tuple(drafts.stale_grants),
        trial=tuple(drafts.trial),
        compared_groups=frozenset(drafts.compared),
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
