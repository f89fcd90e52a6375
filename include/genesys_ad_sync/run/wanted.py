"""Memberships that a view of AD asks for in a Genesys group, under the policies of the sync definition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from genesys_ad_sync.directory.membership import effective_members
from genesys_ad_sync.model import Guid, View
from genesys_ad_sync.run.context import Sync


def wanted_members(task: Sync, view: View, sources: Collection[Guid]) -> dict[Guid, tuple[Guid, ...]]:
    """Return the effective members of these AD groups, each with the groups that contain it."""
    granted_by: defaultdict[Guid, list[Guid]] = defaultdict(list)
    directory = task.definition.directory
    for group in sorted(sources):
        if group in view.groups and view.groups[group].in_scope:
            for user in effective_members(
                view, group, nested=directory.nested_groups, disabled_users=directory.disabled_users
            ):
                granted_by[user].append(group)
    return {user: tuple(groups) for user, groups in granted_by.items()}
