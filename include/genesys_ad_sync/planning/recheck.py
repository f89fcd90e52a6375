"""The planned rows once more, just before writing: the plan may shrink, never grow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from genesys_ad_sync.model import Action, Change, Guid, Match, Reason, Row, Status
from genesys_ad_sync.planning import guards, strangers
from genesys_ad_sync.planning.evidence import change_ids
from genesys_ad_sync.planning.facts import Person, TargetFacts, claims_by_genesys_user
from genesys_ad_sync.planning.inputs import PlanContext, Target
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE
from genesys_ad_sync.planning.verdicts import Proposal, Verdict, decide
from genesys_ad_sync.settings import SyncDefinition


def recheck(
    frozen: Sequence[Row],
    target: Target,
    matches: Mapping[Guid, Match],
    definition: SyncDefinition,
    context: PlanContext,
    changes: Sequence[Change] = (),
) -> tuple[Row, ...]:
    """Decide the planned (or approved) rows of one Genesys group again, in the same order.

    A row that still holds has the status ``planned``, every other row its new status. No row is added, and none passes
    to another Genesys user. Limits and `protect:` are not checked again: a plan that shrinks stays within them, and an
    approver has released the rest.

    ``changes``: unsettled changes of the target's AD groups. What speaks against one of them now holds its row.
    """
    facts = TargetFacts.of(target, matches, claims_by_genesys_user(matches, context.relinks), definition, context)
    unsettled: dict[tuple[Person, Action], list[Change]] = {}
    for change in changes:
        unsettled.setdefault((facts.person_of(change), change.action), []).append(change)
    return tuple(_rechecked(row, unsettled, facts) for row in frozen)


def _rechecked(row: Row, unsettled: Mapping[tuple[Person, Action], Sequence[Change]], facts: TargetFacts) -> Row:
    person = Person(row.user_guid) if row.user_guid is not None else Person(None, row.genesys_user_id)
    changes = unsettled.get((person, row.action), ())
    ids = change_ids(changes)
    if ids and not set(ids) & set(row.change_ids):
        # Another run settled what the row was planned for, and AD reported the same again: the row settles that now.
        row = dataclasses.replace(row, change_ids=(*row.change_ids, *ids))
    proposal = Proposal.of(person, row.action, row.group_guids, changes)
    verdict = _narrowed(decide(proposal, facts), row, facts)
    if verdict.status is Status.PLANNED:
        # who was seen by the plan, or is seen now, was seen before the write
        unseen = row.unseen and verdict.unseen
        return dataclasses.replace(
            row, status=Status.PLANNED, reason=None, error=None, about={}, rivals=(), unseen=unseen
        )
    return dataclasses.replace(
        row,
        status=verdict.status,
        reason=verdict.reason,
        error=verdict.error,
        about=verdict.about,
        rivals=verdict.rivals,
        unseen=verdict.unseen,
    )


def _narrowed(verdict: Verdict, row: Row, facts: TargetFacts) -> Verdict:
    """Return the verdict, or a stricter one where it would go beyond the planned row."""
    if verdict.reason is Reason.WAS_MANUAL and not _was_not_approved(row):  # that is what the approver was asked
        verdict = dataclasses.replace(verdict, status=Status.PLANNED, reason=None)
    if verdict.status is Status.PLANNED and verdict.genesys_user_id != row.genesys_user_id:
        verdict = Verdict(Status.HELD, Reason.AMBIGUOUS)
    if verdict.status is Status.PLANNED and _was_not_approved(row) and (reason := strangers.why_asked(row, facts)):
        verdict = dataclasses.replace(verdict, status=Status.HELD, reason=reason)
    if verdict.reason is Reason.STILL_GRANTED:  # no AD group granted it when the plan was made
        verdict = Verdict(Status.SUPERSEDED, Reason.NEWER_VIEW)
    if verdict.status is Status.PLANNED and row.reason is Reason.ALREADY_SO and not _needs_no_approval(row, facts):
        verdict = Verdict(Status.HELD, Reason.IN_FLIGHT)
    return verdict


def _was_not_approved(row: Row) -> bool:
    return row.lane is None or row.lane < FIRST_APPROVED_LANE


def _needs_no_approval(row: Row, facts: TargetFacts) -> bool:
    """Return True for a row that neither a limit nor an approver had to pass.

    A row that seemed to need no write was not counted in the limits, and no approver was asked about it.
    """
    if row.action is Action.REMOVE or facts.context.journal_restored:
        return False
    group = facts.target.genesys_group
    former_names = facts.context.protected_names.get(group.id, ())
    return not guards.protected(group.id, group.name, facts.definition.protect, former_names)
