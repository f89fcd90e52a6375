"""A Genesys group: its sources, its members with their paths, and waiting changes.

It also says what the limits have counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from genesys_ad_sync import names
from genesys_ad_sync.directory.membership import effective_members
from genesys_ad_sync.journal import DefinitionJournal, Journal
from genesys_ad_sync.journal.lookup_answers import StoredGrant, StoredPair, Waiting
from genesys_ad_sync.model import Action, DirectoryUser, DirectoryView, GroupResult, Guid
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.views.named import AsOf, Definitions, NamedGroup, named_groups, policy_of, rule_words
from genesys_ad_sync.views.search import GroupHit

DAY = timedelta(days=1)


@dataclass(frozen=True)
class FeedingGroup:
    """An AD group that feeds the Genesys group, or fed it until ``until``."""

    group: NamedGroup
    rule: str
    mapped: bool
    since: datetime
    until: datetime | None
    members: int | None
    read_completely_at: datetime | None
    compared_first_at: datetime | None
    compared_first_by: str | None
    gone_since: datetime | None


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
class LimitUse:
    """A limit, and how much of it the last 24 hours have used.

    ``limit`` None: the definition could not be read.
    """

    key: str
    used: int
    limit: int | None


@dataclass(frozen=True)
class GroupAnswer:
    """A Genesys group, by one sync definition."""

    definition: str
    genesys_group_id: str
    genesys_group_name: str
    as_of: AsOf
    claimed_by: str | None
    claimed_since: datetime | None
    protected: bool | None
    sources: tuple[FeedingGroup, ...]
    members: tuple[Member, ...]
    by_origin: Mapping[str, int]
    waits: tuple[Waiting, ...]
    limits: tuple[LimitUse, ...]


def explain_group(journal: Journal, hit: GroupHit, definitions: Definitions, *, now: datetime) -> GroupAnswer:
    """Return what the journal knows of a Genesys group."""
    mine = journal.of(hit.definition)
    pairs = journal.lookups.pairs_of(hit.definition, [hit.genesys_group_id])
    active = [pair.group_guid for pair in pairs if pair.active]
    policy = policy_of(mine.views.cursor())
    view = mine.views.load(active)
    paths = {
        guid: effective_members(view, guid, policy)
        for guid in active
        if guid in view.groups and view.groups[guid].in_scope
    }
    last = mine.lookups.last_looks([hit.genesys_group_id]).get(hit.genesys_group_id)
    members = _members(mine, hit.genesys_group_id, view, paths, last[1] if last else None)
    answer = group_answer(journal, hit, definitions, {guid: len(its) for guid, its in paths.items()}, now=now)
    by_origin = {origin: sum(member.origin == origin for member in members) for origin in ORIGINS}
    return replace(answer, members=members, by_origin=by_origin)


def group_answer(
    journal: Journal, hit: GroupHit, definitions: Definitions, sizes: Mapping[Guid, int], *, now: datetime
) -> GroupAnswer:
    """Return all of an answer but the members.

    ``sizes``: the number of members of each source that counts.
    """
    mine, definition = journal.of(hit.definition), definitions.get(hit.definition)
    pairs = journal.lookups.pairs_of(hit.definition, [hit.genesys_group_id])
    cursor = mine.views.cursor()
    last = mine.lookups.last_looks([hit.genesys_group_id]).get(hit.genesys_group_id)
    claim = mine.lookups.claim_of(hit.genesys_group_id)
    return GroupAnswer(
        hit.definition,
        hit.genesys_group_id,
        hit.genesys_group_name,
        AsOf(cursor.cursor.polled_at if cursor else None, last[0].finished_at if last else None),
        claim[0] if claim else None,
        claim[1] if claim else None,
        _protected(definition, hit),
        _sources(mine, pairs, sizes, definition),
        (),
        {},
        tuple(journal.lookups.waiting(hit.definition, [pair.group_guid for pair in pairs])),
        _limits(mine, definition, hit.genesys_group_id, now),
    )


ORIGINS = ("ad", "to add", "to remove", "by hand", "not certain")


def _protected(definition: SyncDefinition | None, hit: GroupHit) -> bool | None:
    if definition is None:
        return None
    return names.matches_any(definition.protect, (hit.genesys_group_name, hit.genesys_group_id))


def _sources(
    journal: DefinitionJournal,
    pairs: Sequence[StoredPair],
    sizes: Mapping[Guid, int],
    definition: SyncDefinition | None,
) -> tuple[FeedingGroup, ...]:
    guids = [pair.group_guid for pair in pairs]
    known = journal.views.groups(guids)
    read = journal.lookups.complete_readings(guids)
    gone = journal.lookups.gone_groups(guids)
    return tuple(
        FeedingGroup(
            named_groups(known, [pair.group_guid])[0],
            rule_words(definition, pair.rule),
            pair.active,
            pair.since,
            pair.until,
            sizes.get(pair.group_guid),
            read.get(pair.group_guid),
            pair.baseline_at,
            pair.baseline_run,
            gone.get(pair.group_guid),
        )
        for pair in sorted(pairs, key=lambda pair: (not pair.active, pair.rule))
    )


def _members(
    journal: DefinitionJournal,
    group_id: str,
    view: DirectoryView,
    paths: Mapping[Guid, Mapping[Guid, tuple[Guid, ...]]],
    last: GroupResult | None,
) -> tuple[Member, ...]:
    """Return the people that AD wants or owns, and the others found.

    The last look in full found the others.
    """
    wanted: dict[Guid, tuple[Guid, ...]] = {}
    for members in paths.values():
        for guid, path in members.items():
            wanted.setdefault(guid, path)
    grants: dict[Guid, StoredGrant] = {}
    for stored in journal.lookups.grants_in(group_id):
        if stored.grant.user_guid not in grants or grants[stored.grant.user_guid].asleep_since is not None:
            grants[stored.grant.user_guid] = stored
    links = journal.links.of(wanted.keys() - grants.keys())
    people: dict[Guid, DirectoryUser] = {**journal.views.users(grants.keys() - view.users.keys()), **view.users}
    found = []
    for guid in wanted.keys() | grants.keys():
        person, stored_grant = people.get(guid), grants.get(guid)
        user_id = stored_grant.grant.genesys_user_id if stored_grant else None
        if user_id is None and guid in links:
            user_id = links[guid].genesys_user_id
        found.append(
            Member(
                _origin(stored_grant, wanted=guid in wanted),
                guid,
                person.name if person else None,
                person.mail if person else None,
                user_id,
                named_groups(view.groups, wanted.get(guid, ())),
                stored_grant.since if stored_grant else None,
            )
        )
    owned = {member.genesys_user_id for member in found if member.origin in {"ad", "to remove"}}
    found += [
        Member("by hand", None, (last.manual_member_names if last else {}).get(id_), None, id_, (), None)
        for id_ in (last.manual_member_ids or () if last else ())
        if id_ not in owned
    ]
    order = {origin: place for place, origin in enumerate(ORIGINS)}
    return tuple(sorted(found, key=lambda one: (order[one.origin], names.normal_name(one.name or ""), one.guid or "")))


def _origin(stored: StoredGrant | None, *, wanted: bool) -> str:
    if stored is None:
        return "to add"
    if stored.asleep_since is not None:
        return "to add" if wanted else "not certain"
    return "ad" if wanted else "to remove"


def _limits(
    journal: DefinitionJournal, definition: SyncDefinition | None, group_id: str, now: datetime
) -> tuple[LimitUse, ...]:
    """Return what runs of the last 24 hours wrote without approval, beside the limits."""
    limits = definition.limits if definition else None
    removed = journal.limit_counts.written_since(Action.REMOVE, now - DAY, approved_from=FIRST_APPROVED_LANE)
    added = journal.limit_counts.written_since(Action.ADD, now - DAY, approved_from=FIRST_APPROVED_LANE)
    return (
        LimitUse("removals in this group", removed[group_id], limits.removals if limits else None),
        LimitUse("removals in all groups (per_day)", sum(removed.values()), limits.per_day if limits else None),
        LimitUse("additions to this group", added[group_id], limits.additions if limits else None),
    )
