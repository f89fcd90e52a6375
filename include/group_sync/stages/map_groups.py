"""Second task: which Genesys group each AD group feeds, or why none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from include.group_sync.mapping import map_groups as map_purely
from include.group_sync.mapping import needed_external_ids
from include.group_sync.model import GenesysGroup, Pair, Reason, SkippedGroup
from include.group_sync.stages.context import Sync


def map_groups(sync: Sync) -> dict[str, Any]:
    """Maps all AD groups in scope by the definition's rules. Raises GenesysError if the groups cannot be listed.

    The pairs are kept in the journal (a dry run keeps nothing there): a pair that no rule gives any more becomes
    inactive, and what was granted under it is not taken away by that alone.
    """
    run = sync.run
    definition = sync.definition
    groups = sync.journal.scope_groups(definition.name)
    genesys_groups = sync.genesys.groups()
    external_ids = {
        external_id: group.id if (group := sync.genesys.group_by_external_id(external_id)) else None
        for external_id in needed_external_ids(groups, definition)
    }
    mapping = map_purely(groups, genesys_groups, definition, external_ids)
    if run.dry_run:
        known = {(p.group_guid, p.genesys_group_id): p.has_baseline for p in sync.journal.pairs(definition.name)}
        pairs = [
            replace(pair, has_baseline=known.get((pair.group_guid, pair.genesys_group_id), False))
            for pair in mapping.pairs
        ]
    else:
        pairs = sync.journal.save_pairs(definition.name, mapping.pairs, sync.clock())
    sync.journal.put_fact(
        run,
        "mapping",
        {
            "pairs": [[p.group_guid, p.genesys_group_id, p.genesys_group_name, p.rule, p.has_baseline] for p in pairs],
            "skipped": [[s.group_guid, s.reason.value, s.detail] for s in mapping.skipped],
            "names": {group.id: group.name for group in genesys_groups},
        },
    )
    sync.count_requests()
    fed = len({pair.genesys_group_id for pair in pairs})
    sync.say(f"{len(pairs)} AD groups mapped to {fed} Genesys groups, {len(mapping.skipped)} skipped")
    return {
        "pairs": {pair.group_guid: pair.genesys_group_id for pair in pairs},
        "skipped": {skipped.group_guid: skipped.reason.value for skipped in mapping.skipped},
    }


def mapped(sync: Sync) -> tuple[list[Pair], list[SkippedGroup], dict[str, GenesysGroup]]:
    """What `map_groups` found in this run: pairs, skipped groups, and the Genesys groups by id."""
    fact = sync.fact("mapping")
    pairs = [Pair(*values) for values in fact["pairs"]]
    skipped = [SkippedGroup(guid, Reason(reason), detail) for guid, reason, detail in fact["skipped"]]
    groups = {id_: GenesysGroup(id=id_, name=name) for id_, name in fact["names"].items()}
    return pairs, skipped, groups
