"""The results of a matching: the user of each account, and the compared links.

They follow from the answers of Genesys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from operator import itemgetter

from genesys_ad_sync.matching.claims import claims_by_value, contested
from genesys_ad_sync.matching.links import LinkFinding, link_findings
from genesys_ad_sync.matching.lookups import next_lookup
from genesys_ad_sync.matching.state import MatchState, Sight, found_by_rules, linked_user, sight, value_for
from genesys_ad_sync.model import BY_LINK, Guid, Match, MatchStatus, Reason, Rival

_GOES_BY_LINK = frozenset({Sight.BELIEVED, Sight.ALIVE, Sight.UNSEEN})


def finish(state: MatchState) -> dict[Guid, Match]:
    """Return a `Match` for each user given to `start`.

    Raises ValueError while a look-up is missing.
    """
    if next_lookup(state) is not None:
        raise ValueError("Genesys must be asked first: next_lookup() is not None")
    findings = link_findings(state)
    matches = {guid: _match(state, guid, findings.get(guid)) for guid in state.users}
    for guid, genesys_id in claims_by_value(state) if state.refused else ():
        if matches[guid].status is MatchStatus.NOT_LOOKED_UP:
            candidates = tuple(sorted({*matches[guid].candidates, genesys_id}))
            matches[guid] = replace(matches[guid], candidates=candidates)
    for guid, rivals in contested(state, matches, findings).items():
        matches[guid] = as_ambiguous(matches[guid], rivals)
    contradicted = [guid for guid, match in matches.items() if match.reason is Reason.LINK_CONTRADICTED]
    if contradicted:
        owners = {link.genesys_user_id: guid for guid, link in sorted(state.links.items(), key=itemgetter(0))}
        matches |= {guid: _with_owners(matches[guid], owners) for guid in contradicted}
    return matches


def _match(state: MatchState, guid: Guid, finding: LinkFinding | None) -> Match:
    """Return the match of one account, other accounts left aside."""
    seen = sight(state, guid)
    if seen in _GOES_BY_LINK:
        link = state.links[guid]
        others = finding.others if finding else link.others
        if others:
            return _contradicted(state, guid, others)
        return _linked(state, guid, seen)
    if guid in state.refused:
        rule = state.rules[state.refused[guid]]
        value = value_for(rule, state.users[guid])
        return Match(guid, MatchStatus.NOT_LOOKED_UP, matched_by=rule.label, reason=Reason.NOT_LOOKED_UP, value=value)
    return _by_rules(state, guid, seen)


def _linked(state: MatchState, guid: Guid, seen: Sight) -> Match:
    user, user_id = linked_user(state, guid), state.links[guid].genesys_user_id
    if seen is Sight.UNSEEN:
        return Match(guid, MatchStatus.ORPHANED, reason=Reason.NO_GENESYS_USER)
    if user is not None and user.state != "active":
        return Match(guid, MatchStatus.INACTIVE, user_id, BY_LINK, Reason.INACTIVE)
    return Match(guid, MatchStatus.MATCHED, user_id, BY_LINK)


def _contradicted(state: MatchState, guid: Guid, others: tuple[str, ...]) -> Match:
    rivals = tuple(Rival(None, user_id) for user_id in others)
    candidates = (state.links[guid].genesys_user_id, *others)
    return Match(
        guid,
        MatchStatus.AMBIGUOUS,
        matched_by=BY_LINK,
        reason=Reason.LINK_CONTRADICTED,
        candidates=candidates,
        rivals=rivals,
    )


def _with_owners(match: Match, owners: Mapping[str, Guid]) -> Match:
    """Name the accounts that are linked to the other Genesys users of a contradicted link."""
    rivals = tuple(
        Rival(rival.guid or owners.get(rival.genesys_user_id or ""), rival.genesys_user_id) for rival in match.rivals
    )
    return replace(match, rivals=tuple(dict.fromkeys(rivals)))


def _by_rules(state: MatchState, guid: Guid, seen: Sight) -> Match:
    found = found_by_rules(state, guid)
    if len(found.users) > 1:
        candidates = tuple(user.id for user in found.users)
        rivals = tuple(Rival(None, user_id) for user_id in candidates)
        return Match(guid, MatchStatus.AMBIGUOUS, reason=Reason.AMBIGUOUS, candidates=candidates, rivals=rivals)
    moved_from = state.links[guid].genesys_user_id if seen is Sight.DELETED else None
    if len(found.users) == 1:
        user = found.users[0]
        if user.state == "active":
            return Match(guid, MatchStatus.MATCHED, user.id, found.by, moved_from=moved_from)
        return Match(guid, MatchStatus.INACTIVE, user.id, found.by, Reason.INACTIVE)
    has_value = any(value_for(rule, state.users[guid]) for rule in state.rules)
    known = has_value or seen is Sight.DELETED
    return Match(guid, MatchStatus.ORPHANED, reason=Reason.NO_GENESYS_USER if known else Reason.NO_MATCHING_ATTRIBUTE)


def as_ambiguous(match: Match, rivals: tuple[Rival, ...]) -> Match:
    """Return a match whose Genesys user another account claims."""
    contested_ids = {rival.genesys_user_id for rival in rivals if rival.genesys_user_id}
    reason = Reason.LINK_CONTRADICTED if match.reason is Reason.LINK_CONTRADICTED else Reason.AMBIGUOUS
    if reason is Reason.LINK_CONTRADICTED:  # the linked user stays first
        candidates = tuple(dict.fromkeys((*match.candidates, *sorted(contested_ids))))
    else:
        candidates = tuple(sorted(match.possible_ids | contested_ids))
    return replace(
        match,
        status=MatchStatus.AMBIGUOUS,
        genesys_user_id=None,
        matched_by=match.matched_by if reason is Reason.LINK_CONTRADICTED else None,
        reason=reason,
        candidates=candidates,
        rivals=tuple(dict.fromkeys((*match.rivals, *rivals))),
        moved_from=None,
    )
