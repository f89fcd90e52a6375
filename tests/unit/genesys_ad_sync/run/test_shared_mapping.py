"""Which mappings later runs may take, and which are of one run alone."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.journal.pairs import StoredPairs
from genesys_ad_sync.model import GroupPair, PairState, Reason, SkippedGroup
from genesys_ad_sync.run.facts import MAPPING, StoredMapping
from genesys_ad_sync.run.mapped import IN_SHORT, keep_mapping, take_earlier_mapping
from tests.support.sync_examples import definition, genesys_group

PAIR = GroupPair("g1", "G", "Sales", 0, has_baseline=True)
IN_SCOPE: Any = SimpleNamespace(digest="groups")
LISTED = [genesys_group()]


class Task:
    """A task of a live run, whose journal has a mapping for whatever is asked. ``shared``: what it stores."""

    def __init__(self, **changed: Any) -> None:
        self.run = SimpleNamespace(dry_run=changed.pop("dry_run", False))
        self.definition = definition()
        if changed.pop("by_number", False):
            self.definition = self.definition.model_copy(
                update={"groups": (SimpleNamespace(genesys_external_id="{name}"),)}
            )
        self.organisation = "org"
        self.shared: list[dict[str, Any]] = []
        self.journal = SimpleNamespace(
            facts=SimpleNamespace(
                take_derived=lambda *_: True, put_derived=lambda _run, values, _: self.shared.append(values)
            )
        )
        self.facts = self
        self.own: dict[str, Any] = {MAPPING.key: changed.pop("mapped", None)}
        assert not changed

    def __getitem__(self, fact: Any) -> Any:
        return self.own.get(fact.key)

    def __setitem__(self, fact: Any, value: Any) -> None:
        self.own[fact.key] = value

    def forget(self, *_: Any) -> None:
        pass

    def override(self, *_: Any) -> None:
        pass


def takes(*pairs: GroupPair, hidden: int = 0, **changed: Any) -> bool:
    task: Any = Task(**changed)
    return take_earlier_mapping(task, IN_SCOPE, LISTED, StoredPairs.of(pairs or (PAIR,)), hidden=hidden)


def shares(mapping: StoredMapping, hidden: int = 0, **changed: Any) -> list[dict[str, Any]]:
    """Return what later runs may take; a mapping that is not shared is the run's own."""
    task: Any = Task(**changed)
    keep_mapping(task, IN_SCOPE, LISTED, mapping, hidden=hidden)
    assert (task.own[MAPPING.key] is None) is bool(task.shared)
    assert (IN_SHORT.key in task.own) is not bool(task.shared)
    return list(task.shared)


MADE = StoredMapping((PAIR,), names={"G": "Sales"})
UNDECIDED = replace(PAIR, state=PairState.NEW)


@pytest.mark.parametrize("why", [{"hidden": 1}, {"dry_run": True}, {"by_number": True}])
def test_a_mapping_that_follows_from_more_is_neither_taken_nor_shared(why: dict[str, Any]) -> None:
    assert takes()
    assert not takes(**why)
    assert shares(MADE)
    assert not shares(MADE, **why)


def test_a_pair_without_a_decision_may_get_one() -> None:
    assert not takes(PAIR, UNDECIDED)
    assert not shares(replace(MADE, pairs=(PAIR, UNDECIDED)))
    assert takes(replace(PAIR, state=PairState.REJECTED))


def test_a_retry_maps_again() -> None:
    assert not takes(mapped=MADE)


def test_what_a_run_retired_and_what_was_too_slow_is_its_own() -> None:
    assert not shares(replace(MADE, retired=frozenset({"H"})))
    assert not shares(replace(MADE, skipped=(SkippedGroup("g2", Reason.PATTERN_TOO_SLOW),)))
    assert shares(replace(MADE, skipped=(SkippedGroup("g2", Reason.UNMAPPED),)))


def test_a_shared_mapping_says_nothing_of_baselines() -> None:
    [values] = shares(MADE)
    [pair] = MAPPING.adapter.validate_python(values[MAPPING.key]).pairs  # type: ignore[union-attr]
    assert not pair.has_baseline
