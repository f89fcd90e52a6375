"""Hidden members, and grants that sleep while a removal's effect is unseen.

Genesys may hide members. Nobody could see whether the removal of such a grant is in effect. That a user merely does not
occur in an answer proves nothing: an organisation may hide inactive members.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from genesys_ad_sync.model import Action, Grant, Guid, Match, MatchStatus
from genesys_ad_sync.planning.facts import TargetFacts
from genesys_ad_sync.planning.inputs import Target

_ACTIVE, _DELETED = "active", "deleted"


def possibly_hidden(genesys_user_ids: Iterable[str], facts: TargetFacts) -> frozenset[str]:
    """Return the users not among the members that may be members nevertheless.

    AD owns the membership, and Genesys shows the user neither as active nor as deleted.
    """
    return frozenset(
        id_ for id_ in genesys_user_ids if id_ in facts.grants_of and _state(id_, facts) not in {_ACTIVE, _DELETED}
    )


def seen_as_active(genesys_user_ids: Iterable[str], facts: TargetFacts) -> bool:
    """Return True if Genesys shows each of the users as active.

    A deleted user may be restored, and a hidden one may be a member all the time: then a grant may sleep on.
    """
    return all(_state(id_, facts) == _ACTIVE for id_ in genesys_user_ids)


def _state(genesys_user_id: str, facts: TargetFacts) -> str | None:
    """Return the state as just read; else the state of this run's match."""
    if genesys_user_id in facts.context.user_states:
        return facts.context.user_states[genesys_user_id]
    claimants = facts.claims.get(genesys_user_id, frozenset())
    active = any(facts.matches[guid].status is MatchStatus.MATCHED for guid in claimants)
    return _ACTIVE if active else None


def not_among_members(targets: Iterable[Target], matches: Mapping[Guid, Match]) -> set[str]:
    """Return the Genesys users of removals that are not members.

    As far as Genesys shows them, their state decides.
    """
    users: set[str] = set()
    for target in targets:
        removals = (c for c in target.changes if c.action is Action.REMOVE and c.settled_by is None)
        leaving = {change.user_guid for change in removals if change.user_guid is not None}
        leaving -= target.wanted.keys()
        known = {grant.genesys_user_id for grant in target.grants if grant.user_guid in leaving}
        known |= {id_ for guid in leaving if guid in matches and (id_ := matches[guid].genesys_user_id)}
        users |= known - target.members if target.members is not None else set()
    return users


@dataclass(frozen=True)
class Sleepers:
    """Grants whose sleep ends.

    ``awake``: their members are there again. ``ended``: their users are active, and out.
    """

    awake: tuple[Grant, ...] = ()
    ended: tuple[Grant, ...] = ()


def sleepers(
    asleep: Iterable[Grant], present: Mapping[str, Collection[str] | None], states: Mapping[str, str]
) -> Sleepers:
    """Return the sleeping grants that wake or end.

    ``present``: members by Genesys group; None: could not be read.
    """
    awake, ended = [], []
    for grant in asleep:
        members = present.get(grant.genesys_group_id)
        if members is None:
            continue
        if grant.genesys_user_id in members:
            awake.append(grant)
        elif states.get(grant.genesys_user_id) == _ACTIVE:
            ended.append(grant)
    return Sleepers(tuple(awake), tuple(ended))
