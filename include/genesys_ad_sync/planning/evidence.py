"""What a list of changes says: the newest one, and the reason to hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from genesys_ad_sync.model import Change, Guid, Reason


def age(change: Change) -> tuple[datetime, int]:
    """Return the sort key of a change; the newest change has the largest."""
    return change.observed_at, change.id or 0


def change_ids(changes: Iterable[Change]) -> tuple[int, ...]:
    """Return the journal's ids of the changes, sorted and without duplicates."""
    return tuple(sorted({change.id for change in changes if change.id is not None}))


def newest_polled_change(changes: Iterable[Change]) -> int:
    """Return the id of the newest change that a poll saw, or 0."""
    return max((change.id or 0 for change in changes if change.origin == "poll"), default=0)


def untold(changes: Iterable[Change]) -> bool:
    """Return True if nothing in AD is behind these changes: a comparison, or an edit of the definition, made them."""
    changes = list(changes)
    return bool(changes) and all(
        change.origin == "comparison" or change.held_reason is Reason.SCOPE_CHANGED for change in changes
    )


def held_reason(changes: Iterable[Change]) -> Reason | None:
    """Return the reason of the first AD group, by guid, whose newest change is held.

    A removal is only certain if the newest change of every AD group behind it is.
    """
    newest: dict[Guid, Change] = {}
    for change in sorted(changes, key=age):
        newest[change.group_guid] = change
    return next((newest[guid].held_reason for guid in sorted(newest) if newest[guid].held_reason), None)
