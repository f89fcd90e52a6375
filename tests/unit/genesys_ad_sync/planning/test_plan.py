"""What is true of a plan at all."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import Any

import pytest

from genesys_ad_sync.model import Action, GenesysGroup, Reason, Refusal, RefusalKind, RowKey, Status
from genesys_ad_sync.planning import PlanContext, content_hash, plan
from genesys_ad_sync.planning.facts import TargetFacts
from genesys_ad_sync.planning.refusals import Postponed, Waiting
from tests.support.planning_examples import whole
from tests.support.sync_examples import NOON, change, definition, matches, planned, target, told


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


def test_the_facts_of_a_target_are_dropped_before_those_of_the_next_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made_so_far: list[weakref.ref[TargetFacts]] = []
    most, of = [], TargetFacts.of

    def counted(*given: Any) -> TargetFacts:
        most.append(sum(one() is not None for one in made_so_far))
        facts = of(*given)
        made_so_far.append(weakref.ref(facts))
        return facts

    monkeypatch.setattr(TargetFacts, "of", counted)
    targets = [
        target(genesys_group=GenesysGroup(f"G{number}", f"G{number}"), wanted={"ann": ("g1",)}, full=True)
        for number in range(10)
    ]
    made = planned(*targets, known=matches("ann"))
    assert len(made.rows) == len(most) == 10
    assert max(most) <= 1


def test_a_client_that_was_refused_writes_in_one_lane() -> None:
    many = [
        target(
            genesys_group=GenesysGroup(f"G{n}", f"G{n}"), wanted={"ann": ("g1",)}, changes=(change("add", "ann", id=n),)
        )
        for n in range(1, 61)
    ]
    assert len(planned(*many, known=matches("ann")).lanes) > 1
    assert len(planned(*many, known=matches("ann"), client_refused=True).lanes) == 1


@pytest.mark.parametrize(("tried", "reason"), [(Status.FAILED, Reason.UNVERIFIED), (None, Reason.NOT_ATTEMPTED)])
def test_what_waits_for_its_next_try_is_listed_and_not_planned(tried: Status | None, reason: Reason) -> None:
    compared = target(full=True, wanted={"ann": ("g1",)})
    refusal = Refusal(RefusalKind.FAILING, Reason.UNVERIFIED, "G", times=2)
    postponed = Postponed(
        RowKey("G", "ann", Action.ADD), (change("add", "ann", status=tried),), refusal, is_listed=True
    )
    waiting = Waiting((postponed,), ())
    made = plan([compared], matches("ann"), (), definition(), PlanContext(observed_at=NOON), waiting)
    assert told(made) == [("add", "ann", "failed", reason.value)]
