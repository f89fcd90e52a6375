"""Each limit: one change below it and one above it."""

from __future__ import annotations

from typing import Any

import pytest

from genesys_ad_sync.model import Action
from genesys_ad_sync.planning.limits import (
    Pending,
    as_exceeded,
    check_limits,
    in_words,
    shrinks_implausibly,
    still_over,
)
from genesys_ad_sync.settings import Limits

BOTH = pytest.mark.parametrize("action", list(Action))


def pending(count: int, members: int = 0, id_: str = "G", action: Action = Action.REMOVE, **more: Any) -> Pending:
    return Pending(action, id_, f"group {id_}", count, members, **more)


LIMITS = Limits(
    removals=5,
    removals_percent=20,
    min_group_size=10,
    per_run=8,
    per_day=20,
    additions=5,
    additions_percent=20,
    additions_per_run=8,
)


def held(*groups: Pending, removed_today: int = 0, limits: Limits = LIMITS) -> dict[str, tuple[str, ...]]:
    """Return Genesys group id -> the exceeded limits."""
    return {id_: keys for (_, id_), keys in check_limits(groups, removed_today, limits).held.items()}


@BOTH
def test_as_many_as_the_limit_of_a_group_may_change_and_one_more_holds_all_of_it(action: Action) -> None:
    assert held(pending(5, action=action)) == {}
    made = check_limits([pending(6, action=action), pending(1, id_="H", action=action)], 0, LIMITS)
    key = "removals" if action is Action.REMOVE else "additions"
    assert made.held == {(action, "G"): (key,)}
    assert f"limits.{key} is 5" in made.texts[0]
    assert made.by_group == {"G": made.texts}


def test_the_percentage_of_removals_counts_a_day_and_the_members_whom_ad_owned_before() -> None:
    assert held(pending(2, members=10)) == {}
    assert held(pending(3, members=10)) == {"G": ("removals_percent",)}
    assert held(pending(1, members=9, today=1)) == {}
    assert held(pending(2, members=9, today=1)) == {"G": ("removals_percent",)}
    assert held(pending(1, members=16, today=4)) == {"G": ("removals_percent",)}


def test_the_percentage_of_additions_counts_a_day_and_the_members_before() -> None:
    assert held(pending(2, members=10, action=Action.ADD)) == {}
    assert held(pending(3, members=10, action=Action.ADD)) == {"G": ("additions_percent",)}
    assert held(pending(1, members=11, today=1, action=Action.ADD)) == {}
    assert held(pending(2, members=11, today=1, action=Action.ADD)) == {"G": ("additions_percent",)}
    none = Limits(additions=99)
    assert held(pending(90, members=10, action=Action.ADD), limits=none) == {}


@BOTH
def test_small_groups_have_no_percentage(action: Action) -> None:
    assert held(pending(5, members=9, action=action)) == {}
    assert held(pending(1, members=0, action=action)) == {}
    assert held(pending(5, members=20, today=15, action=Action.ADD)) == {}  # it had five


def test_the_size_of_a_group_is_that_of_a_day_ago() -> None:
    assert held(pending(1, members=4, today=6)) == {"G": ("removals_percent",)}


@BOTH
def test_the_limit_of_a_run_holds_every_change_of_that_action(action: Action) -> None:
    other = Action.ADD if action is Action.REMOVE else Action.REMOVE
    groups = [pending(4, id_="G", action=action), pending(4, id_="H", action=action), pending(0, id_="I")]
    assert held(*groups) == {}
    key = "per_run" if action is Action.REMOVE else "additions_per_run"
    made = check_limits([*groups, pending(1, id_="J", action=action), pending(1, id_="K", action=other)], 0, LIMITS)
    assert made.held == {(action, "G"): (key,), (action, "H"): (key,), (action, "J"): (key,)}
    assert made.by_group == {}


def test_a_slow_leak_is_stopped_by_the_limit_of_a_day() -> None:
    assert held(pending(5), removed_today=15) == {}
    made = check_limits([pending(5)], 16, LIMITS)
    assert made.held == {(Action.REMOVE, "G"): ("per_day",)}
    assert "after 16 in the last 24 hours" in made.texts[0]


def test_a_day_that_is_used_up_holds_nothing_where_nothing_is_to_be_removed() -> None:
    assert check_limits([pending(0), pending(1, action=Action.ADD)], 99, LIMITS).texts == ()


