"""One lane of a plan, group by group: check again, announce, send, read back, record.

Whatever kills the task between two of these, a retry finds out from the journal and from Genesys what is still
missing, and sends only that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from genesys_ad_sync.genesys.errors import GenesysError
from genesys_ad_sync.genesys.writers import MAX_MEMBERS, MembershipWriter, WriteResult
from genesys_ad_sync.matching import excluded_users
from genesys_ad_sync.model import SETTLED, Action, Grant, Guid, Reason, Row, Status
from genesys_ad_sync.planning import recheck
from genesys_ad_sync.planning.facts import claims_by_genesys_user
from genesys_ad_sync.planning.undo import recheck_undo, unless_claimed
from genesys_ad_sync.run.claims import claimed_by_others
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.objections import objections
from genesys_ad_sync.run.planned_targets import PlannedTargets
from genesys_ad_sync.run.planning_inputs import planning_context
from genesys_ad_sync.run.policy import mirrors
from genesys_ad_sync.run.relink import link_moves
from genesys_ad_sync.run.stop import Stop
from genesys_ad_sync.run.targets import target_of
from genesys_ad_sync.run.undo import changed_since_plan, pin_undone, undo_run, unusable_accounts
from genesys_ad_sync.run.undo_view import linked_otherwise
from genesys_ad_sync.run.users import look_up, matched, recheck_refused_users, states_of
from genesys_ad_sync.writing.lane_errors import LaneErrors
from genesys_ad_sync.writing.lease import LEASE_RENEWALS_PER_TTL, Lease
from genesys_ad_sync.writing.ownership import (
    drop_grants_of_settled_removals,
    grant_announced_adds,
    grant_settled_adds,
    take_back_grants,
)
from genesys_ad_sync.writing.read_back import READ_AT_ONCE, READ_BACK_WAITS, read_back
from genesys_ad_sync.writing.refusals import LaneRefusals, Met, judge, judge_unread, refused_with_client
from genesys_ad_sync.writing.row_outcomes import Late, claim_own_success, failed, removed_by, with_error


@dataclass(frozen=True)
class Members:
    """The members of a group before writing.

    ``read``: None if the plan's reading is relied on.
    """

    assumed: frozenset[str]
    read: frozenset[str] | None


class LaneWriter:
    """Writes the groups of one lane. May be used from several threads.

    - ``lane``, ``group_ids``: its number, and its Genesys groups.
    - ``fresh_until``: until when the members that `plan` read may be relied on; None: not at all.
    - ``ended``: AD accounts whose removals come first.
    """

    def __init__(
        self,
        task: TaskContext,
        lane: int,
        lease: Lease,
        writer: MembershipWriter,
        fresh_until: datetime | None,
        ended: Collection[Guid] = (),
        group_ids: Collection[str] = (),
    ) -> None:
        self._task = task
        self._run = task.run
        self._lane = lane
        self._ended = ended
        self._lease = lease
        self._writer = writer
        self._undo = undo_run(task)
        self._recheck_rows = self._recheck_plan if self._undo is None else self._recheck_undo
        self._fresh_until = fresh_until if self._undo is None else None  # an undo asks what is so now
        self._matches = matched(task)
        self._accounts_of = claims_by_genesys_user(self._matches)
        self._links = link_moves(task, self._matches)
        self._claimed = claimed_by_others(task, task.run, group_ids)  # once: no definition can take what is ours
        self._stop = Stop(task)
        # `user_patch` is documented nowhere as honoured: only a read-back shows its effect
        self._verifies = task.definition.verify or task.definition.genesys.write == "user_patch"
        self._late: list[Late] = []
        self._refusals = LaneRefusals(task)
        self._unsure: list[Met] = []  # groups that are refused, or whose client is
        self._announced: set[Grant] = set()  # by this task, see `grant_announced_adds`
        self.errors = LaneErrors(self._refusals.client)

    def write_group(self, group_id: str, rows: Sequence[Row]) -> str:
        """Bring the rows of one Genesys group to their end; return its id.

        Rows that an earlier try settled are left as they are.
        """
        if self.errors.should_stop or self._stop.is_set():
            return group_id
        self._lease.renew()
        rows = [row for row in rows if row.status not in SETTLED]
        sent_before = self._task.journal.rows.maybe_sent(self._run, [row.key for row in rows])
        members = self._read_members(group_id, rows, sent_before)
        if members is None:
            return group_id
        checked = self._recheck(group_id, rows, sent_before, members.assumed)
        self._record_met(Met(tuple(row for row in checked if row.status is not Status.PLANNED), is_written=False))
        to_send = [row for row in checked if row.status is Status.PLANNED]
        after = members.read
        if to_send:
            after = self._write(group_id, to_send)
        self._save_figures(group_id, after, written=bool(to_send))
        return group_id

    @property
    def asks_first(self) -> bool:
        """Return True if one group must show first whether the client may write again."""
        return self._refusals.client is not None

    def finish(self) -> None:
        """Bring the lane to its end.

        Lagging groups are read, and the cause of the refusals is decided.
        """
        self._read_late_groups()
        words = self.errors.client_refusal
        if words is None:
            self._record_unsure()
            if not self.errors.is_accepted:
                self._refusals.ask_with_one_first()
            return
        tried = [row for met in self._unsure for row in met.rows]
        self._unsure.clear()
        keys = {row.key for row in tried}
        of_lane = self._task.journal.rows.of_run(self._run, lane=self._lane)
        groups = {row.genesys_group_id or "" for row in of_lane}
        tried_in = {row.genesys_group_id or "" for row in tried}
        self._refusals.client_is_refused(words, self.errors.client_status, groups, tried_in)
        others = [
            row
            for row in of_lane
            if row.key not in keys and (row.status is Status.PLANNED or row.reason is Reason.NOT_ATTEMPTED)
        ]
        refused = [row for row in (*tried, *others) if row.status not in SETTLED]
        self._record([row for row in tried if row.status in SETTLED])
        self._record([refused_with_client(row) for row in refused])

    def _record_unsure(self) -> None:
        while self._unsure:
            self._record_met(self._unsure.pop())

    def _read_late_groups(self) -> None:
        """Read the lagging groups once more at the end of the lane."""
        if self.errors.should_stop:
            return  # Airflow's retry reads them
        within = self._task.definition.genesys.verify_within
        for late in self._late:
            self._wait((late.sent_at + within - self._task.clock()).total_seconds())
            self._lease.renew()
            done, after = self._verify(late.group_id, late.rows, late.results, None, waits=READ_AT_ONCE)
            self._record_met(Met(tuple(done), is_written=late.is_rest_settled))
            if late.is_rest_settled and all(row.status in SETTLED for row in done):
                self.errors.withdraw(late.group_id)
            if after is not None:
                self._save_figures(late.group_id, after, written=True)

    def _wait(self, seconds: float) -> None:
        """Sleep, and keep the lease meanwhile."""
        step = self._task.lease_ttl.total_seconds() / LEASE_RENEWALS_PER_TTL
        while seconds > 0:
            self._lease.renew()
            self._task.sleep(min(step, seconds))
            seconds -= step

    def _write(self, group_id: str, rows: Sequence[Row]) -> frozenset[str] | None:
        """Announce, send, read back and record; return the members afterwards.

        None: the members were not read.
        """
        self._announce(rows)
        results, error = _send(self._lease, self._writer, group_id, rows, removes_first=self._is_urgent(rows))
        sent_at = self._task.clock()
        self._lease.renew()
        done, after = self._verify(group_id, rows, results, error)
        met = judge(group_id, done, results, error, self._refusals.of_group(group_id))
        is_known = self._refusals.is_known(group_id)
        if any(row.status not in SETTLED for row in done):
            # not where the answer was an error and the membership is as it should be all the same
            self.errors.add(group_id, error, is_known=is_known, is_readable=after is not None)
        if met.words is not None:
            self.errors.refused(group_id, met.words, is_known=is_known)
        accepted = any(result.ok for result in results.values())
        if error is None and (after is not None or not self._verifies):
            self.errors.served(accepted=accepted)
        self._record_or_keep(met, accepted=accepted)
        if self._verifies:
            self._keep_late(group_id, rows, results, sent_at, met.rows)
        return after

    def _record_or_keep(self, met: Met, *, accepted: bool) -> None:
        """Record what was met.

        A refused group waits until a write is accepted, or the lane ends.
        """
        if accepted:
            self._refusals.client_is_accepted()
        if met.words is None or self.errors.is_accepted:
            self._record_met(met)
        else:
            self._unsure.append(met)
        if self.errors.is_accepted:
            self._record_unsure()

    def _keep_late(
        self,
        group_id: str,
        rows: Sequence[Row],
        results: Mapping[tuple[str, Action], WriteResult],
        sent_at: datetime,
        done: Sequence[Row],
    ) -> None:
        """Keep the rows that lag behind for `read_late_groups`."""
        late = {row.key for row in done if row.reason in (Reason.NOT_IN_EFFECT, Reason.UNVERIFIED)}
        if late:
            is_rest_settled = all(row.status in SETTLED for row in done if row.key not in late)
            these = tuple(row for row in rows if row.key in late)
            self._late.append(Late(group_id, these, results, sent_at, is_rest_settled))

    def _read_members(self, group_id: str, rows: Sequence[Row], sent_before: Collection[str]) -> Members | None:
        """Return the group's members. If they cannot be read, record that and return None."""
        if self._plan_reading_is_fresh(sent_before):
            # The plan removes those who were there and adds those who were not: that much its rows say.
            return Members(removed_by(rows), read=None)
        try:
            read = self._task.genesys.individuals(group_id)
        except GenesysError as error:
            self.errors.add(group_id, error, is_known=self._refusals.is_known(group_id))
            # what was sent may be in effect: that is not the same as not to know the members
            unread = [
                failed(row, Reason.UNVERIFIED if row.key in sent_before else Reason.GENESYS_UNREADABLE, error)
                for row in rows
            ]
            self._record_met(judge_unread(group_id, unread, error))
            return None
        return Members(read, read)

    def _plan_reading_is_fresh(self, sent_before: Collection[str]) -> bool:
        """Return True if the members that `plan` read may be relied on.

        Not for rows that may have been sent.
        """
        return self._fresh_until is not None and self._task.clock() < self._fresh_until and not sent_before

    def _recheck(
        self, group_id: str, rows: Sequence[Row], sent_before: Collection[str], members: frozenset[str]
    ) -> list[Row]:
        """Check the rows again by the newest view: an old plan never undoes newer truth."""
        checked = self._recheck_rows(group_id, rows, members)
        return [claim_own_success(row) if row.key in sent_before else row for row in checked]

    def _recheck_plan(self, group_id: str, rows: Sequence[Row], members: frozenset[str]) -> Sequence[Row]:
        task = self._task
        target = target_of(task, group_id)
        users = {row.user_guid for row in rows if row.user_guid}
        if any(row.action is Action.REMOVE for row in rows):
            try:
                late = look_up(task, target, self._matches)
                if late:
                    self._matches.update(late)
                    self._accounts_of = claims_by_genesys_user(self._matches)
            except GenesysError as error:
                task.log(f"the other people wanted in Genesys group {group_id} could not be looked up: {error}")
        concerned = users | target.wanted.keys() | target.unreadable
        claimants = {guid for row in rows for guid in self._accounts_of.get(row.genesys_user_id or "", ())}
        changes = task.journal.changes.unsettled({*target.sources, *target.former_sources})
        named = users | claimants
        if mirrors(task):
            named |= target.wanted.keys()  # a row may name who is not identified
        context = planning_context(
            task, self._run, target.sources, named, objections(task, group_id).standing, self._links
        )
        return recheck(
            rows,
            next(iter(PlannedTargets(task, [target], {group_id: members}, self._claimed))),
            {guid: self._matches[guid] for guid in concerned if guid in self._matches},
            task.definition,
            replace(context, user_states=_states_of_absent(task, rows, members)),
            changes,
        )

    def _recheck_undo(self, group_id: str, rows: Sequence[Row], members: frozenset[str]) -> Sequence[Row]:
        task = self._task
        people = task.journal.views.users({row.user_guid for row in rows if row.user_guid})
        target, moved = target_of(task, group_id), linked_otherwise(task, rows)
        checked = recheck_undo(
            rows,
            members,
            changed_since_plan(task, rows),
            wanted=[guid for guid in target.wanted if target.granting(guid) and (group_id, guid) not in moved],
            accounts=unusable_accounts(task),
            excluded=excluded_users(people.values(), task.definition),
            is_mapped=bool(target.sources),
        )
        return unless_claimed(checked, self._claimed.get(group_id))

    def _is_urgent(self, rows: Sequence[Row]) -> bool:
        return any(row.action is Action.REMOVE and row.user_guid in self._ended for row in rows)

    def _announce(self, rows: Sequence[Row]) -> None:
        """Record before the request that it may have been sent; grant its adds."""
        journal = self._task.journal
        with journal.together():
            journal.rows.mark_sending(self._run, [row.key for row in rows], self._lease.fence, self._task.clock())
            self._announced.update(grant_announced_adds(self._task, rows))

    def _verify(
        self,
        group_id: str,
        rows: Sequence[Row],
        results: Mapping[tuple[str, Action], WriteResult],
        error: GenesysError | None,
        waits: Sequence[float] = READ_BACK_WAITS,
    ) -> tuple[list[Row], frozenset[str] | None]:
        """Return the sent rows with their outcomes, and the group's members afterwards.

        The members are None if they were not read. ``error``: what ended the requests before their end.
        """
        waits = waits if self._verifies else ()
        outcome = read_back(self._task, self._writer, group_id, rows, results, waits)
        self.errors.add(group_id, outcome.error)
        return [with_error(row, error) for row in recheck_refused_users(self._task, outcome.rows)], outcome.members

    def _record_met(self, met: Met) -> None:
        """Store outcomes, and what is known of refusals by now."""
        with self._task.journal.together():
            self._record(self._refusals.record(met))

    def _record(self, rows: Sequence[Row]) -> None:
        """Store outcomes, ownership and pins in one transaction; without the lease, none of them."""
        if not rows:
            return
        task = self._task
        organisation = task.organisation
        with task.journal.together():
            if self._undo is not None:
                pin_undone(task, self._run, self._undo, rows)
            grant_settled_adds(task, rows)
            take_back_grants(task, rows, self._announced)
            drop_grants_of_settled_removals(task, rows)
            task.journal.rows.record_outcomes(
                self._run, rows, at=task.clock(), fence=self._lease.fence, organisation=organisation
            )

    def _save_figures(self, group_id: str, after: frozenset[str] | None, *, written: bool) -> None:
        """Store how many members the group has now, for its line in the report."""
        journal = self._task.journal
        journal.figures.save_groups(
            self._run,
            [
                replace(result, after=len(after) if after is not None else None if written else result.before)
                for result in journal.figures.groups(self._run, group_id)
            ],
        )


