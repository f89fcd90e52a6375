"""Which changes that a run leaves alone count in its limits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.model import Action, Reason, RunKey, Status
from genesys_ad_sync.run.limit_facts import (
    _ONLY_A_PERSON_OR_TIME,
    _of_other_runs,
    is_owed,
    is_pending,
    most_owned_at_once,
)
from tests.support.sync_examples import NOON, change, definition


def outcome(status: Status, reason: Reason | None = None) -> Any:
    return SimpleNamespace(status=status, reason=reason)


def test_what_no_guard_forbids_is_pending() -> None:
    add = change("add", "ann")
    for said in (None, outcome(Status.PLANNED), outcome(Status.FAILED)):
        assert is_pending(add, said)
        assert not is_pending(change("add", "ann", held_reason=Reason.OTHER_DOMAIN_CONTROLLER), said)
    assert not is_pending(add, outcome(Status.HELD, Reason.AMBIGUOUS))
    for reason in _ONLY_A_PERSON_OR_TIME:
        assert is_pending(add, outcome(Status.HELD, reason))
        assert not is_pending(add, outcome(Status.SKIPPED, reason))


@pytest.mark.parametrize(
    ("action", "wanted", "owned", "removals", "owed"),
    [
        ("add", True, False, "granted", True),
        ("add", True, True, "granted", False),
        ("add", False, False, "granted", False),
        ("remove", False, True, "granted", True),
        ("remove", True, True, "granted", False),
        ("remove", False, False, "granted", False),
        ("remove", False, False, "mirror", True),
        ("remove", True, False, "mirror", False),
        ("remove", False, True, "never", False),
    ],
)
def test_what_the_newest_view_asks_for_and_nobody_made_is_owed(
    action: str, wanted: bool, owned: bool, removals: str, *, owed: bool
) -> None:
    ann = {"ann"}
    found = is_owed(change(action, "ann"), ann if wanted else (), ann if owned else (), definition(removals=removals))
    assert found is owed


def test_the_most_owned_at_once_is_found_backwards() -> None:
    add, remove = Action.ADD, Action.REMOVE
    assert most_owned_at_once(5, [remove, remove, add, remove]) == 7
    assert most_owned_at_once(5, [add, add, remove]) == 5


def test_what_other_runs_ask_or_are_about_to_write_counts_but_for_mirror_once() -> None:
    journal = SimpleNamespace(
        questions=SimpleNamespace(open_elsewhere=lambda *_, **__: {"asked": 1, "mirrored": 1}),
        limit_counts=SimpleNamespace(held_for=lambda *_, **__: {"mirrored"}, about_to_be_written=lambda **_: ["next"]),
    )
    task: Any = SimpleNamespace(journal=journal)
    run: Any = SimpleNamespace(key=RunKey("dag", "run"))
    assert _of_other_runs(task, run, NOON) == {"asked", "next"}
