"""What happens to stored links when they are compared with the rules."""

from __future__ import annotations

from dataclasses import dataclass

from genesys_ad_sync.matching.state import MatchState, Sight, Standing, found_by_rules, sight, standing, values_for
from genesys_ad_sync.model import Guid

_LOOKED_FOR = frozenset({Sight.ALIVE, Sight.UNSEEN})


@dataclass(frozen=True)
class LinkFinding:
    """What the comparison of a link with the rules showed.

    ``contradicted``: the linked Genesys user carries none of the account's values. ``others``: the active Genesys
    users that the rules find instead.
    """

    contradicted: bool
    others: tuple[str, ...] = ()


def link_findings(state: MatchState) -> dict[Guid, LinkFinding]:
    """Return what the comparison showed, for the links that could be compared."""
    findings = {}
    for guid in state.links.keys() & state.users.keys():
        finding = _finding(state, guid)
        if finding is not None:
            findings[guid] = finding
    return findings


def _finding(state: MatchState, guid: Guid) -> LinkFinding | None:
    seen = sight(state, guid)
    if seen is Sight.ALIVE and standing(state, guid) is Standing.CONFIRMED:
        return LinkFinding(contradicted=False)
    if guid in state.refused or seen not in _LOOKED_FOR:
        return None
    if seen is Sight.ALIVE:
        if standing(state, guid) is Standing.OPEN and not _was_asked_for_others(state, guid):
            return None
        if _carries_external_id(state, guid):
            return LinkFinding(contradicted=False)
    others = tuple(user.id for user in found_by_rules(state, guid).users if user.state == "active")
    return LinkFinding(contradicted=seen is Sight.ALIVE or bool(others), others=others)


def _was_asked_for_others(state: MatchState, guid: Guid) -> bool:
    """Return True if other accounts with the same values have answered for this one."""
    account = state.users[guid]
    return all(
        index < len(state.answers) and value in state.answers[index]
        for index, rule in enumerate(state.rules)
        for value in values_for(rule, account)
    )


def _carries_external_id(state: MatchState, guid: Guid) -> bool:
    """Return True if an answer names the linked user for the account's value.

    Any value of the account counts.
    """
    account, own = state.users[guid], state.links[guid].genesys_user_id
    return any(
        user.id == own
        for rule, answer in zip(state.rules, state.answers, strict=False)
        for value in values_for(rule, account)
        for user in answer.get(value, ())
    )
