"""The order in which a person reads the rows of a report.

Rows that need a look come first, and of these the new before the known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genesys_ad_sync.report.wording import READING_ORDER, is_new, needs_attention

Detail = Mapping[str, Any]

_PLACE = {status.value: place for place, status in enumerate(READING_ORDER)}
_OF_EACH_KIND = 3
"""Rows of each status and reason that are shown before the most urgent ones fill the rest."""


@dataclass(frozen=True)
class Kind:
    """Rows of one status and reason.

    ``since``: when the oldest of them was first listed; None: not known.
    """

    status: str
    reason: str | None
    count: int
    new: int
    since: str | None


def by_urgency(report: Mapping[str, Any]) -> list[Detail]:
    """Return the rows by status, the new ones first.

    Within that, the report's own order counts.
    """
    return sorted(report["details"], key=lambda detail: _urgency(report, detail))


def most_urgent(report: Mapping[str, Any], limit: int) -> list[Detail]:
    """Return at most ``limit`` rows by urgency.

    They are a few of each status and reason, then the most urgent ones.
    """
    details = by_urgency(report)
    if len(details) <= limit:
        return details
    seen: dict[tuple[str, str | None], int] = {}
    first: list[int] = []
    rest: list[int] = []
    for place, detail in enumerate(details):
        kind = detail["status"], detail["reason"]
        seen[kind] = seen.get(kind, 0) + 1
        (first if seen[kind] <= _OF_EACH_KIND else rest).append(place)
    return [details[place] for place in sorted([*first, *rest][:limit])]


def kinds(report: Mapping[str, Any]) -> list[Kind]:
    """Return how many rows there are of each status and reason, the most urgent first."""
    found: dict[tuple[str, str | None], list[Detail]] = {}
    for detail in by_urgency(report):
        found.setdefault((detail["status"], detail["reason"]), []).append(detail)
    counted = [
        Kind(status, reason, len(details), count_new(report, details), _oldest(details))
        for (status, reason), details in found.items()
    ]
    return sorted(counted, key=lambda kind: (_PLACE[kind.status], -kind.count))


def count_new(report: Mapping[str, Any], details: Iterable[Detail]) -> int:
    """Count the rows that need attention and were not listed before."""
    return sum(is_new(report, detail) for detail in details)


def _oldest(details: Sequence[Detail]) -> str | None:
    return min((detail["first_seen_at"] for detail in details if detail.get("first_seen_at")), default=None)


def _urgency(report: Mapping[str, Any], detail: Detail) -> tuple[int, bool]:
    return _PLACE[detail["status"]], needs_attention(detail) and not is_new(report, detail)
