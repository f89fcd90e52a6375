"""Each limit: one removal below it and one above it."""

from __future__ import annotations

import pytest

from genesys_ad_sync.planning.limits import PendingRemovals, check_limits, shrinks_implausibly
from genesys_ad_sync.settings import Limits


def pending(count: int, owned: int = 0, id_: str = "G") -> PendingRemovals:
    return PendingRemovals(id_, f"group {id_}", count, owned)


LIMITS = Limits(removals=5, removals_percent=20, min_group_size=10, per_run=8, per_day=20)


def test_as_many_as_the_limit_of_a_group_may_go_and_one_more_holds_all_of_it() -> None:
    assert check_limits([pending(5)], 0, LIMITS).held_groups == frozenset()
    made = check_limits([pending(6), pending(1, id_="H")], 0, LIMITS)
    assert made.held_groups == {"G"}
    assert "limits.removals is 5" in made.texts[0]


def test_the_percentage_counts_the_members_whom_ad_owns() -> None:
    assert check_limits([pending(2, owned=10)], 0, LIMITS).held_groups == frozenset()
    assert check_limits([pending(3, owned=10)], 0, LIMITS).held_groups == {"G"}


def test_small_groups_have_no_percentage() -> None:
    assert check_limits([pending(5, owned=9)], 0, LIMITS).held_groups == frozenset()


def test_the_limit_of_a_run_holds_every_removal_of_the_run() -> None:
    groups = [pending(4, id_="G"), pending(4, id_="H"), pending(0, id_="I")]
    assert check_limits(groups, 0, LIMITS).held_groups == frozenset()
    made = check_limits([*groups, pending(1, id_="J")], 0, LIMITS)
    assert made.held_groups == {"G", "H", "J"}


def test_a_slow_leak_is_stopped_by_the_limit_of_a_day() -> None:
    assert check_limits([pending(5)], 15, LIMITS).held_groups == frozenset()
    made = check_limits([pending(5)], 16, LIMITS)
    assert made.held_groups == {"G"}
    assert "after 16 today" in made.texts[0]


def test_a_day_that_is_used_up_holds_nothing_where_nothing_is_to_be_removed() -> None:
    assert check_limits([pending(0)], 99, LIMITS).texts == ()


def test_a_limit_of_zero_lets_nobody_go() -> None:
    assert check_limits([pending(1)], 0, Limits(removals=0)).held_groups == {"G"}


# -- what is too much to be believed ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "lost", "too_much"),
    [(10, 3, False), (10, 4, True), (9, 8, False), (9, 9, True), (1, 1, True), (100, 0, False), (0, 0, False)],
)
def test_so_many_members_cannot_have_gone_without_a_word(before: int, lost: int, too_much: bool) -> None:
    assert shrinks_implausibly(before, lost, Limits(shrink_percent=30, min_group_size=10)) is too_much


def test_a_hundred_percent_believes_everything() -> None:
    assert not shrinks_implausibly(10, 10, Limits(shrink_percent=100))
