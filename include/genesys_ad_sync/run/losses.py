"""Memberships that a reading of AD lacks without explanation, as the plan lists them."""

from __future__ import annotations

from collections.abc import Collection

from genesys_ad_sync.directory.membership import wanted_members
from genesys_ad_sync.model import Guid
from genesys_ad_sync.planning import Loss
from genesys_ad_sync.run.changes import groups_in_param
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import LOSSES, MAPPING
from genesys_ad_sync.run.targets import newest_pairs


def losses_of(task: TaskContext) -> tuple[Loss, ...]:
    """Return the lost memberships that AD owns and that no other AD group grants."""
    lost = task.facts[LOSSES]
    if not lost or task.run.bounded:
        return ()
    known = task.journal.views.groups(lost.keys())
    allowed = {group.guid for group in groups_in_param(known.values(), task.run.groups)}
    sources: dict[str, list[Guid]] = {}
    for pair in newest_pairs(task):
        sources.setdefault(pair.genesys_group_id, []).append(pair.group_guid)
    targets = {group_id: guids for group_id, guids in sources.items() if allowed & lost.keys() & set(guids)}
    policy = task.definition.directory.policy
    genesys_groups = task.facts.required(MAPPING).genesys_groups
    losses: dict[tuple[str, Guid], Loss] = {}
    wanted: dict[tuple[Guid, ...], Collection[Guid]] = {}
    for grant in task.journal.grants.of_groups(list(targets)):
        guids = targets[grant.genesys_group_id]
        groups = tuple(guid for guid in sorted(guids) if grant.user_guid in lost.get(guid, ()))
        if not groups:
            continue
        others = tuple(guid for guid in sorted(guids) if guid not in groups)
        if others not in wanted:
            wanted[others] = wanted_members(task.journal.views.load(others), others, policy)
        if grant.user_guid not in wanted[others]:
            genesys_group = genesys_groups[grant.genesys_group_id]
            key = (genesys_group.id, grant.user_guid)
            losses[key] = Loss(genesys_group, grant.user_guid, grant.genesys_user_id, groups)
    return tuple(losses.values())