def test_a_limit_of_zero_lets_nobody_go() -> None:
    assert held(pending(1), limits=Limits(removals=0)) == {"G": ("removals",)}


# -- nobody left --------------------------------------------------------------------------------------


def test_a_group_that_would_be_empty_is_held_and_stops_no_run() -> None:
    assert held(pending(1, most_owned=1)) == {}
    made = check_limits([pending(1, most_owned=2)], 0, LIMITS)
    assert made.held == {(Action.REMOVE, "G"): ("empty_group",)}
    assert made.texts == ()
    assert "limits.empty_group is approve" in made.by_group["G"][0]
    assert held(pending(1, most_owned=2), limits=Limits(empty_group="allow")) == {}


# -- the first comparison -----------------------------------------------------------------------------


def test_the_first_live_comparison_is_named_once_if_additions_are_too_many() -> None:
    many = [pending(6, id_=id_, action=Action.ADD) for id_ in "GHI"]
    first = check_limits(many, 0, LIMITS, first_comparison=True)
    assert "first live comparison of the definition, with 18 additions in 3 Genesys groups" in first.texts[0]
    assert sum("first live comparison" in text for text in first.texts) == 1
    assert "first live comparison" not in str(check_limits(many, 0, LIMITS).texts)
    removals = check_limits([pending(6), pending(1, id_="H", action=Action.ADD)], 0, LIMITS, first_comparison=True)
    assert "first live comparison" not in str(removals.texts)


# -- what went over stays over ------------------------------------------------------------------------


@BOTH
def test_what_went_over_before_holds_its_group_though_nothing_is_exceeded_now(action: Action) -> None:
    key = "removals_percent" if action is Action.REMOVE else "additions_percent"
    groups = [pending(1, members=50, went_over=(key,), action=action), pending(1, id_="H", action=action)]
    made = check_limits(groups, 0, LIMITS)
    assert made.held == {(action, "G"): (key,)}
    assert "wait for approval" in made.texts[0]
    assert f"limits.{key} is 20" in made.texts[0]


def test_a_limit_that_is_exceeded_now_and_was_before_is_named_once() -> None:
    made = check_limits([pending(6, went_over=("removals", "per_day"))], 0, LIMITS)
    assert made.held == {(Action.REMOVE, "G"): ("removals", "per_day")}
    assert len(made.texts) == 2


def test_a_limit_that_was_raised_since_is_not_exceeded_any_more() -> None:
    stored = as_exceeded(("removals", "per_run"), LIMITS)
    assert still_over(stored, LIMITS) == ("removals", "per_run")
    assert still_over(stored, Limits(removals=4, per_run=8)) == ("removals", "per_run")
    assert still_over(stored, Limits(removals=6, per_run=8)) == ("per_run",)
    assert still_over(stored, Limits(removals=6, per_run=9)) == ()
    assert still_over(None, LIMITS) == ()


def test_a_percentage_that_was_taken_out_and_an_empty_group_that_is_allowed_are_not_exceeded_any_more() -> None:
    stored = as_exceeded(("additions_percent", "empty_group"), LIMITS)
    assert still_over(stored, LIMITS) == ("additions_percent", "empty_group")
    assert still_over(stored, Limits(empty_group="hold")) == ("empty_group",)
    assert still_over(stored, Limits(empty_group="allow")) == ()


def test_a_limit_that_a_later_version_stored_is_left_aside() -> None:
    assert still_over("weather=rain removals=5", LIMITS) == ("removals",)


def test_limits_are_named_as_in_the_definition() -> None:
    assert in_words(("removals", "per_run"), LIMITS) == "limits.removals is 5 and limits.per_run is 8"


# -- what is too much to be believed ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "lost", "too_much"),
    [(10, 3, False), (10, 4, True), (9, 8, False), (9, 9, True), (1, 1, True), (100, 0, False), (0, 0, False)],
)
def test_so_many_members_cannot_have_gone_without_a_word(before: int, lost: int, too_much: bool) -> None:
    assert shrinks_implausibly(before, lost, Limits(shrink_percent=30, min_group_size=10)) is too_much


def test_a_hundred_percent_believes_everything() -> None:
    assert not shrinks_implausibly(10, 10, Limits(shrink_percent=100))
