"""Second task: finds each AD group's Genesys group, or the reason for none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from genesys_ad_sync.genesys.errors import AmbiguousExternalId
from genesys_ad_sync.journal.pairs import StoredPairs
from genesys_ad_sync.mapping import ExternalIds, needed_external_ids
from genesys_ad_sync.mapping import map_groups as map_purely
from genesys_ad_sync.model import DirectoryGroup, GenesysGroup, GroupPair, Mode, Reason, SkippedGroup
from genesys_ad_sync.planning.new_pairs import PairKey, key_of
from genesys_ad_sync.run import new_pairs, protection
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import HIDDEN_GROUPS, MAPPING, StoredMapping
from genesys_ad_sync.run.failures import records_failure
from genesys_ad_sync.run.mapped import (
    MappingInShort,
    keep_mapping,
    mapping_in_short,
    note_versions,
    take_earlier_mapping,
)
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
    in_scope = task.journal.views.in_scope()
    listed, hidden = task.genesys.visible_groups()
    task.facts[HIDDEN_GROUPS] = hidden
    if hidden:
        task.note(HIDDEN_NOTE.format(hidden=hidden, all=len(listed) + hidden))
    known = task.journal.pairs.as_stored()
    pairs = known
    if not take_earlier_mapping(task, in_scope, listed, known, hidden=hidden):
        mapping = _map_anew(task, in_scope.groups(), listed, known.pairs())
        keep_mapping(task, in_scope, listed, mapping, hidden=hidden)
        pairs = StoredPairs.of(mapping.pairs)
    fed = pairs.genesys_group_ids
    note_versions(task, listed, fed)
    protection.note_names(task, listed)
    if not task.run.dry_run:
        task.journal.waiting.note_rules(task.definition.digest)
        lift_where_listing_changed(task, listed)
    note_unmatched_patterns(task, in_scope, listed)
    note_left_behind(task, fed)
    note_listed_owners(task, listed, fed)
    short = mapping_in_short(task)
    task.log(f"{len(pairs.rows)} AD groups mapped to {len(fed)} Genesys groups, {sum(short.skipped.values())} skipped")
    return _summary(short, pairs, known)


def _summary(short: MappingInShort, stored: StoredPairs, known: StoredPairs) -> dict[str, Any]:
    """Return counts and what has changed, for the XCom. ``known``: the pairs until now."""
    pairs, before = (set[PairKey](), set[PairKey]()) if stored is known else (stored.keys, known.keys)
    return {
        "pairs": short.pairs,
        "skipped": Counter(short.skipped),
        "new": dict(sorted(pairs - before)[:PAIRS_SHOWN]),
        "gone": dict(sorted(before - pairs)[:PAIRS_SHOWN]),
    }


def _map_anew(
    task: TaskContext, groups: Sequence[DirectoryGroup], listed: Sequence[GenesysGroup], known: Iterable[GroupPair]
) -> StoredMapping:
    """Apply the rules to all AD groups in scope, and store the pairs.

    ``known``: the pairs until now.
    """
    definition = task.definition
    external_ids = _external_ids(task, needed_external_ids(groups, definition), {group.id for group in listed})
    mapping = map_purely(groups, listed, definition, external_ids)
    pairs, skipped = mapping.pairs, mapping.skipped
    if task.facts[HIDDEN_GROUPS]:
        pairs, skipped = _with_hidden_groups(task, listed, pairs, skipped)
    return _record(task, listed, pairs, skipped, {key_of(pair): pair.has_baseline for pair in known})


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
    """Store the pairs in the journal, and return the mapping.

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
    return StoredMapping(
        pairs=tuple(pairs),
        skipped=tuple(skipped),
        names={**_hidden_names(task), **{group.id: group.name for group in genesys_groups}},
        retired=frozenset(group_id for _, group_id in gone) | (earlier_try.retired if earlier_try else frozenset()),
    )


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
