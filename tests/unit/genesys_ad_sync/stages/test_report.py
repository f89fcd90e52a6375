"""Which comparisons count as done when a run ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.model import Action, GroupPair, PairState, Reason, Row, Status
from genesys_ad_sync.run.facts import StoredMapping, StoredPlan
from genesys_ad_sync.stages import report
from tests.support.journal import T0

PAIRS = (
    GroupPair("g1", "G", "Sales", 0),
    GroupPair("g2", "G", "Sales", 0, state=PairState.NEW),
    GroupPair("g3", "H", "Support", 0),
    GroupPair("g4", "I", "Nights", 0),  # not compared
)
DONE = Row(Action.REMOVE, Status.SUCCESS, "G", "ann", ("g1",), genesys_user_id="x-ann")
BOTH = [("g1", "G"), ("g3", "H")]


def row(status: Status, action: Action = Action.REMOVE, reason: Reason | None = None) -> Row:
    return Row(action, status, "G", "ann", ("g1",), genesys_user_id="x-ann", reason=reason)


def baselines(
    monkeypatch: pytest.MonkeyPatch, *rows: Row, stopped: str | None = None, fail: str | None = None, **run: bool
) -> list[tuple[str, str]] | None:
    """Return the pairs that get a baseline; None: none is stored."""
    found: list[Any] = []
    nothing = lambda *_, **__: None  # noqa: E731
    facts = {
        "plan": StoredPlan("hash", fail, T0),
        "stopped": stopped,
        "compared": frozenset({"G", "H"}),
        "mapping": StoredMapping(PAIRS),
    }

    class Facts:
        def __getitem__(self, fact: Any) -> Any:
            return facts[fact.key]

        required = __getitem__

    monkeypatch.setattr(report, "journal_identity", SimpleNamespace(end_distrust=nothing, stamp_reports=nothing))
    monkeypatch.setattr(report, "note_listed", nothing)
    task: Any = SimpleNamespace(
        clock=lambda: T0,
        facts=Facts(),
        read_run_again=nothing,
        journal=SimpleNamespace(
            pairs=SimpleNamespace(set_baselines=lambda pairs, *_: found.append(pairs)),
            questions=SimpleNamespace(close=nothing),
            runs=SimpleNamespace(finish=nothing),
            housekeeping=SimpleNamespace(is_due=lambda *_: False),
        ),
    )
    kind: dict[str, bool] = {"dry_run": False, "bounded": False, **run}
    this: Any = SimpleNamespace(key=SimpleNamespace(dag_id="dag", run_id="r"), **kind)
    report._close(task, this, rows)
    return found[0] if found else None


def test_a_confirmed_pair_that_was_compared_gets_a_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    assert baselines(monkeypatch, DONE) == BOTH


@pytest.mark.parametrize("kind", ["dry_run", "bounded"])
def test_a_dry_or_bounded_run_has_compared_nothing(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    assert baselines(monkeypatch, DONE, **{kind: True}) is None


@pytest.mark.parametrize(
    ("of_g", "compared"),
    [
        (row(Status.FAILED, reason=Reason.REFUSED), BOTH[1:]),
        (row(Status.HELD, reason=Reason.UNPROVEN), BOTH[1:]),
        (row(Status.FAILED, Action.ADD, Reason.REFUSED), BOTH),  # AD owns no more by it than before
        (row(Status.HELD, reason=Reason.AMBIGUOUS), BOTH),
    ],
)
def test_a_removal_that_failed_or_is_unproven_leaves_the_comparison_open(
    monkeypatch: pytest.MonkeyPatch, of_g: Row, compared: list[tuple[str, str]]
) -> None:
    assert baselines(monkeypatch, DONE, of_g) == compared


def test_a_run_that_was_stopped_compares_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert baselines(monkeypatch, row(Status.PLANNED), stopped="dry") == []
    assert baselines(monkeypatch, DONE, stopped="dry") == BOTH  # nothing was left
    assert baselines(monkeypatch, DONE, fail="too many") == []
