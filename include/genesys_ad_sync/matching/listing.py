"""Accounts that no look-up found, compared with a listing of all Genesys users.

A search may mind case, and then cannot find capitals that AD does not have. The comparison is made here: without case,
in NFC.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from genesys_ad_sync.matching.state import MatchState, asks_rules, found_by_rules, value_for, values_for
from genesys_ad_sync.model import GenesysUser
from genesys_ad_sync.settings import UserRule


def wants_listing(state: MatchState) -> bool:
    """Return True if a listing may find somebody.

    That is so if no rule found a user for an account that has a mail or user name.
    """
    rules = _comparable(state)
    return any(
        guid not in state.refused
        and asks_rules(state, guid)
        and not found_by_rules(state, guid).users
        and any(value_for(rule, account) for _, rule in rules)
        for guid, account in state.users.items()
    )


def with_listing(state: MatchState, users: Iterable[GenesysUser]) -> MatchState:
    """Return the state with the listed users as answers to its look-ups.

    Each look-up then found the listed users with its values, too. The matching must be complete: see `next_lookup`. It
    still is afterwards.
    """
    users = tuple(users)
    answers = [dict(answer) for answer in state.answers]
    for index, rule in _comparable(state):
        asking = (account for guid, account in state.users.items() if asks_rules(state, guid))
        wanted = {value for account in asking for value in values_for(rule, account)}
        for user in users:
            value = rule.genesys.normalise(rule.genesys.of(user) or "")
            if value and value in wanted:
                found = answers[index].get(value, ())
                answers[index][value] = (*(other for other in found if other.id != user.id), user)
    return dataclasses.replace(state, answers=tuple(answers))


def _comparable(state: MatchState) -> list[tuple[int, UserRule]]:
    """Return the rules, with their indexes, whose values a listing shows.

    A listing has no external ids.
    """
    return [(index, rule) for index, rule in enumerate(state.rules) if not rule.genesys.needs_authority]
