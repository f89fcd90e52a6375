"""Keeping below the rate limit, on a clock that tests move."""

from __future__ import annotations

import itertools
import math
import threading
from typing import Any

import pytest

from genesys_ad_sync.genesys.errors import Throttled
from genesys_ad_sync_airflow.genesys_cloud.pacing import WindowPacer
from tests.support.stub_genesys import FakeClock


def budget(count: int, allowed: int = 10, reset: float = 30) -> dict[str, str]:
    return {
        "inin-ratelimit-count": str(count),
        "inin-ratelimit-allowed": str(allowed),
        "inin-ratelimit-reset": str(reset),
    }


def new_pacer(clock: FakeClock, **options: Any) -> WindowPacer:
    return WindowPacer(**{"clock": clock, "sleep": clock.sleep, "uniform": lambda _low, _high: 0.0, **options})


def send(pacer: WindowPacer, clock: FakeClock, number: int, others: float = 0.0, allowed: int = 300) -> list[float]:
    """Send requests to a service with a window of 60 s that begins at 1000.

    ``others``: requests a second by a rival. Returns the times at which they went out.
    """
    times = []
    for sent in range(1, number + 1):
        pacer.before()
        times.append(clock.now - 1000)
        clock.now += 0.05
        window, into = divmod(clock.now - 1000, 60)
        ours = sum(time // 60 == window for time in times)
        count = ours + int(others * into)
        assert count <= allowed, f"request {sent} would have been refused"
        pacer.observe(budget(count, allowed, float(math.ceil(60 - into))))
    return times


def test_nobody_waits_as_long_as_nothing_is_known() -> None:
    clock = FakeClock()
    pacer = new_pacer(clock)
    for _ in range(1000):
        pacer.before()
    assert clock.slept == []


@pytest.mark.parametrize("reset", [3601, 1e12, 1e300])
def test_a_nonsensical_reset_stops_no_request(reset: float) -> None:
    clock = FakeClock()
    pacer = new_pacer(clock)
    for _ in range(3):
        pacer.before()
        pacer.observe(budget(count=10, allowed=10, reset=reset))
    assert clock.slept == []


@pytest.mark.parametrize(("count", "allowed", "reset"), [(0, 0, 10), (0, -5, 10), (-7, 10, 10), (1, 10, -10)])
def test_numbers_that_cannot_be_meant_break_nothing(count: int, allowed: int, reset: float) -> None:
    clock = FakeClock()
    pacer = new_pacer(clock)
    for _ in range(3):
        pacer.before()
        pacer.observe(budget(count, allowed, reset))
    assert sum(clock.slept) <= 30


def test_half_of_the_budget_is_used_at_once_and_the_rest_spread_over_the_window() -> None:
    clock = FakeClock()
    times = send(new_pacer(clock), clock, 300)
    assert times[149] < 10
    assert times[224] == pytest.approx(30, abs=2)
    assert 55 < times[299] < 60
    assert all(later - earlier < 1 for earlier, later in itertools.pairwise(times))


def test_all_of_the_budget_is_used_window_after_window() -> None:
    clock = FakeClock()
    times = send(new_pacer(clock, reserve=0.1), clock, 270 * 3)
    for window in range(3):
        assert sum(window * 60 <= time < window * 60 + 60 for time in times) >= 0.95 * 270


def test_a_reserve_is_left_to_others() -> None:
    clock = FakeClock()
    times = send(new_pacer(clock, reserve=0.2), clock, 300)
    assert sum(time < 60 for time in times) <= 240


def test_a_rival_finds_its_share_at_any_time() -> None:
    """The rival takes 2 a second = 120 of 300 a minute; `send` asserts that nobody is ever refused."""
    clock = FakeClock()
    times = send(new_pacer(clock, reserve=0.1), clock, 300, others=2.0)
    assert 0.95 * 150 <= sum(time < 60 for time in times) <= 160


def test_when_the_budget_is_used_up_the_end_of_the_window_is_waited_for() -> None:
    clock = FakeClock()
    pacer = new_pacer(clock)
    pacer.observe(budget(count=10))
    pacer.before()
    assert clock.slept == [30]


def test_what_is_under_way_counts_as_used() -> None:
    clock = FakeClock()
    pacer = new_pacer(clock)
    for number in range(8):
        pacer.observe(budget(count=number + 1, reset=60))
    clock.now += 59.5
    pacer.before()
    pacer.before()
    assert clock.slept == []
    pacer.before()
    assert clock.slept == [0.5]


def test_the_more_others_there_are_the_less_may_be_under_way_unseen() -> None:
    clock = FakeClock()
    pacer = new_pacer(clock)
    for number in range(10):
        pacer.observe(budget(count=(number + 1) * 8, allowed=100, reset=60))  # one in eight is ours
    clock.now += 59.5
    pacer.before()
    pacer.before()
    assert clock.slept == []
    pacer.before()  # the 2 under way are taken for 16, and about 4 for what the others did since the last answer
    assert clock.slept == [0.5]


def test_a_worker_that_sees_no_beginning_of_a_window_learns_its_length_from_two_ends() -> None:
    """Windows of 12 s, of which others have used 100 of 300 before the first answer of each."""
    clock = FakeClock()
    pacer = new_pacer(clock, reserve=0.1)
    for _ in range(3):
        pacer.observe(budget(count=100, allowed=300, reset=12))
        clock.now += 12
    pacer.observe(budget(count=150, allowed=300, reset=12))
    clock.slept.clear()
    pacer.before()
    assert clock.slept != []  # more than half of the budget is used at the beginning: the rest is spread


def test_what_was_used_before_we_came_is_nobodys_present_pace() -> None:
    """Each task has a pacer of its own; the tasks before it used the same budget, and are over."""
    clock = FakeClock()
    pacer = new_pacer(clock)
    pacer.before()
    pacer.observe(budget(count=80, allowed=300, reset=58))
    for _ in range(5):  # several threads
        pacer.before()
    assert clock.slept == []


def test_answers_without_headers_count_as_used() -> None:
    clock = FakeClock()
    pacer = new_pacer(clock)
    pacer.observe(budget(count=8, reset=0.5))
    for _ in range(2):
        pacer.before()
        pacer.observe({})
    pacer.before()
    assert clock.slept == [0.5]


def test_the_truest_end_of_the_window_is_the_earliest_that_was_told() -> None:
    """Resets are whole seconds, rounded up."""
    clock = FakeClock()
    pacer = new_pacer(clock)
    pacer.observe(budget(count=9, reset=30))
    clock.now += 0.9
    pacer.observe(budget(count=10, reset=29))
    clock.now += 0.2
    pacer.observe(budget(count=10, reset=29))
    pacer.before()
    assert clock.slept == [pytest.approx(28.8)]


def test_the_connections_own_ceiling_holds_whatever_genesys_allows() -> None:
    clock = FakeClock()
    pacer = new_pacer(clock, requests_per_minute=60)
    for number in range(120):
        pacer.before()
        pacer.observe(budget(count=number % 60, allowed=300, reset=60))
    assert clock.slept == [60]


def test_the_connections_own_ceiling_is_divided_among_processes() -> None:
    clock = FakeClock()
    pacer = new_pacer(clock, requests_per_minute=60)
    pacer.share_ceiling(4)
    for _ in range(16):
        pacer.before()
        pacer.observe({})
    assert clock.slept == [60]


def test_retry_after_stops_all_threads_of_the_process_and_not_all_come_back_at_once() -> None:
    clock = FakeClock()
    pacer = new_pacer(clock, uniform=lambda _low, high: high)
    pacer.observe({"Retry-After": "42"})
    pacer.before()
    assert clock.slept == [43]


def test_a_wait_longer_than_a_task_can_afford_is_handed_back() -> None:
    clock = FakeClock()
    pacer = new_pacer(clock, longest_wait=120)
    pacer.observe({"Retry-After": "600"})
    with pytest.raises(Throttled) as caught:
        pacer.before()
    assert caught.value.retry_after == 600
    assert clock.slept == []


def test_answers_that_come_in_another_order_do_not_free_budget() -> None:
    clock = FakeClock()
    pacer = new_pacer(clock)
    pacer.observe(budget(count=10))
    pacer.observe(budget(count=3))
    pacer.before()
    assert clock.slept == [30]


def test_headers_that_make_no_sense_are_passed_over() -> None:
    clock = FakeClock()
    pacer = new_pacer(clock)
    pacer.observe({"inin-ratelimit-count": "many", "inin-ratelimit-allowed": "", "Retry-After": "soon"})
    pacer.before()
    assert clock.slept == []


def test_threads_together_send_no_more_than_the_budget() -> None:
    clock = FakeClock()

    class Waiting(Exception):
        pass

    def sleep(_: float) -> None:
        raise Waiting

    pacer = new_pacer(clock, sleep=sleep)
    pacer.observe(budget(count=0, allowed=100, reset=60))
    passed: list[int] = []

    def work() -> None:
        try:
            for _ in range(20):
                pacer.before()
                passed.append(1)
        except Waiting:
            pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 50  # the half that is free at once


def test_two_limits_of_one_family_both_hold_until_the_older_one_is_over() -> None:
    clock = FakeClock()
    pacer = new_pacer(clock)
    pacer.observe(budget(count=60, allowed=60, reset=20), "scim")
    pacer.observe(budget(count=80, allowed=300, reset=50), "scim")
    pacer.before("groups")
    assert clock.slept == []
    pacer.before("scim")
    assert clock.slept == [20]
    for _ in range(70):  # the smaller limit was named by no answer since: it does not count on
        pacer.observe({}, "scim")
    pacer.before("scim")
    assert sum(clock.slept) < 50


def test_a_date_in_retry_after_stops_the_family_too() -> None:
    clock = FakeClock()
    pacer = new_pacer(clock, longest_wait=10.0)
    pacer.observe({"Retry-After": "Fri, 01 Jan 2100 00:00:00 -0000"}, "scim")
    pacer.before("groups")
    with pytest.raises(Throttled):
        pacer.before("scim")
