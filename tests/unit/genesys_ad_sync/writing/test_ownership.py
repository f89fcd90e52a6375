"""When AD begins to own a membership, and when it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from genesys_ad_sync.model import Action, Grant, Reason, Row, Status
from genesys_ad_sync.planning.grants import grants_ended_by, grants_of

REMOVED = Row(Action.REMOVE, Status.SUCCESS, "G", "ann", ("g1",), genesys_user_id="x-ann")
ADDED = Row(Action.ADD, Status.SUCCESS, "G", "ann", ("g1", "g2"), genesys_user_id="x-ann")


def grant(user: str = "ann", group: str = "g1", genesys_id: str = "x-ann", target: str = "G") -> Grant:
    return Grant(target, genesys_id, user, group)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ({"status": Status.SUCCESS}, True),
        ({"status": Status.UNCHANGED}, True),
        ({"status": Status.UNCHANGED, "undoes_run": "run"}, False),  # somebody else has put it back
        ({"status": Status.SUCCESS, "undoes_run": "run"}, True),
        ({"status": Status.SUCCESS, "settled_by": "dag/run"}, False),
        ({"status": Status.FAILED}, False),
        ({"status": Status.HELD}, False),
        ({"status": Status.SUPERSEDED}, False),
    ],
)
@pytest.mark.parametrize("row", [ADDED, REMOVED], ids=["add", "removal"])
def test_only_what_is_in_effect_changes_ownership(row: Row, outcome: dict[str, object], expected: bool) -> None:
    assert replace(row, **outcome).changes_ownership is expected  # type: ignore[arg-type]  # a test's shorthand


def test_an_add_is_granted_through_each_ad_group_that_asks_for_it() -> None:
    assert grants_of([ADDED]) == [grant(group="g1"), grant(group="g2")]


def test_an_add_of_somebody_unknown_grants_nothing() -> None:
    assert grants_of([replace(ADDED, genesys_user_id=None), replace(ADDED, user_guid=None)]) == []


def test_a_removal_ends_the_grants_of_its_user_in_its_group() -> None:
    grants = [grant(), grant(group="g2"), grant("bob", genesys_id="x-bob"), grant(target="H")]
    assert grants_ended_by([REMOVED], grants, ()) == grants[:2]


def test_a_membership_that_another_group_still_grants_keeps_that_grant() -> None:
    left = replace(REMOVED, status=Status.UNCHANGED, reason=Reason.STILL_GRANTED)
    assert grants_ended_by([left], [grant(group="g1"), grant(group="g2")], ()) == [grant(group="g1")]


def test_grants_of_a_deleted_account_end_with_those_of_the_new_one() -> None:
    old, new = grant("ann-old"), grant("ann")
    absent = replace(REMOVED, status=Status.UNCHANGED, reason=Reason.ALREADY_SO)
    assert set(grants_ended_by([absent], [old, new], {"ann-old"})) == {old, new}
    assert grants_ended_by([absent], [old, new], ()) == [new]
    assert set(grants_ended_by([REMOVED], [old, new], ())) == {old, new}  # nobody owns a member that is no more


def test_an_add_and_an_unsettled_removal_end_nothing() -> None:
    failed = replace(REMOVED, status=Status.FAILED, reason=Reason.UNVERIFIED)
    assert grants_ended_by([ADDED, failed], [grant()], ()) == []
