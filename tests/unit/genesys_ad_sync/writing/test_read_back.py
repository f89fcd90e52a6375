"""What a read-back makes of the answers: it waits, and then decides by what it has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.genesys.errors import ServerError
from genesys_ad_sync.genesys.writers import WriteResult
from genesys_ad_sync.model import Action, Reason, Row, Status
from genesys_ad_sync.writing.read_back import READ_BACK_WAITS, ReadBack, read_back

ANN = Row(Action.ADD, Status.PLANNED, "G", "ann", ("g1",), genesys_user_id="x-ann")
BOB = Row(Action.REMOVE, Status.PLANNED, "G", "bob", ("g1",), genesys_user_id="x-bob")


@dataclass
class Genesys:
    """Answers one reading after the other; the last one for ever. A task and a writer, as far as they are used."""

    readings: list[set[str] | Exception]
    lost: dict[str, frozenset[str] | None] = field(default_factory=dict)
    slept: list[float] = field(default_factory=list)
    journal: Any = None
    run: Any = None
    verify_within: float = 30.0

    @property
    def definition(self) -> Any:
        return SimpleNamespace(genesys=SimpleNamespace(verify_within=timedelta(seconds=self.verify_within)))

    @property
    def genesys(self) -> Any:
        return self

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def individuals(self, _: str) -> frozenset[str]:
        reading = self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]
        if isinstance(reading, Exception):
            raise reading
        return frozenset(reading)

    def lost_groups(self, _: Sequence[str]) -> dict[str, frozenset[str] | None]:
        return self.lost


def result(row: Row, **more: Any) -> WriteResult:
    assert row.genesys_user_id is not None
    return WriteResult(**{"user_id": row.genesys_user_id, "action": row.action, "ok": True, **more})


def after(genesys: Genesys, *results: WriteResult, rows: Sequence[Row] = (ANN, BOB), verify: bool = True) -> ReadBack:
    given: Any = {(one.user_id, one.action): one for one in results}
    stand_in: Any = genesys
    return read_back(stand_in, stand_in, "G", rows, given, READ_BACK_WAITS if verify else ())


def outcomes(done: ReadBack) -> list[tuple[Status, Reason | None]]:
    return [(row.status, row.reason) for row in done.rows]


def test_it_waits_until_everything_is_in_effect() -> None:
    genesys = Genesys([{"x-bob"}, {"x-bob", "x-ann"}, {"x-ann"}])
    done = after(genesys, result(ANN), result(BOB))
    assert outcomes(done) == [(Status.SUCCESS, None)] * 2
    assert done.members == {"x-ann"}
    assert genesys.slept == list(READ_BACK_WAITS[1:3])


def test_what_is_accepted_and_never_in_effect_has_failed() -> None:
    genesys = Genesys([{"x-bob"}])
    done = after(genesys, result(ANN), result(BOB))
    assert outcomes(done) == [(Status.FAILED, Reason.NOT_IN_EFFECT)] * 2
    assert genesys.slept == list(READ_BACK_WAITS[1:])


@pytest.mark.parametrize(("within", "slept"), [(0.5, []), (3.0, [1.0, 2.0]), (6.9, [1.0, 2.0])])
def test_no_wait_goes_beyond_the_time_that_the_definition_allows(within: float, slept: list[float]) -> None:
    genesys = Genesys([{"x-bob"}], verify_within=within)
    assert outcomes(after(genesys, result(ANN), rows=[ANN])) == [(Status.FAILED, Reason.NOT_IN_EFFECT)]
    assert genesys.slept == slept


def test_what_got_no_answer_is_a_success_if_it_is_in_effect() -> None:
    done = after(Genesys([{"x-ann"}]), result(ANN, ok=False, ambiguous=True), rows=[ANN])
    assert outcomes(done) == [(Status.SUCCESS, None)]


def test_what_was_refused_is_not_waited_for() -> None:
    genesys = Genesys([set()])
    assert outcomes(after(genesys, result(ANN, ok=False), rows=[ANN])) == [(Status.FAILED, Reason.REFUSED)]
    assert genesys.slept == []


def test_a_success_that_cannot_be_read_back_is_unverified() -> None:
    error = ServerError("down", status=503)
    done = after(Genesys([error]), result(ANN), rows=[ANN])
    assert outcomes(done) == [(Status.FAILED, Reason.UNVERIFIED)]
    assert (done.members, done.error) == (None, error)


def test_a_reading_that_fails_once_is_repeated() -> None:
    done = after(Genesys([ServerError("down", status=503), {"x-ann"}]), result(ANN), rows=[ANN])
    assert outcomes(done) == [(Status.SUCCESS, None)]
    assert done.error is None


def test_a_user_who_lost_other_groups_is_not_a_success() -> None:
    journal = SimpleNamespace(rows=SimpleNamespace(of_run=lambda _: []))
    done = after(Genesys([{"x-ann"}], lost={"x-ann": frozenset({"H"})}, journal=journal), result(ANN), rows=[ANN])
    assert outcomes(done) == [(Status.FAILED, Reason.UNVERIFIED)]
    assert "H" in (done.rows[0].error or "")


def test_a_loss_that_another_task_of_the_run_asked_for_is_none() -> None:
    elsewhere = Row(Action.REMOVE, Status.SUCCESS, "H", "ann", ("g2",), genesys_user_id="x-ann")
    journal = SimpleNamespace(rows=SimpleNamespace(of_run=lambda _: [elsewhere]))
    done = after(Genesys([{"x-ann"}], lost={"x-ann": frozenset({"H"})}, journal=journal), result(ANN), rows=[ANN])
    assert outcomes(done) == [(Status.SUCCESS, None)]


@pytest.mark.parametrize("verify", [True, False])
def test_what_was_not_sent_costs_no_reading(verify: bool) -> None:
    done = after(Genesys([ServerError("not to be asked")]), verify=verify)
    assert outcomes(done) == [(Status.FAILED, Reason.NOT_ATTEMPTED)] * 2


def test_without_verify_the_answers_decide() -> None:
    done = after(Genesys([ServerError("not to be asked")]), result(ANN), result(BOB, ok=False), verify=False)
    assert outcomes(done) == [(Status.SUCCESS, None), (Status.FAILED, Reason.REFUSED)]


def test_a_conflict_and_an_unclear_answer_are_no_refusals() -> None:
    conflict, unclear = result(ANN, ok=False, conflict=True), result(BOB, ok=False, ambiguous=True)
    done = after(Genesys([set()]), conflict, unclear, verify=False)
    assert [row.reason for row in done.rows] == [Reason.NOT_IN_EFFECT, Reason.UNVERIFIED]
    assert [row.reason for row in after(Genesys([set()]), result(ANN, ok=False), rows=[ANN], verify=False).rows] == [
        Reason.REFUSED
    ]


NOT_VISIBLE = (Status.UNCHANGED, Reason.MEMBER_NOT_VISIBLE)
HIDDEN = replace(ANN, action=Action.REMOVE, unseen=True)


@pytest.mark.parametrize("ok", [True, False])
@pytest.mark.parametrize("verify", [True, False])
def test_a_removal_whose_effect_nobody_can_see_is_settled_once(ok: bool, verify: bool) -> None:
    done = after(Genesys([set()]), result(HIDDEN, ok=ok), rows=[HIDDEN], verify=verify)
    assert outcomes(done) == [NOT_VISIBLE]


@pytest.mark.parametrize(("ok", "reason"), [(True, Reason.NOT_IN_EFFECT), (False, Reason.REFUSED)])
def test_who_is_shown_as_a_member_afterwards_is_visible(ok: bool, reason: Reason) -> None:
    done = after(Genesys([{"x-ann"}]), result(HIDDEN, ok=ok), rows=[HIDDEN])
    assert outcomes(done) == [(Status.FAILED, reason)]
    seen = replace(HIDDEN, unseen=False)
    refused = after(Genesys([set()]), result(seen, ok=False), rows=[seen], verify=False)
    assert outcomes(refused) == [(Status.FAILED, Reason.REFUSED)]
