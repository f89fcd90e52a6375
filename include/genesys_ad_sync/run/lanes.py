"""What the mapped tasks are told: one batch each, in ids and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genesys_ad_sync.model import Action, Row


def batches_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One entry per lane: what its instance will do."""
    lanes = sorted({row.lane for row in rows if row.lane is not None})
    batches = []
    for lane in lanes:
        mine = [row for row in rows if row.lane == lane]
        batches.append(
            {
                "lane": lane,
                "groups": sorted({row.genesys_group_id for row in mine if row.genesys_group_id}),
                "add": sum(row.action is Action.ADD for row in mine),
                "remove": sum(row.action is Action.REMOVE for row in mine),
            }
        )
    return batches
