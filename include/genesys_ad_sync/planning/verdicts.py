"""What becomes of one proposed add or removal: planned, held, unchanged and others.

Limits and approvers come later, in `approvals`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from genesys_ad_sync.model import Action, Guid, Match, MatchStatus, Reason, Rival, Status
from genesys_ad_sync.planning import guards, sleeping, strangers
from genesys_ad_sync.planning.facts import Person, TargetFacts


@dataclass(frozen=True)
class Proposal:
    """An add or removal that AD or a comparison suggests, before any guard.

    ``groups``: AD groups that its changes are about. ``held_reason``: see `evidence.held_reason`.
    ``newest``: id of the newest of its changes that a poll saw; 0: none, as in a comparison. ``untold``: see
    `evidence.untold`.
    """

    person: Person
    action: Action
    groups: tuple[Guid, ...] = ()
    held_reason: Reason | None = None
    newest: int = 0
    untold: bool = False


@dataclass(frozen=True)
class Verdict:
    """What becomes of a proposal.

    ``genesys_user_id``: the Genesys user that it is about; None: not known. The others: see `Row`.
    """

    status: Status
    reason: Reason | None = None
    genesys_user_id: str | None = None
    error: str | None = None
    about: Mapping[str, str] = field(default_factory=dict)
    rivals: tuple[Rival, ...] = ()
    unseen: bool = False


_NOT_LOOKED_UP = Verdict(Status.HELD, Reason.GENESYS_UNREADABLE, error="this person was not looked up in Genesys")


def decide(proposal: Proposal, facts: TargetFacts) -> Verdict:
    """Decide a proposal; limits and approvers are left aside."""
    if facts.target.members is None:
        return Verdict(Status.HELD, Reason.GENESYS_UNREADABLE, facts.only_id(proposal.person))
    verdict = _decide_add(proposal, facts) if proposal.action is Action.ADD else _decide_removal(proposal, facts)
    if facts.target.claimed_by and verdict.status in {Status.PLANNED, Status.HELD}:
        error = claim_error(facts.target.claimed_by)
        about = {**verdict.about, "definition": facts.target.claimed_by}
        return dataclasses.replace(verdict, status=Status.HELD, reason=Reason.CLAIMED_BY, error=error, about=about)
    pin = _pin(proposal.person.user_guid, verdict.genesys_user_id, facts)
    if verdict.status is Status.PLANNED and verdict.reason is None and guards.undone(pin, proposal.newest):
        return dataclasses.replace(verdict, status=Status.HELD, reason=Reason.UNDONE)
    return verdict


def claim_error(definition: str) -> str:
    """Return the text of a row that is held because ``definition`` feeds the Genesys group."""
    return f"the sync definition {definition!r} already feeds this Genesys group"


def _pin(user_guid: Guid | None, genesys_user_id: str | None, facts: TargetFacts) -> int | None:
    """Return the pin of a membership; None: no undo run restored it.

    A member that AD did not know at the undo is pinned by the Genesys user.
    """
    pins, group_id = facts.context.pins, facts.target.genesys_group.id
    return pins.get((group_id, user_guid or ""), pins.get((group_id, genesys_user_id or "")))


def _already_in_effect(proposal: Proposal, genesys_id: str, facts: TargetFacts) -> Verdict:
    """Settle what Genesys has already, unless another run may be changing it.

    Then `patch` decides under the lease: a change of the journal would be settled for good here.
    """
    left_to_patch = facts.context.in_flight and bool(proposal.groups)
    return Verdict(Status.PLANNED if left_to_patch else Status.UNCHANGED, Reason.ALREADY_SO, genesys_id)


# -- adds ---------------------------------------------------------------------------------------------


def _decide_add(proposal: Proposal, facts: TargetFacts) -> Verdict:
    guid = proposal.person.user_guid
    if guid is None or guid not in facts.target.wanted:
        return _unwanted_add(proposal, facts)
    if guid in facts.context.excluded_users:
        return Verdict(Status.SKIPPED, Reason.EXCLUDED)
    obstacle = _identity_obstacle(guid, facts)
    if obstacle is not None:
        return obstacle
    return _add_of(facts.matches[guid], proposal, facts)


def _add_of(match: Match, proposal: Proposal, facts: TargetFacts) -> Verdict:
    """Decide the add of an AD user who is exactly one Genesys user."""
    genesys_id = match.genesys_user_id
    assert genesys_id is not None
    if genesys_id in facts.members:
        return _already_in_effect(proposal, genesys_id, facts)
    if match.status is MatchStatus.INACTIVE:
        return Verdict(Status.ORPHANED, Reason.INACTIVE, genesys_id)
    if proposal.held_reason in {Reason.REJECTED, Reason.UNDONE}:  # other reasons only doubt that a member left
        return Verdict(Status.HELD, proposal.held_reason, genesys_id)
    return Verdict(Status.PLANNED, genesys_user_id=genesys_id)


def _unwanted_add(proposal: Proposal, facts: TargetFacts) -> Verdict:
    """Skip an add whose AD groups feed nothing any more, supersede any other."""
    if proposal.groups and facts.target.former_sources.issuperset(proposal.groups):
        return Verdict(Status.SKIPPED, Reason.UNMAPPED)
    return Verdict(Status.SUPERSEDED, Reason.NEWER_VIEW)


def _identity_obstacle(guid: Guid, facts: TargetFacts) -> Verdict | None:
    """Return the verdict if the AD user is not exactly one Genesys user."""
    match = facts.matches.get(guid)
    if match is None:
        return _NOT_LOOKED_UP
    if match.status is MatchStatus.AMBIGUOUS:
        return Verdict(Status.HELD, Reason.AMBIGUOUS)
    if match.status is MatchStatus.ORPHANED or match.genesys_user_id is None:
        return Verdict(Status.ORPHANED, match.reason or Reason.NO_GENESYS_USER)
    if not facts.matched_by_one(match.genesys_user_id, guid):
        return Verdict(Status.HELD, Reason.AMBIGUOUS, match.genesys_user_id)
    return None


# -- removals -----------------------------------------------------------------------------------------


def _decide_removal(proposal: Proposal, facts: TargetFacts) -> Verdict:
    return _still_wanted(proposal, facts) or _settled_without_write(proposal, facts) or _guarded(proposal, facts)


def _still_wanted(proposal: Proposal, facts: TargetFacts) -> Verdict | None:
    """Return the verdict on a member that AD's newest view wants in the Genesys group."""
    guid, genesys_id = proposal.person.user_guid, proposal.person.genesys_user_id
    if guid is None:
        return Verdict(Status.SUPERSEDED, Reason.NEWER_VIEW, genesys_id) if genesys_id in facts.wanted_ids else None
    if guid not in facts.target.wanted:
        return None
    if set(proposal.groups) <= set(facts.target.wanted[guid]):  # each AD group lists the user again
        return Verdict(Status.SUPERSEDED, Reason.NEWER_VIEW)
    return Verdict(Status.UNCHANGED, Reason.STILL_GRANTED)


