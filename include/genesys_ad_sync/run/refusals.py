"""Groups and people that a run leaves alone for now.

These are known refusals until their time, and groups that fail.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence

from genesys_ad_sync.model import Change, GenesysGroup, Reason, Refusal, RefusalKind, RunRecord
from genesys_ad_sync.planning.refusals import Postponed, divide
from genesys_ad_sync.run.changes import leaves_alone
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import MAPPING
from genesys_ad_sync.run.mapped import listed_versions


def postpone(
    task: TaskContext, run: RunRecord, changes: Mapping[str, Sequence[Change]]
) -> tuple[dict[str, list[Change]], list[Postponed]]:
    """Return the changes by Genesys group that the run takes up, and those that wait.

    A group all of whose changes wait is missing in the first.
    """
    refusals: dict[str, list[Refusal]] = {}
    for refusal in task.journal.refusals.all():
        refusals.setdefault(refusal.genesys_group_id, []).append(refusal)
    if not refusals or not leaves_alone(task, run):
        return {group_id: list(of_group) for group_id, of_group in changes.items()}, []
    ids = {change.id for group_id in refusals for change in changes.get(group_id, ()) if change.id is not None}
    new_in_run = {id_ for id_, (_, seen_by) in task.journal.changes.first_seen(ids).items() if seen_by == run.key}
    taken: dict[str, list[Change]] = {}
    postponed: list[Postponed] = []
    for group_id, of_group in changes.items():
        due, waiting = divide(group_id, of_group, refusals.get(group_id, ()), task.clock(), new_in_run)
        postponed += waiting
        if due or not waiting:
            taken[group_id] = due
    return taken, postponed


def note_unreadable_groups(task: TaskContext, read: Mapping[str, str | None]) -> None:
    """Note which groups could not be read, and that others could.

    ``read``: by group, the error or None.
    """
    failing = {one.genesys_group_id: one for one in task.journal.refusals.all() if one.kind is RefusalKind.FAILING}
    readable = [
        one
        for group_id, one in failing.items()
        if one.reason is Reason.GENESYS_UNREADABLE and group_id in read and read[group_id] is None
    ]
    met = [
        Refusal(
            RefusalKind.FAILING,
            Reason.GENESYS_UNREADABLE,
            group_id,
            words="unreadable",
            error=error,
            listing=listing_of(task, group_id, RefusalKind.FAILING),
        )
        for group_id, error in read.items()
        if error is not None
    ]
    with task.journal.together():
        task.journal.refusals.forget(readable)
        task.journal.refusals.record(met, task.key, task.clock())


def forget_idle_groups(task: TaskContext, waiting: Collection[str]) -> None:
    """Forget the refusals of groups for which nothing waits. ``waiting``: the groups with unsettled changes."""
    task.journal.refusals.forget(
        one
        for one in task.journal.refusals.all()
        if one.kind is not RefusalKind.CLIENT and one.genesys_group_id not in waiting
    )


def lift_where_listing_changed(task: TaskContext, groups: Sequence[GenesysGroup]) -> None:
    """Let refusals be tried at once where the group's entry in the listing has changed."""
    known = [one for one in task.journal.refusals.all() if one.kind is not RefusalKind.CLIENT]
    if not known:
        return
    by_id = {group.id: group for group in groups}
    with task.journal.together():
        for refusal in known:
            now = listing_entry(by_id.get(refusal.genesys_group_id), refusal.kind)
            if refusal.listing != now:
                task.journal.refusals.set_listing(refusal, now)
                task.journal.refusals.lift([refusal])


def listing_of(task: TaskContext, group_id: str, kind: RefusalKind) -> str:
    """Return the digest of a group's entry in the listing of this run."""
    mapping = task.facts.required(MAPPING)
    if group_id not in mapping.names:
        return listing_entry(None, kind)
    group = GenesysGroup(group_id, mapping.names[group_id], version=listed_versions(task).get(group_id))
    return listing_entry(group, kind)


def listing_entry(group: GenesysGroup | None, kind: RefusalKind) -> str:
    """Return a digest of a group's entry in the listing.

    Each write of others raises the version. That says nothing about one person, or about a group that fails.
    """
    if group is None:
        return "missing"
    entry: list[object] = [group.name]
    if kind is RefusalKind.GROUP:
        entry.append(group.version)
    return hashlib.sha256(json.dumps(entry).encode()).hexdigest()[:16]
