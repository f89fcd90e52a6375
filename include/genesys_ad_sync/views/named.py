"""The small values that answers share, and how a journal's entry becomes one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from genesys_ad_sync.journal import DefinitionJournal
from genesys_ad_sync.journal.lookup_answers import StoredQuestion
from genesys_ad_sync.model import (
    DirectoryGroup,
    Guid,
    MembershipPolicy,
    Outcome,
    Reason,
    Row,
    RunKey,
    Scope,
    StoredCursor,
)
from genesys_ad_sync.report.wording import reason_words
from genesys_ad_sync.settings import GroupRule, SyncDefinition
from genesys_ad_sync.views.claims import Claims

Definitions = Mapping[str, SyncDefinition]
"""The sync definitions whose files could be read, by name. An answer is complete without them, but for their words."""


@dataclass(frozen=True)
class NamedGroup:
    """An AD group. ``name`` None: the journal does not know it any more."""

    guid: Guid
    name: str | None
    dn: str | None


@dataclass(frozen=True)
class Approval:
    """What a person was asked about a change. ``decision`` None: nobody has answered yet."""

    run: str
    asked_at: datetime
    until: datetime
    decision: str | None
    by: str | None
    at: datetime | None


@dataclass(frozen=True)
class Wait:
    """What holds a change, and the way out.

    ``since``: when a run first listed it, or else when AD showed it.
    """

    status: str
    reason: str | None
    words: str
    remedy: str | None
    since: datetime


@dataclass(frozen=True)
class AsOf:
    """The dates of an answer.

    ``directory``: the last poll. ``genesys``: the last run that listed the members.
    """

    directory: datetime | None
    genesys: datetime | None


def named_groups(known: Mapping[Guid, DirectoryGroup], guids: Iterable[Guid]) -> tuple[NamedGroup, ...]:
    """Return AD groups with their names, in that order."""
    return tuple(
        NamedGroup(guid, known[guid].name, known[guid].dn) if guid in known else NamedGroup(guid, None, None)
        for guid in guids
    )


def policy_of(cursor: StoredCursor | None) -> MembershipPolicy:
    """Return who counted as a member at the last poll."""
    if cursor is None:
        return MembershipPolicy(nested=True, disabled_users="remove", expired_users="remove")
    return Scope.of_fingerprint(cursor.scope).policy


def rule_words(definition: SyncDefinition | None, number: int) -> str:
    """Return a rule of `groups:` as it is written, with its place in the list."""
    if definition is None or not 0 <= number < len(definition.groups):
        return f"rule {number + 1}"
    rule: GroupRule = definition.groups[number]
    source = f"{rule.source}: {getattr(rule, rule.source)}"
    return f"rule {number + 1}: {source} → {rule.target}: {rule.template}"


def approval_of(question: StoredQuestion | None) -> Approval | None:
    """Return what a person was asked, and what the answer was."""
    if question is None:
        return None
    return Approval(
        str(question.run),
        question.asked_at,
        question.expires_at,
        question.decision,
        question.decided_by,
        question.closed_at,
    )


def wait_of(
    row: Row | None,
    outcome: Outcome | None,
    question: StoredQuestion | None,
    claims: Claims,
    *,
    since: datetime,
    now: datetime,
) -> Wait:
    """Return why a change waits.

    ``row``: the newest that lists it, which knows more than its outcome.
    """
    row = claims.present(row) if row else None
    status = row.status.value if row else outcome.status.value if outcome else "new"
    reason: Reason | None = row.reason if row else outcome.reason if outcome else None
    if row is None and outcome is None:
        return Wait(status, None, "No live run has acted on it yet.", "Wait for the next run.", since)
    is_open = question is not None and question.closed_at is None and question.expires_at > now
    if row is not None and is_open and question is not None:
        row = replace(row, about={**row.about, "asked_by": question.run.run_id})
    return Wait(
        status,
        reason.value if reason else None,
        reason_words(reason),
        claims.remedy(row) if row else None,
        since,
    )


def last_attempts(outcomes: Iterable[Outcome]) -> list[tuple[RunKey, int]]:
    """Return the attempts of runs in which these outcomes were recorded."""
    return [(RunKey(outcome.dag_id, outcome.run_id), outcome.attempt) for outcome in outcomes]


def paths_up(journal: DefinitionJournal, person: Guid, *, nested: bool) -> dict[Guid, tuple[Guid, ...]]:
    """Return each AD group that contains a person, with a shortest path.

    The path is of groups down to the person. Only the groups above the person are read, however large they are.
    """
    paths: dict[Guid, tuple[Guid, ...]] = {}
    level: Sequence[Guid] = [person]
    while level:
        above = journal.lookups.groups_with_member(level)
        following = []
        for member in level:
            for group in sorted(above.get(member, ())):
                if group not in paths:
                    paths[group] = (group, *paths.get(member, ()))
                    following.append(group)
        level = following if nested else ()
    return paths
