"""What happens to one proposed add or removal: planned, held, unchanged and others.

Limits and approvers come later, in `approvals`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from genesys_ad_sync.model import (
    BY_PERSON,
    Action,
    Change,
    Guid,
    Match,
    MatchStatus,
    Objection,
    Reason,
    Rival,
    RowKey,
    Status,
)
from genesys_ad_sync.planning import evidence, guards, new_pairs, sleeping, strangers
from genesys_ad_sync.planning.facts import Person, TargetFacts


@dataclass(frozen=True)
class Proposal:
    """An add or removal that AD or a comparison suggests, before any guard.

    ``groups``: AD groups that its changes are about. ``held_reason``: see `evidence.held_reason`.
    ``newest``: id of the newest of its changes that AD reported; 0: none, as in a comparison.
    ``recorded``: newest poll that recorded one of its changes. ``about``: see `evidence.about_doubt`.
    ``doubted_groups``: see `evidence.doubted_groups`. ``untold``: see `evidence.untold`.
    """

    person: Person
    action: Action
    groups: tuple[Guid, ...] = ()
    held_reason: Reason | None = None
    newest: int = 0
    recorded: int = 0
    about: Mapping[str, str] = field(default_factory=dict)
    doubted_groups: frozenset[Guid] = frozenset()
    untold: bool = False

    @classmethod
    def of(cls, person: Person, action: Action, groups: tuple[Guid, ...], changes: Sequence[Change]) -> Proposal:
        """Return the proposal of these changes."""
        return cls(
            person,
            action,
            groups,
            evidence.held_reason(changes),
            evidence.newest_polled_change(changes),
            evidence.recorded_by(changes),
            evidence.about_doubt(changes),
            evidence.doubted_groups(changes),
            evidence.untold(changes),
        )


@dataclass(frozen=True)
class Verdict:
    """The decision on a proposal.

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
    refused = new_pairs.refusal(proposal.person.user_guid, facts) if proposal.action is Action.ADD else None
    if refused is not None and proposal.person.user_guid not in facts.context.excluded_users:
        verdict = Verdict(Status.HELD, Reason.REJECTED, facts.only_id(proposal.person), about=refused)
        return _unless_objected(verdict, proposal, facts)
    if facts.target.members is None:
        return Verdict(Status.HELD, Reason.GENESYS_UNREADABLE, facts.only_id(proposal.person))
    verdict = _decide_add(proposal, facts) if proposal.action is Action.ADD else _decide_removal(proposal, facts)
    if facts.target.claimed_by and verdict.status in {Status.PLANNED, Status.HELD}:
        error = claim_error(facts.target.claimed_by)
        kept = {key: text for key, text in verdict.about.items() if key != "ask"}  # an approval could not release it
        about = {**kept, "definition": facts.target.claimed_by}
        return dataclasses.replace(verdict, status=Status.HELD, reason=Reason.CLAIMED_BY, error=error, about=about)
    return _awaiting_relink(_unless_objected(verdict, proposal, facts), proposal, facts)


def claim_error(definition: str) -> str:
    """Return the text of a row that is held because ``definition`` feeds the Genesys group."""
    return f"the sync definition {definition!r} already feeds this Genesys group"


def _unless_objected(verdict: Verdict, proposal: Proposal, facts: TargetFacts) -> Verdict:
    """Hold what a person rejected or undid, whatever else may hold it.

    The person need not be asked again. What needs no write is settled all the same.
    """
    if verdict.status is not Status.HELD and (verdict.status is not Status.PLANNED or verdict.reason is not None):
        return verdict
    objection = _objection(proposal, verdict.genesys_user_id, facts)
    if objection is None or not guards.objected(objection, proposal.newest):
        return verdict
    member = {key: text for key, text in verdict.about.items() if key == "member"}  # a stranger stays one
    return Verdict(Status.HELD, objection.reason, verdict.genesys_user_id, about={**objection.about, **member})


