"""Targets are decided one after another, and limits count numbers: the plan is the one of all targets at once."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings

from genesys_ad_sync.model import Action, Grant, ManyGrants, Row, RowKey, Status
from genesys_ad_sync.planning import PlanContext, Target, plan
from genesys_ad_sync.planning.approvals import apply_limits, counts_in_limits
from genesys_ad_sync.planning.inputs import LimitFacts
from genesys_ad_sync.planning.pending import GroupMembers, GroupTotals, is_to_be_written, pending_changes
from genesys_ad_sync.settings import SyncDefinition
from tests.support.sync_examples import NOON, definition, genesys_group, grant, matches, planned, target
from tests.unit.genesys_ad_sync.planning.test_properties import EXAMPLES, World, worlds

# -- numbers instead of members --


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_limits_count_from_numbers_what_they_count_from_all_members(world: World) -> None:
    groups, _, policy, context = world
    limited = limits_checked_for(world)
    rows, totals, asks = limited["rows"], limited["groups"], limited["asks"]
    counted = counts_in_limits(rows, asks)
    members = [GroupMembers.of(group) for group in groups]
    for held in ((), ("G",), ("G", "H")):
        pending = pending_changes(totals, counted, policy, context.limits, held)
        by_id = {group.genesys_group_id: group for group in members}
        emptied = most_owned_of_emptied(members, counted, policy, context.limits, held)
        for one in pending:
            group = by_id.get(one.genesys_group_id) or GroupMembers(one.genesys_group_id, "", frozenset(), ())
            of_owned = one.action is Action.REMOVE and policy.removals != "mirror"
            assert one.members == len(group.owned if of_owned else group.present)
            assert one.most_owned == (emptied.get(one.genesys_group_id, 0) if one.action is Action.REMOVE else 0)


def limits_checked_for(world: World) -> dict[str, Any]:
    """Return what the limits of a plan are given: its rows before limits, and its groups."""
    groups, known, policy, context = world
    given_: dict[str, Any] = {}

    def watched(rows: Any, totals: Any, definition_: Any, context_: Any, asks: Any) -> Any:
        given_.update(rows=list(rows), groups=list(totals), asks=dict(asks))
        return apply_limits(rows, totals, definition_, context_, asks)

    module = sys.modules["genesys_ad_sync.planning.plan"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "apply_limits", watched)
        plan(groups, known, (), policy, context)
    return given_


def most_owned_of_emptied(
    groups: Sequence[GroupMembers],
    rows: Sequence[Row],
    policy: SyncDefinition,
    facts: LimitFacts,
    adds_held_in: Collection[str],
) -> dict[str, int]:
    """Work it out from all members and all rows, as design.md says it."""
    known = {row.key for row in rows}
    elsewhere = [RowKey.parse(key) for key in facts.elsewhere if key not in known]
    found = {}
    for group in groups:
        id_ = group.genesys_group_id
        mine = [row for row in rows if row.genesys_group_id == id_ and is_to_be_written(row)]
        leaving = {row.genesys_user_id or "" for row in mine if row.action is Action.REMOVE}
        if not leaving or (id_ not in adds_held_in and any(row.action is Action.ADD for row in mine)):
            continue
        others = {key.person for key in elsewhere if key.target == id_ and key.action is Action.REMOVE}
        leaving |= {
            one.genesys_user_id for one in group.grants if one.user_guid in others or one.genesys_user_id in others
        }
        most = 0
        if group.owned and not group.owned - leaving:
            most = max(len({one.genesys_user_id for one in group.grants}), facts.most_owned.get(id_, 0))
        if policy.removals == "mirror" and not group.present - leaving:
            most = max(most, len(group.present))
        found[id_] = most
    return found


# -- one after another --


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_targets_in_parts_of_any_size_give_the_same_plan(world: World) -> None:
    groups, known, policy, context = world
    at_once = plan(tuple(groups), known, (), policy, context)
    one_by_one = plan((group for group in groups), known, (), policy, context)
    assert one_by_one == at_once
    assert list(one_by_one.new_grants) == list(at_once.new_grants)


def test_a_target_is_forgotten_once_it_is_decided() -> None:
    there: list[int] = []
    made: list[weakref.ref[Target]] = []

    def targets() -> Iterator[Target]:
        for number in range(20):
            one = target(
                genesys_group=genesys_group(f"G{number:02}"),
                full=True,
                wanted={"ann": ("g1",)},
                members=frozenset({"x-ann"}),
            )
            made.append(weakref.ref(one))
            yield one
            del one
            gc.collect()
            there.append(sum(ref() is not None for ref in made))

    made_plan = plan(targets(), matches("ann"), (), definition(), PlanContext(observed_at=NOON))
    assert len(made_plan.new_grants) == 20
    assert max(there) <= 2


def test_a_group_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="is the target of two"):
        planned(target(), target())


# -- many grants --


def test_many_grants_are_the_grants_that_were_added() -> None:
    few = (grant("ann"), Grant("G", "x", "u", "g", by_dry_run=True, was_manual=True), grant("bob", "g2"))
    many = ManyGrants(few)
    many.add("G", "x-carl", "carl", "g1", was_manual=True)
    assert many == (*few, grant("carl"))
    assert [(one.by_dry_run, one.was_manual) for one in many] == [
        (False, False),
        (True, True),
        (False, False),
        (False, True),
    ]
    assert (many[1].by_dry_run, many[-1].user_guid, many[1:3]) == (True, "carl", few[1:])
    assert (next(iter(many.user_guids)), next(many.memberships)) == ("ann", ("G", "x-ann"))
    assert many != few
    assert ManyGrants() == ()


# -- one group --


def removal(user: str, **changed: Any) -> Row:
    values: dict[str, Any] = {
        "action": Action.REMOVE,
        "status": Status.PLANNED,
        "genesys_group_id": "G",
        "user_guid": user,
        "genesys_user_id": f"x-{user}",
        "group_guids": ("g1",),
    }
    return Row(**{**values, **changed})


def totals(rows: list[Row], policy: str = "granted", **facts: Any) -> GroupTotals:
    """Count a group of two members that AD owns, and one that was added by hand."""
    group = GroupMembers("G", "Sales", frozenset({"x-ann", "x-bob", "hand"}), (grant("ann"), grant("bob")))
    return GroupTotals.of(group, rows, definition(removals=policy), LimitFacts(**facts))


def test_the_numbers_of_a_group_are_those_of_its_members() -> None:
    assert totals([]) == GroupTotals("G", "Sales", present=3, owned=2, most_owned=0)
    assert totals([removal("ann")]).most_owned == 0
    assert totals([removal("ann"), removal("bob")]).most_owned == 2
    assert totals([removal("ann"), removal("bob")], most_owned={"G": 5}).most_owned == 5
    assert totals([removal("ann"), removal("bob", status=Status.HELD)]).most_owned == 0


def test_what_is_pending_elsewhere_empties_a_group_with_what_is_planned_here() -> None:
    assert totals([removal("ann")], elsewhere={"G:bob:remove": ()}).most_owned == 2
    assert totals([removal("ann")], elsewhere={"G:bob:add": (), "H:bob:remove": ()}).most_owned == 0
    held = removal("bob", status=Status.HELD)  # the plan knows better than the journal
    assert totals([removal("ann"), held], elsewhere={held.key: ()}).most_owned == 0
    assert totals([], elsewhere={"G:ann:remove": (), "G:bob:remove": ()}).most_owned == 0


def test_under_mirror_all_members_count() -> None:
    all_of_them = [removal("ann"), removal("bob"), removal("", user_guid=None, genesys_user_id="hand")]
    assert totals(all_of_them, "mirror").most_owned == 3
    assert totals(all_of_them).most_owned == 2
