"""Runs in the journal: attempts, their rows, intents, figures."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal import Journal, RunKey, tables
from genesys_ad_sync.journal import rows as journal_rows
from genesys_ad_sync.journal.database import Database
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
    assert journal.runs.get(RunKey("dag", "r1")) == begun
    assert not begin(journal, "r2").bounded


def test_a_retried_task_resumes_what_its_first_try_began(journal: Journal) -> None:
    first = begin(journal)
    journal.runs.set_polled(first, 3, T0 + minutes(1))
    again = begin(journal, started_at=T0 + minutes(9))
    assert again == replace(first, resumed=True, poll=3, polled_at=T0 + minutes(1))


def test_a_cleared_run_is_another_attempt(journal: Journal) -> None:
    first = begin(journal)
    journal.facts.put(first, "notes", ["old"])
    second = begin(journal, clear_number=1, run_type="backfill", window=Window(T0, None))
    assert (second.attempt, second.resumed, second.bounded) == (2, False, True)
    assert journal.runs.get(first.key) == second
    assert journal.facts.get(second, "notes", default=None) is None
    assert journal.facts.get(first, "notes") == ["old"]


def test_a_run_that_was_deleted_and_made_again_does_not_resume_the_finished_one(journal: Journal) -> None:
    journal.runs.finish(begin(journal), "success", T0)
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
        journal.runs.get(RunKey("dag", "r9"))


def test_the_identity_stays_and_counts_the_attempts(journal: Journal, journal_url: str) -> None:
    name, count = journal.identity()
    begin(journal)
    begin(journal)  # a retry
    begin(journal, clear_number=1)
    with Journal.open(journal_url) as again:
        assert again.identity() == (name, count + 2)


def test_a_finished_run_says_how_it_ended(journal: Journal) -> None:
    run = begin(journal)
    journal.runs.finish(run, "failed", T0 + minutes(3))
    ended = journal.runs.get(run.key)
    assert (ended.state, ended.finished_at) == ("failed", T0 + minutes(3))


def test_the_previous_live_poll_is_of_the_last_run_that_was_neither_bounded_nor_dry(journal: Journal) -> None:
    def polled(run_id: str, poll: int, **values: object) -> None:
        journal.runs.set_polled(begin(journal, run_id, **values), poll, T0 + minutes(poll))

    polled("live", 1)
    polled("full", 2, mode=Mode.FULL)
    polled("bounded", 3, window=Window(None, None))
    polled("dry", 4, dry_run=True)
    polled("other", 5, definition="other")
    begin(journal, "still polling")
    polled("this", 6)
    polled("later", 7)
    this = journal.runs.get(RunKey("dag", "this"))

    assert journal.runs.previous_live_poll(DEFINITION, this) == T0 + minutes(2)
    assert journal.runs.previous_live_poll(DEFINITION, journal.runs.get(RunKey("dag", "live"))) is None
    assert journal.runs.previous_live_poll(DEFINITION, begin(journal, "new")) == T0 + minutes(7)

    polled("this", 9, clear_number=1)
    polled("later", 8, clear_number=1)
    assert journal.runs.previous_live_poll(DEFINITION, journal.runs.get(this.key)) == T0 + minutes(8)


# -- facts --


def test_facts_are_any_json_and_the_last_one_counts(journal: Journal) -> None:
    run = begin(journal)
    for value in ({"a": [1, None, "ü"]}, [], 0, None, "text"):
        journal.facts.put(run, "key", value)
        assert journal.facts.get(run, "key", default="nothing") == value


def test_a_fact_that_an_earlier_task_should_have_left_is_missed_loudly(journal: Journal) -> None:
    run = begin(journal)
    assert journal.facts.get(run, "plan", default={}) == {}
    with pytest.raises(JournalError, match=r"'plan'.*Clear it"):
        journal.facts.get(run, "plan")


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
    journal.rows.replace(run, rows)
    assert journal.rows.of_run(run) == rows
    assert journal.rows.of_run(run, lane=1) == rows[:2]
    assert journal.rows.of_run(run, lane=7) == []


def test_recording_changes_rows_in_their_place(journal: Journal) -> None:
    run = begin(journal)
    journal.rows.replace(run, [_row(1), _row(2)])
    journal.rows.record_outcomes(run, [_row(1, status=Status.SUCCESS), _row(3)], at=T0)
    assert journal.rows.of_run(run) == [_row(1, status=Status.SUCCESS), _row(2), _row(3)]


def test_a_new_plan_replaces_the_rows_of_the_attempt_and_of_no_other(journal: Journal) -> None:
    run, other = begin(journal), begin(journal, "r2")
    journal.rows.replace(run, [_row(1), _row(2)])
    journal.rows.replace(other, [_row(1)])
    journal.rows.replace(run, [_row(2)])
    assert journal.rows.of_run(run) == [_row(2)]
    assert journal.rows.of_run(other) == [_row(1)]


def test_rows_stored_ahead_become_the_rows_of_the_attempt(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_rows, "ROWS_AHEAD_AT_A_TIME", 2)
    run, other = begin(journal), begin(journal, "r2")
    journal.rows.replace(run, [_row(1, status=Status.SUCCESS), _row(9)])
    journal.rows.record_outcomes(run, [_row(1, status=Status.SUCCESS)], at=T0)
    before = journal.rows.of_run(run)
    journal.rows.store_ahead(run, [_row(7), _row(8)])  # of a plan that was killed
    planned = [_row(3), _row(1), _row(5), _row(2), _row(4)]
    ahead = journal.rows.store_ahead(run, planned)
    assert journal.rows.of_run(run) == before
    assert journal.rows.lanes(run) == {1}
    rows = [*planned[:2], _row(5, status=Status.HELD), *planned[3:]]
    journal.rows.replace(run, rows, ahead)
    assert journal.rows.of_run(run) == rows
    assert journal.rows.of_run(other) == []
    assert [row.key for row in journal.rows.settled_earlier(run)] == [_row(1).key]


@pytest.mark.parametrize("second_commits_first", [False, True])
def test_of_two_tries_that_overlap_each_stores_its_own_rows(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, *, second_commits_first: bool
) -> None:
    monkeypatch.setattr(journal_rows, "ROWS_AHEAD_AT_A_TIME", 2)
    run, numbers = begin(journal), range(1, 8)
    held, planned = [_row(number, status=Status.HELD) for number in numbers], [_row(number) for number in numbers]
    first = journal.rows.store_ahead(run, held)
    second = journal.rows.store_ahead(run, planned)
    tries = [(held, first), (planned, second)]
    for rows, ahead in reversed(tries) if second_commits_first else tries:
        journal.rows.replace(run, rows, ahead)
        assert journal.rows.of_run(run) == rows


def test_a_try_of_which_another_one_deleted_a_part_stores_all_rows(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_rows, "ROWS_AHEAD_AT_A_TIME", 2)
    run, rows = begin(journal), [_row(number) for number in range(1, 6)]
    others = iter([[_row(9)], [_row(8)]])
    # another try commits its plan each time that others may write
    monkeypatch.setattr(Database, "let_others_write", lambda _: journal.rows.replace(run, next(others)))
    ahead = journal.rows.store_ahead(run, rows)
    assert journal.rows.of_run(run) == [_row(8)]
    journal.rows.replace(run, rows, ahead)
    assert journal.rows.of_run(run) == rows


def test_a_plan_stored_at_once_leaves_nothing_of_rows_stored_ahead(journal: Journal) -> None:
    run = begin(journal)
    journal.rows.store_ahead(run, [_row(1), _row(2)])
    journal.rows.replace(run, [_row(3)])
    with journal.database.reading() as connection:
        assert connection.scalars(select(tables.row.c.key)).all() == [_row(3).key]


def test_what_the_run_settled_in_earlier_attempts_is_kept_for_its_report(journal: Journal) -> None:
    first, other = begin(journal), begin(journal, "r2")
    done, failed, elsewhere, unowned = recorded(
        journal, change("g", "u1"), change("g", "u2"), change("g", "u3"), change("g", "u4")
    )
    journal.rows.record_outcomes(other, [row(elsewhere, Status.SUCCESS)], at=T0)
    kept = [row(done, Status.SUCCESS), replace(row(unowned, Status.SKIPPED), change_ids=())]
    rows = [*kept, row(failed, Status.FAILED), row(elsewhere, Status.SUCCESS)]
    journal.rows.replace(first, rows)
    journal.rows.record_outcomes(first, rows, at=T0)

    second = begin(journal, clear_number=1)
    journal.rows.replace(second, [row(failed, Status.SUCCESS)])
    assert journal.rows.settled_earlier(first) == []
    assert journal.rows.settled_earlier(second) == kept
    journal.rows.record_outcomes(second, [row(failed, Status.SUCCESS)], at=T0)
    assert journal.rows.settled_earlier(begin(journal, clear_number=2)) == [*kept, row(failed, Status.SUCCESS)]


def test_a_second_plan_of_the_same_attempt_does_not_forget_what_the_first_settled(journal: Journal) -> None:
    run = begin(journal)
    one, two = recorded(journal, change("g", "u1"), change("g", "u2"))
    journal.rows.replace(run, [row(one, Status.PLANNED), row(two, Status.PLANNED)])
    journal.rows.record_outcomes(run, [row(one, Status.SUCCESS)], at=T0)
    journal.rows.replace(run, [row(two, Status.PLANNED)])
    journal.rows.replace(run, [row(two, Status.HELD)])
    assert journal.rows.of_run(run) == [row(two, Status.HELD)]
    assert journal.rows.settled_earlier(run) == [row(one, Status.SUCCESS)]


def test_dry_rows_count_as_nothing_done(journal: Journal) -> None:
    dry = begin(journal, dry_run=True)
    journal.rows.record_outcomes(dry, [_row(1, status=Status.SUCCESS)], at=T0)
    assert journal.rows.settled_earlier(begin(journal, clear_number=1)) == []
    assert journal.of(DEFINITION).limit_counts.written_since(Action.REMOVE, T0, approved_from=100) == {}


def test_an_intent_to_send_is_known_after_a_crash_until_a_new_plan(journal: Journal) -> None:
    run = begin(journal)
    journal.rows.replace(run, [_row(1), _row(2), _row(3)])
    keys = [_row(number).key for number in (1, 2, 3)]
    fence = journal.leases.acquire("org", run.key, "patch[0]", now=T0, ttl=minutes(5))
    journal.rows.mark_sending(run, keys[:2], fence, T0)
    assert journal.rows.maybe_sent(run, keys) == set(keys[:2])
    assert journal.rows.maybe_sent(run, keys[1:]) == {keys[1]}
    journal.rows.record_outcomes(run, [_row(1, status=Status.SUCCESS)], at=T0)
    assert journal.rows.maybe_sent(run, keys) == set(keys[:2])
    journal.rows.replace(run, [_row(2), _row(3)])
    assert journal.rows.maybe_sent(run, keys) == set()


# -- figures --


def test_group_results_and_requests_are_kept_per_group_and_per_task(journal: Journal) -> None:
    run = begin(journal)
    before = GroupResult("G1", "Sales", ("a",), True, 3, None, 0, 0, 1)
    after = replace(before, after=4, added=1)
    support = GroupResult("G2", "Billing", ("b", "c"), False, None, None, 0, 0, None)
    journal.figures.save_groups(run, [before, support])
    journal.figures.save_groups(run, [after])
    assert journal.figures.groups(run) == [support, after]

    assert journal.figures.requests(run) == {"total": 0, "retried": 0, "throttled": 0, "by_endpoint": {}}
    journal.figures.add_requests(run, "plan", {"total": 9, "retried": 9, "throttled": 9, "by_endpoint": {"GET x": 9}})
    journal.figures.add_requests(run, "plan", {"total": 2, "retried": 1, "throttled": 0, "by_endpoint": {"GET x": 2}})
    journal.figures.add_requests(
        run, "patch[0]", {"total": 3, "retried": 0, "throttled": 1, "by_endpoint": {"GET x": 1, "P": 2}}
    )
    assert journal.figures.requests(run) == {
        "total": 5,
        "retried": 1,
        "throttled": 1,
        "by_endpoint": {"GET x": 3, "P": 2},
    }
    assert journal.figures.groups(begin(journal, clear_number=1)) == []


def test_old_runs_are_forgotten_but_no_change_and_not_its_last_outcome(journal: Journal) -> None:
    old, new = begin(journal, "old"), begin(journal, "new", started_at=T0 + minutes(60))
    one, two = recorded(journal, change("g", "u1"), change("g", "u2"))
    journal.rows.record_outcomes(old, [row(one, Status.HELD), row(two, Status.SUCCESS)], at=T0)
    journal.rows.record_outcomes(new, [row(one, Status.FAILED)], at=T0 + minutes(60))
    unfinished, another = begin(journal, "unfinished"), begin(journal, "another", definition="another")
    for run in (old, another):
        journal.runs.finish(run, "success", T0 + minutes(1))

    assert journal.runs.forget(DEFINITION, T0 + minutes(30)) == 1
    for run in (unfinished, another):  # one that waits for a person, say; and one with days of its own
        assert journal.runs.get(run.key).id == run.id
    with pytest.raises(JournalError):
        journal.runs.get(old.key)
    assert journal.rows.of_run(old) == []
    assert len(journal.rows.of_run(new)) == 1
    assert [
        found.run_id
        for _, found in sorted(journal.of(DEFINITION).changes.last_outcomes([one.id or 0, two.id or 0]).items())
    ] == ["new", "old"]
    assert len(journal.of(DEFINITION).changes.in_window(Window(None, None))) == 2


def test_a_row_of_an_undo_is_stored_under_the_names_that_older_journals_have(journal: Journal) -> None:
    run = begin(journal)
    undone = _row(1, undoes_run="bad")
    journal.rows.replace(run, [undone])
    with journal._database.reading() as connection:
        [data] = connection.scalars(select(tables.row.c.data))
    assert data["undoes"] == "bad"
    assert set(data) == {
        *("action", "status", "genesys_group_id", "user_guid", "group_guids", "genesys_user_id", "reason", "error"),
        *("http_code", "correlation_id", "changed_at", "observed_after", "observed_at", "settled_by", "change_ids"),
        *("lane", "genesys_group", "directory_groups", "directory_user", "undoes", "about", "rivals", "unseen"),
        *("first_seen_at", "first_seen_run", "retry_after"),
    }
    assert journal.rows.of_run(run) == [undone]
