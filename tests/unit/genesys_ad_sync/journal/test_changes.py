"""Changes in the journal: found again by window, never doubled, settled once."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal import Journal, Outcome
from genesys_ad_sync.model import Action, Change, DirectoryView, Doubt, Reason, RunKey, Status, Window
from tests.support.journal import (
    DEFINITION,
    T0,
    advance,
    begin,
    change,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    minutes,
    recorded,
    row,
)


def test_a_change_comes_back_as_it_was_given_with_an_id(journal: Journal) -> None:
    given_changes = [
        change(
            "g1", "u1", changed_at=T0 + minutes(1), observed_after=T0 - minutes(5), path=("g1", "g2"), origin="metadata"
        ),
        change(
            "g1",
            None,
            Action.REMOVE,
            genesys_user_id="x",
            held_reason=Reason.OTHER_DOMAIN_CONTROLLER,
            trusted_dc="dc1",
            doubt=Doubt({"i1": 5_000_000_000}, {"dc1": 3}, "dc2", ask=True),
        ),
    ]
    poll = advance(journal, DirectoryView(), changes=given_changes)

    stored = journal.of(DEFINITION).changes.unsettled()
    assert [replace(one, id=None) for one in stored] == [replace(one, poll=poll) for one in given_changes]
    assert journal.of(DEFINITION).changes.by_id([one.id for one in stored if one.id]) == stored
    assert journal.of("other").changes.unsettled() == []


def test_who_left_a_group_is_who_has_a_removal_as_the_newest_change(journal: Journal) -> None:
    advance(journal, DirectoryView(), changes=[change("g1", "u1"), change("g1", "u1", Action.REMOVE)])
    advance(
        journal, DirectoryView(), changes=[change("g1", "u2", Action.REMOVE), change("g1", "u2"), change("g2", "u1")]
    )
    people = [("g1", "u1"), ("g1", "u2"), ("g2", "u1"), ("g2", "u2")]
    assert journal.of(DEFINITION).changes.removed(people) == {("g1", "u1")}
    assert journal.of("other").changes.removed(people) == set()


def test_what_is_known_of_a_doubt_can_change_until_it_is_over(journal: Journal) -> None:
    changes = journal.of(DEFINITION).changes
    advance(
        journal,
        DirectoryView(),
        changes=[change("g1", "u1", Action.REMOVE, held_reason=Reason.OTHER_DOMAIN_CONTROLLER)],
    )
    [held] = changes.unsettled()
    assert held.id is not None
    changes.set_doubts({held.id: Doubt(ask=True)})
    assert changes.unsettled()[0].doubt == Doubt(ask=True)
    changes.clear_hold([held.id])
    assert (changes.unsettled()[0].held_reason, changes.unsettled()[0].doubt) == (None, None)
    changes.hold([held.id], Reason.MAPPING_CHANGED)
    assert changes.unsettled()[0].held_reason is Reason.MAPPING_CHANGED


def test_changes_that_the_journal_does_not_have_are_an_error_not_an_empty_answer(journal: Journal) -> None:
    with pytest.raises(JournalError, match="mode full"):
        journal.of(DEFINITION).changes.by_id([4711])


def test_a_comparison_takes_the_unsettled_change_of_the_same_wish_instead_of_a_second_one(journal: Journal) -> None:
    advance(journal, DirectoryView(), changes=[change("g1", "u1")])
    [watched] = journal.of(DEFINITION).changes.unsettled()

    wishes = [
        change("g1", "u2", origin="comparison"),
        change("g1", "u1", origin="comparison", genesys_user_id="U1"),
        change("g1", "u1", Action.REMOVE, origin="comparison"),
        change("g2", "u1", origin="comparison"),
        change("g1", None, Action.REMOVE, origin="comparison", genesys_user_id="X"),
        change("g1", None, Action.REMOVE, origin="comparison", genesys_user_id="Y"),
    ]
    first = journal.of(DEFINITION).changes.add_compared(wishes)
    again = journal.of(DEFINITION).changes.add_compared([*wishes, wishes[0]])

    assert first[1] == watched
    assert [one.user_guid for one in first] == [one.user_guid for one in wishes]
    assert again == [*first, first[0]]
    assert len(journal.of(DEFINITION).changes.unsettled()) == len({one.id for one in first}) == 6
    assert journal.of(DEFINITION).changes.add_compared([]) == []


def test_a_comparison_does_not_take_a_change_that_is_settled(journal: Journal) -> None:
    [old] = recorded(journal, change("g1", "u1"))
    journal.rows.record_outcomes(begin(journal), [row(old, Status.SUCCESS)], at=T0)
    [new] = recorded(journal, change("g1", "u1"))
    assert new.id != old.id


def test_a_proof_takes_the_reason_for_holding_away(journal: Journal) -> None:
    held, other = recorded(
        journal,
        change("g1", "u1", held_reason=Reason.OTHER_DOMAIN_CONTROLLER),
        change("g1", "u2", held_reason=Reason.SCOPE_CHANGED),
    )
    assert held.id
    journal.of(DEFINITION).changes.clear_hold([held.id])
    assert [one.held_reason for one in journal.of(DEFINITION).changes.unsettled()] == [None, other.held_reason]


# -- windows --


def test_a_window_gives_settled_changes_too(journal: Journal) -> None:
    [one] = recorded(journal, change("g1", "u1", changed_at=T0))
    journal.rows.record_outcomes(begin(journal), [row(one, Status.SUCCESS)], at=T0)
    [found] = journal.of(DEFINITION).changes.in_window(Window(T0, T0 + minutes(1)))
    assert (found.id, found.status, found.settled_by) == (one.id, Status.SUCCESS, "dag/r1")


def test_the_journal_finds_by_window_what_the_model_says_lies_in_it(journal: Journal) -> None:
    times = [T0 + minutes(number) for number in range(4)]
    every_kind = [
        change("g", f"u{number}", changed_at=changed, observed_after=after, observed_at=seen)
        for number, (changed, after, seen) in enumerate(itertools.product([None, *times], [None, *times], times))
    ]
    advance(journal, DirectoryView(), changes=every_kind)
    stored = journal.of(DEFINITION).changes.unsettled()
    assert len(stored) == len(every_kind)
    for start, end in itertools.product([None, *times], repeat=2):
        window = Window(start, end)
        assert journal.of(DEFINITION).changes.in_window(window) == [one for one in stored if window.contains(one)]


# -- outcomes --


def test_the_last_outcome_counts_whichever_run_gave_it(journal: Journal) -> None:
    first, second = begin(journal, "r1"), begin(journal, "r2")
    one, two = recorded(journal, change("g1", "u1"), change("g1", "u2"))
    assert one.id
    assert two.id
    journal.rows.record_outcomes(first, [row(one, Status.HELD, reason=Reason.OVER_LIMIT)], at=T0)
    journal.rows.record_outcomes(
        second, [row(one, Status.FAILED, reason=Reason.REFUSED, http_code=403, error="no")], at=T0
    )
    journal.rows.record_outcomes(
        first, [row(one, Status.SUCCESS, http_code=200, correlation_id="c")], at=T0 + minutes(1)
    )

    assert journal.of(DEFINITION).changes.last_outcomes([one.id, two.id, 4711]) == {
        one.id: Outcome(Status.SUCCESS, None, "dag", "r1", 1, 200, "c", None, T0 + minutes(1))
    }


@pytest.mark.parametrize("status", list(Status))
def test_four_statuses_settle_a_change_and_the_others_leave_it_to_a_later_run(journal: Journal, status: Status) -> None:
    [one] = recorded(journal, change("g1", "u1"))
    journal.rows.record_outcomes(begin(journal), [row(one, status)], at=T0)
    left = [found.id for found in journal.of(DEFINITION).changes.unsettled()]
    assert left == ([] if status.value in {"success", "unchanged", "superseded", "skipped"} else [one.id])
    assert one.id
    [now] = journal.of(DEFINITION).changes.by_id([one.id])
    assert now.status is status
    assert now.settled_by == ("dag/r1" if not left else None)


def _ids(changes: list[Change]) -> list[int]:
    return [one.id for one in changes if one.id is not None]


def test_a_change_is_settled_once_and_another_run_is_told_by_whom(journal: Journal) -> None:
    first, second = begin(journal, "r1"), begin(journal, "r2")
    one, two, three = recorded(journal, change("g1", "u1"), change("g1", "u2"), change("g2", "u1"))
    assert journal.rows.record_outcomes(first, [row(one, Status.SUCCESS)], at=T0) == {}

    both = replace(row(two, Status.SUCCESS), change_ids=tuple(_ids([one, two])))
    elsewhere = journal.rows.record_outcomes(second, [row(one, Status.FAILED), both, row(three, Status.SUCCESS)], at=T0)

    assert elsewhere == {one.id: RunKey("dag", "r1")}
    assert [change.settled_by for change in journal.of(DEFINITION).changes.by_id(_ids([one, two, three]))] == [
        "dag/r1",
        "dag/r2",
        "dag/r2",
    ]
    assert journal.of(DEFINITION).changes.last_outcomes(_ids([one]))[one.id or 0].run_id == "r1"
    # a row of which another run settled everything says so; one that still settled something does not
    assert [(found.user_guid, found.settled_by) for found in journal.rows.of_run(second)] == [
        ("u1", "dag/r1"),
        ("u2", None),
        ("u1", None),
    ]


def test_the_run_that_settled_a_change_may_think_again(journal: Journal) -> None:
    run = begin(journal)
    [one] = recorded(journal, change("g1", "u1"))
    journal.rows.record_outcomes(run, [row(one, Status.SUCCESS)], at=T0)
    assert journal.rows.record_outcomes(run, [row(one, Status.FAILED, reason=Reason.NOT_IN_EFFECT)], at=T0) == {}
    assert _ids(journal.of(DEFINITION).changes.unsettled()) == [one.id]


def test_a_later_attempt_of_the_same_run_does_not_settle_a_change_again(journal: Journal) -> None:
    [one] = recorded(journal, change("g1", "u1"))
    journal.rows.record_outcomes(begin(journal), [row(one, Status.SUCCESS)], at=T0)
    later = begin(journal, clear_number=1)
    assert journal.rows.record_outcomes(later, [row(one, Status.UNCHANGED)], at=T0) == {}
    assert one.id
    assert journal.of(DEFINITION).changes.last_outcomes([one.id])[one.id].status is Status.SUCCESS


def test_a_dry_run_settles_nothing_and_leaves_no_outcome(journal: Journal) -> None:
    run = begin(journal, dry_run=True)
    [one] = recorded(journal, change("g1", "u1"))
    journal.rows.replace(run, [row(one, Status.HELD)])
    assert journal.rows.record_outcomes(run, [row(one, Status.SKIPPED)], at=T0) == {}
    assert journal.of(DEFINITION).changes.unsettled() == [one]
    assert journal.of(DEFINITION).changes.last_outcomes(_ids([one])) == {}
    assert [found.status for found in journal.rows.of_run(run)] == [Status.SKIPPED]


def test_recording_a_change_that_the_journal_does_not_have_writes_nothing(journal: Journal) -> None:
    run = begin(journal)
    [one] = recorded(journal, change("g1", "u1"))
    with pytest.raises(JournalError, match="not in the journal"):
        journal.rows.record_outcomes(run, [row(one, Status.SUCCESS), row(replace(one, id=4711), Status.SUCCESS)], at=T0)
    assert _ids(journal.of(DEFINITION).changes.unsettled()) == [one.id]
    assert journal.rows.of_run(run) == []
