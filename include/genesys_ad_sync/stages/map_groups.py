"""Second task: which Genesys group each AD group feeds, or why none."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from genesys_ad_sync.genesys.errors import AmbiguousExternalId
from genesys_ad_sync.mapping import ExternalIds, needed_external_ids
from genesys_ad_sync.mapping import map_groups as map_purely
from genesys_ad_sync.model import GenesysGroup, Mode, Pair, Reason, SkippedGroup
from genesys_ad_sync.run.context import Sync, tells_of_failure

ABSENCE_IS_KEPT = timedelta(days=1)


@tells_of_failure
def map_groups(task: Sync) -> dict[str, Any]:
    """Maps all AD groups in scope by the definition's rules. Raises GenesysError if the groups cannot be listed.

    The pairs are kept in the journal (a dry run keeps nothing there): a pair that no rule gives any more becomes
    inactive, and what was granted under it is not taken away by that alone.
    """
    run = task.run
    definition = task.definition
    groups = task.journal.scope_groups(definition.name)
    genesys_groups = task.genesys.groups()
    external_ids = _external_ids(task, needed_external_ids(groups, definition), {group.id for group in genesys_groups})
    mapping = map_purely(groups, genesys_groups, definition, external_ids)
    known = {(p.group_guid, p.genesys_group_id): p.has_baseline for p in task.journal.pairs(definition.name)}
    today = {(pair.group_guid, pair.genesys_group_id) for pair in mapping.pairs}
    earlier_try = (task.fact("mapping") or {}).get("retired", [])
    if run.dry_run:
        pairs = [
            replace(pair, has_baseline=known.get((pair.group_guid, pair.genesys_group_id), False))
            for pair in mapping.pairs
        ]
    else:
        pairs = task.journal.save_pairs(definition.name, mapping.pairs, task.clock())
    fed_ids = {pair.genesys_group_id for pair in pairs}
    task.journal.put_fact(
        run,
        "mapping",
        {
            "pairs": [[p.group_guid, p.genesys_group_id, p.genesys_group_name, p.rule, p.has_baseline] for p in pairs],
            "skipped": [[s.group_guid, s.reason.value, s.detail] for s in mapping.skipped],
            "names": {group.id: group.name for group in genesys_groups},
            "retired": sorted({*earlier_try, *(genesys_group_id for _, genesys_group_id in known.keys() - today)}),
            "versions": {group.id: group.version for group in genesys_groups if group.id in fed_ids},
        },
    )
    task.say(f"{len(pairs)} AD groups mapped to {len(fed_ids)} Genesys groups, {len(mapping.skipped)} skipped")
    return {
        "pairs": {pair.group_guid: pair.genesys_group_id for pair in pairs},
        "skipped": {skipped.group_guid: skipped.reason.value for skipped in mapping.skipped},
    }


def _external_ids(task: Sync, needed: Iterable[str], listed: Collection[str]) -> ExternalIds:
    """The Genesys group of each SCIM externalId. Genesys cannot be asked for one of them without reading all, so the
    journal keeps them: read again if the group is gone, or nobody carried the id the last time (a day ago, or in mode
    full: an id that is misspelt must not cost hundreds of requests in each run)."""
    run, now = task.run, task.clock()
    kept = task.journal.external_ids(task.external_ids_of, list(needed))

    def is_good(external_id: str) -> bool:
        if external_id not in kept:
            return False
        group_id, read_at = kept[external_id]
        if group_id is not None:
            return group_id in listed
        return run.mode is not Mode.FULL and now - read_at < ABSENCE_IS_KEPT

    found = {
        external_id: kept[external_id][0] if is_good(external_id) else _carriers(task, external_id)
        for external_id in needed
    }
    if not run.dry_run:
        new = {
            external_id: group_id
            for external_id, group_id in found.items()
            if not is_good(external_id) and not isinstance(group_id, tuple)  # kept only once it is mended
        }
        task.journal.save_external_ids(task.external_ids_of, new, now)
    return found


def _carriers(task: Sync, external_id: str) -> str | tuple[str, ...] | None:
    """The Genesys groups that carry it, see `ExternalIds`. Several are the trouble of that AD group, not of the run."""
    try:
        return task.genesys.group_id_by_external_id(external_id)
    except AmbiguousExternalId as error:
        return error.group_ids


def listed_versions(task: Sync) -> dict[str, int]:
    """The version that each mapped Genesys group had when this run listed it."""
    versions = (task.fact("mapping") or {}).get("versions", {})
    return {group_id: version for group_id, version in versions.items() if version is not None}


def retired_now(task: Sync) -> set[str]:
    """The Genesys groups that an AD group fed until this run, and feeds no more."""
    return set((task.fact("mapping") or {}).get("retired", []))


def mapped(task: Sync) -> tuple[list[Pair], list[SkippedGroup], dict[str, GenesysGroup]]:
    """What `map_groups` found in this run: pairs, skipped groups, and the Genesys groups by id."""
    fact = task.fact("mapping")
    pairs = [Pair(*values) for values in fact["pairs"]]
    skipped = [SkippedGroup(guid, Reason(reason), detail) for guid, reason, detail in fact["skipped"]]
    groups = {id_: GenesysGroup(id=id_, name=name) for id_, name in fact["names"].items()}
    return pairs, skipped, groups
