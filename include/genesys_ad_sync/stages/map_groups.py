"""Second task: finds each AD group's Genesys group, or the reason for none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from genesys_ad_sync.genesys.errors import AmbiguousExternalId
from genesys_ad_sync.mapping import ExternalIds, needed_external_ids
from genesys_ad_sync.mapping import map_groups as map_purely
from genesys_ad_sync.model import GenesysGroup, GroupPair, Guid, Mode, Reason, SkippedGroup
from genesys_ad_sync.planning.new_pairs import PairKey, key_of
from genesys_ad_sync.run import new_pairs, protection
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import HIDDEN_GROUPS, MAPPING, StoredMapping
from genesys_ad_sync.run.failures import records_failure
from genesys_ad_sync.run.owners import note_listed_owners
from genesys_ad_sync.run.pattern_notes import note_unmatched_patterns
from genesys_ad_sync.run.refusals import lift_where_listing_changed
from genesys_ad_sync.run.renaming import note_left_behind

MISSING_EXTERNAL_ID_TTL = timedelta(days=1)
PAIRS_SHOWN = 100
"""New and former pairs in the XCom. The journal has all of them."""

HIDDEN_NOTE = (
    "Genesys Cloud counts {all} groups and hides {hidden} of them from this OAuth client. Additions go on where the "
    "group can be seen; removals are held. A guess: its role lacks Directory > Private Group > View, or the division "
    "of a group."
)


@records_failure
def map_groups(task: TaskContext) -> dict[str, Any]:
    """Map all AD groups in scope by the definition's rules.

    Raises GenesysError if the groups cannot be listed. The pairs are stored in the journal (a dry run stores none). A
    pair that no rule makes any more becomes inactive; what was granted under it is not taken away by that alone.
    """
    definition = task.definition
    groups = task.journal.views.groups_in_scope()
    genesys_groups, hidden = task.genesys.visible_groups()
    external_ids = _external_ids(task, needed_external_ids(groups, definition), {group.id for group in genesys_groups})
    mapping = map_purely(groups, genesys_groups, definition, external_ids)
    task.facts[HIDDEN_GROUPS] = hidden
    pairs, skipped = mapping.pairs, mapping.skipped
    if hidden:
        task.note(HIDDEN_NOTE.format(hidden=hidden, all=len(genesys_groups) + hidden))
        pairs, skipped = _with_hidden_groups(task, genesys_groups, pairs, skipped)
    known = {key_of(pair): pair.has_baseline for pair in task.journal.pairs.active()}
    stored = _record(task, genesys_groups, pairs, skipped, known)
    protection.note_names(task, genesys_groups)
    if not task.run.dry_run:
        task.journal.waiting.note_rules(definition.digest)
        lift_where_listing_changed(task, genesys_groups)
    note_unmatched_patterns(task, groups, genesys_groups)
    fed = {pair.genesys_group_id for pair in stored.pairs}
    note_left_behind(task, fed)
    note_listed_owners(task, genesys_groups, fed)
    task.log(f"{len(stored.pairs)} AD groups mapped to {len(fed)} Genesys groups, {len(stored.skipped)} skipped")
    return _summary(stored, known.keys())


def _summary(stored: StoredMapping, before: Collection[tuple[Guid, str]]) -> dict[str, Any]:
    """Return counts and what has changed, for the XCom. ``before``: the pairs until now."""
    pairs = {(pair.group_guid, pair.genesys_group_id) for pair in stored.pairs}
    return {
        "pairs": len(pairs),
        "skipped": Counter(skipped.reason.value for skipped in stored.skipped),
        "new": dict(sorted(pairs - set(before))[:PAIRS_SHOWN]),
        "gone": dict(sorted(set(before) - pairs)[:PAIRS_SHOWN]),
    }


def _with_hidden_groups(
    task: TaskContext, listed: Sequence[GenesysGroup], pairs: Sequence[GroupPair], skipped: Sequence[SkippedGroup]
) -> tuple[list[GroupPair], list[SkippedGroup]]:
    """Return the mapping where Genesys hides groups.

    A group that is not listed may be there all the same. A pair with such a group stays. An AD group whose Genesys
    group is not found has its changes held.
    """
    visible = {group.id for group in listed}
    kept = {pair.group_guid: pair for pair in task.journal.pairs.active() if pair.genesys_group_id not in visible}
    made = {pair.group_guid for pair in pairs} | {
        one.group_guid for one in skipped if one.reason is Reason.GENESYS_GROUP_MISSING
    }
    kept = {guid: pair for guid, pair in kept.items() if guid in made}
    held = [
        replace(one, reason=Reason.GENESYS_UNREADABLE) if one.reason is Reason.GENESYS_GROUP_MISSING else one
        for one in skipped
        if one.group_guid not in kept
    ]
    return [*(pair for pair in pairs if pair.group_guid not in kept), *kept.values()], held


def _record(
    task: TaskContext,
    genesys_groups: Sequence[GenesysGroup],
    pairs: Sequence[GroupPair],
    skipped: Sequence[SkippedGroup],
    known: Mapping[PairKey, bool],
) -> StoredMapping:
    """Store the mapping in the journal and as a fact of the run.

    ``known``: the pairs until now, and whether each has a baseline.
    """
    earlier_try = task.facts[MAPPING]
    if task.run.dry_run:
        pairs = [
            replace(pair, has_baseline=known.get((pair.group_guid, pair.genesys_group_id), False))
            for pair in new_pairs.as_dry_run_sees(task, pairs)
        ]
    else:
        pairs = new_pairs.store(task, pairs)
    gone = known.keys() - {(pair.group_guid, pair.genesys_group_id) for pair in pairs}
    fed = {pair.genesys_group_id for pair in pairs}
    stored = StoredMapping(
        pairs=tuple(pairs),
        skipped=tuple(skipped),
        names={**_hidden_names(task), **{group.id: group.name for group in genesys_groups}},
        retired=frozenset(group_id for _, group_id in gone) | (earlier_try.retired if earlier_try else frozenset()),
        versions={group.id: group.version for group in genesys_groups if group.id in fed},
    )
    task.facts[MAPPING] = stored
    return stored


def _hidden_names(task: TaskContext) -> dict[str, str]:
    """Return the Genesys groups that were known once, where some are hidden.

    They may be there all the same.
    """
    if not task.facts[HIDDEN_GROUPS]:
        return {}
    known = (*task.journal.pairs.former(), *task.journal.pairs.active())
    return {pair.genesys_group_id: pair.genesys_group_name for pair in known}


def _external_ids(task: TaskContext, needed: Iterable[str], listed: Collection[str]) -> ExternalIds:
    """Return the Genesys group of each SCIM externalId, from the journal where it knows.

    Genesys cannot be asked for one id without reading all groups. An id is read again if

    - its group is gone, or
    - no group carried it the last time, and that was a day ago or the mode is full: an id that is misspelt must not
      cost hundreds of requests in each run.
    """
    run, now = task.run, task.clock()
    kept = task.journal.external_ids.get(task.external_id_namespace, list(needed))

    def is_good(external_id: str) -> bool:
        if external_id not in kept:
            return False
        group_id, read_at = kept[external_id]
        if group_id is not None:
            return group_id in listed
        return run.mode is not Mode.FULL and now - read_at < MISSING_EXTERNAL_ID_TTL

    found = {
        external_id: kept[external_id][0] if is_good(external_id) else _carriers(task, external_id)
        for external_id in needed
    }
    if not run.dry_run:
        new = {
            external_id: group_id
            for external_id, group_id in found.items()
            if not is_good(external_id) and not isinstance(group_id, tuple)  # stored only once it is unambiguous
        }
        task.journal.external_ids.save(task.external_id_namespace, new, now)
    return found


def _carriers(task: TaskContext, external_id: str) -> str | tuple[str, ...] | None:
    """Return the Genesys groups that carry the id, see `ExternalIds`.

    Several concern that AD group, not the run.
    """
    try:
        return task.genesys.group_id_by_external_id(external_id)
    except AmbiguousExternalId as error:
        return error.group_ids
