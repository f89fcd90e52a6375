"""One page of a Genesys group's members, and the group's history.

It says what `explain group` says, for large groups. Of all members only ids and names are read. The members of the page
are read in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from genesys_ad_sync import names
from genesys_ad_sync.journal import DefinitionJournal, Journal
from genesys_ad_sync.journal.lookup_answers import StoredPair
from genesys_ad_sync.model import Change, DirectoryGroup, GroupResult, Guid, MembershipPolicy, Outcome
from genesys_ad_sync.report.wording import reason_words
from genesys_ad_sync.views.group import ORIGINS, GroupAnswer, Member, group_answer
from genesys_ad_sync.views.named import Definitions, NamedGroup, named_groups, policy_of
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


_Entry = tuple[str | None, Guid | None, str | None]
"""Name, AD account, Genesys user."""


def find_group(journal: Journal, definition: str, genesys_group_id: str) -> GroupHit | None:
    """Return a mapped Genesys group by its id, also one that was mapped once."""
    pairs = journal.lookups.pairs_of(definition, [genesys_group_id])
    newest = next((pair for pair in pairs if pair.active), pairs[0] if pairs else None)
    return None if newest is None else GroupHit(definition, genesys_group_id, newest.genesys_group_name)


def group_page(journal: Journal, hit: GroupHit, definitions: Definitions, asked: Asked, *, now: datetime) -> GroupPage:
    """Return what the journal knows of a Genesys group, with one page of its members."""
    mine = journal.of(hit.definition)
    pairs = journal.lookups.pairs_of(hit.definition, [hit.genesys_group_id])
    below, wanted = _wanted(mine, pairs, policy_of(mine.views.cursor()))
    last = mine.lookups.last_looks([hit.genesys_group_id]).get(hit.genesys_group_id)
    found = _by_origin(mine, hit.genesys_group_id, wanted, last[1] if last else None)
    chosen = {origin: _with_name(asked.text, found[origin]) for origin in ORIGINS if asked.origin in {None, origin}}
    count = sum(map(len, chosen.values()))
    pages = max(1, -(-count // MEMBERS_OF_A_PAGE))
    page = min(max(1, asked.page), pages)
    shown = _shown(chosen, (page - 1) * MEMBERS_OF_A_PAGE)
    sizes = {source: len(members) for source, members in wanted.items()}
    answer = group_answer(journal, hit, definitions, sizes, now=now)
    sources = [pair.group_guid for pair in pairs]
    return GroupPage(
        replace(
            answer,
            members=_in_full(mine, hit.genesys_group_id, shown, below),
            by_origin={origin: len(entries) for origin, entries in found.items()},
        ),
        asked.origin,
        asked.text,
        page,
        pages,
        count,
        _entries(mine, mine.group_members.last_changes(sources, CHANGES_OF_A_PAGE, only_open=True)),
        _entries(mine, mine.group_members.last_changes(sources, CHANGES_OF_A_PAGE)),
    )


def _wanted(
    journal: DefinitionJournal, pairs: Iterable[StoredPair], policy: MembershipPolicy
) -> tuple[dict[Guid, dict[Guid, tuple[Guid, ...]]], dict[Guid, dict[Guid, str]]]:
    """Return by source the groups below it, and the people that it wants."""
    below: dict[Guid, dict[Guid, tuple[Guid, ...]]] = {}
    wanted: dict[Guid, dict[Guid, str]] = {}
    for pair in pairs:
        if not pair.active:
            continue
        paths = journal.group_members.groups_below(pair.group_guid, nested=policy.nested)
        if paths:
            below[pair.group_guid] = paths
            wanted[pair.group_guid] = journal.group_members.counting(paths, policy)
    return below, wanted


def _by_origin(
    journal: DefinitionJournal, group_id: str, wanted: Mapping[Guid, Mapping[Guid, str]], last: GroupResult | None
) -> dict[str, list[_Entry]]:
    """Return all members by origin, with what a sort and a filter need."""
    people: dict[Guid, str] = {}
    for members in wanted.values():
        people.update(members)
    awake, asleep = journal.group_members.holders(group_id)
    users = awake | asleep
    known = people | journal.group_members.names_of(users.keys() - people.keys())
    by_origin = {
        "ad": awake.keys() & people.keys(),
        "to add": people.keys() - awake.keys(),
        "to remove": awake.keys() - people.keys(),
        "not certain": asleep.keys() - people.keys(),
    }
    found: dict[str, list[_Entry]] = {
        origin: [(known.get(guid), guid, users.get(guid)) for guid in guids] for origin, guids in by_origin.items()
    }
    owned, names_of = set(awake.values()), last.manual_member_names if last else {}
    others = [id_ for id_ in (last.manual_member_ids or () if last else ()) if id_ not in owned]
    found["by hand"] = [(names_of.get(id_), None, id_) for id_ in others]
    return {origin: found[origin] for origin in ORIGINS}


def _with_name(text: str, entries: list[_Entry]) -> list[_Entry]:
    wanted = names.normal_name(text).casefold()
    return [one for one in entries if wanted in names.normal_name(one[0] or "").casefold()] if wanted else entries


def _shown(chosen: Mapping[str, list[_Entry]], start: int) -> list[tuple[str, _Entry]]:
    """Return one page of the members by origin and name.

    Only origins of which it shows a part are sorted.
    """
    shown: list[tuple[str, _Entry]] = []
    for origin, entries in chosen.items():
        free = MEMBERS_OF_A_PAGE - len(shown)
        if free and start < len(entries):
            in_order = sorted(entries, key=lambda one: ((one[0] or "").casefold(), one[1] or ""))
            shown += [(origin, entry) for entry in in_order[start : start + free]]
        start = max(0, start - len(entries))
    return shown


def _in_full(
    journal: DefinitionJournal,
    group_id: str,
    shown: Sequence[tuple[str, _Entry]],
    below: Mapping[Guid, Mapping[Guid, tuple[Guid, ...]]],
) -> tuple[Member, ...]:
    """Return the members of the page with mail, Genesys user, path and time."""
    guids = [guid for _, (_, guid, _) in shown if guid]
    people = journal.views.users(guids)
    links = journal.group_members.linked_users(guids)
    since = journal.group_members.granted_since(group_id, guids)
    direct = journal.lookups.groups_with_member(guids)
    places = [(paths, {group: place for place, group in enumerate(paths)}) for paths in below.values()]
    paths = {guid: _path(places, direct.get(guid, set())) for guid in guids}
    known = journal.views.groups({group for path in paths.values() for group in path})
    return tuple(
        Member(
            origin,
            guid,
            name,
            people[guid].mail if guid in people else None,
            user_id or links.get(guid or ""),
            named_groups(known, paths[guid]) if guid and origin in {"ad", "to add"} else (),
            since.get(guid or ""),
        )
        for origin, (name, guid, user_id) in shown
    )


def _path(
    places: Iterable[tuple[Mapping[Guid, tuple[Guid, ...]], Mapping[Guid, int]]], direct: set[Guid]
) -> tuple[Guid, ...]:
    """Return the path to the nearest of some groups, below the first source.

    A source without any of them is passed over. Empty: no source has any.
    """
    for paths, place in places:
        if here := direct & paths.keys():
            return paths[min(here, key=place.__getitem__)]
    return ()


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
