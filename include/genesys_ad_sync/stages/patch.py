"""Fifth task, mapped: writes one lane of the plan, group by group, and reads back what it wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from genesys_ad_sync.genesys.writers import writer_for
from genesys_ad_sync.model import SETTLED, Action, Reason, Row, RunRecord, Status
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import MAPPING, READING
from genesys_ad_sync.writing.lane import LaneWriter
from genesys_ad_sync.writing.lease import hold_lease

PLAN_READING_TTL = timedelta(minutes=10)
"""How long the members read by `plan` stay valid if no other run has written.

A manual edit in that time is harmless: the same add or remove has no effect, and is counted as ours. Saves one read per
group.
"""

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
        versions = task.facts.required(MAPPING).listed_versions
        writer = writer_for(task.definition.genesys.write, task.genesys_client, versions)
        lane_writer = LaneWriter(task, run, lease, writer, _fresh_until(task, lane, lease.fence))
        try:
            for number, group_id in enumerate(_in_order(pool, lane_writer, _failed_last(task, run, groups)), 1):
                task.log(f"{number} of {len(groups)} groups done: {group_id}")
            lane_writer.read_late_groups()
        finally:
            task.count_requests()
        lane_writer.errors.raise_worst()


def _in_order(pool: ThreadPoolExecutor, lane_writer: LaneWriter, groups: _Groups) -> Iterator[str]:
    """Write groups with nothing but removals last.

    So a user who moves to another group is always in one of the two.
    """
    for losing in (False, True):
        these = [item for item in groups.items() if all(row.action is Action.REMOVE for row in item[1]) is losing]
        yield from pool.map(lambda item: lane_writer.write_group(*item), these)


def _failed_last(task: TaskContext, run: RunRecord, groups: _Groups) -> _Groups:
    """Order the groups: what failed in the run before, or in an earlier try of this one, comes last.

    So a group that Genesys refuses or fails to serve never keeps the others from being served.
    """
    failed = task.journal.rows.groups_that_failed_before(run)
    failed |= {group for group, rows in groups.items() if any(map(_was_tried, rows))}
    return {group: groups[group] for group in sorted(groups, key=lambda group: group in failed)}


def _was_tried(row: Row) -> bool:
    """Return True if Genesys was asked: a row that the task did not come to has no answer."""
    was_reached = row.reason is not Reason.NOT_ATTEMPTED or row.http_code is not None
    return row.status is Status.FAILED and was_reached


def _fresh_until(task: TaskContext, lane: int, fence: int) -> datetime | None:
    """Return until when the members read by `plan` may be relied on. None: not at all."""
    reading = task.facts[READING]
    if lane >= FIRST_APPROVED_LANE or reading is None or reading.fence != fence:
        return None
    return reading.at + PLAN_READING_TTL
