"""The members of a Genesys group by origin: ids and names of all, and some of them in full.

A page shows a hundred members of 25,000, and a command fifty. So only of these all is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

Entry = tuple[str | None, Guid | None, str | None]
"""Name, AD account, Genesys user."""

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

    ``below``: by source that counts. ``sizes``: people that each of these wants.
    """

    by_origin: Mapping[str, list[Entry]]
    below: Mapping[Guid, Paths]
    sizes: Mapping[Guid, int]

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of members of each origin."""
        return {origin: len(entries) for origin, entries in self.by_origin.items()}


def read_members(
    journal: DefinitionJournal,
    group_id: str,
    pairs: Iterable[StoredPair],
    policy: MembershipPolicy,
    last: GroupResult | None,
) -> Members:
    """Return the people that AD wants or owns, and the others that the last look in full found (``last``)."""
    below, wanted = _wanted(journal, pairs, policy)
    sizes = {source: len(people) for source, people in wanted.items()}
    return Members(_by_origin(journal, group_id, wanted, last), below, sizes)


def with_name(text: str, entries: list[Entry]) -> list[Entry]:
    """Return the members with a text in the name; without a text, all."""
    wanted = names.normal_name(text).casefold()
    return [one for one in entries if wanted in names.normal_name(one[0] or "").casefold()] if wanted else entries


def some_of(chosen: Mapping[str, list[Entry]], start: int, most: int | None) -> list[tuple[str, Entry]]:
    """Return a piece of the members by origin and name. ``most`` None: all from ``start`` on.

    Only origins of which it shows a part are sorted.
    """
    shown: list[tuple[str, Entry]] = []
    for origin, entries in chosen.items():
        free = None if most is None else most - len(shown)
        if free != 0 and start < len(entries):
            in_order = sorted(entries, key=lambda one: ((one[0] or "").casefold(), one[1] or ""))
            shown += [(origin, entry) for entry in in_order[start:][:free]]
        start = max(0, start - len(entries))
    return shown


def in_full(
    journal: DefinitionJournal, group_id: str, shown: Sequence[tuple[str, Entry]], below: Mapping[Guid, Paths]
) -> tuple[Member, ...]:
    """Return members with mail, Genesys user, path and time."""
    guids = [guid for _, (_, guid, _) in shown if guid]
    mails = journal.group_members.mails_of(guids)
    links = journal.group_members.linked_users([guid for _, (_, guid, user_id) in shown if guid and not user_id])
    since = journal.group_members.granted_since(group_id, guids if len(guids) <= MANY else None)
    paths = _paths(journal, guids, below)
    known = journal.views.groups({group for path in paths.values() for group in path})
    named = {path: named_groups(known, path) for path in set(paths.values())}
    return tuple(
        Member(
            origin,
            guid,
            name,
            mails.get(guid or ""),
            user_id or links.get(guid or ""),
            named[paths[guid]] if guid and origin in {"ad", "to add"} else (),
            since.get(guid or ""),
        )
        for origin, (name, guid, user_id) in shown
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


def _by_origin(
    journal: DefinitionJournal, group_id: str, wanted: Mapping[Guid, Mapping[Guid, str]], last: GroupResult | None
) -> dict[str, list[Entry]]:
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
    found: dict[str, list[Entry]] = {
        origin: [(known.get(guid), guid, users.get(guid)) for guid in guids] for origin, guids in by_origin.items()
    }
    owned, names_of = set(awake.values()), last.manual_member_names if last else {}
    others = [id_ for id_ in (last.manual_member_ids or () if last else ()) if id_ not in owned]
    found["by hand"] = [(names_of.get(id_), None, id_) for id_ in others]
    return {origin: found[origin] for origin in ORIGINS}


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
