"""One page of a Genesys group's members, and the group's history.

It says what `explain group` says, for large groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from genesys_ad_sync.journal import DefinitionJournal, Journal
from genesys_ad_sync.model import Change, DirectoryGroup, Guid, Outcome
from genesys_ad_sync.report.wording import reason_words
from genesys_ad_sync.views.group import GroupAnswer, read_group
from genesys_ad_sync.views.members import in_full
from genesys_ad_sync.views.named import Definitions, NamedGroup, named_groups
from genesys_ad_sync.views.search import GroupHit

MEMBERS_OF_A_PAGE = 100
CHANGES_OF_A_PAGE = 25


@dataclass(frozen=True)
class HistoryEntry:
    """A change of a membership, and what became of it.

    ``name`` None: the journal does not know it any more.
    """

    action: str
    guid: Guid | None
    genesys_user_id: str | None
    name: str | None
    group: NamedGroup
    observed_at: datetime
    status: str | None
    reason: str | None
    words: str | None
    run: str | None
    at: datetime | None


@dataclass(frozen=True)
class GroupPage:
    """A Genesys group, with one page of its members.

    ``answer.members`` are those of the page; ``members``: how many there are on all pages.
    """

    answer: GroupAnswer
    origin: str | None
    text: str
    page: int
    pages: int
    members: int
    held: tuple[HistoryEntry, ...]
    history: tuple[HistoryEntry, ...]


@dataclass(frozen=True)
class Asked:
    """Which members are asked for. ``origin`` None: of any. ``text``: a part of the name."""

    origin: str | None = None
    text: str = ""
    page: int = 1


def find_group(journal: Journal, definition: str, genesys_group_id: str) -> GroupHit | None:
    """Return a mapped Genesys group by its id, also one that was mapped once."""
    pairs = journal.lookups.pairs_of(definition, [genesys_group_id])
    newest = next((pair for pair in pairs if pair.active), pairs[0] if pairs else None)
    return None if newest is None else GroupHit(definition, genesys_group_id, newest.genesys_group_name)


def group_page(journal: Journal, hit: GroupHit, definitions: Definitions, asked: Asked, *, now: datetime) -> GroupPage:
    """Return what the journal knows of a Genesys group, with one page of its members."""
    mine = journal.of(hit.definition)
    known = read_group(journal, hit)
    everybody = known.members()
    chosen = everybody.chosen(asked.origin, asked.text)
    count = sum(map(len, chosen.values()))
    pages = max(1, -(-count // MEMBERS_OF_A_PAGE))
    page = min(max(1, asked.page), pages)
    shown = everybody.some_of(chosen, (page - 1) * MEMBERS_OF_A_PAGE, MEMBERS_OF_A_PAGE)
    answer = known.answer(definitions, everybody.sizes, now=now)
    sources = [pair.group_guid for pair in known.pairs]
    return GroupPage(
        replace(
            answer,
            members=in_full(mine, hit.genesys_group_id, shown, everybody),
            by_origin=everybody.counts,
        ),
        asked.origin,
        asked.text,
        page,
        pages,
        count,
        _entries(mine, mine.group_members.last_changes(sources, CHANGES_OF_A_PAGE, only_open=True)),
        _entries(mine, mine.group_members.last_changes(sources, CHANGES_OF_A_PAGE)),
    )


def _entries(journal: DefinitionJournal, changes: Sequence[Change]) -> tuple[HistoryEntry, ...]:
    outcomes = journal.changes.last_outcomes({change.id for change in changes if change.id})
    known = journal.group_members.names_of({change.user_guid for change in changes if change.user_guid})
    groups = journal.views.groups({change.group_guid for change in changes})
    return tuple(_entry(change, outcomes.get(change.id or 0), known, groups) for change in changes)


def _entry(
    change: Change, outcome: Outcome | None, known: Mapping[Guid, str], groups: Mapping[Guid, DirectoryGroup]
) -> HistoryEntry:
    [group] = named_groups(groups, [change.group_guid])
    return HistoryEntry(
        change.action.value,
        change.user_guid,
        change.genesys_user_id,
        known.get(change.user_guid or ""),
        group,
        change.observed_at,
        outcome.status.value if outcome else None,
        outcome.reason.value if outcome and outcome.reason else None,
        reason_words(outcome.reason) if outcome and outcome.reason else None,
        f"{outcome.dag_id}/{outcome.run_id}" if outcome else None,
        outcome.at if outcome else None,
    )
