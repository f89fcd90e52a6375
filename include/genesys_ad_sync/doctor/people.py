"""The checks of `users:` against the people in the mapped groups.

They show whether a person is matched, and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from genesys_ad_sync.directory.membership import wanted_members
from genesys_ad_sync.doctor.genesys import GenesysSubject
from genesys_ad_sync.doctor.lines import Line, NotReached, not_proven, note, ok, problem
from genesys_ad_sync.doctor.mapping import need_pairs
from genesys_ad_sync.genesys.external_ids import users_by_external_ids
from genesys_ad_sync.genesys.gateway import GenesysGateway
from genesys_ad_sync.matching import (
    Lookup,
    MatchState,
    accounts_without_veto,
    answered,
    excluded_users,
    finish,
    next_lookup,
    start,
    value_for,
    without_veto,
)
from genesys_ad_sync.model import BY_LINK, DirectoryUser, GenesysUser, Guid, Match, MatchStatus, Reason
from genesys_ad_sync.settings import UserRule

COMMONEST = 5
ONE_BY_ONE = 50  # people who are looked up by external id, which takes a request each


def people(subject: GenesysSubject) -> Iterator[Line]:
    """Match the people of all mapped groups, and count the commonest causes of failure."""
    key, view = "mapping.people", subject.need_view()
    pairs = need_pairs(subject)
    definition = subject.definition
    members = wanted_members(view, {pair.group_guid for pair in pairs}, definition.directory.policy)
    excluded = excluded_users(view.users.values(), definition)
    wanted = [view.users[guid] for guid in members.keys() - excluded]
    if not wanted:
        raise NotReached("No mapped AD group has a member, so nobody was looked up.")
    asking = _Asking(subject.gateway, definition.users)
    state = start(wanted, definition.users, subject.links)
    while lookup := next_lookup(state):
        state = answered(state, lookup, *asking.answer(lookup))
    state = without_veto(state, accounts_without_veto(wanted, definition, ()))
    matches = finish(state)
    left_out = asking.left_out(state)
    counts = Counter(match.status for guid, match in matches.items() if guid not in left_out)
    yield _summary(key, counts, len(excluded & members.keys()))
    if left_out:
        yield not_proven(
            key,
            f"{len(left_out):,} people are found by external id only, and only {ONE_BY_ONE} were looked up: it takes a "
            "request each.",
            "A dry run looks all of them up.",
        )
    causes = Counter(
        cause
        for guid, match in matches.items()
        if guid not in left_out and (cause := _cause(match, view.users[guid], definition.users)) is not None
    )
    for cause, count in causes.most_common(COMMONEST):
        people_count = "1 person" if count == 1 else f"{count:,} people"
        yield note("mapping.causes", f"{people_count}: {cause[0]}", cause[1])


def _summary(key: str, counts: Counter[MatchStatus], excluded: int) -> Line:
    words = {
        MatchStatus.MATCHED: "matched",
        MatchStatus.ORPHANED: "without a Genesys user",
        MatchStatus.INACTIVE: "with an inactive one",
        MatchStatus.AMBIGUOUS: "ambiguous",
        MatchStatus.NOT_LOOKED_UP: "refused by the look-up",
    }
    parts = [f"{counts[status]:,} {text}" for status, text in words.items() if counts[status]]
    text = f"Of {sum(counts.values()):,} people in mapped groups: {', '.join(parts)}."
    if excluded:
        text += f" {excluded:,} more {'is' if excluded == 1 else 'are'} excluded."
    if counts[MatchStatus.MATCHED] == sum(counts.values()):
        return ok(key, text)
    if not counts[MatchStatus.MATCHED]:
        return problem(key, text)
    return note(key, text, "See the most common causes below. Each person is listed by a dry run.")


class _Asking:
    """Asks Genesys as a run does, but stops at ``ONE_BY_ONE`` external ids."""

    def __init__(self, gateway: GenesysGateway, rules: tuple[UserRule, ...]) -> None:
        self._gateway = gateway
        self._rules = rules
        self._left: dict[int, frozenset[str]] = {}  # by rule: values that were not asked for

    def answer(self, lookup: Lookup) -> tuple[Mapping[str, list[GenesysUser]], Collection[str]]:
        """Return what `answered` takes."""
        if lookup.rule is None:
            return {user.id: [user] for user in self._gateway.users_by_id(lookup.values)}, ()
        rule = self._rules[lookup.rule]
        if rule.genesys.needs_authority:
            asked, left = lookup.values[:ONE_BY_ONE], lookup.values[ONE_BY_ONE:]
            self._left[lookup.rule] = frozenset(left)
            return self._by_external_id(rule.authority or "", asked, left)
        users = self._gateway.find_users(rule.genesys, lookup.values)
        found: dict[str, list[GenesysUser]] = {}
        for user in users:
            found.setdefault(rule.genesys.normalise(rule.genesys.of(user) or ""), []).append(user)
        return found, users.refused

    def _by_external_id(
        self, authority: str, asked: Collection[str], left: Collection[str]
    ) -> tuple[Mapping[str, list[GenesysUser]], Collection[str]]:
        found, refused = users_by_external_ids(self._gateway, authority, asked)
        return found, [*left, *refused]

    def left_out(self, state: MatchState) -> frozenset[Guid]:
        """Return the people who were not asked about."""
        return frozenset(
            guid
            for guid, index in state.refused.items()
            if value_for(self._rules[index], state.users[guid]) in self._left.get(index, frozenset())
        )


def _cause(match: Match, user: DirectoryUser, rules: tuple[UserRule, ...]) -> tuple[str, str] | None:
    """Return why a person has no single active Genesys user, and the remedy.

    Nothing in it names the person.
    """
    if match.status is MatchStatus.MATCHED:
        return None
    if match.reason is Reason.NO_MATCHING_ATTRIBUTE:
        attributes = ", ".join(dict.fromkeys(rule.directory for rule in rules))
        return f"AD has no value in {attributes}.", "Fill the attribute in AD, or add a rule to `users:`."
    if match.status is MatchStatus.INACTIVE:
        return "The Genesys user is inactive.", "Activate the user in Genesys Cloud, or disable the account in AD."
    if match.status is MatchStatus.NOT_LOOKED_UP:
        return (
            f"Genesys refuses to look up the value of {match.matched_by}.",
            "Look for odd characters in the value, and correct it in AD.",
        )
    if match.status is MatchStatus.AMBIGUOUS:
        return _why_ambiguous(match)
    return _why_orphaned(user, rules)


def _why_ambiguous(match: Match) -> tuple[str, str]:
    if match.reason is Reason.LINK_CONTRADICTED or match.matched_by == BY_LINK:
        return (
            "The stored link is contradicted by the values that AD has now.",
            "See `genesys-ad-sync links --contradicted`.",
        )
    if any(rival.guid for rival in match.rivals):
        return (
            "Another AD account has the same value.",
            "Give each account a value of its own, or exclude one of them by `exclude: users`.",
        )
    return "Several Genesys users have the same value.", "Correct the value in Genesys Cloud, or relink the person."


def _why_orphaned(user: DirectoryUser, rules: tuple[UserRule, ...]) -> tuple[str, str]:
    for rule in rules:
        value = value_for(rule, user)
        if value is not None:
            domain = value.rpartition("@")[2] if "@" in value else None
            which = f"{rule.directory} at {domain}" if domain else f"a value in {rule.directory}"
            return (
                f"No Genesys user has the {rule.genesys} of AD ({which}).",
                "Create the users in Genesys Cloud, or correct the values. If they exist there: another division may "
                "hide them, or another rule of `users:` may find them.",
            )
    return "The linked Genesys user is not seen.", "See whether the user was deleted, or is in a hidden division."
