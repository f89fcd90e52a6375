"""What the limits count of groups on which a run does not act."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import Action, GroupPair, Reason, Refusal, RefusalKind, RunKey
from genesys_ad_sync.run.limit_facts import _never_compared
from tests.support.journal import DEFINITION, T0, journal, journal_url, minutes  # noqa: F401 (fixtures)
from tests.support.view_examples import definition, poll

FAILING = Refusal(RefusalKind.FAILING, Reason.GENESYS_UNREADABLE, "G-g1")
ADDS_REFUSED = Refusal(RefusalKind.GROUP, Reason.REFUSED_GROUP, "G-g1", action=Action.ADD)
OF_G1 = {"G-g1:ann:add", "G-g1:bob:add"}
OF_G2 = {"G-g2:cid:add"}


def counted(journal: Journal, after: float = 0) -> set[str]:
    """Return what a run counts that compares neither group, so many minutes later."""
    pairs = [GroupPair(guid, f"G-{guid}", guid, 0) for guid in ("g1", "g2")]
    of = journal.of(DEFINITION)
    of.pairs.replace(pairs, T0)
    run = SimpleNamespace(dry_run=False)
    task: Any = SimpleNamespace(journal=of, run=run, definition=definition(), clock=lambda: T0 + minutes(after))
    return set(_never_compared(task, ()))


def test_a_first_comparison_outside_the_run_counts_with_all_that_it_may_add(journal: Journal) -> None:
    poll(journal, {"g1": "ann bob", "g2": "cid"})
    assert counted(journal) == OF_G1 | OF_G2


@pytest.mark.parametrize(
    ("refusal", "left"),
    [
        (FAILING, OF_G2),
        (ADDS_REFUSED, OF_G2),
        (Refusal(RefusalKind.GROUP, Reason.REFUSED_GROUP, "G-g1", action=Action.REMOVE), OF_G1 | OF_G2),
        (Refusal(RefusalKind.PERSON, Reason.REFUSED, "G-g1", "ann", Action.ADD), OF_G1 | OF_G2),
    ],
    ids=["failing", "additions refused", "removals refused", "a person refused"],
)
def test_what_waits_for_its_next_try_counts_in_no_limit(journal: Journal, refusal: Refusal, left: set[str]) -> None:
    poll(journal, {"g1": "ann bob", "g2": "cid"})
    for run in ("one", "two"):
        journal.of(DEFINITION).refusals.record([refusal], RunKey("dag", run), T0)
    assert counted(journal, after=1) == left
    assert counted(journal, after=60 * 25) == OF_G1 | OF_G2