def _settled_without_write(proposal: Proposal, facts: TargetFacts) -> Verdict | None:
    """Return the verdict on an unwanted member that needs no removal, or must stay."""
    guid = proposal.person.user_guid
    if guid is not None and guid in facts.context.excluded_users:
        return Verdict(Status.SKIPPED, Reason.EXCLUDED)
    ids = _ids(proposal.person, facts)
    if not ids:
        return _removal_of_unknown(facts.matches.get(guid) if guid is not None else None, facts)
    if not ids & facts.members and not (hidden := sleeping.possibly_hidden(ids, facts)):
        gone = sleeping.seen_as_deleted(ids, facts)
        return dataclasses.replace(_already_in_effect(proposal, min(ids), facts), unseen=gone)
    genesys_id = min(ids & facts.members or hidden)
    if guid is not None and facts.successor(guid, genesys_id) is not None:
        return Verdict(Status.UNCHANGED, Reason.STILL_GRANTED, genesys_id)
    return _left_out_by_policy(proposal, genesys_id, facts)


def _left_out_by_policy(proposal: Proposal, genesys_id: str, facts: TargetFacts) -> Verdict | None:
    if facts.policy == "never":
        return Verdict(Status.SKIPPED, Reason.REMOVALS_NEVER, genesys_id)
    if proposal.untold and not facts.mirrors and not facts.grants_of.get(genesys_id):
        return Verdict(Status.SKIPPED, Reason.NOT_OWNED, genesys_id)  # only a former definition wanted it
    return None


def _guarded(proposal: Proposal, facts: TargetFacts) -> Verdict:
    """Plan the removal of a present member, or hold it for a guard."""
    target, guid = facts.target, proposal.person.user_guid
    ids = _ids(proposal.person, facts)
    genesys_id = min(ids & facts.members or sleeping.possibly_hidden(ids, facts))
    grants = facts.grants_of.get(genesys_id, ())
    stranger = facts.mirrors and not grants
    reason = guards.why_held(
        guards.Removal(
            genesys_user_id=genesys_id,
            user_guid=guid,
            policy=facts.policy,
            complete=target.complete,
            sources=frozenset(target.sources),
            former_sources=target.former_sources,
            lost=proposal.groups,
            grants=grants,
            match=facts.matches.get(guid) if guid is not None else None,
            known_ids=ids,
            claimants=facts.possibly_wanted_claimants(guid, genesys_id),
            all_wanted_looked_up=facts.matches.keys() >= target.wanted.keys(),
            held_reason=proposal.held_reason,
            may_be_unidentified=stranger and strangers.may_be_unidentified(genesys_id, facts),
        )
    )
    unseen = genesys_id not in facts.members
    verdict = Verdict(Status.HELD if reason else Status.PLANNED, reason, genesys_id, unseen=unseen)
    if not stranger:
        return verdict
    return dataclasses.replace(verdict, about=strangers.about(genesys_id, facts), rivals=strangers.rivals(facts))


def _ids(person: Person, facts: TargetFacts) -> frozenset[str]:
    """Return the Genesys users that a person is, by all that is known."""
    if person.user_guid is not None:
        return facts.known_ids(person.user_guid)
    return frozenset({person.genesys_user_id or ""})


def _removal_of_unknown(match: Match | None, facts: TargetFacts) -> Verdict:
    """Decide the removal of an AD user whose Genesys user is not known for certain."""
    if match is None:
        return _NOT_LOOKED_UP
    if match.status is not MatchStatus.AMBIGUOUS:
        return Verdict(Status.UNCHANGED, Reason.NO_GENESYS_USER)
    if match.candidates and facts.members.isdisjoint(match.candidates):
        return Verdict(Status.UNCHANGED, Reason.ALREADY_SO)  # none of the candidates is a member
    return Verdict(Status.HELD, Reason.AMBIGUOUS)