def _states_of_absent(task: TaskContext, rows: Sequence[Row], members: Collection[str]) -> dict[str, str]:
    """Return the states of users to remove that are not among the members."""
    absent = {
        row.genesys_user_id
        for row in rows
        if row.action is Action.REMOVE and row.genesys_user_id and row.genesys_user_id not in members
    }
    try:
        return states_of(task, absent)
    except GenesysError as error:
        task.log(f"the states of {len(absent)} Genesys users could not be read: {error}")
        return dict.fromkeys(absent, "unknown")


def _send(
    lease: Lease, writer: MembershipWriter, group_id: str, rows: Sequence[Row], *, removes_first: bool
) -> tuple[dict[tuple[str, Action], WriteResult], GenesysError | None]:
    """Send the rows; return their results and the error that ended it early."""
    adds = [row.genesys_user_id for row in rows if row.action is Action.ADD and row.genesys_user_id]
    removes = [row.genesys_user_id for row in rows if row.action is Action.REMOVE and row.genesys_user_id]
    removes = list(dict.fromkeys(removes))  # two accounts that are the same Genesys user may leave together
    results: dict[tuple[str, Action], WriteResult] = {}
    parts = [(adds, removes)]
    if removes_first and len(adds) + len(removes) > MAX_MEMBERS:  # else they are in the first request anyway
        parts = [([], removes), (adds, [])]
    try:
        for these_adds, these_removes in parts:
            for result in writer.apply(group_id, these_adds, these_removes, before_request=lease.renew):
                results[result.user_id, result.action] = result
    except GenesysError as error:
        return results, error
    return results, None