def _objection(proposal: Proposal, genesys_user_id: str | None, facts: TargetFacts) -> Objection | None:
    """Return the decision against a membership.

    That of a member that AD did not know then is kept under the Genesys user.
    """
    group_id, action = facts.target.genesys_group.id, proposal.action
    people = (proposal.person.user_guid, genesys_user_id or proposal.person.genesys_user_id)
    keys = [str(RowKey(group_id, person, action)) for person in people if person]
    return next((facts.context.objections[key] for key in keys if key in facts.context.objections), None)


def _awaiting_relink(verdict: Verdict, proposal: Proposal, facts: TargetFacts) -> Verdict:
    """Hold changes that depend on a moving link, until it is approved.

    The link is one that a person wants to move.
    """
    person = proposal.person
    settles = verdict.status in {Status.PLANNED, Status.UNCHANGED, Status.ORPHANED}
    if not settles or verdict.reason is Reason.STILL_GRANTED or not facts.awaits_relink(person):
        return verdict
    about = _about_relink(person, facts)
    return dataclasses.replace(verdict, status=Status.HELD, reason=Reason.RELINK, error=None, about=about)


def _about_relink(person: Person, facts: TargetFacts) -> dict[str, str]:
    """Return which account, and both Genesys users of its link."""
    relinks = facts.context.relinks
    accounts = {person.user_guid} if person.user_guid else facts.former.get(person.genesys_user_id or "", frozenset())
    account = min(accounts & relinks.keys())
    relink = relinks[account]
    return {"account": account, "former_user": relink.former_label, "new_user": relink.new_label}


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
    assert genesys_id is not None  # noqa: S101  for mypy
    target, guid = facts.target, match.user_guid
    if proposal.doubted_groups.issuperset(target.granting(guid) or target.wanted[guid]):
        # also if he is a member: until it is certain, that may be the work of somebody in Genesys Cloud
        return Verdict(Status.HELD, Reason.OTHER_DOMAIN_CONTROLLER, genesys_id, about=proposal.about)
    if new_pairs.must_wait(match, proposal.groups, facts):
        asked = target.waiting(guid)[0]
        return Verdict(Status.HELD, Reason.NEW_PAIR, genesys_id, about=new_pairs.about(asked, facts))
    if genesys_id in facts.members:
        return _already_in_effect(proposal, genesys_id, facts)
    if match.status is MatchStatus.INACTIVE:
        return Verdict(Status.ORPHANED, Reason.INACTIVE, genesys_id)
    return Verdict(Status.PLANNED, genesys_user_id=genesys_id)


def _unwanted_add(proposal: Proposal, facts: TargetFacts) -> Verdict:
    """Skip an add whose AD groups feed nothing any more, supersede any other."""
    former = facts.target.former_sources - facts.target.refusals.keys()
    if proposal.groups and former.issuperset(proposal.groups):
        return Verdict(Status.SKIPPED, Reason.UNMAPPED)
    return Verdict(Status.SUPERSEDED, Reason.NEWER_VIEW)


def _identity_obstacle(guid: Guid, facts: TargetFacts) -> Verdict | None:
    """Return the verdict if the AD user is not exactly one Genesys user."""
    match = facts.matches.get(guid)
    if match is None:
        return _NOT_LOOKED_UP
    if match.status is MatchStatus.AMBIGUOUS:
        return _ambiguous(match)
    if match.status is MatchStatus.NOT_LOOKED_UP:
        return _refused(match)
    if match.status is MatchStatus.ORPHANED or match.genesys_user_id is None:
        return Verdict(Status.ORPHANED, match.reason or Reason.NO_GENESYS_USER)
    contenders = facts.contenders(match.genesys_user_id, guid)
    if contenders and match.matched_by != BY_PERSON:
        rivals = tuple(Rival(other, match.genesys_user_id) for other in sorted(contenders))
        return Verdict(Status.HELD, Reason.AMBIGUOUS, match.genesys_user_id, rivals=rivals)
    return None


