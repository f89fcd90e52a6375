"""Which failed changes turn a run red."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.model import Action, OpenChanges, OpenCount, Outcome, Reason, Row, RunKey, Status
from genesys_ad_sync.run.facts import OPEN
from genesys_ad_sync.run.fail_on import counted_failures, counts

NOW = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
HERE = ("dag", "now")


def outcome(hours_ago: float, status: Status = Status.FAILED, run: str = "before", **more: object) -> Outcome:
    fields: dict[str, object] = {"reason": Reason.REFUSED, "http_code": 400, "genesys_group_id": "G", **more}
    at = NOW - timedelta(hours=hours_ago)
    return Outcome(status, dag_id="dag", run_id=run, attempt=1, correlation_id=None, error=None, at=at, **fields)  # type: ignore[arg-type]


def failed(action: Action = Action.ADD, reason: Reason = Reason.REFUSED) -> Row:
    return Row(action, Status.FAILED, "G", "ann", ("g",), reason=reason, http_code=400)


@pytest.mark.parametrize(
    ("history", "red"),
    [
        ([outcome(1)], False),
        ([outcome(1), outcome(0, run="now")], False),  # the same run said it twice
        ([outcome(0, run="now")], True),
        ([outcome(1, reason=Reason.UNVERIFIED)], True),
        ([outcome(1, http_code=403)], True),
        ([outcome(1, genesys_group_id="H")], True),
        ([outcome(2), outcome(1, Status.HELD)], True),
        ([outcome(30)], False),  # an addition may fail for long
    ],
)
def test_an_addition_counts_if_it_is_new_or_has_another_cause(history: list[Outcome], red: bool) -> None:
    assert counts(failed(), [history], HERE, NOW) is red


@pytest.mark.parametrize(
    ("history", "red"),
    [
        ([outcome(23.9)], False),
        ([outcome(24)], True),
        ([outcome(30, reason=Reason.UNVERIFIED), outcome(1)], True),  # it fails without a break
        ([outcome(30), outcome(20, Status.HELD), outcome(1)], False),
    ],
)
def test_a_removal_counts_again_when_it_has_failed_for_a_day(history: list[Outcome], red: bool) -> None:
    assert counts(failed(Action.REMOVE), [history], HERE, NOW) is red


def test_a_row_of_several_changes_counts_if_one_of_them_is_new() -> None:
    assert counts(failed(), [[outcome(1)], []], HERE, NOW)
    assert not counts(failed(), [[outcome(1)], [outcome(2)]], HERE, NOW)


def test_a_row_without_a_change_and_a_refused_client_always_count() -> None:
    assert counts(failed(), [], HERE, NOW)
    assert counts(failed(reason=Reason.REFUSED_CLIENT), [[outcome(1)]], HERE, NOW)


@pytest.mark.parametrize(
    ("dag_id", "fail_on", "red"), [("dag", "new", 0), ("dag", "any", 1 + 3), ("dag_full", "new", 1 + 3)]
)
def test_any_counts_known_failures_too_and_so_does_the_full_dag(dag_id: str, fail_on: str, red: int) -> None:
    waiting = OpenChanges(OpenCount(9), OpenCount(9), OpenCount(3), None)
    known = {1: [outcome(1)]}
    task: Any = SimpleNamespace(
        definition=SimpleNamespace(fail_on=fail_on, full_dag_id="dag_full"),
        key=RunKey(dag_id, "now"),
        facts={OPEN: waiting},
        journal=SimpleNamespace(changes=SimpleNamespace(outcomes=lambda _: known)),
        clock=lambda: NOW,
    )
    row = Row(Action.ADD, Status.FAILED, "G", "ann", ("g",), reason=Reason.REFUSED, http_code=400, change_ids=(1,))
    assert counted_failures(task, [row]) == red
