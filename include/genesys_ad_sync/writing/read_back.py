"""The answer of Genesys after writing decides what the report calls a success.

Used by `lane` only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from genesys_ad_sync.genesys.errors import GenesysError
from genesys_ad_sync.genesys.writers import MembershipWriter, WriteResult
from genesys_ad_sync.model import Action, Reason, Row, Status
from genesys_ad_sync.run.context import TaskContext

READ_BACK_WAITS = (0.0, 1.0, 2.0, 4.0, 8.0)  # seconds before each read-back: Genesys answers before it is in effect
READ_AT_ONCE = (0.0,)

Results = Mapping[tuple[str, Action], WriteResult]
Losses = Mapping[str, frozenset[str] | None]
"""Genesys user -> other groups that the user lost with the writing; None: not known."""


@dataclass(frozen=True)
class ReadBack:
    """``members``: the group's members afterwards; None: not read. ``error``: why not."""

    rows: list[Row]
    members: frozenset[str] | None = None
    error: GenesysError | None = None


@dataclass(frozen=True)
class Observed:
    """What the last read-back saw. ``members``: None if it failed, then ``error`` says why."""

    members: frozenset[str] | None = None
    lost: Losses = field(default_factory=dict)
    error: GenesysError | None = None


def read_back(
    task: TaskContext,
    writer: MembershipWriter,
    group_id: str,
    rows: Sequence[Row],
    results: Results,
    waits: Sequence[float] = READ_BACK_WAITS,
) -> ReadBack:
    """Return the rows with their outcomes.

    Reads the group again until everything that may be in effect is, or the waits are over: what then is not, has
    failed. ``waits``: seconds before each reading, cut to `genesys.verify_within`. Without any, the answers to the
    write decide.
    """
    answered = [_with_result(row, results.get((row.genesys_user_id or "", row.action))) for row in rows]
    if not waits or all(row.reason is Reason.NOT_ATTEMPTED for row in answered):
        return ReadBack([_not_visible(row) for row in answered])
    expected = [row for row in answered if _may_be_in_effect(row)]
    observed = _wait_until_in_effect(task, writer, group_id, expected, _within(task, waits))
    rows = [_not_visible(_verified(row, observed), observed.members or ()) for row in answered]
    return ReadBack(rows, observed.members, observed.error)


def _wait_until_in_effect(
    task: TaskContext, writer: MembershipWriter, group_id: str, expected: Sequence[Row], waits: Sequence[float]
) -> Observed:
    """Read the group until these rows are in effect, or the waits are over."""
    users = [row.genesys_user_id for row in expected if row.genesys_user_id]
    observed = Observed()
    for wait in waits:
        if wait:
            task.sleep(wait)
        try:
            present = task.genesys.individuals(group_id)
            lost = _without_our_removals(task, writer.lost_groups(users))
        except GenesysError as error:
            observed = Observed(None, observed.lost, error)
            continue
        observed = Observed(present, lost)
        if not lost and all(_in_effect(row, present) for row in expected):
            break
    return observed


def _within(task: TaskContext, waits: Sequence[float]) -> list[float]:
    """Return the waits whose sum is within `genesys.verify_within`, the first one in any case."""
    longest = task.definition.genesys.verify_within.total_seconds()
    return [wait for number, wait in enumerate(waits) if number == 0 or sum(waits[: number + 1]) <= longest]


def _without_our_removals(task: TaskContext, lost: Losses) -> Losses:
    """Leave out groups from which another task of this run removes the same user."""
    if not any(lost.values()):
        return lost
    ours = {
        (row.genesys_user_id, row.genesys_group_id)
        for row in task.journal.rows.of_run(task.run)
        if row.action is Action.REMOVE and row.genesys_user_id in lost
    }
    left = {
        user: None if groups is None else frozenset(group for group in groups if (user, group) not in ours)
        for user, groups in lost.items()
    }
    return {user: groups for user, groups in left.items() if groups is None or groups}


def _with_result(row: Row, result: WriteResult | None) -> Row:
    if result is None:
        return replace(row, status=Status.FAILED, reason=Reason.NOT_ATTEMPTED, error="not sent")
    failure = Reason.NOT_IN_EFFECT if result.conflict else Reason.REFUSED  # a conflict is not a refusal
    failure = Reason.UNVERIFIED if result.ambiguous else failure
    return replace(
        row,
        status=Status.SUCCESS if result.ok else Status.FAILED,
        reason=None if result.ok else failure,
        http_code=result.http_code,
        correlation_id=result.correlation_id,
        error=result.error,
    )


def _may_be_in_effect(row: Row) -> bool:
    """Return True for a row that was accepted or got no answer.

    A refused one need not be waited for.
    """
    return row.status is Status.SUCCESS or row.reason is Reason.UNVERIFIED


def _in_effect(row: Row, present: Collection[str]) -> bool:
    return (row.genesys_user_id in present) is (row.action is Action.ADD)


def _verified(row: Row, observed: Observed) -> Row:
    if row.reason is Reason.NOT_ATTEMPTED:
        return row
    if observed.members is None:
        return _unread(row, observed.error)
    user_id = row.genesys_user_id or ""
    if user_id in observed.lost and _may_be_in_effect(row):
        return replace(row, status=Status.FAILED, reason=Reason.UNVERIFIED, error=_loss(observed.lost[user_id]))
    return _judged(row, in_effect=_in_effect(row, observed.members))


def _judged(row: Row, *, in_effect: bool) -> Row:
    """Return the row with what a reading of the membership proves."""
    if in_effect:
        # also where the answer was lost or an error: the membership itself decides
        return replace(row, status=Status.SUCCESS, reason=None, error=None)
    if row.status is Status.SUCCESS:
        return replace(row, status=Status.FAILED, reason=Reason.NOT_IN_EFFECT, error="accepted, but not in effect")
    if row.reason is Reason.UNVERIFIED:
        return replace(row, reason=Reason.NOT_IN_EFFECT)
    return row


def _not_visible(row: Row, members: Collection[str] = ()) -> Row:
    """Return the row as settled if Genesys shows its removed user nowhere.

    No later reading can show more. ``members``: those that the read-back showed. A user among them is visible by now,
    and a refused removal is tried again.
    """
    hidden = row.action is Action.REMOVE and row.unseen and row.genesys_user_id not in members
    if hidden and (row.status is Status.SUCCESS or row.reason is Reason.REFUSED):
        return replace(row, status=Status.UNCHANGED, reason=Reason.MEMBER_NOT_VISIBLE, error=None)
    return row


def _unread(row: Row, error: GenesysError | None) -> Row:
    if row.status is not Status.SUCCESS:
        return row
    why = error.report_text() if error else "nobody tried"
    return replace(row, status=Status.FAILED, reason=Reason.UNVERIFIED, error=f"could not be read back: {why}")


def _loss(groups: frozenset[str] | None) -> str:
    if groups is None:
        return "written, but Genesys does not show which other groups the user still has"
    return f"written, but the user is no longer in these groups, which nobody asked for: {', '.join(sorted(groups))}"
