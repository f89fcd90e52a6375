"""Fifth task, mapped: writes one lane of the plan, group by group, and reads back what it wrote.

Order of things for a group: hold the lease; ask the newest view and Genesys whether each change is still needed; note
in the journal that it will be sent; send; read back; record. Whatever kills the task between two of these, a retry
finds out from the journal and from Genesys what is still missing, and sends only that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from include.group_sync.errors import LeaseBusy
from include.group_sync.genesys.errors import GenesysError
from include.group_sync.genesys.writers import MembershipWriter, WriteResult, writer_for
from include.group_sync.journal.records import RunRecord
from include.group_sync.model import SETTLED, Action, Guid, Match, Reason, Row, Status
from include.group_sync.planning import recheck
from include.group_sync.stages.context import Sync
from include.group_sync.stages.plan import (
    drop_grants_of_settled_removals,
    grant_settled_adds,
    planning_context,
    planning_targets,
)
from include.group_sync.stages.resolve_users import matched
from include.group_sync.stages.targets import target_of

LEASE_POLL_SECONDS = 5.0
READ_BACK_WAITS = (0.0, 1.0, 2.0, 4.0, 8.0)  # seconds before each read-back: Genesys answers before it is in effect


@dataclass(frozen=True)
class Lease:
    """The right to write. ``fence`` grows with each owner, so that one who lost it cannot record anything."""

    fence: int
    renew: Callable[[], None]


def patch(sync: Sync, lane: int) -> dict[str, Any]:
    """Applies the rows of one lane. Returns counts by status. Raises LeaseBusy if another run writes for too long."""
    run = sync.run
    by_group: dict[str, list[Row]] = {}
    for row in sync.journal.rows(run, lane=lane):
        assert row.genesys_group_id is not None
        by_group.setdefault(row.genesys_group_id, []).append(row)
    todo = {group: rows for group, rows in by_group.items() if any(row.status not in SETTLED for row in rows)}
    sync.say(f"lane {lane}: {sum(map(len, by_group.values()))} changes in {len(todo)} Genesys groups")
    if todo:
        with _lease(sync) as lease, ThreadPoolExecutor(max_workers=sync.definition.genesys.workers) as pool:
            job = _Job(sync, run, lease, writer_for(sync.definition.genesys.write, sync.genesys_client), matched(sync))
            try:
                for number, group_id in enumerate(pool.map(lambda item: job.apply(*item), todo.items()), 1):
                    sync.say(f"{number} of {len(todo)} groups done: {group_id}")
            finally:
                sync.count_requests()
    after = sync.journal.rows(run, lane=lane)
    return {status.value: n for status in Status if (n := sum(row.status is status for row in after))}


@contextmanager
def _lease(sync: Sync) -> Iterator[Lease]:
    """Waits for the organisation's lease, holds it for the block and gives it back."""
    deadline = sync.clock() + sync.lease_wait
    while True:
        try:
            fence = sync.journal.acquire_lease(
                sync.organisation, sync.key, sync.task_key, now=sync.clock(), ttl=sync.lease_ttl
            )
            break
        except LeaseBusy as busy:
            if sync.clock() >= deadline:
                raise
            sync.say(f"waiting: {busy}")
            sync.sleep(LEASE_POLL_SECONDS)

    def renew() -> None:
        sync.journal.renew_lease(
            sync.organisation, sync.key, sync.task_key, fence=fence, now=sync.clock(), ttl=sync.lease_ttl
        )

    try:
        yield Lease(fence, renew)
    finally:
        sync.journal.release_lease(sync.organisation, sync.key, sync.task_key)


@dataclass(frozen=True)
class _Job:
    """What the groups of a lane have in common."""

    sync: Sync
    run: RunRecord
    lease: Lease
    writer: MembershipWriter
    matches: Mapping[Guid, Match]

    def apply(self, group_id: str, rows: Sequence[Row]) -> str:
        """Brings the rows of one Genesys group to their end. Rows that an earlier try settled are left as they are."""
        sync, lease = self.sync, self.lease
        lease.renew()
        settled = [row for row in rows if row.status in SETTLED]
        rows = [row for row in rows if row.status not in SETTLED]
        try:
            present = sync.genesys.individuals(group_id)
        except GenesysError as error:
            self._record([_failed(row, Reason.GENESYS_UNREADABLE, error) for row in rows])
            return group_id
        sent_before = sync.journal.sending(self.run, [row.key for row in rows])
        decided = [_ours(row) if row.key in sent_before else row for row in self._judge_again(group_id, rows, present)]
        finished = [row for row in decided if row.status is not Status.PLANNED]
        self._record(finished)
        todo = [row for row in decided if row.status is Status.PLANNED]
        after: frozenset[str] | None = present
        if todo:
            sync.journal.mark_sending(self.run, [row.key for row in todo], lease.fence, sync.clock())
            results = _send(lease, self.writer, group_id, todo)
            lease.renew()
            done, after = _read_back(sync, group_id, todo, results)
            self._record(done)
            finished += done
        self._note_group(group_id, [*settled, *finished], after)
        return group_id

    def _judge_again(self, group_id: str, rows: Sequence[Row], present: frozenset[str]) -> Sequence[Row]:
        """An old plan never undoes newer truth: the newest view and Genesys are asked again, just before writing."""
        target = target_of(self.sync, group_id)
        users = {row.user_guid for row in rows if row.user_guid}
        return recheck(
            rows,
            planning_targets(self.sync, [target], {group_id: present})[0],
            self.matches,
            self.sync.definition,
            planning_context(self.sync, self.run, target.feeding, users),
        )

    def _record(self, rows: Sequence[Row]) -> None:
        if rows:
            sync = self.sync
            sync.journal.record(self.run, rows, at=sync.clock(), fence=self.lease.fence, organisation=sync.organisation)
            grant_settled_adds(sync, rows)
            drop_grants_of_settled_removals(sync, rows)

    def _note_group(self, group_id: str, rows: Sequence[Row], after: frozenset[str] | None) -> None:
        """The group's line in the report: how many it has now, and how many this run added and removed."""
        done = [row.action for row in rows if row.status is Status.SUCCESS and row.settled_by is None]
        self.sync.journal.save_group_results(
            self.run,
            [
                replace(
                    result,
                    after=None if after is None else len(after),
                    added=done.count(Action.ADD),
                    removed=done.count(Action.REMOVE),
                )
                for result in self.sync.journal.group_results(self.run)
                if result.genesys_group_id == group_id
            ],
        )


