"""Which Genesys user an AD user is: links first, then the rules of `users:` in order, never a guess.

Pure: the caller asks Genesys. `start` → (`next_lookup` → ask Genesys → `answered`)* → `finish`. A later rule is only
looked up for users that no earlier rule found.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from genesys_ad_sync import names
from genesys_ad_sync.mapping import attribute
from genesys_ad_sync.model import DirectoryUser, GenesysUser, Guid, Match, MatchStatus, Reason, UserKey
from genesys_ad_sync.settings import SyncDefinition, UserRule


@dataclass(frozen=True)
class Lookup:
    """The next question to Genesys.

    ``rule``: index in `users:`; None: by Genesys user id. ``values``: sorted, without repetition, in the form in which
    the answer must be keyed (see `UserKey.normalise`).
    """

    rule: int | None
    values: tuple[str, ...]


@dataclass(frozen=True)
class MatchState:
    """The progress of the matching. Made by `start`, moved on by `answered`."""

    users: Mapping[Guid, DirectoryUser | None]  # None: no longer in AD
    rules: tuple[UserRule, ...]
    links: Mapping[Guid, str]
    relink: bool
    deleted: frozenset[Guid] = frozenset()
    linked: Mapping[str, GenesysUser | None] | None = None  # by Genesys user id; None: not asked yet
    answers: tuple[Mapping[str, tuple[GenesysUser, ...]], ...] = ()  # one per rule asked so far, by value
    unanswered: frozenset[Guid] = frozenset()  # users for whom Genesys refuses the question


def start(
    users: Iterable[DirectoryUser],
    rules: Sequence[UserRule],
    links: Mapping[Guid, str],
    *,
    gone: Collection[Guid] = (),
    deleted: Collection[Guid] = (),
    relink: bool = False,
) -> MatchState:
    """Begin the matching of some AD users.

    - ``links``: *all* links of the journal (guid -> Genesys user id), so that a Genesys user of an AD user outside
      this run is not given to another.
    - ``gone``: users of which only the guid is known (deleted in AD); a link may still find them.
    - ``deleted``: users whose tombstone was seen. They are matched as usual, but cannot contest a living account's
      Genesys user.
    - ``relink``: try the rules when the Genesys user of a link no longer exists; else such a user is orphaned.
    """
    people: dict[Guid, DirectoryUser | None] = dict.fromkeys(gone)
    people.update({user.guid: user for user in users})
    return MatchState(people, tuple(rules), dict(links), relink, frozenset(deleted))


def next_lookup(state: MatchState) -> Lookup | None:
    """Return the next question to Genesys; None when `finish` can be called."""
    if state.linked is None:
        ids = {state.links[guid] for guid in state.users if guid in state.links}
        if ids:
            return Lookup(None, tuple(sorted(ids)))
        state = dataclasses.replace(state, linked={})
    if len(state.answers) < len(state.rules):
        index = len(state.answers)
        found = _found(state)
        values = {
            value
            for guid, user in state.users.items()
            if not found[guid].users and (value := value_for(state.rules[index], user)) and _rules_apply(state, guid)
            if guid not in state.unanswered
        }
        return Lookup(index, tuple(sorted(values))) if values else next_lookup(_skipped(state))
    return None


def answered(
    state: MatchState,
    lookup: Lookup,
    found: Mapping[str, GenesysUser | Sequence[GenesysUser] | None],
    unanswered: Collection[str] = (),
) -> MatchState:
    """Return the state after Genesys answered.

    - ``found``: by value of the look-up, the Genesys users that have it, of any state; a missing value: none has it.
    - ``unanswered``: values that Genesys refuses to look up. No later rule is tried for them, since this rule might
      have found another user.

    Raises ValueError if ``lookup`` is not the one that `next_lookup` returned.
    """
    if lookup != next_lookup(state):
        raise ValueError("this answer belongs to another look-up")
    users = {value: _as_tuple(found.get(value)) for value in lookup.values}
    if lookup.rule is None:
        by_id = {value: answer[0] if answer else None for value, answer in users.items()}
        return dataclasses.replace(state, linked=by_id)
    state = dataclasses.replace(state, linked=state.linked or {})
    while len(state.answers) < lookup.rule:  # rules that had nobody to ask for
        state = _skipped(state)
    before = _found(state)
    without = {
        guid
        for guid, user in state.users.items()
        if not before[guid].users and value_for(state.rules[lookup.rule], user) in unanswered
    }
    return dataclasses.replace(state, answers=(*state.answers, users), unanswered=state.unanswered | without)


def finish(state: MatchState) -> dict[Guid, Match]:
    """Return a `Match` for each user given to `start`.

    Users that Genesys could not be asked for have none: that is not "no Genesys user". Raises ValueError while a
    look-up is missing.
    """
    if next_lookup(state) is not None:
        raise ValueError("Genesys must be asked first: next_lookup() is not None")
    matches = {guid: _match(state, guid, found) for guid, found in _found(state).items()}
    for guid, rivals in _rivals(state, matches).items():
        matches[guid] = Match(guid, MatchStatus.AMBIGUOUS, reason=Reason.AMBIGUOUS, candidates=tuple(sorted(rivals)))
    return {guid: match for guid, match in matches.items() if guid not in state.unanswered}


def value_for(rule: UserRule, user: DirectoryUser | None) -> str | None:
    """Return the value to look for in Genesys, normalised; None if AD has none."""
    value = attribute(user.attributes, rule.directory) if user else None
    return None if value is None else rule.genesys.normalise(value)


def excluded_users(users: Iterable[DirectoryUser], definition: SyncDefinition) -> frozenset[Guid]:
    """Return the users that `exclude: users:` names, by name, sAMAccountName, mail or userPrincipalName.

    They are matched like all others, since only a match shows which Genesys users must be left alone.
    """
    patterns = definition.exclude.users
    if not patterns:
        return frozenset()
    return frozenset(
        user.guid
        for user in users
        if names.matches_any(
            patterns,
            (user.name, user.sam_account_name, user.mail, attribute(user.attributes, "userPrincipalName")),
        )
    )


# -- found users --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """The Genesys users that the link found, or else the first rule that found any."""

    users: tuple[GenesysUser, ...] = ()
    by: str | None = None
    link_is_dead: bool = False


def _found(state: MatchState) -> dict[Guid, _Found]:
    return {guid: _found_for(state, guid, user) for guid, user in state.users.items()}


def _found_for(state: MatchState, guid: Guid, user: DirectoryUser | None) -> _Found:
    linked_id = state.links.get(guid)
    dead = False
    if linked_id is not None:
        linked = (state.linked or {}).get(linked_id)
        if linked is not None and linked.state != "deleted":
            return _Found((linked,), "link")
        dead = True
        if not state.relink:
            return _Found(link_is_dead=True)
    for rule, answer in zip(state.rules, state.answers, strict=False):
        value = value_for(rule, user)
        living = {found.id: found for found in answer.get(value or "", ()) if found.state != "deleted"}
        if living:
            return _Found(tuple(living[key] for key in sorted(living)), rule.label, link_is_dead=dead)
    return _Found(link_is_dead=dead)


def _rules_apply(state: MatchState, guid: Guid) -> bool:
    return guid not in state.links or state.relink


def _skipped(state: MatchState) -> MatchState:
    """Move past a rule for which nobody had to be looked up."""
    return dataclasses.replace(state, answers=(*state.answers, {}))


def _as_tuple(found: GenesysUser | Sequence[GenesysUser] | None) -> tuple[GenesysUser, ...]:
    if found is None:
        return ()
    return (found,) if isinstance(found, GenesysUser) else tuple(found)


def _match(state: MatchState, guid: Guid, found: _Found) -> Match:
    if len(found.users) > 1:
        candidates = tuple(user.id for user in found.users)
        return Match(guid, MatchStatus.AMBIGUOUS, reason=Reason.AMBIGUOUS, candidates=candidates)
    if len(found.users) == 1:
        user = found.users[0]
        if user.state == "active":
            return Match(guid, MatchStatus.MATCHED, user.id, found.by)
        return Match(guid, MatchStatus.INACTIVE, user.id, found.by, Reason.INACTIVE)
    has_value = any(value_for(rule, state.users[guid]) for rule in state.rules)
    reason = Reason.NO_GENESYS_USER if has_value or found.link_is_dead else Reason.NO_MATCHING_ATTRIBUTE
    return Match(guid, MatchStatus.ORPHANED, reason=reason)


# -- Genesys users claimed twice -----------------------------------------------------------------------


def _rivals(state: MatchState, matches: Mapping[Guid, Match]) -> dict[Guid, set[str]]:
    """Map the users of this run that share a Genesys user with another AD account to the contested Genesys users.

    A Genesys user is claimed by any of:

    - a match;
    - a link, also of an AD user outside this run;
    - being one of several candidates;
    - a mail, user name or external id. A value that moved to another AD account, but not yet in Genesys, is a claim of
      both accounts.

    A deleted account claims nothing.
    """
    claims: dict[str, set[Guid]] = {}
    for guid, genesys_id in state.links.items():
        claims.setdefault(genesys_id, set()).add(guid)
    for guid, match in matches.items():
        for genesys_id in _ids(match):
            claims.setdefault(genesys_id, set()).add(guid)
    for guid, genesys_id in _claims_by_value(state):
        if claims.get(genesys_id, set()) - {guid}:
            claims[genesys_id].add(guid)
    rivals: dict[Guid, set[str]] = {}
    for genesys_id, claimants in claims.items():
        guids = claimants - state.deleted
        if len(guids) > 1:
            for guid in guids & matches.keys():
                rivals.setdefault(guid, set()).update({genesys_id}, _ids(matches[guid]))
    return rivals


def _ids(match: Match) -> set[str]:
    """Return every Genesys user in a match."""
    return {*match.candidates, *([match.genesys_user_id] if match.genesys_user_id else [])}


def _claims_by_value(state: MatchState) -> Iterable[tuple[Guid, str]]:
    """Yield (AD user, Genesys user) that have the same value, for all Genesys users seen and all rules."""
    seen = {user.id: user for user in (state.linked or {}).values() if user}
    for answer in state.answers:
        seen.update({user.id: user for users in answer.values() for user in users})
    for index, rule in enumerate(state.rules):
        owners = _owners(rule.genesys, seen.values(), state.answers[index] if index < len(state.answers) else {})
        for guid, person in state.users.items():
            for genesys_id in owners.get(value_for(rule, person) or "", ()):
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
