"""The inverse of what a run really did, minus what has legitimately changed since.

A person has looked and decided. What AD wants still matters: an undo that adds a member that AD does not want in the
group needs approval, and a disabled, expired or deleted account is never added. Limits, `protect:`,
`exclude: users:` and approval bind an undo like any other run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from genesys_ad_sync.model import Action, GenesysUser, Grant, GroupResult, Guid, Reason, Row, Status
from genesys_ad_sync.planning.approvals import apply_limits, fail_reason
from genesys_ad_sync.planning.inputs import PlanContext
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE, assign_lanes
from genesys_ad_sync.planning.pending import GroupMembers, totals_of
from genesys_ad_sync.planning.plan import Plan, content_hash
from genesys_ad_sync.planning.verdicts import Verdict, claim_error
from genesys_ad_sync.settings import SyncDefinition

INVERSE = {Action.ADD: Action.REMOVE, Action.REMOVE: Action.ADD}


@dataclass(frozen=True)
class Present:
    """What Genesys has now.

    ``members``: Genesys group id -> Genesys user ids; None: could not be read.
    ``grants``: Genesys group id -> memberships that AD owns there.
    ``users``: the users that may be put back, by id. Genesys does not know the others.
    ``claimed_by``: Genesys group id -> other sync definition that feeds it.
    ``mapped``: Genesys group id -> name, of the groups that a rule maps today. An undo writes to no other group.
    ``wanted``: Genesys group id -> AD users that AD's newest view wants there.
    ``accounts``: AD user -> why nobody may be put back through that account, in words.
    """

    members: Mapping[str, frozenset[str] | None]
    grants: Mapping[str, tuple[Grant, ...]]
    users: Mapping[str, GenesysUser]
    claimed_by: Mapping[str, str]
    mapped: Mapping[str, str]
    wanted: Mapping[str, Collection[Guid]] = field(default_factory=dict)
    accounts: Mapping[Guid, str] = field(default_factory=dict)


# -- the rules ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UndoFacts:
    """All that is known of one membership that an undo is to restore.

    ``action``: what the undo would write. ``members``: of the Genesys group; None: could not be read.
    The defaults let a rule pass: `recheck_undo` leaves them, because the plan has asked those rules.
    ``user_state``: see `GenesysUser.state`; None: Genesys does not know the user.
    ``against_ad``: AD's newest view does not want the person in the group.
    ``account_gone``: the AD account is disabled, expired or deleted, or cannot be read.
    ``approved``: a person approved this very row.
    """

    action: Action
    genesys_user_id: str | None
    changed_since: bool
    excluded: bool
    mapped: bool
    members: frozenset[str] | None
    claimed: bool = False
    removals: str = "granted"
    user_state: str | None = "active"
    against_ad: bool = False
    account_gone: bool = False
    approved: bool = False


def was_changed_since(facts: UndoFacts) -> bool:
    """Return True if AD, or another run, changed the membership again."""
    return facts.changed_since


def is_excluded(facts: UndoFacts) -> bool:
    """Return True if the definition excludes the AD user."""
    return facts.excluded


def is_unmapped(facts: UndoFacts) -> bool:
    """Return True if no rule maps the Genesys group today."""
    return not facts.mapped


def is_unreadable(facts: UndoFacts) -> bool:
    """Return True if the members of the Genesys group could not be read."""
    return facts.members is None


def is_in_effect(facts: UndoFacts) -> bool:
    """Return True if Genesys needs no write."""
    return (facts.genesys_user_id in (facts.members or ())) is (facts.action is Action.ADD)


def is_claimed(facts: UndoFacts) -> bool:
    """Return True if another sync definition feeds the Genesys group."""
    return facts.claimed


def is_forbidden_removal(facts: UndoFacts) -> bool:
    """Return True for a removal under `removals: never`."""
    return facts.action is Action.REMOVE and facts.removals == "never"


def has_no_user(facts: UndoFacts) -> bool:
    """Return True for an add of a user that Genesys no longer knows."""
    return facts.action is Action.ADD and facts.user_state in {None, "deleted"}


def has_inactive_user(facts: UndoFacts) -> bool:
    """Return True for an add of a user who is not active."""
    return facts.action is Action.ADD and facts.user_state != "active"


def has_no_account(facts: UndoFacts) -> bool:
    """Return True for an add against AD through an unusable account.

    Nobody can use that account. An approval does not change this.
    """
    return facts.action is Action.ADD and facts.against_ad and facts.account_gone


def needs_approval(facts: UndoFacts) -> bool:
    """Return True for an unapproved add of a user that AD does not want.

    A person must approve it.
    """
    return facts.action is Action.ADD and facts.against_ad and not facts.approved


UNDO_RULES: tuple[tuple[Callable[[UndoFacts], bool], Status, Reason], ...] = (
    (was_changed_since, Status.SUPERSEDED, Reason.NEWER_VIEW),
    (is_excluded, Status.SKIPPED, Reason.EXCLUDED),
    (is_unmapped, Status.HELD, Reason.MAPPING_CHANGED),
    (is_unreadable, Status.HELD, Reason.GENESYS_UNREADABLE),
    (is_in_effect, Status.UNCHANGED, Reason.ALREADY_SO),
    (is_claimed, Status.HELD, Reason.CLAIMED_BY),
    (is_forbidden_removal, Status.SKIPPED, Reason.REMOVALS_NEVER),
    (has_no_user, Status.ORPHANED, Reason.NO_GENESYS_USER),
    (has_inactive_user, Status.ORPHANED, Reason.INACTIVE),
    (has_no_account, Status.HELD, Reason.AGAINST_AD),
    (needs_approval, Status.HELD, Reason.AGAINST_AD),
)
"""Why a membership is not restored, in order: the first rule that is true decides."""


def decide_undo(facts: UndoFacts) -> tuple[Status, Reason | None]:
    """Return the outcome of the first of `UNDO_RULES` that is true.

    It is ``planned`` if none is.
    """
    return next(
        ((status, reason) for is_true, status, reason in UNDO_RULES if is_true(facts)),
        (Status.PLANNED, None),
    )


# -- the plan -----------------------------------------------------------------------------------------


def plan_undo(
    run_id: str,
    done: Sequence[Row],
    changed_since: Collection[str],
    present: Present,
    definition: SyncDefinition,
    context: PlanContext,
) -> Plan:
    """Return the plan that takes back the rows that a run wrote.

    ``done``: the rows that the run ``run_id`` wrote with success, oldest first.
    ``changed_since``: keys of those rows whose membership AD, or another run, has changed again.
    A membership that the run wrote more than once returns to its state before the first write.
    """
    changed = {_membership(row) for row in done if row.key in changed_since}
    first: dict[tuple[str, str], Row] = {}
    for row in done:
        first.setdefault(_membership(row), row)
    drafts = []
    for membership, row in sorted(first.items()):
        inverse = _inverse(row, run_id, present, context)
        drafts.append(_decided(inverse, present, definition, context, changed=membership in changed))
    drafts.sort(key=lambda row: (row.genesys_group_id or "", row.action is Action.REMOVE, row.key))
    against = {row.key for row in drafts if row.reason is Reason.AGAINST_AD and not row.error}
    totals = totals_of(_group_members(present), drafts, definition, context.limits)
    limited = apply_limits(drafts, totals, definition, context)
    rows = limited.rows if context.dry_run else assign_lanes(limited.rows, definition.genesys.write)
    return Plan(
        rows=rows,
        group_results=tuple(_group_results(rows, present)),
        comparison_changes=(),
        new_grants=(),
        hash=content_hash(rows),
        fail_reason=fail_reason(limited.check, definition),
        needs_approval=limited.needs_approval | against,
        excess=limited.check,
    )


def recheck_undo(
    frozen: Sequence[Row],
    members: frozenset[str],
    changed_since: Collection[str],
    *,
    wanted: Collection[Guid],
    accounts: Mapping[Guid, str],
    excluded: Collection[Guid] = (),
    is_mapped: bool = True,
) -> tuple[Row, ...]:
    """Decide the planned (or approved) rows of one Genesys group again, just before writing.

    It never grows the plan. ``members``: Genesys user ids. ``changed_since``: keys of the rows whose membership AD has
    changed since the plan. ``excluded``: see `matching.excluded_users`. ``is_mapped``: a rule still maps the Genesys
    group. ``wanted``, ``accounts``: see `Present`, by AD's newest view; a row in a lane of approved rows was approved.
    """
    rows = []
    for row in frozen:
        status, reason = decide_undo(
            UndoFacts(
                action=row.action,
                genesys_user_id=row.genesys_user_id,
                changed_since=row.key in changed_since,
                excluded=row.user_guid in excluded,
                mapped=is_mapped,
                members=members,
                against_ad=row.user_guid is None or row.user_guid not in wanted,
                account_gone=row.user_guid in accounts,
                approved=row.lane is not None and row.lane >= FIRST_APPROVED_LANE,
            )
        )
        error, about = _about_account(row, reason, accounts)
        rows.append(dataclasses.replace(row, status=status, reason=reason, error=error, about=about))
    return tuple(rows)


def unless_claimed(rows: Sequence[Row], claimed_by: str | None) -> tuple[Row, ...]:
    """Return rechecked rows of one Genesys group, held if another definition feeds it."""
    if claimed_by is None:
        return tuple(rows)
    verdict = Verdict(Status.HELD, Reason.CLAIMED_BY, error=claim_error(claimed_by), about={"definition": claimed_by})
    return tuple(
        dataclasses.replace(row, status=verdict.status, reason=verdict.reason, error=verdict.error, about=verdict.about)
        if row.status is Status.PLANNED
        else row
        for row in rows
    )


def _membership(row: Row) -> tuple[str, str]:
    """Return (Genesys group, person)."""
    return row.row_key.target, row.row_key.person


def _inverse(row: Row, run_id: str, present: Present, context: PlanContext) -> Row:
    """Return the row that takes back ``row``, with today's name of the Genesys group."""
    group_id = row.genesys_group_id or ""
    return dataclasses.replace(
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
        undoes_run=run_id,
        about={},
        rivals=(),
        genesys_group={**(row.genesys_group or {"id": group_id}), "name": present.mapped.get(group_id, row.group_name)},
    )


