"""What is true of a plan at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from genesys_ad_sync.planning import content_hash
from tests.support.planning_examples import whole
from tests.support.sync_examples import change, matches, planned, target, told


def test_a_dry_run_plans_the_same_and_writes_nothing() -> None:
    facts = target(wanted={"ann": ("g1",)}, changes=(change("add", "ann"),))
    dry, live = planned(facts, known=matches("ann"), dry_run=True), planned(facts, known=matches("ann"))
    assert told(dry) == told(live) == [("add", "ann", "planned", None)]
    assert (dry.lanes, len(live.lanes)) == ((), 1)
    assert dry.hash == live.hash


def test_one_genesys_group_as_two_targets_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="two"):
        planned(target(), target())


def test_the_hash_tells_plans_apart_and_knows_no_order_and_no_change_ids() -> None:
    made = whole()
    assert content_hash(reversed(made.rows)) == made.hash
    assert content_hash(replace(row, change_ids=(5,), lane=3) for row in made.rows) == made.hash
    assert content_hash(made.rows[:1]) != made.hash
    assert whole(wanted={"bob": ("g1",)}).hash != made.hash
