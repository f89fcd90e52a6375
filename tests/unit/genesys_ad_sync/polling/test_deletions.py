"""Deletions without tombstones: which groups are looked at in which poll."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from genesys_ad_sync.polling.deletions import MEMBERSHIPS_PER_POLL, part_of_this_poll

GROUPS = [f"g{number:02}" for number in range(10)]
T0 = datetime(2026, 1, 1, tzinfo=timezone.utc)
QUARTER = "*/15 * * * *"


def test_all_groups_are_looked_at_while_that_is_cheap() -> None:
    assert part_of_this_poll(GROUPS, MEMBERSHIPS_PER_POLL, QUARTER, T0) == GROUPS
    assert part_of_this_poll([], 0, QUARTER, T0) == []


@pytest.mark.parametrize(("memberships", "parts"), [(20_001, 2), (60_000, 3), (1_000_000, 4)])
def test_many_memberships_take_turns_and_an_hour_sees_them_all(memberships: int, parts: int) -> None:
    polls = [part_of_this_poll(GROUPS, memberships, QUARTER, T0 + timedelta(minutes=15 * n)) for n in range(4)]
    assert sorted({group for part in polls for group in part}) == GROUPS
    assert len({tuple(part) for part in polls}) == parts


@pytest.mark.parametrize("schedule", ["0 * * * *", "0 3 * * *"])
def test_a_rare_schedule_looks_at_everything_each_time(schedule: str) -> None:
    assert part_of_this_poll(GROUPS, 1_000_000, schedule, T0) == GROUPS