def _decided(inverse: Row, present: Present, definition: SyncDefinition, context: PlanContext, *, changed: bool) -> Row:
    group_id = inverse.genesys_group_id or ""
    user = present.users.get(inverse.genesys_user_id or "")
    claimed_by = present.claimed_by.get(group_id)
    status, reason = decide_undo(
        UndoFacts(
            action=inverse.action,
            genesys_user_id=inverse.genesys_user_id,
            changed_since=changed,
            excluded=inverse.user_guid in context.excluded_users,
            mapped=group_id in present.mapped,
            members=present.members.get(group_id),
            claimed=claimed_by is not None,
            removals=definition.removals,
            user_state=user.state if user else None,
            against_ad=inverse.user_guid is None or inverse.user_guid not in present.wanted.get(group_id, ()),
            account_gone=inverse.user_guid in present.accounts,
        )
    )
    error, about = _about_account(inverse, reason, present.accounts)
    if reason is Reason.CLAIMED_BY and claimed_by is not None:
        error, about = claim_error(claimed_by), {"definition": claimed_by}
    return dataclasses.replace(inverse, status=status, reason=reason, error=error, about=about)


def _about_account(row: Row, reason: Reason | None, accounts: Mapping[Guid, str]) -> tuple[str | None, dict[str, str]]:
    """Return why nobody may be put back through the account of a row.

    The second value is what the row is about.
    """
    error = accounts.get(row.user_guid or "") if reason is Reason.AGAINST_AD else None
    return error, {"account": row.user_guid} if error and row.user_guid else {}


def _group_members(present: Present) -> list[GroupMembers]:
    return [
        GroupMembers(group_id, name, present.members.get(group_id) or frozenset(), present.grants.get(group_id, ()))
        for group_id, name in sorted(present.mapped.items())
    ]


def _group_results(rows: Sequence[Row], present: Present) -> list[GroupResult]:
    by_group: dict[str, list[Row]] = {}
    for row in rows:
        by_group.setdefault(row.genesys_group_id or "", []).append(row)
    results = []
    for group_id, group_rows in by_group.items():
        members = present.members.get(group_id)
        results.append(
            GroupResult(
                genesys_group_id=group_id,
                genesys_group_name=group_rows[0].group_name,
                group_guids=tuple(sorted({guid for row in group_rows for guid in row.group_guids})),
                complete=False,
                before=None if members is None else len(members),
                after=None,
                added=0,
                removed=0,
                manual_members=None,
            )
        )
    return results
