"""Fifth task, mapped: writes one lane of the plan, group by group.

It reads back what it wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from genesys_ad_sync.genesys.writers import writer_for
from genesys_ad_sync.model import SETTLED, Action, Guid, Reason, RefusalKind, Row, RunRecord, Status
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import COMPLETE, HIDDEN_GROUPS, JOURNAL_RESTORED, MIRROR_ONCE, OWNERS, READING
from genesys_ad_sync.run.mapped import NAMES, listed_versions
from genesys_ad_sync.writing.lane import LaneWriter
from genesys_ad_sync.writing.lease import hold_lease
from genesys_ad_sync.writing.order import Group, in_order

PLAN_READING_TTL = timedelta(minutes=10)
"""How long the members read by `plan` stay valid if no other run has written.

A manual edit in that time is harmless: the same add or remove has no effect, and is counted as ours. Saves one read per
group.
"""

_OF_EACH_GROUP = (COMPLETE, HIDDEN_GROUPS, JOURNAL_RESTORED, MIRROR_ONCE, NAMES, OWNERS)
"""What the check of each group asks for."""

_Groups = Mapping[str, Sequence[Row]]


def patch(task: TaskContext, lane: int) -> dict[str, Any]:
    """Apply the rows of one lane; return counts by status.

    Raises LeaseBusy if another run writes for too long. Raises the GenesysError that makes a retry of the task worth
    while (Genesys asks to wait longer than the task can, or fails again and again) or of no use (no permission).
    Outcomes until then are recorded, and a retry sends only what is missing.
    """
    run = task.run
    groups = _by_group(task.journal.rows.of_run(run, lane=lane))
    to_do = {group: rows for group, rows in groups.items() if any(row.status not in SETTLED for row in rows)}
    task.log(f"{sum(map(len, groups.values()))} changes in {len(to_do)} Genesys groups")
    if to_do:
        _write(task, run, lane, to_do)
    after = task.journal.rows.of_run(run, lane=lane)
    return {status.value: n for status in Status if (n := sum(row.status is status for row in after))}


def _by_group(rows: Sequence[Row]) -> _Groups:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        assert row.genesys_group_id is not None  # noqa: S101  for mypy
        groups.setdefault(row.genesys_group_id, []).append(row)
    return groups


def _write(task: TaskContext, run: RunRecord, lane: int, groups: _Groups) -> None:
    task.genesys_client.share_ceiling(len(task.journal.rows.lanes(run)))
    with hold_lease(task) as lease, ThreadPoolExecutor(max_workers=task.definition.genesys.workers) as pool:
        writer = writer_for(task.definition.genesys.write, task.genesys_client, listed_versions(task))
        ended = _ended_accounts(task, groups)
        lane_writer = LaneWriter(task, lane, lease, writer, _fresh_until(task, lane, lease.fence), ended, groups)
        task.facts.read_ahead(*_OF_EACH_GROUP)
        stages = in_order(groups, _failed_before(task, run, groups), ended)
        try:
            for number, group_id in enumerate(_written(pool, lane_writer, stages), 1):
                task.log(f"{number} of {sum(map(len, stages))} groups done: {group_id}")
            lane_writer.finish()
        finally:
            task.count_requests()
        lane_writer.errors.raise_worst()


def _written(pool: ThreadPoolExecutor, lane_writer: LaneWriter, stages: list[list[Group]]) -> Iterator[str]:
    """Write the stages one after the other.

    A client that was refused asks with one group first.
    """
    if lane_writer.asks_first and stages:
        (first, *rest), *others = stages
        yield lane_writer.write_group(*first)
        stages = [rest, *others]
    for stage in stages:
        yield from pool.map(lambda group: lane_writer.write_group(*group), stage)


def _ended_accounts(task: TaskContext, groups: _Groups) -> frozenset[Guid]:
    """Return the accounts that are to be removed and are disabled, expired or deleted."""
    leaving = {
        row.user_guid for rows in groups.values() for row in rows if row.action is Action.REMOVE and row.user_guid
    }
    people = task.journal.views.users(leaving)
    ended = {guid for guid, user in people.items() if user.disabled or user.expired}
    return frozenset(ended | (task.journal.views.deleted_users() & leaving))


def _failed_before(task: TaskContext, run: RunRecord, groups: _Groups) -> set[str]:
    """Return the groups that failed before, or are known to fail.

    "Before" is in the run before, or in an earlier try of this one.
    """
    failed = task.journal.rows.groups_that_failed_before(run)
    of_groups = {RefusalKind.GROUP, RefusalKind.FAILING}
    known = task.journal.refusals.all()
    failed |= {one.genesys_group_id for one in known if one.kind in of_groups}
    failed = failed.union(*(one.tried for one in known))
    return failed | {group for group, rows in groups.items() if any(map(_was_tried, rows))}


def _was_tried(row: Row) -> bool:
    """Return True if Genesys was asked about the row.

    A row that the task did not come to has no answer.
    """
    not_reached = row.reason in {Reason.NOT_ATTEMPTED, Reason.REFUSED_CLIENT}
    was_reached = not not_reached or row.http_code is not None
    return row.status is Status.FAILED and was_reached


def _fresh_until(task: TaskContext, lane: int, fence: int) -> datetime | None:
    """Return until when the members read by `plan` may be relied on.

    None: not at all.
    """
    reading = task.facts[READING]
    if lane >= FIRST_APPROVED_LANE or reading is None or reading.fence != fence:
        return None
    return reading.at + PLAN_READING_TTL
