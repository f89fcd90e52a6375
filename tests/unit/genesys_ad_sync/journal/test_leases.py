"""The lease: one run at a time writes to an organisation, and a late one cannot record anything."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest

from genesys_ad_sync.errors import LeaseBusy, LeaseLost
from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.model import Status
from tests.support.journal import (
    DEFINITION,
    T0,
    begin,
    change,
    in_processes,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    minutes,
    recorded,
    row,
)

ONE, TWO = RunKey("dag", "one"), RunKey("dag_full", "two")
TTL = timedelta(minutes=5)


def _acquire(
    journal: Journal, key: RunKey, task: str = "patch[0]", *, now: datetime = T0, organisation: str = "org"
) -> int:
    return journal.leases.acquire(organisation, key, task, now=now, ttl=TTL)


def test_a_second_run_is_told_who_writes_and_until_when(journal: Journal) -> None:
    _acquire(journal, ONE)
    with pytest.raises(LeaseBusy, match=r"Run one of dag is writing.*org.*2024-05-01T12:05:00\+00:00"):
        _acquire(journal, TWO, now=T0 + minutes(4.9))


def test_organisations_have_a_lease_each_and_no_two_fences_are_the_same(journal: Journal) -> None:
    assert _acquire(journal, ONE, organisation="org") != _acquire(journal, TWO, organisation="another")


def test_the_tasks_of_one_run_share_the_fence_and_expire_each_on_their_own(journal: Journal) -> None:
    fence = _acquire(journal, ONE, "patch[0]")
    assert _acquire(journal, ONE, "patch[1]", now=T0 + minutes(3)) == fence
    with pytest.raises(LeaseBusy):
        _acquire(journal, TWO, now=T0 + minutes(6))
    journal.leases.release("org", ONE, "patch[1]")
    assert _acquire(journal, TWO, now=T0 + minutes(6)) > fence


def test_the_lease_is_free_when_the_last_task_has_released_it(journal: Journal) -> None:
    fence = _acquire(journal, ONE, "patch[0]")
    _acquire(journal, ONE, "patch[1]")
    journal.leases.release("org", ONE, "patch[0]")
    with pytest.raises(LeaseBusy):
        _acquire(journal, TWO)
    journal.leases.release("org", ONE, "patch[1]")
    assert _acquire(journal, TWO) > fence


def test_a_run_that_comes_again_before_another_one_keeps_its_fence(journal: Journal) -> None:
    fence = _acquire(journal, ONE)
    assert _acquire(journal, ONE, now=T0 + minutes(60)) == fence
    journal.leases.release("org", ONE, "patch[0]")
    assert _acquire(journal, ONE) == fence


def test_an_expired_holder_does_not_block_and_its_renewal_is_refused(journal: Journal) -> None:
    old = _acquire(journal, ONE)
    new = _acquire(journal, TWO, now=T0 + minutes(5))
    assert new > old
    for fence in (None, old):
        with pytest.raises(LeaseLost):
            journal.leases.renew("org", ONE, "patch[0]", now=T0 + minutes(5), ttl=TTL, fence=fence)
    journal.leases.release("org", ONE, "patch[0]")  # is not an error, and takes nothing from the new one
    with pytest.raises(LeaseBusy):
        _acquire(journal, ONE, now=T0 + minutes(6))


def test_a_renewed_lease_lasts_longer(journal: Journal) -> None:
    fence = _acquire(journal, ONE)
    journal.leases.renew("org", ONE, "patch[0]", now=T0 + minutes(4), ttl=TTL, fence=fence)
    with pytest.raises(LeaseBusy):
        _acquire(journal, TWO, now=T0 + minutes(8))


def test_a_lease_that_expired_and_that_nobody_took_can_be_renewed(journal: Journal) -> None:
    fence = _acquire(journal, ONE)
    journal.leases.renew("org", ONE, "patch[0]", now=T0 + minutes(30), ttl=TTL, fence=fence)
    with pytest.raises(LeaseBusy):
        _acquire(journal, TWO, now=T0 + minutes(31))


def test_a_fence_shows_that_another_run_had_the_lease_in_between(journal: Journal) -> None:
    old = _acquire(journal, ONE)
    _acquire(journal, TWO, now=T0 + minutes(6))
    journal.leases.release("org", TWO, "patch[0]")
    _acquire(journal, ONE, "patch[1]", now=T0 + minutes(7))
    with pytest.raises(LeaseLost):
        journal.leases.renew("org", ONE, "patch[0]", now=T0 + minutes(8), ttl=TTL, fence=old)


def test_a_stale_writer_records_nothing_and_announces_nothing(journal: Journal) -> None:
    run = begin(journal)
    [one] = recorded(journal, change("g", "u1"))
    journal.rows.replace(run, [row(one, Status.PLANNED)])
    fence = _acquire(journal, run.key)
    journal.rows.record_outcomes(run, [row(one, Status.FAILED)], at=T0, fence=fence, organisation="org")
    _acquire(journal, TWO, now=T0 + minutes(6))

    for organisation in ("org", None):
        with pytest.raises(LeaseLost):
            journal.rows.record_outcomes(run, [row(one, Status.SUCCESS)], at=T0, fence=fence, organisation=organisation)
        with pytest.raises(LeaseLost):
            journal.rows.mark_sending(run, [row(one, Status.PLANNED).key], fence, T0, organisation=organisation)
    assert [found.status for found in journal.rows.of_run(run)] == [Status.FAILED]
    assert journal.rows.maybe_sent(run, [row(one, Status.PLANNED).key]) == set()
    assert [found.id for found in journal.of(DEFINITION).changes.unsettled()] == [one.id]


def test_a_fence_of_another_organisation_does_not_count(journal: Journal) -> None:
    run = begin(journal)
    fence = _acquire(journal, run.key, organisation="another")
    with pytest.raises(LeaseLost):
        journal.rows.record_outcomes(run, [], at=T0, fence=fence, organisation="org")


# -- with real processes --


def _try_to_acquire(url: str, run_id: str, task: str) -> int:
    with Journal.open(url) as journal:
        return _acquire(journal, RunKey("dag", run_id), task)


def _work_in_turns(url: str, run_id: str, rounds: int) -> list[int]:
    """Take the lease, count up a number that only its holder may touch, release it.

    Returns the fences.
    """
    key, fences = RunKey("dag", run_id), []
    with Journal.open(url) as journal:
        number = journal.runs.get(RunKey("dag", "number"))
        while len(fences) < rounds:
            try:
                fence = _acquire(journal, key)
            except LeaseBusy:
                time.sleep(0.001)  # the holder needs the processor, too
                continue
            value = journal.facts.get(number, "value")
            journal.facts.put(number, "value", value + 1)
            journal.leases.release("org", key, "patch[0]")
            fences.append(fence)
    return fences


def test_of_two_runs_in_two_processes_only_one_gets_the_lease(journal: Journal, journal_url: str) -> None:
    answers = in_processes(
        _try_to_acquire,
        [(journal_url, "one", "a"), (journal_url, "two", "a"), (journal_url, "one", "b"), (journal_url, "two", "b")],
    )
    fences = {answer for answer in answers if isinstance(answer, int)}
    refused = [answer for answer in answers if not isinstance(answer, int)]
    assert len(fences) == 1
    assert [name for name, _ in refused] == ["LeaseBusy", "LeaseBusy"]
    assert isinstance(answers[0], int) is isinstance(answers[2], int)


def test_runs_in_several_processes_never_write_at_the_same_time(journal: Journal, journal_url: str) -> None:
    number = begin(journal, "number")
    journal.facts.put(number, "value", 0)
    one, two = in_processes(_work_in_turns, [(journal_url, "one", 15), (journal_url, "two", 15)])
    assert journal.facts.get(number, "value") == 30
    assert sorted(one) == one
    assert not set(one) & set(two)


def _record_late(url: str, run_id: str, fence: int) -> str:
    with Journal.open(url) as journal:
        run = journal.runs.get(RunKey("dag", run_id))
        return str(journal.rows.record_outcomes(run, journal.rows.of_run(run), at=T0, fence=fence, organisation="org"))


def test_a_process_that_comes_back_after_its_lease_was_taken_is_refused(journal: Journal, journal_url: str) -> None:
    run, other = begin(journal, "slow"), begin(journal, "quick")
    [one] = recorded(journal, change("g", "u1"))
    stale = _acquire(journal, run.key)
    fresh = _acquire(journal, other.key, now=T0 + minutes(6))
    for each in (run, other):
        journal.rows.replace(each, [row(one, Status.SUCCESS)])
    late, in_time = in_processes(_record_late, [(journal_url, "slow", stale), (journal_url, "quick", fresh)])
    assert late[0] == "LeaseLost"
    assert in_time == "{}"
    assert journal.of(DEFINITION).changes.by_id([one.id or 0])[0].settled_by == "dag/quick"


def _settle(url: str, run_id: str) -> int:
    """Return how many of the changes this run settled itself."""
    with Journal.open(url) as journal:
        run = begin(journal, run_id)
        rows = [row(one, Status.SUCCESS) for one in journal.of(DEFINITION).changes.by_id(list(range(1, 101)))]
        elsewhere: dict[int, tuple[str, str]] = {}
        for start in range(0, 100, 10):
            elsewhere |= journal.rows.record_outcomes(run, rows[start : start + 10], at=T0)
    return 100 - len(elsewhere)


def test_each_change_is_settled_by_exactly_one_of_the_processes_that_try(journal: Journal, journal_url: str) -> None:
    recorded(journal, *(change("g", f"u{number}") for number in range(100)))
    settled = in_processes(_settle, [(journal_url, f"r{number}") for number in range(3)])
    assert sum(settled) == 100
    assert journal.of(DEFINITION).changes.unsettled() == []


def test_what_was_read_while_a_run_paused_is_old_once_it_goes_on(journal: Journal) -> None:
    fence = _acquire(journal, ONE)
    read_under = journal.leases.next_fence("org", TWO, now=T0 + minutes(6))
    assert _acquire(journal, ONE, now=T0 + minutes(7)) == fence
    assert _acquire(journal, ONE, now=T0 + minutes(8)) == fence
    journal.leases.release("org", ONE, "patch[0]")
    assert read_under is not None
    assert journal.leases.next_fence("org", TWO, now=T0 + minutes(9)) == read_under + 1
