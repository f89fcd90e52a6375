"""Which changes of a group are tried now, and which wait for their next try."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone

import pytest

from genesys_ad_sync.model import Action, Change, Reason, Refusal, RefusalKind, Status
from genesys_ad_sync.planning.refusals import Postponed, divide

NOW = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
ADD, REMOVE = Action.ADD, Action.REMOVE
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def change(
    number: int, user: str, action: Action = ADD, status: Status | None = Status.FAILED, group: str = "g"
) -> Change:
    return Change(group, user, action, NOW, id=number, status=status)


def refusal(kind: RefusalKind, action: Action | None = ADD, person: str = "", **more: object) -> Refusal:
    times = {"times": 2} if kind is RefusalKind.FAILING else {}
    fields: dict[str, object] = {"first_at": NOW, "last_at": NOW, "run": "dag/r", **times, **more}
    if kind is RefusalKind.FAILING:
        action = None
    return Refusal(kind, Reason.REFUSED_GROUP, "G", person, action, **fields)  # type: ignore[arg-type]


def ids(postponed: list[Postponed]) -> list[int | None]:
    return sorted((one.id for of_row in postponed for one in of_row.changes), key=lambda id_: id_ or 0)


# -- when it is tried again ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "action", "hours"),
    [
        (RefusalKind.GROUP, ADD, [1, 2, 4, 8, 16, 24, 24]),
        (RefusalKind.PERSON, ADD, [1, 2, 4, 8, 16, 24, 24]),
        (RefusalKind.GROUP, REMOVE, [1, 1, 1]),
        (RefusalKind.PERSON, REMOVE, [1, 1, 1]),
        (RefusalKind.FAILING, None, [None, 0.25, 0.5, 1, 2, 4, 4]),
        (RefusalKind.CLIENT, None, [None, None]),
    ],
)
def test_the_time_of_the_next_try(kind: RefusalKind, action: Action | None, hours: list[float | None]) -> None:
    for times, after in enumerate(hours, 1):
        met = dataclasses.replace(refusal(kind, action), times=times, action=action)
        assert met.retry_at == (None if after is None else NOW + after * HOUR)
        assert met.waits(NOW) is (after is not None)
        assert not met.waits(NOW + 24 * HOUR)


def test_what_is_lifted_is_tried_at_once_and_goes_on_counting() -> None:
    lifted = refusal(RefusalKind.GROUP, times=3, lifted=True)
    assert (lifted.retry_at, lifted.times) == (None, 3)
    assert dataclasses.replace(lifted, times=1000, lifted=False).retry_at == NOW + 24 * HOUR


# -- what waits ---------------------------------------------------------------------------------------


def test_without_a_refusal_everything_is_tried() -> None:
    changes = [change(1, "ann"), change(2, "bob", REMOVE, None)]
    assert divide("G", changes, [], NOW) == (changes, [])
    assert divide("G", changes, [refusal(RefusalKind.GROUP)], NOW + HOUR) == (changes, [])


def test_a_group_refuses_one_action_and_waits_with_all_changes_of_that_action() -> None:
    changes = [change(1, "ann"), change(2, "bob"), change(3, "cid", REMOVE)]
    due, postponed = divide("G", changes, [refusal(RefusalKind.GROUP)], NOW)
    assert (due, ids(postponed)) == ([changes[2]], [1, 2])


@pytest.mark.parametrize(("action", "tried"), [(ADD, True), (REMOVE, False)])
def test_a_new_change_of_the_same_action_makes_a_refused_group_be_tried(action: Action, tried: bool) -> None:
    changes = [change(1, "ann"), change(2, "bob", action, None)]
    due, postponed = divide("G", changes, [refusal(RefusalKind.GROUP)], NOW)
    assert (due == changes) is tried
    assert ids(postponed) == ([] if tried else [1])


def test_a_new_change_of_the_same_person_takes_up_what_waits_for_that_person_only() -> None:
    refusals = [refusal(RefusalKind.PERSON, person=name) for name in ("ann", "bob")]
    changes = [change(1, "ann"), change(2, "bob"), change(3, "ann", REMOVE, None), change(4, "cid", ADD, None)]
    due, postponed = divide("G", changes, refusals, NOW)
    assert (len(due), ids(postponed)) == (3, [2])


@pytest.mark.parametrize("status", [Status.HELD, Status.ORPHANED, Status.PLANNED])
def test_what_is_held_or_orphaned_is_decided_again_in_a_refused_group(status: Status) -> None:
    changes = [change(1, "ann", status=status)]
    for kind in (RefusalKind.GROUP, RefusalKind.FAILING):
        assert divide("G", changes, [refusal(kind)], NOW) == (changes, [])


def test_changes_of_several_ad_groups_are_one_row_and_wait_or_are_tried_together() -> None:
    changes = [change(1, "ann", group="g1"), change(2, "ann", group="g2", status=None)]
    due, postponed = divide("G", changes, [refusal(RefusalKind.GROUP)], NOW)
    assert (due, postponed) == (changes, [])
    due, postponed = divide("G", changes, [refusal(RefusalKind.FAILING)], NOW)
    assert (due, [len(one.changes) for one in postponed]) == ([], [2])


def test_a_group_that_fails_is_left_alone_whatever_is_new() -> None:
    changes = [change(1, "ann"), change(2, "bob", REMOVE, None)]
    due, postponed = divide("G", changes, [refusal(RefusalKind.FAILING)], NOW)
    assert (due, ids(postponed)) == ([], [1, 2])
    unreadable = dataclasses.replace(refusal(RefusalKind.FAILING), reason=Reason.GENESYS_UNREADABLE)
    held = [change(1, "ann", status=Status.HELD)]
    assert divide("G", held, [unreadable], NOW)[0] == []


def test_a_removal_and_what_is_new_are_listed_a_known_addition_is_counted() -> None:
    changes = [change(1, "ann"), change(2, "bob", REMOVE), change(3, "cid", status=None), change(4, "dan")]
    _, postponed = divide("G", changes, [refusal(RefusalKind.FAILING)], NOW, new_in_run=[4])
    assert {one.key.person: one.is_listed for one in postponed} == {"ann": False, "bob": True, "cid": True, "dan": True}


def test_the_last_refusal_to_end_counts() -> None:
    refusals = [refusal(RefusalKind.GROUP), refusal(RefusalKind.FAILING, last_at=NOW + 2 * HOUR)]
    _, [postponed] = divide("G", [change(1, "ann")], refusals, NOW)
    assert postponed.refusal is refusals[1]


def test_a_refusal_of_a_person_stops_that_person_and_that_action() -> None:
    changes = [change(1, "ann"), change(2, "bob"), change(3, "ann", REMOVE)]
    due, postponed = divide("G", changes, [refusal(RefusalKind.PERSON, person="ann")], NOW)
    assert ([one.id for one in due], ids(postponed)) == ([2, 3], [1])
