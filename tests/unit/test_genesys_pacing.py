"""Keeping below the rate limit, on a clock that tests move."""

from __future__ import annotations

import threading

import pytest
from genesys_cloud.pacing import WindowPacer

from include.group_sync.genesys.errors import Throttled
from tests.unit.stub_genesys import FakeClock


def budget(count: int, allowed: int = 10, reset: float = 30) -> dict[str, str]:
    return {
        "inin-ratelimit-count": str(count),
        "inin-ratelimit-allowed": str(allowed),
        "inin-ratelimit-reset": str(reset),
    }


def test_nobody_waits_as_long_as_nothing_is_known() -> None:
    clock = FakeClock()
    pacer = WindowPacer(clock=clock, sleep=clock.sleep)
    for _ in range(1000):
        pacer.before()
    assert clock.slept == []


def test_when_the_budget_is_used_up_the_end_of_the_window_is_waited_for() -> None:
    clock = FakeClock()
    pacer = WindowPacer(clock=clock, sleep=clock.sleep)
    pacer.observe(budget(count=8))  # others on the same token count too
    pacer.before()
    pacer.before()
    assert clock.slept == []
    pacer.before()
    assert clock.slept == [30]


def test_after_the_window_there_is_a_new_budget() -> None:
    clock = FakeClock()
    pacer = WindowPacer(clock=clock, sleep=clock.sleep)
    pacer.observe(budget(count=10))
    for _ in range(10):
        pacer.before()
    assert clock.slept == [30]
    pacer.observe(budget(count=10, reset=20))
    pacer.before()
    assert clock.slept == [30, 20]


def test_a_reserve_is_left_to_others() -> None:
    clock = FakeClock()
    pacer = WindowPacer(reserve=0.2, clock=clock, sleep=clock.sleep)
    pacer.observe(budget(count=7))
    pacer.before()
    assert clock.slept == []
    pacer.before()
    assert clock.slept == [30]


def test_the_connections_own_ceiling_holds_whatever_genesys_allows() -> None:
    clock = FakeClock()
    pacer = WindowPacer(requests_per_minute=60, clock=clock, sleep=clock.sleep)
    for number in range(120):
        pacer.before()
        pacer.observe(budget(count=number % 60, allowed=300, reset=60))
    assert clock.slept == [60]


def test_retry_after_stops_all_threads_of_the_process() -> None:
    clock = FakeClock()
    pacer = WindowPacer(clock=clock, sleep=clock.sleep)
    pacer.observe({"Retry-After": "42"})
    pacer.before()
    assert clock.slept == [42]


def test_a_wait_longer_than_a_task_can_afford_is_handed_back() -> None:
    clock = FakeClock()
    pacer = WindowPacer(longest_wait=120, clock=clock, sleep=clock.sleep)
    pacer.observe({"Retry-After": "600"})
    with pytest.raises(Throttled) as caught:
        pacer.before()
    assert caught.value.retry_after == 600
    assert clock.slept == []


def test_answers_that_come_in_another_order_do_not_free_budget() -> None:
    clock = FakeClock()
    pacer = WindowPacer(clock=clock, sleep=clock.sleep)
    pacer.observe(budget(count=10))
    pacer.observe(budget(count=3))
    pacer.before()
    assert clock.slept == [30]


def test_headers_that_make_no_sense_are_passed_over() -> None:
    clock = FakeClock()
    pacer = WindowPacer(clock=clock, sleep=clock.sleep)
    pacer.observe({"inin-ratelimit-count": "many", "inin-ratelimit-allowed": "", "Retry-After": "soon"})
    pacer.before()
    assert clock.slept == []


def test_threads_together_send_no_more_than_the_budget() -> None:
    clock = FakeClock()
    waited = threading.Semaphore(0)

    class Waiting(Exception):
        pass

    def sleep(_: float) -> None:
        waited.release()
        raise Waiting

    pacer = WindowPacer(clock=clock, sleep=sleep)
    pacer.observe(budget(count=0, allowed=50))
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
    assert len(passed) == 50
