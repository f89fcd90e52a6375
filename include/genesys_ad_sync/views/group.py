"""A Genesys group: its sources, its members with their paths, and waiting changes.

It also says what the limits have counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from genesys_ad_sync import names
from genesys_ad_sync.journal import DefinitionJournal, Journal
from genesys_ad_sync.journal.lookup_answers import StoredPair, Waiting
from genesys_ad_sync.model import Action, Guid
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.views.members import Member, in_full, read_members, some_of
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
class LimitUse:
    """A limit, and how much of it the last 24 hours have used.

    ``limit`` None: the definition could not be read.
    """

    key: str
    used: int
    limit: int | None


@dataclass(frozen=True)
class GroupAnswer:
    """A Genesys group, by one sync definition.

    ``members``: as many as were asked for. ``by_origin``: how many there are.
    """

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


def explain_group(
    journal: Journal, hit: GroupHit, definitions: Definitions, *, now: datetime, most: int | None = None
) -> GroupAnswer:
    """Return what the journal knows of a Genesys group. ``most``: so many members at most; default: all."""
    mine = journal.of(hit.definition)
    pairs = journal.lookups.pairs_of(hit.definition, [hit.genesys_group_id])
    last = mine.lookups.last_looks([hit.genesys_group_id]).get(hit.genesys_group_id)
    policy = policy_of(mine.views.cursor())
    everybody = read_members(mine, hit.genesys_group_id, pairs, policy, last[1] if last else None)
    shown = some_of(everybody.by_origin, 0, most)
    return replace(
        group_answer(journal, hit, definitions, everybody.sizes, now=now),
        members=in_full(mine, hit.genesys_group_id, shown, everybody.below),
        by_origin=everybody.counts,
    )


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
