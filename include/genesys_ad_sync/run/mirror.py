"""Confirmations of a mirror by a person.

They are about its first comparison, and AD groups that read as having nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from genesys_ad_sync.model import Decision, Guid, Reason, Row
from genesys_ad_sync.planning import Target
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import COMPARED, EMPTY_SOURCES, LAST_CHANGE
from genesys_ad_sync.run.policy import mirrors
from genesys_ad_sync.run.targets import pairs_of


@dataclass(frozen=True)
class MirrorState:
    """What still needs a person, by Genesys group.

    ``unconfirmed``: a pair of it was never confirmed as a mirror. ``empty_sources``: its AD groups that read as having
    nobody, unconfirmed since they had members.
    """

    unconfirmed: frozenset[str] = frozenset()
    empty_sources: Mapping[str, tuple[Guid, ...]] = field(default_factory=dict)


def read_mirror(task: TaskContext, targets: Sequence[Target]) -> MirrorState:
    """Return what a mirror still has to ask about these targets; nothing under another policy."""
    if not mirrors(task):
        return MirrorState()
    group_ids = {target.genesys_group.id for target in targets}
    stored = {(p.group_guid, p.genesys_group_id): p for p in task.journal.pairs.mirrors(group_ids)}
    pairs = pairs_of(task, targets)
    confirmed = {key for key, pair in stored.items() if pair.confirmed}
    unconfirmed = {p.genesys_group_id for p in pairs if (p.group_guid, p.genesys_group_id) not in confirmed}
    empty = {target.genesys_group.id: _without_members(target) for target in targets}
    newest_adds = task.journal.changes.newest_adds({guid for guids in empty.values() for guid in guids})

    def is_confirmed(group_id: str, guid: Guid) -> bool:
        pair = stored.get((guid, group_id))
        at = pair.empty_confirmed_change if pair else None
        return at is not None and newest_adds.get(guid, 0) <= at

    asks = {id_: tuple(guid for guid in guids if not is_confirmed(id_, guid)) for id_, guids in empty.items()}
    return MirrorState(frozenset(unconfirmed), {id_: guids for id_, guids in asks.items() if guids})


def confirm(task: TaskContext, decisions: Mapping[str, Decision], rows: Sequence[Row]) -> None:
    """Note what a person has confirmed by an answer, whether it was yes or no.

    ``decisions``: by row key. ``rows``: those of the question.
    """
    answered = [
        row for row in rows if row.genesys_group_id and decisions.get(row.key) in {Decision.APPROVED, Decision.REJECTED}
    ]
    first = {row.genesys_group_id or "" for row in answered if row.reason is Reason.FIRST_MIRROR}
    compared = task.facts[COMPARED]
    task.journal.pairs.confirm_mirror(first & compared, task.clock())
    sources = task.facts[EMPTY_SOURCES]
    for group_id in {row.genesys_group_id or "" for row in answered if row.reason is Reason.EMPTY_GROUP}:
        # members that came since the plan were not asked about
        task.journal.pairs.confirm_empty(group_id, sources.get(group_id, ()), task.facts[LAST_CHANGE])


def _without_members(target: Target) -> tuple[Guid, ...]:
    """Return the AD groups of a target through which nobody belongs in it."""
    granting = {guid for guids in target.wanted.values() for guid in guids}
    return tuple(guid for guid in target.sources if guid not in granting)
