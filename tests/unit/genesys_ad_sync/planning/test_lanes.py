"""How the rows are shared among the mapped instances that write."""

from __future__ import annotations

from dataclasses import replace

from genesys_ad_sync.model import Action, Row, Status
from genesys_ad_sync.planning import assign_lanes
from genesys_ad_sync.planning.lanes import lane_batches
from tests.support.planning_examples import added


def rows_of(group: str, adds: int) -> list[Row]:
    made = added().rows[0]
    return [replace(made, genesys_group_id=group, user_guid=f"u{number}", lane=None) for number in range(adds)]


def test_little_work_is_one_lane() -> None:
    rows = assign_lanes([row for number in range(10) for row in rows_of(f"G{number}", 30)], "scim_patch")
    assert {row.lane for row in rows} == {0}


def test_much_work_is_a_bounded_number_of_balanced_lanes_and_a_group_is_never_split() -> None:
    rows = assign_lanes(
        [row for number in range(400) for row in rows_of(f"G{number:03}", 1 + number % 7)], "scim_patch"
    )
    lanes: dict[int | None, set[str | None]] = {}
    for row in rows:
        lanes.setdefault(row.lane, set()).add(row.genesys_group_id)
    assert sorted(lanes, key=str) == list(range(8))
    assert sum(len(groups) for groups in lanes.values()) == 400
    assert max(map(len, lanes.values())) - min(map(len, lanes.values())) <= 1


def test_ways_of_writing_that_cost_more_requests_open_more_lanes() -> None:
    rows = [*rows_of("G", 100), *rows_of("H", 100)]
    assert {row.lane for row in assign_lanes(rows, "scim_patch")} == {0}
    assert {row.lane for row in assign_lanes(rows, "user_patch")} == {0, 1}


def test_only_what_is_planned_has_a_lane() -> None:
    held = replace(rows_of("G", 1)[0], status=Status.HELD, lane=4)
    assert assign_lanes([held], "scim_patch")[0].lane is None


def test_a_mapped_task_gets_its_lane_its_groups_and_counts() -> None:
    add, other = rows_of("G", 1)[0], rows_of("H", 1)[0]
    remove = replace(add, action=Action.REMOVE)
    rows = [replace(other, lane=1), replace(add, lane=0), replace(remove, lane=0), replace(add, lane=None)]
    assert lane_batches(rows) == [
        {"lane": 0, "groups": ["G"], "add": 1, "remove": 1},
        {"lane": 1, "groups": ["H"], "add": 1, "remove": 0},
    ]
    assert lane_batches([]) == []
