"""Genesys groups that `protect:` names, also after somebody has renamed them in Genesys Cloud."""

from __future__ import annotations

from collections.abc import Iterable

from genesys_ad_sync import names
from genesys_ad_sync.model import GenesysGroup
from genesys_ad_sync.run.context import TaskContext


def note_names(task: TaskContext, listed: Iterable[GenesysGroup]) -> None:
    """Note the names by which patterns of `protect:` find Genesys groups now.

    A dry run does so, too.
    """
    patterns = task.definition.protect
    if not patterns:
        return
    found = {group.id: group.name for group in listed if names.matches_any(patterns, (group.name,))}
    known = task.journal.protected_groups.names() if found else {}
    new = {group_id: name for group_id, name in found.items() if name not in known.get(group_id, ())}
    if new:
        task.journal.protected_groups.note(new, task.clock())


def former_names(task: TaskContext) -> dict[str, frozenset[str]]:
    """Return Genesys group id -> the names by which `protect:` found it, now or once."""
    return task.journal.protected_groups.names() if task.definition.protect else {}
