"""What follows from a target: who is who in it, and which memberships AD owns."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from genesys_ad_sync.model import BY_LINK, Change, DryEvidence, Grant, Guid, Match
from genesys_ad_sync.planning.inputs import PlanContext, Relinking, Target
from genesys_ad_sync.settings import SyncDefinition


@dataclass(frozen=True)
class Person:
    """An AD user. For a member unknown to AD: a Genesys user."""

    user_guid: Guid | None
    genesys_user_id: str | None = None


@dataclass(frozen=True)
class TargetFacts:
    """A target with what follows from it.

    - ``claims``: Genesys user -> AD accounts that are or may be it, by match or by a link that is to move.
    - ``grants_of``: by Genesys user, with the grants that followed a link.
    - ``grants_by``: by AD user, without those of a Genesys user that it is no more.
    - ``carried``: the grants that followed a link to a member.
    - ``former``: Genesys user -> accounts that were linked to it and were granted the membership through it.
    - ``wanted_ids``: Genesys users that are or may be an AD user of `wanted`, excluded ones left aside.
    - ``excluded_ids``: Genesys users that are or may be an excluded AD user.
    """

    target: Target
    matches: Mapping[Guid, Match]
    claims: Mapping[str, frozenset[Guid]]
    definition: SyncDefinition
    context: PlanContext
    grants_of: Mapping[str, tuple[Grant, ...]]
    grants_by: Mapping[Guid, tuple[Grant, ...]]
    carried: tuple[Grant, ...]
    former: Mapping[str, frozenset[Guid]]
    wanted_ids: frozenset[str]
    excluded_ids: frozenset[str]
    trial: tuple[DryEvidence, ...] = ()

    @classmethod
    def of(
        cls,
        target: Target,
        matches: Mapping[Guid, Match],
        claims: Mapping[str, frozenset[Guid]],
        definition: SyncDefinition,
        context: PlanContext,
    ) -> TargetFacts:
        """Index a target's grants and collect the Genesys users that AD may want."""
        carried = tuple(_carried(target, context))
        old = [grant for grant in target.grants if (grant.user_guid, grant.genesys_user_id) in context.moves]
        former: dict[str, set[Guid]] = {}
        for grant in old:
            former.setdefault(grant.genesys_user_id, set()).add(grant.user_guid)
        grants_of: dict[str, tuple[Grant, ...]] = {}
        grants_by: dict[Guid, tuple[Grant, ...]] = {}
        trial = tuple(_left_since(target, matches)) if _can_be_compared(target, context) else ()
        for grant in dict.fromkeys((*target.grants, *carried, *(one.grant for one in trial))):
            grants_of[grant.genesys_user_id] = (*grants_of.get(grant.genesys_user_id, ()), grant)
            if grant.user_guid not in former.get(grant.genesys_user_id, ()):
                grants_by[grant.user_guid] = (*grants_by.get(grant.user_guid, ()), grant)
        wanted: set[str] = set()
        for guid in target.wanted.keys() - context.excluded_users:
            wanted |= {grant.genesys_user_id for grant in grants_by.get(guid, ())} | _possible_ids(matches.get(guid))
        excluded = {id_ for guid in context.excluded_users for id_ in _possible_ids(matches.get(guid))}
        return cls(
            target,
            matches,
            claims,
            definition,
            context,
            grants_of,
            grants_by,
            carried,
            {genesys_id: frozenset(guids) for genesys_id, guids in former.items()},
            frozenset(wanted),
            frozenset(excluded),
            trial,
        )

    @property
    def policy(self) -> str:
        """Return the policy of removals in this run."""
        return "mirror" if self.context.mirror_once else self.definition.removals

    @property
    def mirrors(self) -> bool:
        """True if members that AD does not own are removed, too."""
        return self.policy == "mirror"

    @cached_property
    def unidentified(self) -> tuple[Guid, ...]:
        """Return the wanted accounts whose Genesys user is not known for certain, sorted.

        With them, the members of AD groups that cannot be read: any of them may be a person.
        """
        wanted = {guid for guid in self.target.wanted if not self._is_identified(guid)}
        return tuple(sorted(wanted | self.target.unreadable))

    def _is_identified(self, guid: Guid) -> bool:
        match = self.matches.get(guid)
        known_as = match.genesys_user_id if match else None
        return known_as is not None and self.matched_by_one(known_as, guid)

    @property
    def members(self) -> frozenset[str]:
        """Genesys user ids of the members; empty if they could not be read."""
        return self.target.members or frozenset()

    @property
    def is_compared(self) -> bool:
        """True if the target is ours alone and can be compared completely."""
        return _can_be_compared(self.target, self.context)

    def rests_on_trial(self, genesys_user_id: str | None) -> bool:
        """Return True if AD owns this membership only by what dry runs saw."""
        grants = self.grants_of.get(genesys_user_id or "", ())
        return bool(grants) and all(grant.by_dry_run for grant in grants)

    def known_ids(self, guid: Guid) -> frozenset[str]:
        """Return the Genesys users that an AD user is, by match and grants."""
        match = self.matches.get(guid)
        known = {grant.genesys_user_id for grant in self.grants_by.get(guid, ())}
        return frozenset(known | ({match.genesys_user_id} if match and match.genesys_user_id else set()))

    def only_id(self, person: Person) -> str | None:
        """Return the Genesys user of a person, or None if that is ambiguous."""
        if person.user_guid is None:
            return person.genesys_user_id
        ids = self.known_ids(person.user_guid)
        return next(iter(ids)) if len(ids) == 1 else None

    # -- who else claims a Genesys user -------------------------------------------------------------------

    def claimants(self, genesys_user_id: str) -> frozenset[Guid]:
        """Return the AD accounts with a veto that are or may be this Genesys user."""
        granted = {grant.user_guid for grant in self.grants_of.get(genesys_user_id, ())}
        former = self.former.get(genesys_user_id, frozenset())
        claims = self.claims.get(genesys_user_id, frozenset())
        return (claims | (granted - former)) - self.context.without_veto

    def wanted_claimants(self, genesys_user_id: str) -> frozenset[Guid]:
        """Return the claimants through which the Genesys user may belong into the group.

        A member that AD lists and that cannot be read may be any of the others.
        """
        former = self.former.get(genesys_user_id, frozenset())
        wanted = self.target.wanted.keys() | self.target.unreadable
        return (self.claimants(genesys_user_id) - (former & self.context.relinks.keys())) & wanted

    def contenders(self, genesys_user_id: str, guid: Guid) -> frozenset[Guid]:
        """Return the other accounts that contest this Genesys user.

        A link contests more than any other claim.
        """
        others = self.claims.get(genesys_user_id, frozenset()) - self.context.without_veto - {guid}
        if self._is_linked(guid, genesys_user_id):
            others = frozenset(other for other in others if self._is_linked(other, genesys_user_id))
        return others

    def _is_linked(self, guid: Guid, genesys_user_id: str) -> bool:
        match = self.matches.get(guid)
        return match is not None and match.matched_by == BY_LINK and match.genesys_user_id == genesys_user_id

    def matched_by_one(self, genesys_user_id: str, guid: Guid) -> bool:
        """Return True if this account, and no other with a veto, is this Genesys user."""
        match = self.matches.get(guid)
        return (
            match is not None
            and match.genesys_user_id == genesys_user_id
            and not self.contenders(genesys_user_id, guid)
        )

    def successor(self, guid: Guid, genesys_user_id: str) -> Guid | None:
        """Return the wanted account that takes over from an account without a veto.

        None: there is none.
        """
        if guid not in self.context.without_veto:
            return None
        for account in sorted(self.claimants(genesys_user_id) & self.target.wanted.keys()):
            if self.target.granting(account) and self.matched_by_one(genesys_user_id, account):
                return account
        return None

    # -- persons ------------------------------------------------------------------------------------------

    def person(self, genesys_user_id: str) -> Person:
        """Return the AD user behind a Genesys user, by grants first, else by match.

        - Excluded accounts come first where nothing was granted: they are left alone.
        - What only a former link granted belongs to no account.
        """
        granted = {grant.user_guid for grant in self.grants_of.get(genesys_user_id, ())}
        granted -= self.former.get(genesys_user_id, frozenset())
        if not granted and genesys_user_id in self.former:
            return Person(None, genesys_user_id)
        known = granted or self.claims.get(genesys_user_id, frozenset())
        excluded = known & self.context.excluded_users
        chosen = (known - excluded if granted else excluded) or known
        return Person(min(chosen)) if chosen else Person(None, genesys_user_id)

    def person_of(self, change: Change) -> Person:
        """Return the person that a change is about."""
        if change.user_guid is not None:
            return Person(change.user_guid)
        return self.person(change.genesys_user_id or "")

    def awaits_relink(self, person: Person) -> bool:
        """Return True if a person is asked whether the link behind it moves.

        The question is one of this run.
        """
        relinks = self.context.relinks.keys()
        if person.user_guid is not None:
            return person.user_guid in relinks
        return not relinks.isdisjoint(self.former.get(person.genesys_user_id or "", ()))


