"""Held removals: which of them a poll confirms."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.model import Action, Change, Cursor, DirectoryView, Doubt, Reason, Scope, StoredCursor
from genesys_ad_sync.polling.confirmation import Evidence, confirm_held_changes, is_shown, rule, told_again
from genesys_ad_sync.polling.doubts import Step
from tests.support.journal import T0, change, cursor, view

SCOPE = Scope("DC=example", "OU=x", "(x=*)", True, "remove", (), ())
HOURS = timedelta(hours=3)
LATER = T0 + HOURS
OUT = view({"g": "u2"})
IN = view({"g": "u1 u2"})
DC1_AT_7 = {"i1": 7}


def held(reason: Reason = Reason.OTHER_DOMAIN_CONTROLLER, action: Action = Action.REMOVE, **values: Any) -> Change:
    return change("g", "u1", action, held_reason=reason, trusted_dc="dc0.example.com", **values)


def delta(*removed: str) -> Delta:
    return Delta(
        cursor=cursor(),
        read_until=T0,
        member_changes={"g": (frozenset(), frozenset(removed))},
        touched=frozenset(),
        deleted=frozenset(),
        primary_groups={},
        entries=1,
    )


def dc2(at: Any = T0, **values: Any) -> Cursor:
    return cursor(at, domain_controller="dc2.example.com", invocation_id="i2", doubted_since=T0, **values)


def ruled(
    of: Change, shown: DirectoryView, fresh: Cursor, listed: Delta | None = None, complete: str = "g", **stored: Any
) -> tuple[bool, Doubt | None]:
    """Return whether it is confirmed, and what is known of it else."""
    before = StoredCursor(cursor(), "scope", 1, T0, **stored)
    step = Step(before, fresh, fresh, listed, frozenset(), T0)
    made = rule([of], shown, SCOPE, Evidence(step, complete.split(), HOURS))
    return made.confirmed == (of,), next((doubt for _, doubt in made.doubts), None)


def test_dirsync_confirms_the_removal_that_it_lists() -> None:
    assert ruled(held(), OUT, dc2(), delta("u1"), complete="")[0]
    assert not ruled(held(), OUT, dc2(), delta("u2"))[0]
    assert not ruled(held(), OUT, dc2())[0]


@pytest.mark.parametrize(("action", "shown"), [(Action.REMOVE, OUT), (Action.ADD, IN)])
def test_where_nothing_is_known_of_replication_a_complete_reading_confirms_in_time(
    action: Action, shown: DirectoryView
) -> None:
    doubted = held(action=action)
    assert ruled(doubted, shown, dc2(LATER))[0]
    assert not ruled(doubted, shown, dc2(LATER - timedelta(seconds=1)))[0]
    assert not ruled(doubted, shown, dc2(LATER), complete="h")[0]
    assert not ruled(doubted, IN if shown is OUT else OUT, dc2(LATER))[0]


def test_the_domain_controller_of_before_confirms_at_once_unless_it_was_restored() -> None:
    back = cursor(domain_controller="dc0.example.com", invocation_id="i0")
    assert ruled(held(), OUT, back)[0]
    assert not ruled(held(), OUT, back, known_dcs={"dc0.example.com": ("i9", 1)})[0]
    behind = replace(back, vector={"i1": 6})  # what it shows, it showed before the doubt, too
    assert ruled(held(doubt=Doubt(DC1_AT_7)), OUT, behind)[0]


@pytest.mark.parametrize(
    ("heard", "confirmed"),
    [
        ({"i1": 7, "i3": 2}, True),
        ({"i1": 9, "i3": 3, "i2": 4}, True),
        ({"i1": 6, "i3": 2}, False),
        ({"i1": 7}, False),  # entry by entry
    ],
)
def test_a_domain_controller_that_has_heard_of_everything_confirms_at_once(
    heard: dict[str, int], *, confirmed: bool
) -> None:
    doubted = held(doubt=Doubt({"i1": 7, "i3": 2}))
    assert ruled(doubted, OUT, dc2(vector=heard))[0] is confirmed
    assert ruled(doubted, OUT, dc2(vector=heard), complete="")[0] is False


def test_time_alone_confirms_nothing_where_replication_can_be_compared() -> None:
    doubted = held(doubt=Doubt(DC1_AT_7))
    known = {"dc1.example.com": ("i1", 7)}
    confirmed, doubt = ruled(doubted, OUT, dc2(LATER, vector={"i1": 5}), known_dcs=known)
    assert not confirmed
    assert doubt == Doubt(DC1_AT_7, {"dc1.example.com": 2}, "dc2.example.com", ask=True)
    assert ruled(doubted, OUT, dc2(LATER - timedelta(seconds=1), vector={"i1": 5}))[1].ask is False  # type: ignore[union-attr]


def test_while_the_missing_domain_controller_answers_nobody_is_asked() -> None:
    doubted = held(doubt=Doubt(DC1_AT_7))
    known = {"dc1.example.com": ("i1", 7)}
    since = {"dc1.example.com": T0 + timedelta(seconds=1)}
    _, doubt = ruled(doubted, OUT, dc2(LATER, vector={"i1": 5}), known_dcs=known, read_at=since)
    assert doubt is not None
    assert not doubt.ask


# -- groups that were out of view ----------------------------------------------------------------------


def test_a_removal_of_a_group_that_comes_back_is_confirmed_by_dirsync_alone() -> None:
    gone = held(Reason.MAPPING_CHANGED)
    assert ruled(gone, OUT, cursor(), delta("u1"), complete="")[0]
    for at in (T0, LATER):
        confirmed, doubt = ruled(gone, OUT, cursor(at))
        assert not confirmed
        assert doubt is not None
        assert doubt.ask


def test_nobody_is_asked_about_a_group_that_is_not_back_or_shown_by_a_lagging_domain_controller() -> None:
    gone = held(Reason.MAPPING_CHANGED)
    assert ruled(gone, OUT, cursor(), complete="h") == (False, None)
    assert ruled(gone, view({"h": ""}), cursor(), complete="g")[1].ask is False  # type: ignore[union-attr]
    assert ruled(gone, IN, cursor())[1].ask is False  # type: ignore[union-attr]
    assert ruled(gone, OUT, dc2())[1].ask is False  # type: ignore[union-attr]


def test_a_removal_that_ad_takes_back_while_the_group_is_out_of_view_is_held_again() -> None:
    told = change("g", "u1", Action.REMOVE)
    back = replace(delta(), member_changes={"g": (frozenset({"u1"}), frozenset())})
    others = [change("g", "u1"), change("g", "u2", Action.REMOVE), held(Reason.REJECTED)]
    assert told_again([told, *others], back) == [told]
    assert told_again([told], delta("u1")) == told_again([told], None) == []


@pytest.mark.parametrize(("now", "held_again"), [(IN, []), (OUT, []), (view({"h": "u1"}), [5])])
def test_it_is_held_again_only_while_the_group_is_out_of_view(now: DirectoryView, held_again: list[int]) -> None:
    """Where the group is in view, the view says whether the user is a member."""
    noted: list[int] = []
    journal: Any = SimpleNamespace(
        changes=SimpleNamespace(
            unsettled=lambda: [change("g", "u1", Action.REMOVE, id=5)], hold=lambda ids, _: noted.extend(ids)
        ),
        views=SimpleNamespace(load=lambda _: now),
    )
    back = replace(delta(), member_changes={"g": (frozenset({"u1"}), frozenset())})
    step = Step(StoredCursor(cursor(), "scope", 1, T0), cursor(), cursor(), back, frozenset(), T0)
    assert confirm_held_changes(journal, SCOPE, step, (), HOURS) == 0
    assert noted == held_again


def test_what_is_held_for_another_reason_is_nothing_that_a_poll_decides() -> None:
    for reason in (Reason.SCOPE_CHANGED, Reason.REJECTED):
        assert ruled(held(reason), OUT, cursor(LATER), delta("u1")) == (False, None)


@pytest.mark.parametrize(
    ("members", "nested_only", "complete", "expected"),
    [
        ({"g": "u2"}, "", "g", True),
        ({"g": "u1"}, "", "g", False),
        ({"g": "n", "n": "u1"}, "n", "g n", False),  # still in it, through the nested group
        ({"g": "n", "n": ""}, "n", "g n", True),
        ({"g": "n", "n": ""}, "n", "g", False),  # the nested group was not read
        ({"g": "u2"}, "g", "g", False),  # out of scope
        ({"h": "u2"}, "", "g", False),  # not there
    ],
)
def test_a_removal_is_shown_by_a_complete_reading_alone(
    members: dict[str, str], nested_only: str, complete: str, expected: bool
) -> None:
    assert is_shown(held(), view(members, nested_only=nested_only), SCOPE, complete.split()) is expected
