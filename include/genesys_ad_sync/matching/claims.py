"""Genesys users that several AD accounts claim."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping

from genesys_ad_sync.matching.links import LinkFinding
from genesys_ad_sync.matching.state import MatchState, Sight, ranks_for, sight
from genesys_ad_sync.model import GenesysUser, Guid, Link, Match, MatchStatus, Rival, UserKey

_Claims = dict[str, dict[Guid, bool]]
"""Genesys user -> accounts that claim it -> whether by a link that nothing contradicts."""


def outsiders(state: MatchState) -> frozenset[Guid]:
    """Return outside accounts with a link to a Genesys user of this matching.

    These are accounts that are not in this matching. The matching saw the Genesys user.
    """
    seen = _seen_ids(state)
    return frozenset(
        guid for guid, link in state.links.items() if guid not in state.users and link.genesys_user_id in seen
    )


def claimable(state: MatchState) -> frozenset[str]:
    """Return the Genesys users that an account of this matching may claim.

    Only a link to one of these can contest an account of this matching.
    """
    others = {one for guid in state.users if guid in state.links for one in state.links[guid].others}
    return _seen_ids(state) | others


def with_links(state: MatchState, links: Mapping[Guid, Link]) -> MatchState:
    """Return the state with the links of outside accounts.

    Those of its own accounts stay as they are.
    """
    outside = {guid: link for guid, link in links.items() if guid not in state.users}
    return dataclasses.replace(state, links={**state.links, **outside})


def without_veto(state: MatchState, accounts: Collection[Guid]) -> MatchState:
    """Return the state in which these accounts contest no Genesys user.

    They are matched as usual. These are accounts that are excluded, deleted, or disabled where that removes.
    """
    return dataclasses.replace(state, without_veto=state.without_veto | frozenset(accounts))


def contested(
    state: MatchState, matches: Mapping[Guid, Match], findings: Mapping[Guid, LinkFinding]
) -> dict[Guid, tuple[Rival, ...]]:
    """Map each account that may be somebody else to the accounts that contest it.

    A Genesys user is claimed by any of:

    - a match;
    - a link, also of an account outside this run;
    - being one of several candidates;
    - a mail, user name or external id. A value that moved to another AD account, but not yet in Genesys, is a claim of
      both accounts.

    A link that nothing contradicts wins over every other claim. Two such links contest each other.
    """
    claims = _claims(state, matches, findings)
    result: dict[Guid, tuple[Rival, ...]] = {}
    claimed_by: dict[Guid, set[str]] = {}
    for genesys_id, claimants in claims.items():
        for guid in claimants:
            claimed_by.setdefault(guid, set()).add(genesys_id)
    for guid in claimed_by.keys() & matches.keys() - state.without_veto:
        own = {genesys_id: claims[genesys_id] for genesys_id in claimed_by[guid]}
        rivals = sorted(_rivals_of(guid, own, state.without_veto), key=str)
        if rivals and matches[guid].status is not MatchStatus.NOT_LOOKED_UP:
            result[guid] = tuple(rivals)
    return result


def _rivals_of(guid: Guid, claims: _Claims, without_veto: Collection[Guid]) -> Iterable[Rival]:
    """Yield the rivals of an account. ``claims``: of the Genesys users that it claims."""
    certain = {genesys_id for genesys_id, claimants in claims.items() if claimants[guid]}
    for genesys_id in certain or claims.keys():
        for other, by_link in claims[genesys_id].items():
            if other != guid and other not in without_veto and (by_link or genesys_id not in certain):
                yield Rival(other, genesys_id)


def _claims(state: MatchState, matches: Mapping[Guid, Match], findings: Mapping[Guid, LinkFinding]) -> _Claims:
    claims: _Claims = {}
    for guid, link in state.links.items():
        if sight(state, guid) is not Sight.DELETED:
            finding = findings.get(guid)
            contradicted = link.contradicted_since is not None if finding is None else finding.contradicted
            certain = not contradicted and sight(state, guid) is not Sight.UNSEEN
            claims.setdefault(link.genesys_user_id, {})[guid] = certain
    for guid, match in matches.items():
        for genesys_id in match.possible_ids:
            claims.setdefault(genesys_id, {}).setdefault(guid, False)
    for guid, genesys_id in claims_by_value(state):
        if claims.get(genesys_id, {}).keys() - {guid}:
            claims[genesys_id].setdefault(guid, False)
    return claims


def _seen_ids(state: MatchState) -> frozenset[str]:
    found = {user.id for answer in state.answers for users in answer.values() for user in users}
    return frozenset(found | {state.links[guid].genesys_user_id for guid in state.users if guid in state.links})


def claims_by_value(state: MatchState) -> Iterable[tuple[Guid, str]]:
    """Yield (AD user, Genesys user) that have the same value.

    This covers all Genesys users seen and all rules.
    """
    seen = {user.id: user for user in (state.linked or {}).values() if user}
    for answer in state.answers:
        seen.update({user.id: user for users in answer.values() for user in users})
    for index, rule in enumerate(state.rules):
        owners = _owners(rule.genesys, seen.values(), state.answers[index] if index < len(state.answers) else {})
        for guid, person in state.users.items():
            # An alias is no claim: a leaver's address often becomes one of somebody else.
            first = next(iter(ranks_for(rule, person)), ())
            for genesys_id in {one for value in first for one in owners.get(value, ())}:
                yield guid, genesys_id


def _owners(
    key: UserKey, seen: Iterable[GenesysUser], answer: Mapping[str, tuple[GenesysUser, ...]]
) -> dict[str, set[str]]:
    """Return by value the ids of the living Genesys users that have it.

    A Genesys user does not carry its external ids, so only the ``answer`` of their own rule shows them.
    """
    if key.needs_authority:
        return {value: {user.id for user in users if user.state != "deleted"} for value, users in answer.items()}
    owners: dict[str, set[str]] = {}
    for user in seen:
        value = key.of(user)
        if value and user.state != "deleted":
            owners.setdefault(key.normalise(value), set()).add(user.id)
    return owners