def _ambiguous(match: Match) -> Verdict:
    """Hold a person whose Genesys user is not certain."""
    linked = match.candidates[0] if match.reason is Reason.LINK_CONTRADICTED and match.candidates else None
    return Verdict(Status.HELD, match.reason or Reason.AMBIGUOUS, linked, rivals=match.rivals)


def _refused(match: Match) -> Verdict:
    """Hold somebody whose value Genesys refuses to look up."""
    about = {"rule": match.matched_by or "", "value": match.value or ""}
    return Verdict(Status.HELD, Reason.NOT_LOOKED_UP, about={key: text for key, text in about.items() if text})


# -- removals -----------------------------------------------------------------------------------------


def _decide_removal(proposal: Proposal, facts: TargetFacts) -> Verdict:
    verdict = _still_wanted(proposal, facts) or _settled_without_write(proposal, facts) or _guarded(proposal, facts)
    if verdict.status is Status.PLANNED and facts.context.groups_hidden:
        error = "Genesys hides groups from this client, so nobody is removed"
        return dataclasses.replace(verdict, status=Status.HELD, reason=Reason.GENESYS_UNREADABLE, error=error)
    return verdict


def _still_wanted(proposal: Proposal, facts: TargetFacts) -> Verdict | None:
    """Return the verdict on a member that AD's newest view wants in the Genesys group."""
    guid, genesys_id = proposal.person.user_guid, proposal.person.genesys_user_id
    if guid is None:
        return Verdict(Status.SUPERSEDED, Reason.NEWER_VIEW, genesys_id) if genesys_id in facts.wanted_ids else None
    if guid not in facts.target.wanted:
        return None
    if set(proposal.groups) <= set(facts.target.wanted[guid]):  # each AD group lists the user again
        return Verdict(Status.SUPERSEDED, Reason.NEWER_VIEW)
    if facts.target.granting(guid):
        if proposal.held_reason is Reason.OTHER_DOMAIN_CONTROLLER:  # whether the user left the other AD group is open
            return Verdict(Status.HELD, proposal.held_reason, facts.only_id(proposal.person), about=proposal.about)
        return Verdict(Status.UNCHANGED, Reason.STILL_GRANTED)
    about = new_pairs.about(facts.target.waiting(guid)[0], facts)
    held = Verdict(Status.HELD, Reason.NEW_PAIR, facts.only_id(proposal.person), about=about)
    return _settled_without_write(proposal, facts) or held


def _settled_without_write(proposal: Proposal, facts: TargetFacts) -> Verdict | None:
    """Return the verdict on an unwanted member that needs no removal, or must stay."""
    guid = proposal.person.user_guid
    if guid is not None and guid in facts.context.excluded_users:
        return Verdict(Status.SKIPPED, Reason.EXCLUDED)
    ids = _ids(proposal.person, facts)
    if not ids:
        return _removal_of_unknown(facts.matches.get(guid) if guid is not None else None, facts)
    if not ids & facts.members and not (hidden := sleeping.possibly_hidden(ids, facts)):
        unseen = not sleeping.seen_as_active(ids, facts)
        settled = dataclasses.replace(_already_in_effect(proposal, min(ids), facts), unseen=unseen)
        return _maybe_another_user(guid, facts) or settled
    genesys_id = min(ids & facts.members or hidden)
    if guid is not None and facts.successor(guid, genesys_id) is not None:
        return Verdict(Status.UNCHANGED, Reason.STILL_GRANTED, genesys_id)
    return _left_out_by_policy(proposal, genesys_id, facts)


def _left_out_by_policy(proposal: Proposal, genesys_id: str, facts: TargetFacts) -> Verdict | None:
    if facts.policy == "never":
        return Verdict(Status.SKIPPED, Reason.REMOVALS_NEVER, genesys_id)
    if strangers.stays_as_owner(genesys_id, facts):
        return Verdict(Status.SKIPPED, Reason.NOT_OWNED, genesys_id, error="the member owns the Genesys group")
    never_granted = proposal.untold or new_pairs.may_not_grant(proposal.groups, facts)
    if never_granted and not facts.mirrors and not facts.grants_of.get(genesys_id):
        return Verdict(
            Status.SKIPPED, Reason.NOT_OWNED, genesys_id
        )  # only a former definition, or a new pair, wanted it
    return None


