"""One page of a Genesys group's members, and the group's history: what `explain group` says, for large groups.

Of all members only ids and names are read. The members of the page are read in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from genesys_ad_sync import names
from genesys_ad_sync.journal import DefinitionJournal, Journal
from genesys_ad_sync.journal.group_members import Holder
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
    """A change of a membership, and what became of it. ``name`` None: the journal does not know it any more."""

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
    """A Genesys group. ``answer.members`` are those of the page; ``members``: how many there are on all pages."""

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
    pairs = journal.lookups.all_pairs([definition], genesys_group_id)
    newest = next((pair for pair in pairs if pair.active), pairs[0] if pairs else None)
    return None if newest is None else GroupHit(definition, genesys_group_id, newest.genesys_group_name)


def group_page(journal: Journal, hit: GroupHit, definitions: Definitions, asked: Asked, *, now: datetime) -> GroupPage:
    """Return what the journal knows of a Genesys group, with one page of its members."""
    mine = journal.of(hit.definition)
    pairs = journal.lookups.all_pairs([hit.definition], hit.genesys_group_id)
    below, wanted = _wanted(mine, pairs, policy_of(mine.views.cursor()))
    last = mine.lookups.last_looks([hit.genesys_group_id]).get(hit.genesys_group_id)
    everybody = _everybody(mine, hit.genesys_group_id, wanted, last[1] if last else None)
    chosen = _chosen(everybody, asked)
    pages = max(1, -(-len(chosen) // MEMBERS_OF_A_PAGE))
    page = min(max(1, asked.page), pages)
    shown = chosen[(page - 1) * MEMBERS_OF_A_PAGE : page * MEMBERS_OF_A_PAGE]
    by_origin = {origin: 0 for origin in ORIGINS}
    for member in everybody:
        by_origin[member.origin] += 1
    sizes = {source: len(members) for source, members in wanted.items()}
    answer = group_answer(journal, hit, definitions, sizes, now=now)
    sources = [pair.group_guid for pair in pairs]
    return GroupPage(
        replace(answer, members=_in_full(mine, shown, below), by_origin=by_origin),
        asked.origin,
        asked.text,
        page,
        pages,
        len(chosen),
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


def _everybody(
    journal: DefinitionJournal, group_id: str, wanted: Mapping[Guid, Mapping[Guid, str]], last: GroupResult | None
) -> list[Member]:
    """Return all members by origin and name, without what only a page needs."""
    people: dict[Guid, str] = {}
    for members in wanted.values():
        people.update(members)
    holders = journal.group_members.holders(group_id)
    known = {**journal.group_members.names_of(holders.keys() - people.keys()), **people}
    everybody = [
        _member(guid, known.get(guid), holders.get(guid), wanted=guid in people) for guid in known.keys() | holders.keys()
    ]
    owned = {member.genesys_user_id for member in everybody if member.origin in {"ad", "to remove"}}
    everybody += [
        Member("by hand", None, (last.manual_member_names if last else {}).get(id_), None, id_, (), None)
        for id_ in (last.manual_member_ids or () if last else ())
        if id_ not in owned
    ]
    order = {origin: place for place, origin in enumerate(ORIGINS)}
    everybody.sort(key=lambda one: (order[one.origin], names.normal_name(one.name or ""), one.guid or ""))
    return everybody


def _member(guid: Guid, name: str | None, holder: Holder | None, *, wanted: bool) -> Member:
    if holder is None or (holder.asleep and wanted):
        origin = "to add"
    elif holder.asleep:
        origin = "not certain"
    else:
        origin = "ad" if wanted else "to remove"
    user_id, since = (holder.genesys_user_id, holder.since) if holder else (None, None)
    return Member(origin, guid, name, None, user_id, (), since)


def _chosen(everybody: Sequence[Member], asked: Asked) -> Sequence[Member]:
    text = names.normal_name(asked.text).casefold()
    if not text and asked.origin is None:
        return everybody
    return [
        member
        for member in everybody
        if asked.origin in {None, member.origin} and text in names.normal_name(member.name or "").casefold()
    ]


def _in_full(
    journal: DefinitionJournal, members: Sequence[Member], below: Mapping[Guid, Mapping[Guid, tuple[Guid, ...]]]
) -> tuple[Member, ...]:
    """Return the members of the page with mail, Genesys user and path."""
    guids = [member.guid for member in members if member.guid]
    people = journal.views.users(guids)
    links = journal.group_members.linked_users(guids)
    direct = journal.lookups.groups_with_member(guids)
    places = [(paths, {group: place for place, group in enumerate(paths)}) for paths in below.values()]
    paths = {guid: _path(places, direct.get(guid, set())) for guid in guids}
    known = journal.views.groups({group for path in paths.values() for group in path})
    return tuple(
        replace(
            member,
            mail=people[member.guid].mail if member.guid in people else None,
            genesys_user_id=member.genesys_user_id or links.get(member.guid),
            path=named_groups(known, paths[member.guid]) if member.origin in {"ad", "to add"} else (),
        )
        if member.guid
        else member
        for member in members
    )


def _path(
    places: Iterable[tuple[Mapping[Guid, tuple[Guid, ...]], Mapping[Guid, int]]], direct: set[Guid]
) -> tuple[Guid, ...]:
    """Return the path to the nearest of some groups, below the first source that has any. Empty: none has."""
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
