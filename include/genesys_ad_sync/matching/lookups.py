"""Which questions Genesys must be asked, one after the other.

A later rule is only looked up for users that no earlier rule found.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from genesys_ad_sync.matching.state import MatchState, asks_rule, spellings_for, values_for
from genesys_ad_sync.model import DirectoryUser, GenesysUser, Guid, Link
from genesys_ad_sync.settings import UserRule


@dataclass(frozen=True)
class Lookup:
    """The next question to Genesys.

    ``rule``: index in `users:`; None: by Genesys user id. ``values``: sorted, without repetition, in the form in which
    the answer must be keyed (see `UserKey.normalise`). ``spellings``: the same as AD writes them, and in that form: a
    search may mind case.
    """

    rule: int | None
    values: tuple[str, ...]
    spellings: tuple[str, ...] = field(default=(), compare=False)


def start(
    users: Iterable[DirectoryUser],
    rules: Sequence[UserRule],
    links: Mapping[Guid, Link],
    *,
    gone: Collection[Guid] = (),
    checked: Collection[str] = (),
    due: Collection[Guid] = (),
) -> MatchState:
    """Begin the matching of some AD users.

    - ``links``: at least those of these AD users. Before `finish`, `with_links` must add all links to `claimable`, so
      that a Genesys user of an AD user outside this run is not given to another.
    - ``gone``: users of which only the guid is known; a link may still find them.
    - ``checked``, ``due``: see `MatchState`.
    """
    people: dict[Guid, DirectoryUser | None] = dict.fromkeys(gone)
    people.update({user.guid: user for user in users})
    looked_at = {links[guid].genesys_user_id for guid in people if guid in links} & set(checked)
    return MatchState(people, tuple(rules), dict(links), frozenset(looked_at), frozenset(due))


def next_lookup(state: MatchState) -> Lookup | None:
    """Return the next question to Genesys; None when `finish` can be called."""
    if state.linked is None and state.checked:
        return Lookup(None, tuple(sorted(state.checked)))
    if len(state.answers) == len(state.rules):
        return None
    index = len(state.answers)
    rule = state.rules[index]
    values: dict[str, set[str]] = {}
    for guid, user in state.users.items():
        if asks_rule(state, guid, rule):
            for value, spelling in spellings_for(rule, user).items():
                values.setdefault(value, {value}).add(spelling)
    if not values:
        return next_lookup(_skipped(state))
    spellings = (spelling for value in sorted(values) for spelling in sorted(values[value]))
    return Lookup(index, tuple(sorted(values)), tuple(spellings))


def answered(
    state: MatchState,
    lookup: Lookup,
    found: Mapping[str, GenesysUser | Sequence[GenesysUser] | None],
    refused: Collection[str] = (),
) -> MatchState:
    """Return the state after Genesys answered.

    - ``found``: by value of the look-up, the Genesys users that have it, of any state; a missing value: none has it.
    - ``refused``: values that Genesys refuses to look up. No later rule is tried for them, since this rule might
      have found another user.

    Raises ValueError if ``lookup`` is not the one that `next_lookup` returned.
    """
    if lookup != next_lookup(state):
        raise ValueError("this answer belongs to another look-up")
    users = {value: _as_tuple(found.get(value)) for value in lookup.values}
    if lookup.rule is None:
        by_id = {value: answer[0] if answer else None for value, answer in users.items()}
        return dataclasses.replace(state, linked=by_id)
    while len(state.answers) < lookup.rule:  # rules that had nobody to ask for
        state = _skipped(state)
    without = {
        guid: lookup.rule
        for guid, user in state.users.items()
        if set(values_for(state.rules[lookup.rule], user)) & set(refused)
        and asks_rule(state, guid, state.rules[lookup.rule])
    }
    return dataclasses.replace(state, answers=(*state.answers, users), refused={**state.refused, **without})


def _skipped(state: MatchState) -> MatchState:
    """Move past a rule for which nobody had to be looked up."""
    return dataclasses.replace(state, answers=(*state.answers, {}))


def _as_tuple(found: GenesysUser | Sequence[GenesysUser] | None) -> tuple[GenesysUser, ...]:
    if found is None:
        return ()
    return (found,) if isinstance(found, GenesysUser) else tuple(found)
