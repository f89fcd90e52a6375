"""The members of a Genesys group by origin.

Ids and names of all, and some of them in full.

A page shows a hundred members of 25,000, and a command fifty. So only of these all is read.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from genesys_ad_sync import names
from genesys_ad_sync.journal import DefinitionJournal
from genesys_ad_sync.journal.lookup_answers import StoredPair
from genesys_ad_sync.model import GroupResult, Guid, MembershipPolicy
from genesys_ad_sync.views.named import NamedGroup, named_groups

ORIGINS = ("ad", "to add", "to remove", "by hand", "not certain")

MANY = 1000
"""For more members, what the group has is read once, not looked up for each."""

Paths = Mapping[Guid, tuple[Guid, ...]]
"""AD groups below a source, itself included, the nearest first -> the groups down to each."""


@dataclass(frozen=True)
class Member:
    """A person in, or to be in, the Genesys group.

    ``path``: AD groups down to the person; empty: AD does not want it. ``origin``: ``ad`` (wanted and owned), ``to
    add``, ``to remove``, ``by hand``, ``not certain`` (a sleeping grant).
    """

    origin: str
    guid: Guid | None
    name: str | None
    mail: str | None
    genesys_user_id: str | None
    path: tuple[NamedGroup, ...]
    since: datetime | None


@dataclass(frozen=True)
class Members:
    """All members of a Genesys group.

    ``by_origin``: ids, of AD accounts, and by hand of Genesys users. ``names``: by id. ``users``: AD account -> Genesys
    user, where it has a grant. ``below``: by source that counts. ``sizes``: people that each of these wants.
    """

    by_origin: Mapping[str, Collection[str]]
    names: Mapping[str, str]
    users: Mapping[Guid, str]
    below: Mapping[Guid, Paths]
    sizes: Mapping[Guid, int]

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of members of each origin."""
        return {origin: len(ids) for origin, ids in self.by_origin.items()}

    def chosen(self, origin: str | None, text: str) -> dict[str, Collection[str]]:
        """Return the ids of one origin with a text in the name.

        ``origin`` None: of each. ``text`` empty: all.
        """
        wanted = names.normal_name(text).casefold()
        return {
            one: [id_ for id_ in ids if wanted in names.normal_name(self.names.get(id_) or "").casefold()]
            if wanted
            else ids
            for one, ids in self.by_origin.items()
            if origin in {None, one}
        }

    def some_of(self, chosen: Mapping[str, Collection[str]], start: int, most: int | None) -> list[tuple[str, str]]:
        """Return (origin, id) of a piece of the members, by origin and name.

        ``most`` None: all from ``start`` on.
        """
        shown: list[tuple[str, str]] = []
        for origin, ids in chosen.items():
            free = len(ids) if most is None else most - len(shown)
            if free and start < len(ids):
                end = start + free
                # A sort of all takes longer than a search for the first few.
                few = end * 8 < len(ids)
                first = heapq.nsmallest(end, ids, self._place) if few else sorted(ids, key=self._place)
                shown += [(origin, id_) for id_ in first[start:end]]
            start = max(0, start - len(ids))
        return shown

    def _place(self, id_: str) -> tuple[str, str]:
        return (self.names.get(id_) or "").casefold(), id_


def read_members(
    journal: DefinitionJournal,
    group_id: str,
    pairs: Iterable[StoredPair],
    policy: MembershipPolicy,
    last: GroupResult | None,
) -> Members:
    """Return the people that AD wants or owns, and the others found.

    ``last``: the last look in full, which found the others.
    """
    below, wanted = _wanted(journal, pairs, policy)
    people: dict[Guid, str] = {}
    for members in wanted.values():
        people |= members
    awake, asleep = journal.group_members.holders(group_id)
    others = (awake.keys() | asleep.keys()) - people.keys()
    owned = set(awake.values()) if last else set()
    by_origin: dict[str, Collection[str]] = {
        "ad": awake.keys() & people.keys(),
        "to add": people.keys() - awake.keys(),
        "to remove": awake.keys() - people.keys(),
        "by hand": [id_ for id_ in (last.manual_member_ids or () if last else ()) if id_ not in owned],
        "not certain": asleep.keys() - people.keys(),
    }
    return Members(
        by_origin,
        {**(last.manual_member_names if last else {}), **journal.group_members.names_of(others), **people},
        asleep | awake,
        below,
        {source: len(members) for source, members in wanted.items()},
    )


def in_full(
    journal: DefinitionJournal, group_id: str, shown: Sequence[tuple[str, str]], members: Members
) -> tuple[Member, ...]:
    """Return members with mail, Genesys user, path and time. ``shown``: of `Members.some_of`."""
    guids = [id_ for origin, id_ in shown if origin != "by hand"]
    mails = journal.group_members.mails_of(guids)
    links = journal.group_members.linked_users([guid for guid in guids if guid not in members.users])
    since = journal.group_members.granted_since(group_id, guids if len(guids) <= MANY else None)
    paths = _paths(journal, guids, members.below)
    known = journal.views.groups({group for path in paths.values() for group in path})
    named = {path: named_groups(known, path) for path in set(paths.values())}
    return tuple(
        Member(origin, None, members.names.get(id_), None, id_, (), None)
        if origin == "by hand"
        else Member(
            origin,
            id_,
            members.names.get(id_),
            mails.get(id_),
            members.users.get(id_) or links.get(id_),
            named[paths[id_]] if origin in {"ad", "to add"} else (),
            since.get(id_),
        )
        for origin, id_ in shown
    )


def _wanted(
    journal: DefinitionJournal, pairs: Iterable[StoredPair], policy: MembershipPolicy
) -> tuple[dict[Guid, Paths], dict[Guid, dict[Guid, str]]]:
    """Return by source the groups below it, and the people that it wants."""
    below: dict[Guid, Paths] = {}
    wanted: dict[Guid, dict[Guid, str]] = {}
    for pair in pairs:
        if not pair.active:
            continue
        paths = journal.group_members.groups_below(pair.group_guid, nested=policy.nested)
        if paths:
            below[pair.group_guid] = paths
            wanted[pair.group_guid] = journal.group_members.counting(paths, policy)
    return below, wanted


def _paths(
    journal: DefinitionJournal, guids: Sequence[Guid], below: Mapping[Guid, Paths]
) -> dict[Guid, tuple[Guid, ...]]:
    """Return the path to each person."""
    groups = {group for paths in below.values() for group in paths}
    direct = journal.group_members.direct_groups(groups, guids if len(guids) <= MANY else None)
    places = [(paths, {group: place for place, group in enumerate(paths)}) for paths in below.values()]
    return {guid: _path(places, direct.get(guid, set())) for guid in guids}


def _path(places: Iterable[tuple[Paths, Mapping[Guid, int]]], direct: set[Guid]) -> tuple[Guid, ...]:
    """Return the path to the nearest of some groups, below the first source.

    A source without any of them is passed over. Empty: no source has any.
    """
    for paths, place in places:
        if here := direct & paths.keys():
            return paths[min(here, key=place.__getitem__)]
    return ()