def _maybe_another_user(guid: Guid | None, facts: TargetFacts) -> Verdict | None:
    """Hold a removal of somebody who may be a member as another Genesys user."""
    match = facts.matches.get(guid or "")
    if match is None or match.status is not MatchStatus.AMBIGUOUS or guards.contested_by_accounts(match):
        return None
    return None if facts.members.isdisjoint(match.candidates) else _ambiguous(match)


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
            complete=target.complete and (target.proven_by is None or target.proven_by >= proposal.recorded),
            sources=frozenset(target.sources),
            former_sources=target.former_sources,
            lost=proposal.groups,
            grants=grants,
            match=facts.matches.get(guid) if guid is not None else None,
            known_ids=ids,
            claimants=facts.wanted_claimants(genesys_id),
            all_wanted_looked_up=facts.matches.keys() >= target.wanted.keys(),
            held_reason=proposal.held_reason,
            listed_out_of_view=guid in target.listed_last,
            may_be_unidentified=stranger and strangers.may_be_unidentified(genesys_id, facts),
        )
    )
    if reason is Reason.GENESYS_UNREADABLE:
        missing = len(target.wanted.keys() - facts.matches.keys())
        error = f"{missing} people wanted in the group could not be looked up, and one of them may be this member"
        member = strangers.about(genesys_id, facts) if stranger else {}
        return Verdict(Status.HELD, reason, genesys_id, error=error, about=member)
    about = proposal.about if reason is proposal.held_reason else {}
    rivals: tuple[Rival, ...] = ()
    if reason in {Reason.AMBIGUOUS, Reason.LINK_CONTRADICTED}:
        rivals = _rivals(proposal.person, genesys_id, facts)
    if stranger:
        about = {**about, **strangers.about(genesys_id, facts)}
        rivals = tuple(dict.fromkeys((*rivals, *strangers.rivals(facts))))
    status, unseen = Status.HELD if reason else Status.PLANNED, genesys_id not in facts.members
    return Verdict(status, reason, genesys_id, about=about, rivals=rivals, unseen=unseen)


def _rivals(person: Person, genesys_id: str, facts: TargetFacts) -> tuple[Rival, ...]:
    """Return who else may be meant by a removal."""
    match = facts.matches.get(person.user_guid or "")
    accounts = facts.wanted_claimants(genesys_id) - {person.user_guid}
    return tuple(
        dict.fromkeys(
            (
                *(match.rivals if match else ()),
                *(Rival(account, genesys_id) for account in sorted(accounts)),
                *(Rival(None, other) for other in sorted(_ids(person, facts) - {genesys_id})),
            )
        )
    )


def _ids(person: Person, facts: TargetFacts) -> frozenset[str]:
    """Return the Genesys users that a person is, by all that is known."""
    if person.user_guid is None:
        return frozenset({person.genesys_user_id or ""})
    match = facts.matches.get(person.user_guid)
    known = facts.known_ids(person.user_guid)
    if not known and match and guards.contested_by_accounts(match) and len(match.candidates) == 1:
        return frozenset(match.candidates)
    return known


def _removal_of_unknown(match: Match | None, facts: TargetFacts) -> Verdict:
    """Decide the removal of an AD user whose Genesys user is not known for certain."""
    if match is None:
        return _NOT_LOOKED_UP
    if match.status is MatchStatus.NOT_LOOKED_UP:
        return _refused(match)
    if match.status is not MatchStatus.AMBIGUOUS:
        return Verdict(Status.UNCHANGED, Reason.NO_GENESYS_USER)
    if match.candidates and facts.members.isdisjoint(match.candidates):
        return Verdict(Status.UNCHANGED, Reason.ALREADY_SO)  # none of the candidates is a member
    return _ambiguous(match)
