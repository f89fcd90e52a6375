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
from genesys_ad_sync.model import Action, GroupResult, Guid, RunRecord, StoredCursor
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.views.members import Member, Members, in_full, read_members
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
    """Return what the journal knows of a Genesys group.

    ``most``: so many members at most; default: all.
    """
    known = read_group(journal, hit)
    everybody = known.members()
    shown = everybody.some_of(everybody.by_origin, 0, most)
    return replace(
        known.answer(definitions, everybody.sizes, now=now),
        members=in_full(journal.of(hit.definition), hit.genesys_group_id, shown, everybody),
        by_origin=everybody.counts,
    )


@dataclass(frozen=True)
class KnownGroup:
    """What is read of a Genesys group before its members.

    ``last``: the last listing of the members by hand.
    """

    journal: Journal
    hit: GroupHit
    pairs: Sequence[StoredPair]
    cursor: StoredCursor | None
    last: tuple[RunRecord, GroupResult] | None

    def members(self) -> Members:
        """Return all members."""
        policy, last = policy_of(self.cursor), self.last[1] if self.last else None
        mine = self.journal.of(self.hit.definition)
        return read_members(mine, self.hit.genesys_group_id, self.pairs, policy, last)

    def answer(self, definitions: Definitions, sizes: Mapping[Guid, int], *, now: datetime) -> GroupAnswer:
        """Return all of an answer but the members.

        ``sizes``: the number of members of each source that counts.
        """
        hit, definition = self.hit, definitions.get(self.hit.definition)
        mine = self.journal.of(hit.definition)
        claim = mine.lookups.claim_of(hit.genesys_group_id)
        sources = [pair.group_guid for pair in self.pairs]
        return GroupAnswer(
            hit.definition,
            hit.genesys_group_id,
            hit.genesys_group_name,
            AsOf(
                self.cursor.cursor.polled_at if self.cursor else None,
                self.last[0].finished_at if self.last else None,
            ),
            claim[0] if claim else None,
            claim[1] if claim else None,
            _protected(definition, hit),
            _sources(mine, self.pairs, sizes, definition),
            (),
            {},
            tuple(self.journal.lookups.waiting(hit.definition, sources)),
            _limits(self.journal, definition, hit, now),
        )


def read_group(journal: Journal, hit: GroupHit) -> KnownGroup:
    """Read the pairs of a Genesys group, and the times of its readings."""
    mine, group_id = journal.of(hit.definition), hit.genesys_group_id
    pairs = journal.lookups.pairs_of(hit.definition, [group_id])
    return KnownGroup(journal, hit, pairs, mine.views.cursor(), mine.lookups.last_looks([group_id]).get(group_id))


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


def _limits(journal: Journal, definition: SyncDefinition | None, hit: GroupHit, now: datetime) -> tuple[LimitUse, ...]:
    """Return what runs of the last 24 hours wrote without approval, beside the limits."""
    limits = definition.limits if definition else None
    everywhere, here = journal.listings.written(
        hit.definition, now - DAY, approved_from=FIRST_APPROVED_LANE, genesys_group_id=hit.genesys_group_id
    )
    return (
        LimitUse("removals in this group", here[Action.REMOVE], limits.removals if limits else None),
        LimitUse("removals in all groups (per_day)", everywhere[Action.REMOVE], limits.per_day if limits else None),
        LimitUse("additions to this group", here[Action.ADD], limits.additions if limits else None),
    )
