"""Fifth task, mapped: writes one lane of the plan, group by group, and reads back what it wrote.

Order of things for a group: hold the lease; ask the newest view and Genesys whether each change is still needed; note
in the journal that it will be sent; send; read back; record. Whatever kills the task between two of these, a retry
finds out from the journal and from Genesys what is still missing, and sends only that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from genesys_ad_sync.errors import LeaseBusy
from genesys_ad_sync.genesys.errors import GenesysError, Throttled, needs_a_person, passes_by_itself
from genesys_ad_sync.genesys.writers import MembershipWriter, WriteResult
from genesys_ad_sync.journal.records import RunRecord
from genesys_ad_sync.matching import excluded_users
from genesys_ad_sync.model import SETTLED, Action, Guid, Match, Reason, Row, Status
from genesys_ad_sync.planning import recheck
from genesys_ad_sync.run.context import Sync
from genesys_ad_sync.run.targets import target_of
from genesys_ad_sync.run.undo import changed_since_plan, pin_undone
from genesys_ad_sync.run.users import look_at_refused, look_up
from genesys_ad_sync.stages.plan import (
    drop_grants_of_settled_removals,
    grant,
    grant_settled_adds,
    planning_context,
    planning_targets,
    take_back_grants,
)
from genesys_ad_sync.undo import recheck_undo
from genesys_ad_sync.writing.read_back import read_back

LEASE_POLL_SECONDS = 5.0
RENEWALS = 10  # in the time after which a lease expires
FAILURES_TOLERATED = 3
"""Groups of a lane that Genesys may fail to serve before the rest is left to Airflow's retry."""

READING_IS_FRESH = timedelta(minutes=10)
"""So long `plan`'s reading of a group is as good as a new one, if no other run has written since. All that a newer one
could show is what a person did by hand meanwhile, and then an add or a remove that is sent all the same changes
nothing: it is counted as ours, no more. It halves the reads of a run."""


@dataclass(frozen=True)
class Lease:
    """The right to write. ``fence`` grows with each owner, so that one who lost it cannot record anything."""

    fence: int
    renew: Callable[[], None]


class _Trouble:
    """What keeps a lane from being finished. Shared by the lane's threads."""

    def __init__(self) -> None:
        self._errors: list[GenesysError] = []

    def note(self, error: GenesysError | None) -> None:
        if error is not None and (needs_a_person(error) or passes_by_itself(error)):
            self._errors.append(error)

    @property
    def is_enough(self) -> bool:
        """The other groups need not be tried."""
        return len(self._errors) >= FAILURES_TOLERATED or any(
            needs_a_person(error) or isinstance(error, Throttled) for error in self._errors
        )

    def hand_back(self) -> None:
        """Raises the error that tells most; does nothing if there was none."""
        if self._errors:
            raise max(self._errors, key=lambda error: (needs_a_person(error), error.retry_after or 0.0))


@contextmanager
def _lease(task: Sync) -> Iterator[Lease]:
    """Waits for the organisation's lease, holds it for the block and gives it back."""
    deadline = task.clock() + task.lease_wait
    while True:
        try:
            fence = task.journal.acquire_lease(
                task.organisation, task.key, task.task_key, now=task.clock(), ttl=task.lease_ttl
            )
            break
        except LeaseBusy as busy:
            if task.clock() >= deadline:
                raise
            task.say(f"waiting: {busy}")
            task.sleep(LEASE_POLL_SECONDS)

    renewed = task.clock()

    def renew() -> None:
        # Nobody can take it before it expires, so not every request needs a transaction.
        nonlocal renewed
        now = task.clock()
        if renewed <= now < renewed + task.lease_ttl / RENEWALS:
            return
        task.journal.renew_lease(task.organisation, task.key, task.task_key, fence=fence, now=now, ttl=task.lease_ttl)
        renewed = now

    try:
        yield Lease(fence, renew)
    finally:
        task.journal.release_lease(task.organisation, task.key, task.task_key)


