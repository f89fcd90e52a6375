"""Rows that are not carried out, or not yet seen to be in effect.

Used by `lane` only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from genesys_ad_sync.genesys.errors import GenesysError
from genesys_ad_sync.genesys.writers import WriteResult
from genesys_ad_sync.model import Action, Reason, Row, Status


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


def claim_own_success(row: Row) -> Row:
    """Return a sent row as a success if it is in effect.

    An earlier try sent it and died before it could record that.
    """
    if row.status is Status.UNCHANGED and row.reason is Reason.ALREADY_SO:
        return replace(row, status=Status.SUCCESS, reason=None)
    return row
