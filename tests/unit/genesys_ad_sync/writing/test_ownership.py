"""When AD begins to own a membership, and when it ends."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import Action, Grant, GroupPair, Reason, Row, Status
from genesys_ad_sync.planning.grants import grants_ended_by, grants_of
from genesys_ad_sync.writing.ownership import grant_announced_adds, grant_settled_adds, take_back_grants
from tests.support.journal import DEFINITION, T0, journal, journal_url  # noqa: F401 (fixtures)

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


# -- in the journal -----------------------------------------------------------------------------------

PLANNED = replace(ADDED, status=Status.PLANNED, group_guids=("g1",))
ANNOUNCED = [PLANNED, replace(PLANNED, user_guid="bob", genesys_user_id="x-bob")]


@pytest.mark.parametrize("asleep", [False, True])
def test_an_add_that_is_refused_takes_back_only_what_was_granted_for_it(journal: Journal, *, asleep: bool) -> None:
    """Genesys may hide a member that AD owns: the user is refused, and may come back with the membership."""
    mine = journal.of(DEFINITION)
    task: Any = SimpleNamespace(journal=mine, clock=lambda: T0)
    mine.grants.add([grant()], T0)
    if asleep:
        mine.grants.sleep([grant()], T0)
    announced = grant_announced_adds(task, ANNOUNCED)
    assert announced == {grant("bob", genesys_id="x-bob")}
    assert set(mine.grants.of_groups(["G"])) == {grant(), *announced}
    take_back_grants(task, [replace(row, status=Status.FAILED, reason=Reason.REFUSED) for row in ANNOUNCED], announced)
    assert mine.grants.of_groups(["G"]) == [grant()]


@pytest.mark.parametrize(
    ("add", "removal", "manual"),
    [(2, None, False), (2, 1, False), (1, 2, True), (None, 1, True), (None, None, True)],
)
def test_an_add_in_effect_is_manual_unless_a_run_sent_it_last(
    add: int | None, removal: int | None, *, manual: bool
) -> None:
    found = replace(ADDED, status=Status.UNCHANGED, reason=Reason.ALREADY_SO, group_guids=("g1",))
    sent = {found.key: add, replace(found, action=Action.REMOVE).key: removal}
    begun: list[Grant] = []
    stored = SimpleNamespace(
        grants=SimpleNamespace(
            of_groups=lambda _: [], asleep_in=lambda _: [], add=lambda these, _: begun.extend(these)
        ),
        pairs=SimpleNamespace(active=lambda: [GroupPair("g1", "G", "Sales", 0, has_baseline=True)]),
        limit_counts=SimpleNamespace(newest_sent=lambda keys: {key: sent[key] for key in keys if sent[key]}),
    )
    task: Any = SimpleNamespace(journal=stored, clock=lambda: T0)
    grant_settled_adds(task, [found])
    assert begun == [grant()]
    assert begun[0].was_manual is manual
