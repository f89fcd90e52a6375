"""Which mapped task instance writes which rows: request costs, lanes, XCom batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from genesys_ad_sync.model import Action, Row, Status

MAX_LANES = 8
"""Mapped task instances that write; few and large, since each costs seconds to start (reference/airflow.md)."""

REQUESTS_PER_LANE = 50
"""About this many requests are worth the start of another instance."""

BATCH = 50
"""Members per request (reference/genesys-cloud-api.md)."""

FIRST_APPROVED_LANE = 100
"""Lanes from here on belong to `patch_approved`, lower ones to `patch`."""


def assign_lanes(rows: Iterable[Row], write: str, *, most: int = MAX_LANES) -> tuple[Row, ...]:
    """Assign lanes, from 0, to the ``planned`` rows; others lose theirs.

    All rows of a Genesys group share one lane. ``write``: the definition's `genesys.write`. ``most``: lanes at most.
    """
    rows = list(rows)
    planned: dict[str, list[Row]] = {}
    for row in rows:
        if row.status is Status.PLANNED:
            planned.setdefault(row.genesys_group_id or "", []).append(row)
    lane_of = _balanced({group_id: _requests(group_rows, write) for group_id, group_rows in planned.items()}, most)
    return tuple(
        dataclasses.replace(row, lane=lane_of[row.genesys_group_id or ""] if row.status is Status.PLANNED else None)
        for row in rows
    )


def lane_batches(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the XCom of the mapped tasks: one entry per lane, in ids and counts."""
    by_lane: dict[int, list[Row]] = {}
    for row in rows:
        if row.lane is not None:
            by_lane.setdefault(row.lane, []).append(row)
    return [
        {
            "lane": lane,
            "groups": sorted({row.genesys_group_id for row in lane_rows if row.genesys_group_id}),
            "add": sum(row.action is Action.ADD for row in lane_rows),
            "remove": sum(row.action is Action.REMOVE for row in lane_rows),
        }
        for lane, lane_rows in sorted(by_lane.items())
    ]


def _balanced(costs: dict[str, int], most: int) -> dict[str, int]:
    """Give each Genesys group, the most expensive first, to the emptiest lane."""
    count = max(1, min(most, sum(costs.values()) // REQUESTS_PER_LANE, len(costs)))
    loads = [0] * count
    lane_of: dict[str, int] = {}
    for group_id in sorted(costs, key=lambda key: (-costs[key], key)):
        lane = loads.index(min(loads))
        lane_of[group_id] = lane
        loads[lane] += costs[group_id]
    return lane_of


def _requests(rows: Sequence[Row], write: str) -> int:
    """Estimate the requests for the rows of one Genesys group, re-check and read-back included."""
    adds = sum(row.action is Action.ADD for row in rows)
    removals = len(rows) - adds
    if write == "user_patch":
        return 2 + 3 * len(rows)  # read, write and read back each person
    if write == "group_members":
        return 2 + 2 * _batches(adds) + _batches(removals)  # each POST needs the newest version
    return 2 + _batches(adds + removals)


def _batches(members: int) -> int:
    return -(-members // BATCH)
