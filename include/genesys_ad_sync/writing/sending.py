"""Sends the rows of a group, and sets their state after it.

Used by `lane` only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from genesys_ad_sync.genesys.errors import GenesysError
from genesys_ad_sync.genesys.writers import MAX_MEMBERS, MembershipWriter, WriteResult
from genesys_ad_sync.model import Action, Reason, Row, Status
from genesys_ad_sync.writing.lease import Lease


@dataclass(frozen=True)
class Late:
    """Rows of a group that may be in effect, but were not seen so.

    They were not seen so when they were read back. ``is_rest_settled``: the other rows that were sent are at their end.
    """

    group_id: str
    rows: tuple[Row, ...]
    results: Mapping[tuple[str, Action], WriteResult]
    sent_at: datetime
    is_rest_settled: bool


def removed_by(rows: Sequence[Row]) -> frozenset[str]:
    """Return the members to remove, without those that the plan has not seen."""
    return frozenset(
        row.genesys_user_id for row in rows if row.action is Action.REMOVE and row.genesys_user_id and not row.unseen
    )


def send(
    lease: Lease, writer: MembershipWriter, group_id: str, rows: Sequence[Row], *, removes_first: bool
) -> tuple[dict[tuple[str, Action], WriteResult], GenesysError | None]:
    """Send the rows; return their results, and the error that ended it early.

    An unsent row has no result.
    """
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


def with_error(row: Row, error: GenesysError | None) -> Row:
    """Return an unsent row with the error that ended the requests of its group."""
    if error is None or row.reason is not Reason.NOT_ATTEMPTED:
        return row
    return failed(row, Reason.NOT_ATTEMPTED, error)


def failed(row: Row, reason: Reason, error: GenesysError) -> Row:
    return replace(
        row,
        status=Status.FAILED,
        reason=reason,
        error=error.report_text(),
        http_code=error.status,
        correlation_id=error.correlation_id,
    )
