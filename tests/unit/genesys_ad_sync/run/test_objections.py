"""When a person's decision against a change ends."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.model import AccountState, Action, GroupPair, Objection, PairState, Reason, RowKey, RunKey
from genesys_ad_sync.run.facts import MAPPING, StoredMapping
from genesys_ad_sync.run.objections import Objections, end, objections
from tests.support.journal import T0

PIN = Objection(Reason.UNDONE, RunKey("dag", "undo"), T0, 5, "olivia", Action.REMOVE)
REJECTION = replace(PIN, reason=Reason.REJECTED, account_ended=False)
ANN = "G", "ann"
KEY = str(RowKey(*ANN, Action.REMOVE))
PAIR = GroupPair("g1", "G", "Sales", 0)


def decided(
    pin: Objection | None = None,
    rejection: Objection | None = None,
    *,
    newest: int = 5,
    account: AccountState = AccountState.ENABLED,
    expired_users: str = "remove",
    pair: GroupPair = PAIR,
    group: str | None = None,
) -> Objections:
    """Return what holds of a decision made when change 5 was the newest."""
    deleted = {"ann"} if account is AccountState.DELETED else set()
    facts = {"accounts": {} if deleted else {"ann": account}, MAPPING.key: StoredMapping(pairs=(pair,))}

    class Facts:
        def __getitem__(self, fact: Any) -> Any:
            return facts[fact.key]

        required = __getitem__

    task: Any = SimpleNamespace(
        facts=Facts(),
        definition=SimpleNamespace(
            directory=SimpleNamespace(policy=SimpleNamespace(expired_users=expired_users)),
        ),
        journal=SimpleNamespace(
            pins=SimpleNamespace(all=lambda: {ANN: pin} if pin else {}),
            questions=SimpleNamespace(rejections=lambda: {KEY: rejection} if rejection else {}),
            pairs=SimpleNamespace(active=list, former=list),
            views=SimpleNamespace(deleted_users=lambda: deleted),
            changes=SimpleNamespace(
                newest_told_ids=lambda subjects, **_: {one: newest for one in subjects if one == ("g1", "ann")}
            ),
        ),
    )
    return objections(task, group)


def test_an_undo_holds_until_ad_reports_something_newer() -> None:
    assert decided(PIN).standing == {KEY: PIN}
    assert decided(PIN, newest=6) == Objections(ended_pins=frozenset({ANN}))


def test_a_rejection_holds_until_ad_reports_something_newer() -> None:
    assert decided(rejection=REJECTION).standing == {KEY: REJECTION}
    assert decided(rejection=REJECTION, newest=6) == Objections(ended_rejections=frozenset({KEY}))


@pytest.mark.parametrize(
    ("state", "pair", "ended"),
    [
        (PairState.CONFIRMED, PAIR, True),
        (PairState.NEW, PAIR, False),
        (PairState.REJECTED, PAIR, False),
        (PairState.REJECTED, replace(PAIR, has_baseline=True), True),  # it was confirmed once
    ],
)
def test_what_an_unconfirmed_pair_shows_ends_no_decision(state: PairState, pair: GroupPair, *, ended: bool) -> None:
    found = decided(PIN, newest=6, pair=replace(pair, state=state))
    assert bool(found.ended_pins) is ended


@pytest.mark.parametrize(
    ("account", "policy", "pin_ends", "rejection_ends"),
    [
        (AccountState.ENABLED, "remove", False, False),
        (AccountState.UNSEEN, "remove", False, False),
        (AccountState.DISABLED, "remove", True, True),
        (AccountState.EXPIRED, "remove", True, True),
        (AccountState.EXPIRED, "keep", True, False),
        (AccountState.DISABLED, "keep", True, True),
    ],
)
def test_what_keeps_somebody_ends_with_the_account(
    account: AccountState, policy: str, *, pin_ends: bool, rejection_ends: bool
) -> None:
    found = decided(PIN, REJECTION, account=account, expired_users=policy)
    assert (bool(found.ended_pins), bool(found.ended_rejections)) == (pin_ends, rejection_ends)


def test_a_deleted_account_ends_what_keeps_it_and_not_what_keeps_it_out() -> None:
    gone = AccountState.DELETED
    assert decided(PIN, account=gone).ended_pins == {ANN}
    assert not decided(replace(PIN, action=Action.ADD), account=gone).ended_pins
    assert not decided(rejection=replace(REJECTION, account_ended=True), account=gone).ended_rejections


def test_another_groups_decisions_are_left_out() -> None:
    assert decided(PIN, REJECTION, group="H") == Objections()
    assert decided(PIN, group="G").standing == {KEY: PIN}


def test_what_has_ended_is_deleted() -> None:
    deleted: list[Any] = []
    task: Any = SimpleNamespace(
        journal=SimpleNamespace(
            pins=SimpleNamespace(remove=deleted.append), questions=SimpleNamespace(end_rejections=deleted.append)
        )
    )
    end(task, Objections({}, frozenset({ANN}), frozenset({KEY})))
    assert deleted == [{ANN}, {KEY}]
