"""What a list of changes says: the newest one, and the reason to hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from genesys_ad_sync.model import Change, Doubt, Evidence, Guid, Reason


def age(change: Change) -> tuple[datetime, int]:
    """Return the sort key of a change; the newest change has the largest."""
    return change.observed_at, change.id or 0


def change_ids(changes: Iterable[Change]) -> tuple[int, ...]:
    """Return the journal's ids of the changes, sorted and without duplicates."""
    return tuple(sorted({change.id for change in changes if change.id is not None}))


def newest_polled_change(changes: Iterable[Change]) -> int:
    """Return the id of the newest change that AD reported, or 0."""
    return max((change.id or 0 for change in changes if change.evidence is Evidence.TOLD), default=0)


def untold(changes: Iterable[Change]) -> bool:
    """Return True if nothing in AD is behind these changes.

    A comparison, or an edit of the definition, made them.
    """
    changes = list(changes)
    return bool(changes) and all(
        change.origin == "comparison" or change.held_reason is Reason.SCOPE_CHANGED for change in changes
    )


def held_reason(changes: Iterable[Change]) -> Reason | None:
    """Return the reason of the first AD group, by guid, whose newest change is held.

    A removal is only certain if the newest change of every AD group behind it is.
    """
    held = _held(changes)
    return held.held_reason if held is not None else None


def about_doubt(changes: Iterable[Change]) -> dict[str, str]:
    """Return what the held reason is about, for `Row.about`."""
    change = _held(changes)
    if change is None or change.held_reason not in {Reason.OTHER_DOMAIN_CONTROLLER, Reason.MAPPING_CHANGED}:
        return {}
    doubt = change.doubt or Doubt()
    about = {"since": change.observed_at.isoformat()}
    if doubt.shown_by:
        about["shown_by"] = doubt.shown_by
    if change.held_reason is Reason.OTHER_DOMAIN_CONTROLLER:
        names = sorted(doubt.lacks) or ([change.trusted_dc] if change.trusted_dc else [])
        if names:
            about["domain_controller"] = ", ".join(names)
        if doubt.lacks:
            about["behind"] = ", ".join(f"{doubt.lacks[name]} changes of {name}" for name in names)
    if doubt.ask:
        about["ask"] = "yes"
    return about


def doubted_groups(changes: Iterable[Change]) -> frozenset[Guid]:
    """Return the AD groups whose newest change only another domain controller shows."""
    newest = _newest(changes)
    return frozenset(g for g, change in newest.items() if change.held_reason is Reason.OTHER_DOMAIN_CONTROLLER)


def recorded_by(changes: Iterable[Change]) -> int:
    """Return the newest poll that recorded one of the changes; 0: not known."""
    return max((change.poll for change in changes), default=0)


def _held(changes: Iterable[Change]) -> Change | None:
    """Return the change whose reason counts.

    One that no person may decide yet goes before one that a person may.
    """
    newest = _newest(changes)
    held = [newest[guid] for guid in sorted(newest) if newest[guid].held_reason]
    return min(held, key=lambda change: change.doubt is not None and change.doubt.ask, default=None)


def _newest(changes: Iterable[Change]) -> dict[Guid, Change]:
    """Return the newest change of each AD group."""
    return {change.group_guid: change for change in sorted(changes, key=age)}