def _can_be_compared(target: Target, context: PlanContext) -> bool:
    return target.full and target.members is not None and not target.claimed_by and not context.in_flight


def _left_since(target: Target, matches: Mapping[Guid, Match]) -> Iterator[DryEvidence]:
    """Yield the evidence of members who have left AD since, and are still in Genesys.

    Not of an account that is another Genesys user by today's rules: the trial was wrong about the person.
    """
    known = frozenset(target.grants)
    for one in target.trial:
        grant = one.grant
        match = matches.get(grant.user_guid)
        still_the_same = match is not None and match.genesys_user_id in {None, grant.genesys_user_id}
        if (
            still_the_same
            and grant not in known
            and grant.user_guid not in target.wanted
            and grant.genesys_user_id in (target.members or ())
        ):
            yield one


def claims_by_genesys_user(
    matches: Mapping[Guid, Match], relinks: Mapping[Guid, Relinking] | None = None
) -> dict[str, frozenset[Guid]]:
    """Return Genesys user id -> AD accounts whose match names it, as a candidate too.

    ``relinks``: links that are to move hold until a person has approved it.
    """
    claims: dict[str, set[Guid]] = {}
    for guid, match in matches.items():
        for genesys_id in _possible_ids(match):
            claims.setdefault(genesys_id, set()).add(guid)
    for guid, relink in (relinks or {}).items():
        if relink.former is not None:
            claims.setdefault(relink.former, set()).add(guid)
    return {genesys_id: frozenset(guids) for genesys_id, guids in claims.items()}


def _carried(target: Target, context: PlanContext) -> Iterable[Grant]:
    """Yield the grants that follow a link to a member of the group."""
    for grant in target.grants:
        move = context.moves.get((grant.user_guid, grant.genesys_user_id))
        if move and move.to and move.to in (target.members or ()):
            yield dataclasses.replace(grant, genesys_user_id=move.to)


def _possible_ids(match: Match | None) -> frozenset[str]:
    return match.possible_ids if match else frozenset()
