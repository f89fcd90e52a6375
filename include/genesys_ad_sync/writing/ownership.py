"""Memberships that AD owns.

They are granted when they are written or found, and end when a removal is in effect.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from genesys_ad_sync.model import Action, Grant, Row, Status
from genesys_ad_sync.planning import was_manual
from genesys_ad_sync.planning.grants import (
    grants_begun_by,
    grants_ended_by,
    grants_in_vain,
    grants_of,
    settled_removals,
)
from genesys_ad_sync.run.context import TaskContext


def grant_announced_adds(task: TaskContext, rows: Sequence[Row]) -> frozenset[Grant]:
    """Grant adds that are about to be sent; return the new grants.

    A grant is new if it was not there before. If no task lives to record the outcome, AD owns what it has asked for.
    What an undo puts back is granted only once it is in effect.
    """
    announced = grants_of(row for row in rows if row.action is Action.ADD and not row.undoes_run)
    if not announced:
        return frozenset()
    grants, group_ids = task.journal.grants, sorted({grant.genesys_group_id for grant in announced})
    known = {*grants.of_groups(group_ids), *grants.asleep_in(group_ids)}
    grants.add(announced, task.clock())
    return frozenset(announced) - known


def grant_settled_adds(task: TaskContext, rows: Sequence[Row]) -> None:
    """Grant adds that are in effect, through each AD group that asks for them.

    What was in effect without a write may be somebody's work in Genesys Cloud: see `planning.was_manual`.
    """
    grants = grants_begun_by(rows)
    found = was_manual.without_write(rows)
    if found:
        candidates = {(row.genesys_group_id or "", row.genesys_user_id or "") for row in found}
        group_ids = sorted({group_id for group_id, _ in candidates})
        stored = task.journal.grants
        known = [*stored.of_groups(group_ids), *stored.asleep_in(group_ids)]
        compared = {(p.group_guid, p.genesys_group_id) for p in task.journal.pairs.active() if p.has_baseline}
        grants = was_manual.mark(grants, candidates, known, _written_by_us(task, found), compared)
    task.journal.grants.add(grants, task.clock())


def _written_by_us(task: TaskContext, rows: Sequence[Row]) -> set[was_manual.Membership]:
    """Return the memberships of these rows that a run added, and none removed since.

    Such a run died before it could record the grant.
    """
    opposite = {row.key: str(replace(row.row_key, action=Action.REMOVE)) for row in rows}
    sent = task.journal.limit_counts.newest_sent([*opposite, *opposite.values()])
    return {
        (row.genesys_group_id or "", row.genesys_user_id or "")
        for row in rows
        if row.key in sent and sent[row.key] >= sent.get(opposite[row.key], sent[row.key])
    }


def take_back_grants(task: TaskContext, rows: Sequence[Row], announced: Collection[Grant]) -> None:
    """End the grants of announced adds that are known not to have been carried out.

    ``announced``: see `grant_announced_adds`. What AD owned before, it still owns: Genesys may hide the membership of
    a deleted or inactive user, who may come back with it.
    """
    task.journal.grants.remove([grant for grant in grants_in_vain(rows) if grant in announced])


def drop_grants_of_settled_removals(task: TaskContext, rows: Sequence[Row]) -> None:
    """End the grants of removals that are in effect.

    Where nobody can see whether a removal is in effect, they sleep. Grants that sleep already end once it is seen. What
    other definitions remember of a membership that this one removed ends, too: they fed the Genesys group before.
    """
    group_ids = {row.genesys_group_id for row in settled_removals(rows) if row.genesys_group_id}
    if not group_ids:
        return
    grants = task.journal.grants.of_groups(sorted(group_ids))
    deleted = task.journal.views.deleted_users()
    former = {(link.user_guid, link.genesys_user_id) for link in task.journal.links.former()}
    seen, unseen = [row for row in rows if not row.unseen], [row for row in rows if row.unseen]
    out = {(row.genesys_group_id, row.genesys_user_id) for row in settled_removals(seen)}
    asleep = [
        grant
        for grant in task.journal.grants.asleep_in(sorted(group_ids))
        if (grant.genesys_group_id, grant.genesys_user_id) in out  # not of another user of the same account
    ]
    task.journal.grants.remove(grants_ended_by(seen, [*grants, *asleep], deleted, former))
    task.journal.grants.sleep(grants_ended_by(unseen, grants, deleted, former), task.clock())
    written = (row for row in settled_removals(seen) if row.status is Status.SUCCESS)
    task.journal.grants.end_elsewhere({(r.genesys_group_id or "", r.genesys_user_id or "") for r in written})
