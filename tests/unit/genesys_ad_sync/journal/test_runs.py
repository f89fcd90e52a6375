"""Runs in the journal: attempts, their rows, intents, figures."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.model import Action, GroupResult, Mode, Reason, Row, Status, Window
from tests.support.journal import (
    DEFINITION,
    T0,
    begin,
    change,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    minutes,
    recorded,
    row,
)

# -- attempts --


def test_a_run_comes_back_as_it_was_begun(journal: Journal) -> None:
    window = Window(None, T0)
    begun = begin(journal, mode=Mode.CHANGES, dry_run=True, window=window, groups=["GC-*"], run_type="backfill")
    assert (begun.attempt, begun.resumed, begun.bounded, begun.window) == (1, False, True, window)
    assert (begun.mode, begun.dry_run, begun.groups, begun.run_type) == (Mode.CHANGES, True, ("GC-*",), "backfill")
    assert journal.run(RunKey("dag", "r1")) == begun
    assert not begin(journal, "r2").bounded


def test_a_retried_task_resumes_what_its_first_try_began(journal: Journal) -> None:
    first = begin(journal)
    journal.set_polled(first, 3, T0 + minutes(1))
    again = begin(journal, started_at=T0 + minutes(9))
    assert again == replace(first, resumed=True, poll=3, polled_at=T0 + minutes(1))


def test_a_cleared_run_is_another_attempt(journal: Journal) -> None:
    first = begin(journal)
    journal.put_fact(first, "notes", ["old"])
    second = begin(journal, clear_number=1, run_type="backfill", window=Window(T0, None))
    assert (second.attempt, second.resumed, second.bounded) == (2, False, True)
    assert journal.run(first.key) == second
    assert journal.fact(second, "notes", default=None) is None
    assert journal.fact(first, "notes") == ["old"]


def test_a_run_that_was_deleted_and_made_again_does_not_resume_the_finished_one(journal: Journal) -> None:
    journal.finish_run(begin(journal), "success", T0)
    again = begin(journal)
    assert (again.attempt, again.resumed, again.state) == (2, False, None)


@pytest.mark.parametrize(
    "asked",
    [
        {"dry_run": True},
        {"mode": Mode.FULL},
        {"run_type": "backfill"},
        {"window": Window(T0, None)},
        {"groups": ["GC-*"]},
        {"undo_run": "r0"},
        {"release_run": "r0"},
    ],
    ids=lambda asked: next(iter(asked)),
)
def test_a_run_of_which_something_else_is_asked_does_not_resume_the_unfinished_one(
    journal: Journal, asked: dict[str, Any]
) -> None:
    """The DAG run was killed, deleted and made again: what asks for a dry run must never get the live one."""
    begin(journal)
    again = begin(journal, **asked)
    assert (again.attempt, again.resumed) == (2, False)
    resumed = begin(journal, **asked)
    assert (resumed.attempt, resumed.resumed) == (2, True)


def test_runs_of_two_dags_may_have_the_same_run_id(journal: Journal) -> None:
    assert begin(journal, key=RunKey("one", "r")).id != begin(journal, key=RunKey("two", "r")).id


def test_a_run_that_the_journal_does_not_know_names_the_remedy(journal: Journal) -> None:
    with pytest.raises(JournalError, match=r"no run r9 of dag.*Clear the task 'poll'"):
        journal.run(RunKey("dag", "r9"))


def test_the_identity_stays_and_counts_the_attempts(journal: Journal, journal_url: str) -> None:
    name, count = journal.identity()
    begin(journal)
    begin(journal)  # a retry
    begin(journal, clear_number=1)
    with Journal.open(journal_url) as again:
        assert again.identity() == (name, count + 2)


def test_a_finished_run_says_how_it_ended(journal: Journal) -> None:
    run = begin(journal)
    journal.finish_run(run, "failed", T0 + minutes(3))
    ended = journal.run(run.key)
    assert (ended.state, ended.finished_at) == ("failed", T0 + minutes(3))


def test_the_previous_live_poll_is_of_the_last_run_that_was_neither_bounded_nor_dry(journal: Journal) -> None:
    def polled(run_id: str, poll: int, **values: object) -> None:
        journal.set_polled(begin(journal, run_id, **values), poll, T0 + minutes(poll))

    polled("live", 1)
    polled("full", 2, mode=Mode.FULL)
    polled("bounded", 3, window=Window(None, None))
    polled("dry", 4, dry_run=True)
    polled("other", 5, definition="other")
    begin(journal, "still polling")
    polled("this", 6)
    polled("later", 7)
    this = journal.run(RunKey("dag", "this"))

    assert journal.previous_live_poll(DEFINITION, this) == T0 + minutes(2)
    assert journal.previous_live_poll(DEFINITION, journal.run(RunKey("dag", "live"))) is None
    assert journal.previous_live_poll(DEFINITION, begin(journal, "new")) == T0 + minutes(7)

    polled("this", 9, clear_number=1)
    polled("later", 8, clear_number=1)
    assert journal.previous_live_poll(DEFINITION, journal.run(this.key)) == T0 + minutes(8)


# -- facts --


def test_facts_are_any_json_and_the_last_one_counts(journal: Journal) -> None:
    run = begin(journal)
    for value in ({"a": [1, None, "ü"]}, [], 0, None, "text"):
        journal.put_fact(run, "key", value)
        assert journal.fact(run, "key", default="nothing") == value


def test_a_fact_that_an_earlier_task_should_have_left_is_missed_loudly(journal: Journal) -> None:
    run = begin(journal)
    assert journal.fact(run, "plan", default={}) == {}
    with pytest.raises(JournalError, match=r"'plan'.*Clear it"):
        journal.fact(run, "plan")


# -- rows --

_FULL_ROW = Row(
    action=Action.REMOVE,
    status=Status.FAILED,
    genesys_group_id="G1",
    user_guid="u1",
    group_guids=("a", "b"),
    genesys_user_id="U1",
    reason=Reason.REFUSED,
    error="no",
    http_code=400,
    correlation_id="c-1",
    changed_at=T0,
    observed_after=T0 - minutes(1),
    observed_at=T0 + minutes(1),
    settled_by="r0",
    change_ids=(),
    lane=3,
    genesys_group={"id": "G1", "name": "Sales"},
    directory_groups=({"guid": "a", "dn": "CN=a", "name": "ä"}, {"guid": "b", "dn": None, "name": "b"}),
    directory_user={"guid": "u1", "dn": "CN=u1", "mail": None},
)


def _row(number: int, **values: object) -> Row:
    return replace(_FULL_ROW, user_guid=f"u{number}", lane=number % 2, **values)  # type: ignore[arg-type]


def test_rows_come_back_whole_in_the_order_of_the_plan_and_by_lane(journal: Journal) -> None:
    run = begin(journal)
    rows = [_row(3), _row(1), _row(2), replace(_FULL_ROW, lane=None, genesys_group_id=None)]
    journal.save_rows(run, rows)
    assert journal.rows(run) == rows
    assert journal.rows(run, lane=1) == rows[:2]
    assert journal.rows(run, lane=7) == []


def test_recording_changes_rows_in_their_place(journal: Journal) -> None:
    run = begin(journal)
    journal.save_rows(run, [_row(1), _row(2)])
    journal.record(run, [_row(1, status=Status.SUCCESS), _row(3)], at=T0)
    assert journal.rows(run) == [_row(1, status=Status.SUCCESS), _row(2), _row(3)]


def test_a_new_plan_replaces_the_rows_of_the_attempt_and_of_no_other(journal: Journal) -> None:
    run, other = begin(journal), begin(journal, "r2")
    journal.save_rows(run, [_row(1), _row(2)])
    journal.save_rows(other, [_row(1)])
    journal.save_rows(run, [_row(2)])
    assert journal.rows(run) == [_row(2)]
    assert journal.rows(other) == [_row(1)]


def test_what_the_run_settled_in_earlier_attempts_is_kept_for_its_report(journal: Journal) -> None:
    first, other = begin(journal), begin(journal, "r2")
    done, failed, elsewhere, unowned = recorded(
        journal, change("g", "u1"), change("g", "u2"), change("g", "u3"), change("g", "u4")
    )
    journal.record(other, [row(elsewhere, Status.SUCCESS)], at=T0)
    kept = [row(done, Status.SUCCESS), replace(row(unowned, Status.SKIPPED), change_ids=())]
    rows = [*kept, row(failed, Status.FAILED), row(elsewhere, Status.SUCCESS)]
    journal.save_rows(first, rows)
    journal.record(first, rows, at=T0)

    second = begin(journal, clear_number=1)
    journal.save_rows(second, [row(failed, Status.SUCCESS)])
    assert journal.rows_settled_before(first) == []
    assert journal.rows_settled_before(second) == kept
    journal.record(second, [row(failed, Status.SUCCESS)], at=T0)
    assert journal.rows_settled_before(begin(journal, clear_number=2)) == [*kept, row(failed, Status.SUCCESS)]


def test_a_second_plan_of_the_same_attempt_does_not_forget_what_the_first_settled(journal: Journal) -> None:
    run = begin(journal)
    one, two = recorded(journal, change("g", "u1"), change("g", "u2"))
    journal.save_rows(run, [row(one, Status.PLANNED), row(two, Status.PLANNED)])
    journal.record(run, [row(one, Status.SUCCESS)], at=T0)
    journal.save_rows(run, [row(two, Status.PLANNED)])
    journal.save_rows(run, [row(two, Status.HELD)])
    assert journal.rows(run) == [row(two, Status.HELD)]
    assert journal.rows_settled_before(run) == [row(one, Status.SUCCESS)]


def test_dry_rows_count_as_nothing_done(journal: Journal) -> None:
    dry = begin(journal, dry_run=True)
    journal.record(dry, [_row(1, status=Status.SUCCESS)], at=T0)
    assert journal.rows_settled_before(begin(journal, clear_number=1)) == []
    assert journal.removals_since(DEFINITION, T0) == 0


def test_an_intent_to_send_is_known_after_a_crash_until_a_new_plan(journal: Journal) -> None:
    run = begin(journal)
    journal.save_rows(run, [_row(1), _row(2), _row(3)])
    keys = [_row(number).key for number in (1, 2, 3)]
    fence = journal.acquire_lease("org", run.key, "patch[0]", now=T0, ttl=minutes(5))
    journal.mark_sending(run, keys[:2], fence, T0)
    assert journal.sending(run, keys) == set(keys[:2])
    assert journal.sending(run, keys[1:]) == {keys[1]}
    journal.record(run, [_row(1, status=Status.SUCCESS)], at=T0)
    assert journal.sending(run, keys) == set(keys[:2])
    journal.save_rows(run, [_row(2), _row(3)])
    assert journal.sending(run, keys) == set()


def test_removals_are_counted_by_time_for_a_definition(journal: Journal) -> None:
    run, other = begin(journal), begin(journal, "r2", definition="other")
    success = {"status": Status.SUCCESS}
    journal.record(run, [_row(1, **success)], at=T0 - minutes(1), organisation="org")
    journal.record(run, [_row(2, **success), _row(3), _row(4, **success, action=Action.ADD)], at=T0, organisation="org")
    journal.record(run, [_row(5, **success)], at=T0 + minutes(1))
    journal.record(other, [_row(6, **success)], at=T0, organisation="org")
    assert journal.removals_since(DEFINITION, T0) == 2
    assert journal.removals_since(DEFINITION, T0 - minutes(1)) == 3
    assert journal.removals_since("other", T0) == 1


def test_a_removal_that_was_sent_and_could_not_be_read_back_counts_as_one(journal: Journal) -> None:
    run = begin(journal)
    rows = [_row(1), _row(2), _row(3)]
    journal.save_rows(run, rows)
    fence = journal.acquire_lease("org", run.key, "patch[0]", now=T0, ttl=minutes(5))
    journal.mark_sending(run, [rows[0].key, rows[1].key], fence, T0)
    failed = {"status": Status.FAILED, "reason": Reason.UNVERIFIED}
    refused = replace(rows[1], status=Status.FAILED, reason=Reason.REFUSED)
    journal.record(run, [replace(rows[0], **failed), refused, replace(rows[2], **failed)], at=T0)
    assert journal.removals_since(DEFINITION, T0) == 1


# -- figures --


def test_group_results_and_requests_are_kept_per_group_and_per_task(journal: Journal) -> None:
    run = begin(journal)
    before = GroupResult("G1", "Sales", ("a",), True, 3, None, 0, 0, 1)
    after = replace(before, after=4, added=1)
    support = GroupResult("G2", "Billing", ("b", "c"), False, None, None, 0, 0, None)
    journal.save_group_results(run, [before, support])
    journal.save_group_results(run, [after])
    assert journal.group_results(run) == [support, after]

    assert journal.requests(run) == {"total": 0, "retried": 0, "throttled": 0, "by_endpoint": {}}
    journal.add_requests(run, "plan", {"total": 9, "retried": 9, "throttled": 9, "by_endpoint": {"GET x": 9}})
    journal.add_requests(run, "plan", {"total": 2, "retried": 1, "throttled": 0, "by_endpoint": {"GET x": 2}})
    journal.add_requests(
        run, "patch[0]", {"total": 3, "retried": 0, "throttled": 1, "by_endpoint": {"GET x": 1, "P": 2}}
    )
    assert journal.requests(run) == {"total": 5, "retried": 1, "throttled": 1, "by_endpoint": {"GET x": 3, "P": 2}}
    assert journal.group_results(begin(journal, clear_number=1)) == []


def test_old_runs_are_forgotten_but_no_change_and_not_its_last_outcome(journal: Journal) -> None:
    old, new = begin(journal, "old"), begin(journal, "new", started_at=T0 + minutes(60))
    one, two = recorded(journal, change("g", "u1"), change("g", "u2"))
    journal.record(old, [row(one, Status.HELD), row(two, Status.SUCCESS)], at=T0)
    journal.record(new, [row(one, Status.HELD)], at=T0 + minutes(60))
    unfinished, another = begin(journal, "unfinished"), begin(journal, "another", definition="another")
    for run in (old, another):
        journal.finish_run(run, "success", T0 + minutes(1))

    assert journal.forget_runs(DEFINITION, T0 + minutes(30)) == 1
    for run in (unfinished, another):  # one that waits for a person, say; and one with days of its own
        assert journal.run(run.key).id == run.id
    with pytest.raises(JournalError):
        journal.run(old.key)
    assert journal.rows(old) == []
    assert len(journal.rows(new)) == 1
    assert [found.run_id for _, found in sorted(journal.outcomes([one.id or 0, two.id or 0]).items())] == ["new", "old"]
    assert len(journal.changes_in(DEFINITION, Window(None, None))) == 2
