"""Asks Genesys one question about known orphans: it shows which of them have news.

A look-up takes a request for each rule of `users:`. An idle run shall cost one, so it asks by one rule only, and by
another one in later runs. The people with news are then looked up by all rules.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from genesys_ad_sync.genesys.external_ids import users_by_external_ids
from genesys_ad_sync.genesys.gateway import SEARCH_BATCH
from genesys_ad_sync.matching.state import spellings_for, values_for
from genesys_ad_sync.model import DirectoryUser, GenesysUser, Guid, Link, Reason, Status
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.settings import UserRule

ONE_BY_ONE_PER_RUN = 5
"""People that a run asks about by external id, which takes a request for each."""

_Values = Mapping[Guid, Collection[str]]


@dataclass(frozen=True)
class Turn:
    """The known orphans in turn, and those of them with news."""

    people: tuple[Guid, ...] = ()
    news: frozenset[Guid] = frozenset()


@dataclass(frozen=True)
class _Question:
    """One way to ask.

    ``ask`` returns the Genesys users by value, and the refused values. ``most``: values in one run.
    """

    values: _Values
    most: int
    ask: Callable[[Sequence[str]], tuple[Mapping[str, Sequence[GenesysUser]], Collection[str]]]


def turn_of(task: TaskContext, people: Sequence[Guid]) -> Turn:
    """Return the turn of this run. ``people``: see `people_to_look_at`. Raises GenesysError.

    The run's poll chooses the question, so that each person is asked about in each way in time. The turn ends with the
    last person that the question has room for; the others come next.
    """
    if not people:
        return Turn()
    reasons = _reasons(task, people)
    unsure = {guid for guid in people if reasons.get(guid) is Reason.NOT_LOOKED_UP}  # has its own time
    inactive = [guid for guid in people if reasons.get(guid) is Reason.INACTIVE]
    questions = _questions(task, [guid for guid in people if guid not in unsure], task.journal.links.of(inactive))
    if not questions:
        return Turn(tuple(people), frozenset(people))
    question = questions[zlib.crc32(str(task.run.poll).encode()) % len(questions)]
    asked: list[str] = []
    in_turn: list[Guid] = []
    for guid in people:
        values = question.values.get(guid, ())
        if asked and len(asked) + len(values) > question.most:
            break
        asked += values
        in_turn.append(guid)
    task.log(f"looking for news of {len(in_turn)} people without a Genesys user")
    found, refused = question.ask(sorted(set(asked)))
    news = {guid for guid in in_turn if _is_news(question.values.get(guid, ()), found, refused, reasons.get(guid))}
    return Turn(tuple(in_turn), frozenset(news | (unsure & set(in_turn))))


def _reasons(task: TaskContext, people: Sequence[Guid]) -> dict[Guid, Reason | None]:
    """Return why each person waits, by the last outcome."""
    waiting = task.journal.waiting.of_people(people)
    outcomes = task.journal.changes.last_outcomes([change.id for change in waiting])
    reasons = {change.user_guid: outcomes[change.id].reason for change in waiting if change.id in outcomes}
    held = {change.user_guid: Reason.NOT_LOOKED_UP for change in waiting if change.status is Status.HELD}
    return {**reasons, **held}


def _questions(task: TaskContext, people: Sequence[Guid], links: Mapping[Guid, Link]) -> list[_Question]:
    """Return what can be asked.

    That is the state of linked users, and a question for each rule for which somebody has a value. ``links``: to
    inactive users. A link to a deleted one tells nothing new.
    """
    accounts = task.journal.views.users(people)
    questions = [_by_link(task, links)] if links else []
    for rule in task.definition.users:
        question = _by_rule(task, rule, accounts, links)
        if any(question.values.values()):
            questions.append(question)
    return questions


def _by_link(task: TaskContext, links: Mapping[Guid, Link]) -> _Question:
    def ask(ids: Sequence[str]) -> tuple[dict[str, list[GenesysUser]], Collection[str]]:
        return {user.id: [user] for user in task.genesys.users_by_id(ids)}, ()

    return _Question({guid: [link.genesys_user_id] for guid, link in links.items()}, SEARCH_BATCH, ask)


def _by_rule(
    task: TaskContext, rule: UserRule, accounts: Mapping[Guid, DirectoryUser], links: Mapping[Guid, Link]
) -> _Question:
    without_link = {guid: account for guid, account in accounts.items() if guid not in links}
    if rule.genesys.needs_authority:
        keys = {guid: values_for(rule, account) for guid, account in without_link.items()}
        authority = rule.authority or ""
        return _Question(keys, ONE_BY_ONE_PER_RUN, lambda asked: users_by_external_ids(task.genesys, authority, asked))

    def ask(spellings: Sequence[str]) -> tuple[dict[str, list[GenesysUser]], Collection[str]]:
        users = task.genesys.find_users(rule.genesys, spellings)
        found: dict[str, list[GenesysUser]] = {}
        for user in users:
            found.setdefault(rule.genesys.normalise(rule.genesys.of(user) or ""), []).append(user)
        return (
            {text: found[key] for text in spellings if (key := rule.genesys.normalise(text)) in found},
            {text for text in spellings if rule.genesys.normalise(text) in users.refused},
        )

    return _Question({guid: _both(rule, account) for guid, account in without_link.items()}, SEARCH_BATCH, ask)


def _both(rule: UserRule, account: DirectoryUser) -> set[str]:
    """Return each value as AD writes it and as it is compared.

    A search may mind case.
    """
    spellings = spellings_for(rule, account)
    return {*spellings, *spellings.values()}


def _is_news(
    values: Iterable[str],
    found: Mapping[str, Sequence[GenesysUser]],
    refused: Collection[str],
    reason: Reason | None,
) -> bool:
    if any(value in refused for value in values):
        return True
    states = {user.state for value in values for user in found.get(value, ())}
    if reason is Reason.INACTIVE:
        return bool(states - {"inactive"})
    return bool(states - {"deleted"})