@dataclass(frozen=True)
class _Job:
    """What the groups of a lane have in common."""

    task: Sync
    run: RunRecord
    lease: Lease
    writer: MembershipWriter
    matches: dict[Guid, Match]
    claimed: Mapping[str, str]  # by other definitions; once for the lane, since nobody can take what is ours
    fresh_until: datetime | None = None  # see _fresh_until
    trouble: _Trouble = field(default_factory=_Trouble)

    def apply(self, group_id: str, rows: Sequence[Row]) -> str:
        """Brings the rows of one Genesys group to their end. Rows that an earlier try settled are left as they are."""
        task, lease = self.task, self.lease
        if self.trouble.is_enough:
            return group_id
        lease.renew()
        rows = [row for row in rows if row.status not in SETTLED]
        sent_before = task.journal.sending(self.run, [row.key for row in rows])
        before: frozenset[str] | None = None
        if not self._may_use_the_plans_reading(rows, sent_before):
            try:
                before = task.genesys.individuals(group_id)
            except GenesysError as error:
                self.trouble.note(error)
                self._record(
                    [
                        # what was sent may be in effect: that nobody can say is another thing
                        _failed(row, Reason.UNVERIFIED if row.key in sent_before else Reason.GENESYS_UNREADABLE, error)
                        for row in rows
                    ]
                )
                return group_id
        # The plan removes those who were there and adds those who were not: that much its rows say.
        present = _removed_by(rows) if before is None else before
        decided = [_ours(row) if row.key in sent_before else row for row in self._judge_again(group_id, rows, present)]
        self._record([row for row in decided if row.status is not Status.PLANNED])
        todo = [row for row in decided if row.status is Status.PLANNED]
        after = before
        if todo:
            with task.journal.together():
                task.journal.mark_sending(self.run, [row.key for row in todo], lease.fence, task.clock())
                # If nobody lives to record the outcome, AD still owns what it has asked for.
                grant(task, [row for row in todo if row.action is Action.ADD and not row.undoes])
            results, error_of_writing = _send(lease, self.writer, group_id, todo)
            self.trouble.note(error_of_writing)
            lease.renew()
            # `user_patch` is documented nowhere as honoured: only a read-back tells
            verify = task.definition.verify or task.definition.genesys.write == "user_patch"
            told = read_back(task, self.writer, group_id, todo, results, verify=verify)
            self.trouble.note(told.error)
            done = [_with_error(row, error_of_writing) for row in look_at_refused(task, told.rows)]
            after = told.present
            self._record(done)
        self._note_group(group_id, after, written=bool(todo))
        return group_id

    def _may_use_the_plans_reading(self, rows: Sequence[Row], sent_before: Collection[str]) -> bool:
        """Not for what may have been sent already, nor for an undo, which asks what is so now."""
        return (
            self.fresh_until is not None
            and self.task.clock() < self.fresh_until
            and not sent_before
            and not any(row.undoes for row in rows)
        )

    def _judge_again(self, group_id: str, rows: Sequence[Row], present: frozenset[str]) -> Sequence[Row]:
        """An old plan never undoes newer truth: the newest view and Genesys are asked again, just before writing."""
        task = self.task
        target = target_of(task, group_id)
        users = {row.user_guid for row in rows if row.user_guid}
        if any(row.undoes for row in rows):
            people = task.journal.known_users(task.definition.name, users)
            return recheck_undo(
                rows,
                present,
                changed_since_plan(task, rows),
                excluded=excluded_users(people.values(), task.definition),
                is_mapped=bool(target.feeding),
            )
        if any(row.action is Action.REMOVE for row in rows):
            try:
                self.matches.update(look_up(task, target, self.matches))
            except GenesysError as error:
                task.say(f"who else belongs into Genesys group {group_id} could not be looked up: {error}")
        changes = task.journal.unsettled(task.definition.name, {*target.feeding, *target.retired})
        read_at = datetime.fromisoformat(task.fact("reading")["at"])  # before `plan` asked for pins
        pins = task.journal.pins(task.definition.name, [group_id], since=read_at)
        return recheck(
            rows,
            planning_targets(task, [target], {group_id: present}, self.claimed)[0],
            {guid: self.matches[guid] for guid in users | target.wanted.keys() if guid in self.matches},
            task.definition,
            planning_context(task, self.run, target.feeding, users, pins),
            changes,
        )

    def _record(self, rows: Sequence[Row]) -> None:
        if rows:
            task = self.task
            organisation, fence = task.organisation, self.lease.fence
            # One transaction: who has lost the lease leaves ownership and pins alone, too.
            with task.journal.together():
                pin_undone(task, self.run, rows)
                grant_settled_adds(task, rows)
                take_back_grants(task, rows)
                drop_grants_of_settled_removals(task, rows)
                task.journal.record(self.run, rows, at=task.clock(), fence=fence, organisation=organisation)

    def _note_group(self, group_id: str, after: frozenset[str] | None, *, written: bool) -> None:
        """How many the group has now, for its line in the report."""
        self.task.journal.save_group_results(
            self.run,
            [
                replace(result, after=len(after) if after is not None else None if written else result.before)
                for result in self.task.journal.group_results(self.run, group_id)
            ],
        )


def _ours(row: Row) -> Row:
    """An earlier try of this task sent it and died before it could say so: what is so already is its success."""
    if row.status is Status.UNCHANGED and row.reason is Reason.ALREADY_SO:
        return replace(row, status=Status.SUCCESS, reason=None)
    return row


def _removed_by(rows: Sequence[Row]) -> frozenset[str]:
    return frozenset(row.genesys_user_id for row in rows if row.action is Action.REMOVE and row.genesys_user_id)


def _send(
    lease: Lease, writer: MembershipWriter, group_id: str, rows: Sequence[Row]
) -> tuple[dict[tuple[str, Action], WriteResult], GenesysError | None]:
    """What became of each, and what ended it before its end. What was not sent has no result."""
    adds = [row.genesys_user_id for row in rows if row.action is Action.ADD and row.genesys_user_id]
    removes = [row.genesys_user_id for row in rows if row.action is Action.REMOVE and row.genesys_user_id]
    results: dict[tuple[str, Action], WriteResult] = {}
    try:
        for result in writer.apply(group_id, adds, removes, before_request=lease.renew):
            results[result.user_id, result.action] = result
    except GenesysError as error:
        return results, error
    return results, None


def _with_error(row: Row, error: GenesysError | None) -> Row:
    """A change that was not carried out because of ``error``, which ended the requests of its group, says so."""
    if error is None or row.reason is not Reason.NOT_ATTEMPTED:
        return row
    return _failed(row, Reason.NOT_ATTEMPTED, error)


def _failed(row: Row, reason: Reason, error: GenesysError) -> Row:
    return replace(
        row,
        status=Status.FAILED,
        reason=reason,
        error=str(error),
        http_code=error.status,
        correlation_id=error.correlation_id,
    )
