"""The batches that the mapped tasks get."""

from __future__ import annotations

from genesys_ad_sync.model import Action, Row, Status
from genesys_ad_sync.planning.lanes import lane_batches


def row(action: Action, group: str, user: str, lane: int | None) -> Row:
    return Row(action, Status.PLANNED, group, user, ("g",), lane=lane)


def test_a_batch_names_its_groups_and_counts_and_no_person() -> None:
    rows = [
        row(Action.ADD, "B", "u1", 1),
        row(Action.REMOVE, "B", "u2", 1),
        row(Action.ADD, "A", "u1", 1),
        row(Action.ADD, "C", "u3", 0),
        row(Action.ADD, "D", "u4", None),
    ]
    assert lane_batches(rows) == [
        {"lane": 0, "groups": ["C"], "add": 1, "remove": 0},
        {"lane": 1, "groups": ["A", "B"], "add": 2, "remove": 1},
    ]


def test_a_plan_without_lanes_has_no_batches() -> None:
    assert lane_batches([row(Action.ADD, "A", "u", None)]) == []
