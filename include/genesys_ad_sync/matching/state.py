"""The progress of a matching: look-ups, answers, and what they say of accounts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from genesys_ad_sync.mapping import attribute
from genesys_ad_sync.model import BY_PERSON, DirectoryUser, GenesysUser, Guid, Link, RankedValues
from genesys_ad_sync.settings import UserRule


@dataclass(frozen=True)
class MatchState:
    """The progress of the matching. Made by `start`, moved on by `answered`.

    - ``users``: the accounts of this matching; None: only the guid is known.
    - ``links``: those of the accounts of this matching, and of others to a Genesys user that one of these may claim.
    - ``checked``: linked Genesys users to look at. The other links are believed.
    - ``due``: accounts whose link may be compared by external ids, which takes a request for each.
    - ``without_veto``: accounts that contest no Genesys user.
    - ``linked``: the answer about ``checked``, by Genesys user id; None: not asked yet.
    - ``answers``: one for each rule asked so far, by value.
    - ``refused``: accounts whose value Genesys refuses to look up -> index of the rule.
    """

    users: Mapping[Guid, DirectoryUser | None]
    rules: tuple[UserRule, ...]
    links: Mapping[Guid, Link]
    checked: frozenset[str] = frozenset()
    due: frozenset[Guid] = frozenset()
    without_veto: frozenset[Guid] = frozenset()
    linked: Mapping[str, GenesysUser | None] | None = None
    answers: tuple[Mapping[str, tuple[GenesysUser, ...]], ...] = ()
    refused: Mapping[Guid, int] = field(default_factory=dict)


class Sight(Enum):
    """What is known of an account's linked Genesys user."""

    NO_LINK = "no link"
    BELIEVED = "believed"  # not looked at
    ALIVE = "alive"
    DELETED = "deleted"
    UNSEEN = "unseen"  # asked for, and not in the answer: that proves nothing


def sight(state: MatchState, guid: Guid) -> Sight:
    """Return what is known of the account's linked Genesys user."""
    link = state.links.get(guid)
    if link is None:
        return Sight.NO_LINK
    if link.genesys_user_id not in state.checked:
        return Sight.BELIEVED
    user = linked_user(state, guid)
    if user is None:
        return Sight.UNSEEN
    return Sight.DELETED if user.state == "deleted" else Sight.ALIVE


def linked_user(state: MatchState, guid: Guid) -> GenesysUser | None:
    """Return the account's linked Genesys user as Genesys showed it.

    None: not asked, or not shown.
    """
    link = state.links.get(guid)
    return (state.linked or {}).get(link.genesys_user_id) if link else None


def value_for(rule: UserRule, user: DirectoryUser | None) -> str | None:
    """Return the first value to look for in Genesys, normalised; None if AD has none."""
    return next(iter(values_for(rule, user)), None)


def values_for(rule: UserRule, user: DirectoryUser | None) -> tuple[str, ...]:
    """Return all values to look for in Genesys, normalised, those of an earlier rank first."""
    return tuple(value for rank in ranks_for(rule, user) for value in rank)


def ranks_for(rule: UserRule, user: DirectoryUser | None) -> RankedValues:
    """Return the values to look for, by rank.

    The result of an earlier rank decides.
    """
    if user is None:
        return ()
    first = attribute(user.attributes, rule.directory)
    ranks = user.ranked_values.get(rule.directory.lower()) or (((first,),) if first is not None else ())
    stripped = (tuple(rule.genesys.normalise(text.strip()) for text in rank if text.strip()) for rank in ranks)
    return tuple(tuple(dict.fromkeys(rank)) for rank in stripped if rank)


def spellings_for(rule: UserRule, user: DirectoryUser | None) -> Mapping[str, str]:
    """Return each value of `values_for` as AD writes it, but for spaces around."""
    if user is None:
        return {}
    first = attribute(user.attributes, rule.directory)
    ranks = user.ranked_values.get(rule.directory.lower()) or (((first,),) if first is not None else ())
    return {rule.genesys.normalise(text.strip()): text.strip() for rank in ranks for text in rank if text.strip()}


def values_digest(rules: Sequence[UserRule], user: DirectoryUser | None) -> str:
    """Return a digest of the values that the account has under the rules."""
    return _digest([[rule.label, rule.authority, _as_stored(values_for(rule, user))] for rule in rules])


def is_digest_of(digest: str | None, rules: Sequence[UserRule], user: DirectoryUser | None) -> bool:
    """Return True if the digest is that of the account's values.

    A digest of the first ones alone counts, too, because it was once made so.
    """
    first = _digest([[rule.label, rule.authority, value_for(rule, user)] for rule in rules])
    return digest in {values_digest(rules, user), first}


def _as_stored(values: tuple[str, ...]) -> str | tuple[str, ...] | None:
    return values if len(values) > 1 else next(iter(values), None)


def _digest(values: list[list[object]]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


# -- links that are compared --------------------------------------------------------------------------


class Standing(Enum):
    """The state of a link after a look at its Genesys user."""

    CONFIRMED = "confirmed"  # nothing speaks against it
    DOUBTFUL = "doubtful"  # the user shows none of the account's values: the rules are asked
    OPEN = "open"  # only an external id could show it, and the account is not due


def standing(state: MatchState, guid: Guid) -> Standing:
    """Return the state of a link before the rules are asked.

    - A user does not show its external ids: they are asked for when the account is due.
    - What a person decided is in doubt only after the account's values have changed.
    """
    account, link, user = state.users.get(guid), state.links[guid], linked_user(state, guid)
    values = [(rule, value) for rule in state.rules for value in values_for(rule, account)]
    if user is None or not values or any(_shows(user, rule, value) for rule, value in values):
        return Standing.CONFIRMED
    if link.matched_by == BY_PERSON and is_digest_of(link.values, state.rules, account):
        return Standing.CONFIRMED
    if guid not in state.due and any(rule.genesys.needs_authority for rule, _ in values):
        return Standing.OPEN
    return Standing.DOUBTFUL


def asks_rule(state: MatchState, guid: Guid, rule: UserRule) -> bool:
    """Return True if Genesys must be asked about the account by this rule."""
    if guid in state.refused or not asks_rules(state, guid):
        return False
    # whether a linked user has the external id matters, whatever another rule finds
    is_alive = sight(state, guid) is Sight.ALIVE
    return not found_by_rules(state, guid).users or (is_alive and rule.genesys.needs_authority)


def asks_rules(state: MatchState, guid: Guid) -> bool:
    """Return True if the rules decide about the account.

    They do if it has no link, or its link is in doubt.
    """
    seen = sight(state, guid)
    if seen is Sight.BELIEVED:
        return False
    return seen is not Sight.ALIVE or standing(state, guid) is Standing.DOUBTFUL


def _shows(user: GenesysUser, rule: UserRule, value: str) -> bool:
    shown = rule.genesys.of(user)
    return shown is not None and rule.genesys.normalise(shown) == value


# -- what the rules found -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """The living Genesys users that the first rule found that finds any. ``by``: its label."""

    users: tuple[GenesysUser, ...] = ()
    by: str | None = None


def found_by_rules(state: MatchState, guid: Guid) -> Found:
    """Return what the rules asked so far found for an account."""
    account = state.users.get(guid)
    for rule, answer in zip(state.rules, state.answers, strict=False):
        for rank in ranks_for(rule, account):
            users = (found for value in rank for found in answer.get(value, ()))
            living = {found.id: found for found in users if found.state != "deleted"}
            if living:
                return Found(tuple(living[key] for key in sorted(living)), rule.label)
    return Found()
