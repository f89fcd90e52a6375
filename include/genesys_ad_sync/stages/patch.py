"""Fifth task, mapped: writes one lane of the plan, group by group, and reads back what it wrote.

Order of things for a group: hold the lease; ask the newest view and Genesys whether each change is still needed; note
in the journal that it will be sent; send; read back; record. Whatever kills the task between two of these, a retry
finds out from the journal and from Genesys what is still missing, and sends only that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from genesys_ad_sync.genesys.writers import writer_for
from genesys_ad_sync.model import SETTLED, Action, Row, Status
from genesys_ad_sync.run.context import Sync
from genesys_ad_sync.run.users import matched
from genesys_ad_sync.stages.approve_removals import FIRST_APPROVED_LANE
from genesys_ad_sync.stages.map_groups import listed_versions
from genesys_ad_sync.stages.plan import claimed_by_others
from genesys_ad_sync.writing.lane import READING_IS_FRESH, _Job, _lease


def patch(task: Sync, lane: int) -> dict[str, Any]:
    """Applies the rows of one lane. Returns counts by status.

    Raises LeaseBusy if another run writes for too long, and the GenesysError that makes a retry of the task worth
    while (Genesys asks to wait longer than the task can, or fails again and again) or of no use (no permission). What
    was done until then is recorded, and a retry sends only what is missing.
    """
    run = task.run
    by_group: dict[str, list[Row]] = {}
    for row in task.journal.rows(run, lane=lane):
        assert row.genesys_group_id is not None
        by_group.setdefault(row.genesys_group_id, []).append(row)
    todo = {group: rows for group, rows in by_group.items() if any(row.status not in SETTLED for row in rows)}
    task.say(f"lane {lane}: {sum(map(len, by_group.values()))} changes in {len(todo)} Genesys groups")
    if todo:
        task.genesys_client.share_ceiling(len(task.journal.lanes(run)))
        with _lease(task) as lease, ThreadPoolExecutor(max_workers=task.definition.genesys.workers) as pool:
            writer = writer_for(task.definition.genesys.write, task.genesys_client, listed_versions(task))
            fresh_until = _fresh_until(task, lane, lease.fence)
            job = _Job(task, run, lease, writer, matched(task), claimed_by_others(task, run), fresh_until)
            try:
                for number, group_id in enumerate(_in_order(pool, job, todo), 1):
                    task.say(f"{number} of {len(todo)} groups done: {group_id}")
            finally:
                task.count_requests()
            job.trouble.hand_back()
    after = task.journal.rows(run, lane=lane)
    return {status.value: n for status in Status if (n := sum(row.status is status for row in after))}


def _in_order(pool: ThreadPoolExecutor, job: _Job, todo: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """Where there is nothing but removals comes last, so that who moves from one group to another is not in neither of
    them meanwhile."""
    for losing in (False, True):
        groups = [item for item in todo.items() if all(row.action is Action.REMOVE for row in item[1]) is losing]
        yield from pool.map(lambda item: job.apply(*item), groups)


def _fresh_until(task: Sync, lane: int, fence: int) -> datetime | None:
    """Until when what `plan` read may be taken for present; None: not at all."""
    reading = task.fact("reading")
    if lane >= FIRST_APPROVED_LANE or not reading or reading["fence"] != fence:
        return None
    return datetime.fromisoformat(reading["at"]) + READING_IS_FRESH
