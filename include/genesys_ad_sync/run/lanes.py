"""Lanes of a plan: the batches that the mapped tasks get, in ids and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genesys_ad_sync.model import Action, Row

FIRST_APPROVED_LANE = 100
"""Lanes from here on are written by `patch_approved`; those below by `patch`."""


def lane_batches(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return one batch per lane: {lane, groups: sorted Genesys group ids, add: count, remove: count}."""
    lanes: dict[int, list[Row]] = {}
    for row in rows:
        if row.lane is not None:
            lanes.setdefault(row.lane, []).append(row)
    return [
        {
            "lane": lane,
            "groups": sorted({row.genesys_group_id for row in lanes[lane] if row.genesys_group_id}),
            "add": sum(row.action is Action.ADD for row in lanes[lane]),
            "remove": sum(row.action is Action.REMOVE for row in lanes[lane]),
        }
        for lane in sorted(lanes)
    ]
