"""The owners of Genesys groups, which a mirror leaves alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from genesys_ad_sync.genesys.errors import GenesysError
from genesys_ad_sync.model import GenesysGroup
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import OWNERS
from genesys_ad_sync.run.policy import mirrors
from genesys_ad_sync.run.present_members import Trouble


def note_listed_owners(task: TaskContext, groups: Iterable[GenesysGroup], fed: Collection[str]) -> None:
    """Keep the owners of the mapped groups for later tasks.

    ``fed``: the mapped groups. Owners are kept as far as the listing shows them.
    """
    if mirrors(task):
        task.facts[OWNERS] = {g.id: g.owners for g in groups if g.id in fed and g.owners is not None}


def read_missing_owners(task: TaskContext, group_ids: Iterable[str]) -> set[str]:
    """Ask for the owners that the listing does not show: one request for each group.

    Return the groups whose owners could not be read. Raises the GenesysError that concerns all groups.
    """
    owners = task.facts[OWNERS]
    missing = [id_ for id_ in group_ids if id_ not in owners] if mirrors(task) else []
    unread: set[str] = set()
    found: dict[str, tuple[str, ...]] = {}
    trouble = Trouble()
    for group_id in missing:
        try:
            group = task.genesys.group(group_id)
        except GenesysError as error:
            task.log(f"the owners of Genesys group {group_id} could not be read, its changes are held: {error}")
            unread.add(group_id)
            trouble.met(group_id, error)
            if trouble.of_all is not None:
                raise trouble.of_all from None
        else:
            trouble.served()
            found[group_id] = (group.owners if group else None) or ()  # lists without entries may be left out
    if found:
        task.facts[OWNERS] = {**owners, **found}
    return unread