def _ours(row: Row) -> Row:
    """An earlier try of this task sent it and died before it could say so: what is so already is its success."""
    if row.status is Status.UNCHANGED and row.reason is Reason.ALREADY_SO:
        return replace(row, status=Status.SUCCESS, reason=None)
    return row


def _send(
    lease: Lease, writer: MembershipWriter, group_id: str, rows: Sequence[Row]
) -> dict[tuple[str, Action], WriteResult]:
    """What became of each. A failure that ends the group's requests is no reason to forget what was done before it."""
    adds = [row.genesys_user_id for row in rows if row.action is Action.ADD and row.genesys_user_id]
    removes = [row.genesys_user_id for row in rows if row.action is Action.REMOVE and row.genesys_user_id]
    results: dict[tuple[str, Action], WriteResult] = {}
    try:
        for result in writer.apply(group_id, adds, removes, before_request=lease.renew):
            results[result.user_id, result.action] = result
    except GenesysError as error:
        for action, user_ids in ((Action.ADD, adds), (Action.REMOVE, removes)):
            for user_id in user_ids:
                results.setdefault(
                    (user_id, action),
                    WriteResult(
                        user_id,
                        action,
                        ok=False,
                        http_code=error.status,
                        correlation_id=error.correlation_id,
                        error=str(error),
                    ),
                )
    return results


def _read_back(
    sync: Sync, group_id: str, rows: Sequence[Row], results: dict[tuple[str, Action], WriteResult]
) -> tuple[list[Row], frozenset[str] | None]:
    """What Genesys says afterwards decides what the report calls a success."""
    answered = [_with_result(row, results.get((row.genesys_user_id or "", row.action))) for row in rows]
    if not sync.definition.verify:
        return answered, None
    present: frozenset[str] | None = None
    error: GenesysError | None = None
    for wait in READ_BACK_WAITS:
        if wait:
            sync.sleep(wait)
        try:
            present, error = sync.genesys.individuals(group_id), None
        except GenesysError as failure:
            present, error = None, failure
            continue
        if all(_in_effect(row, present) for row in answered if row.status is Status.SUCCESS):
            break
    return [_verified(row, present, error) for row in answered], present


def _with_result(row: Row, result: WriteResult | None) -> Row:
    if result is None:
        return replace(row, status=Status.FAILED, reason=Reason.NOT_ATTEMPTED, error="not sent")
    return replace(
        row,
        status=Status.SUCCESS if result.ok else Status.FAILED,
        reason=None if result.ok else Reason.REFUSED,
        http_code=result.http_code,
        correlation_id=result.correlation_id,
        error=result.error,
    )


def _in_effect(row: Row, present: frozenset[str]) -> bool:
    return (row.genesys_user_id in present) is (row.action is Action.ADD)


def _verified(row: Row, present: frozenset[str] | None, error: GenesysError | None) -> Row:
    if present is None:
        if row.status is Status.SUCCESS:
            text = f"could not be read back: {error}"
            return replace(row, status=Status.FAILED, reason=Reason.UNVERIFIED, error=text)
        return row
    if _in_effect(row, present):
        # also where the answer was lost or an error: what counts is what is so
        return replace(row, status=Status.SUCCESS, reason=None, error=None)
    if row.status is Status.SUCCESS:
        return replace(row, status=Status.FAILED, reason=Reason.NOT_IN_EFFECT, error="accepted, but not in effect")
    return row


def _failed(row: Row, reason: Reason, error: GenesysError) -> Row:
    return replace(
        row,
        status=Status.FAILED,
        reason=reason,
        error=str(error),
        http_code=error.status,
        correlation_id=error.correlation_id,
    )
