"""What follows from a target: who is who in it, and which memberships AD owns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from genesys_ad_sync.model import Change, DryEvidence, Grant, Guid, Match
from genesys_ad_sync.planning.inputs import PlanContext, Target
from genesys_ad_sync.settings import SyncDefinition


@dataclass(frozen=True)
class Person:
    """An AD user. For a member unknown to AD: a Genesys user."""

    user_guid: Guid | None
    genesys_user_id: str | None = None


@dataclass(frozen=True)
class TargetFacts:
    """A target with what follows from it."""

    target: Target
    matches: Mapping[Guid, Match]
    claims: Mapping[str, frozenset[Guid]]  # Genesys user -> AD accounts that are or may be it, by match
    definition: SyncDefinition
    context: PlanContext
    grants_of: Mapping[str, tuple[Grant, ...]]  # by Genesys user
    grants_by: Mapping[Guid, tuple[Grant, ...]]  # by AD user
    wanted_ids: frozenset[str]  # Genesys users that are or may be an AD user of `wanted`
    trial: tuple[DryEvidence, ...] = ()  # of members who have left AD since; their grants are among the others

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
        grants_of: dict[str, tuple[Grant, ...]] = {}
        grants_by: dict[Guid, tuple[Grant, ...]] = {}
        trial = tuple(_left_since(target, matches)) if _can_be_compared(target, context) else ()
        for grant in (*target.grants, *(one.grant for one in trial)):
            grants_of[grant.genesys_user_id] = (*grants_of.get(grant.genesys_user_id, ()), grant)
            grants_by[grant.user_guid] = (*grants_by.get(grant.user_guid, ()), grant)
        wanted: set[str] = set()
        for guid in target.wanted:
            wanted |= {grant.genesys_user_id for grant in grants_by.get(guid, ())} | _possible_ids(matches.get(guid))
        return cls(target, matches, claims, definition, context, grants_of, grants_by, frozenset(wanted), trial)

    @property
    def policy(self) -> str:
        """Return the policy of removals in this run."""
        return "mirror" if self.context.mirror_once else self.definition.removals

    @property
    def mirrors(self) -> bool:
        """True if members whom AD does not own go, too."""
        return self.policy == "mirror"

    @cached_property
    def unidentified(self) -> tuple[Guid, ...]:
        """Return the wanted accounts whose Genesys user is not known for certain, sorted.

        With them, the members of AD groups that cannot be read: any of them may be a person.
        """
        wanted = {guid for guid in self.target.wanted if not self._is_identified(guid)}
        return tuple(sorted(wanted | self.target.unseen))

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
        """Return True if AD owns this membership by what dry runs saw, and by nothing else."""
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

    def claimants(self, genesys_user_id: str) -> frozenset[Guid]:
        """Return the AD accounts, not deleted, that are or may be this Genesys user."""
        granted = {grant.user_guid for grant in self.grants_of.get(genesys_user_id, ())}
        return (self.claims.get(genesys_user_id, frozenset()) | granted) - self.context.deleted_users

    def possibly_wanted_claimants(self, guid: Guid | None, genesys_user_id: str) -> frozenset[Guid]:
        """Return the AD accounts through which the Genesys user may belong into the group.

        If ``guid`` was deleted and recreated, it is known whether AD wants the new account there: only wanted and
        excluded accounts count then.
        """
        claimants = self.claimants(genesys_user_id)
        if guid not in self.context.deleted_users:
            return claimants
        relevant = self.target.wanted.keys() | self.context.excluded_users
        return claimants & relevant

    def matched_by_one(self, genesys_user_id: str, guid: Guid) -> bool:
        """Return True if no other existing account may match this Genesys user."""
        return self.claims[genesys_user_id] - self.context.deleted_users == {guid}

    def successor(self, guid: Guid, genesys_user_id: str) -> Guid | None:
        """Return the wanted account that replaces a deleted one, if there is one."""
        if guid not in self.context.deleted_users:
            return None
        for account in self.claimants(genesys_user_id) & self.target.wanted.keys():
            match = self.matches.get(account)
            if match and match.genesys_user_id == genesys_user_id and self.matched_by_one(genesys_user_id, account):
                return account
        return None

    def person(self, genesys_user_id: str) -> Person:
        """Return the AD user behind a Genesys user, by grants first, else by match.

        Of several accounts it is the first: the guards hold such a removal anyway.
        """
        granted = {grant.user_guid for grant in self.grants_of.get(genesys_user_id, ())}
        known = sorted(granted or self.claims.get(genesys_user_id, frozenset()))
        return Person(known[0]) if known else Person(None, genesys_user_id)

    def person_of(self, change: Change) -> Person:
        """Return the person that a change is about."""
        if change.user_guid is not None:
            return Person(change.user_guid)
        return self.person(change.genesys_user_id or "")


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


def claims_by_genesys_user(matches: Mapping[Guid, Match]) -> dict[str, frozenset[Guid]]:
    """Return Genesys user id -> AD accounts whose match names it, as a candidate too."""
    claims: dict[str, set[Guid]] = {}
    for guid, match in matches.items():
        for genesys_id in _possible_ids(match):
            claims.setdefault(genesys_id, set()).add(guid)
    return {genesys_id: frozenset(guids) for genesys_id, guids in claims.items()}


def _possible_ids(match: Match | None) -> set[str]:
    if match is None:
        return set()
    return {*match.candidates, *([match.genesys_user_id] if match.genesys_user_id else [])}
