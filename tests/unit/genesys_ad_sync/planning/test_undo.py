"""The pure part of an undo: the inverse, what is left alone, and the same limits as everything else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesys_ad_sync.model import SETTLED, Action, GenesysUser, Reason, Row, Status
from genesys_ad_sync.planning import PlanContext
from genesys_ad_sync.planning.inputs import LimitFacts
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE
from genesys_ad_sync.planning.undo import (
    INVERSE,
    UNDO_RULES,
    Present,
    UndoFacts,
    decide_undo,
    has_no_account,
    needs_approval,
    plan_undo,
    recheck_undo,
    unless_claimed,
)
from tests.support.sync_examples import NOON, definition, genesys_user, grant


def done(user: str, action: str, group: str = "G", **changed: Any) -> Row:
    fields: dict[str, Any] = {
        "action": Action(action),
        "status": Status.SUCCESS,
        "genesys_group_id": group,
        "user_guid": user,
        "group_guids": ("g1",),
        "genesys_user_id": f"x-{user}",
        "change_ids": (1,),
        "lane": 0,
        "http_code": 200,
        "genesys_group": {"id": group, "name": f"Team {group}"},
    }
    return Row(**{**fields, **changed})


def world(*members: str, users: dict[str, GenesysUser] | None = None, claimed: dict[str, str] | None = None) -> Present:
    known = {f"x-{user}": genesys_user(f"x-{user}") for user in "abcdef"}
    return Present(
        members={"G": frozenset(members), "H": None},
        grants={"G": tuple(grant(member.removeprefix("x-")) for member in members)},
        users=known if users is None else users,
        claimed_by=claimed or {},
        mapped={"G": "Team G", "H": "Team H"},
        wanted={"G": "abcdef", "H": "abcdef"},
    )


def undone(rows: list[Row], present: Present, *, changed: tuple[str, ...] = (), policy: Any = None) -> dict[str, Row]:
    made = plan_undo("bad", rows, changed, present, policy or definition(), PlanContext(observed_at=NOON))
    return {row.key: row for row in made.rows}


def test_an_add_becomes_a_removal_and_a_removal_an_add() -> None:
    made = undone([done("a", "add"), done("b", "remove")], world("x-a"))
    assert {key: (row.status, row.undoes_run, row.change_ids) for key, row in made.items()} == {
        "G:a:remove": (Status.PLANNED, "bad", ()),
        "G:b:add": (Status.PLANNED, "bad", ()),
    }


def test_what_has_changed_since_is_superseded_and_what_is_so_already_unchanged() -> None:
    made = undone([done("a", "add"), done("b", "remove")], world("x-b"), changed=("G:a:add",))
    assert made["G:a:remove"].status is Status.SUPERSEDED
    assert made["G:b:add"].status is Status.UNCHANGED


def test_nobody_whom_the_definition_excludes_is_touched() -> None:
    rows = [done("a", "add"), done("b", "remove"), done("c", "add", "H"), done("d", "add", user_guid=None)]
    context = PlanContext(observed_at=NOON, excluded_users=frozenset("abc"))
    made = plan_undo("bad", rows, (), world("x-a", "x-d"), definition(), context)
    told = {row.genesys_user_id: (row.status, row.reason) for row in made.rows}
    assert told.pop("x-d") == (Status.PLANNED, None)
    assert set(told.values()) == {(Status.SKIPPED, Reason.EXCLUDED)}


def test_a_group_that_cannot_be_read_is_held() -> None:
    assert undone([done("a", "add", "H")], world())["H:a:remove"].reason is Reason.GENESYS_UNREADABLE


def test_a_group_that_no_rule_maps_is_held() -> None:
    held = undone([done("a", "add", "I")], world("x-a"))["I:a:remove"]
    assert (held.status, held.reason) == (Status.HELD, Reason.MAPPING_CHANGED)


def test_nobody_unknown_or_inactive_is_put_back() -> None:
    users = {"x-b": genesys_user("x-b", state="inactive")}
    made = undone([done("a", "remove"), done("b", "remove")], world(users=users))
    assert (made["G:a:add"].status, made["G:a:add"].reason) == (Status.ORPHANED, Reason.NO_GENESYS_USER)
    assert (made["G:b:add"].status, made["G:b:add"].reason) == (Status.ORPHANED, Reason.INACTIVE)


def test_a_pair_that_was_written_twice_goes_back_to_what_it_was_before() -> None:
    rows = [done("a", "remove"), done("a", "add", change_ids=(2,))]
    made = undone(rows, world("x-a"))
    assert {key: row.status for key, row in made.items()} == {"G:a:add": Status.UNCHANGED}


def test_limits_protect_policy_and_claims_bind_an_undo_too() -> None:
    rows = [done("a", "add")]
    over = undone(rows, world("x-a"), policy=definition(limits={"removals": 0}))
    assert over["G:a:remove"].reason is Reason.OVER_LIMIT
    protected = undone(rows, world("x-a"), policy=definition(protect=["Team *"]))
    assert protected["G:a:remove"].reason is Reason.PROTECTED
    never = undone(rows, world("x-a"), policy=definition(removals="never"))
    assert never["G:a:remove"].reason is Reason.REMOVALS_NEVER
    claimed = undone(rows, world("x-a", claimed={"G": "other"}))
    assert claimed["G:a:remove"].reason is Reason.CLAIMED_BY


def test_a_recheck_asks_again_whom_and_what_the_definition_leaves_alone() -> None:
    frozen = plan_undo("bad", [done("a", "add")], (), world("x-a"), definition(), PlanContext(observed_at=NOON)).rows
    there = frozenset({"x-a"})
    ad: dict[str, Any] = {"wanted": "a", "accounts": {}}
    assert recheck_undo(frozen, there, (), **ad)[0].status is Status.PLANNED
    assert recheck_undo(frozen, there, (), **ad, excluded={"a"})[0].reason is Reason.EXCLUDED
    assert recheck_undo(frozen, there, (), **ad, is_mapped=False)[0].reason is Reason.MAPPING_CHANGED


def test_a_group_that_another_definition_took_while_the_undo_waited_is_left_to_it() -> None:
    frozen = plan_undo("bad", [done("a", "add")], (), world("x-a"), definition(), PlanContext(observed_at=NOON)).rows
    checked = recheck_undo(frozen, frozenset({"x-a"}), (), wanted="a", accounts={})
    [row] = unless_claimed(checked, "other")
    assert (row.status, row.reason, row.about) == (Status.HELD, Reason.CLAIMED_BY, {"definition": "other"})
    assert unless_claimed(checked, None) == checked
    gone = recheck_undo(frozen, frozenset(), (), wanted="a", accounts={})
    assert unless_claimed(gone, "other")[0].status is Status.UNCHANGED


# -- additions against AD -----------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["a", None])
def test_somebody_whom_ad_does_not_want_is_added_by_approval_only(user: str | None) -> None:
    """Whom AD does not know, it does not want."""
    present = replace(world(), wanted={"G": "bcdef"})
    made = plan_undo(
        "bad", [done("a", "remove", user_guid=user)], (), present, definition(), PlanContext(observed_at=NOON)
    )
    [row] = made.rows
    assert (row.status, row.reason, row.error) == (Status.HELD, Reason.AGAINST_AD, None)
    assert made.needs_approval == {row.key}
    approved = replace(row, status=Status.PLANNED, reason=None, lane=FIRST_APPROVED_LANE)
    for lane, status in ((FIRST_APPROVED_LANE, Status.PLANNED), (0, Status.HELD)):
        again = recheck_undo([replace(approved, lane=lane)], frozenset(), (), wanted="bcdef", accounts={})
        assert again[0].status is status


def test_an_account_that_has_ended_is_not_added_whoever_approves_it() -> None:
    ended = {"a": "the AD account is disabled"}
    present = replace(world(), wanted={"G": "bcdef"}, accounts=ended)
    made = plan_undo("bad", [done("a", "remove")], (), present, definition(), PlanContext(observed_at=NOON))
    [row] = made.rows
    assert (row.status, row.reason, row.error) == (Status.HELD, Reason.AGAINST_AD, ended["a"])
    assert row.about == {"account": "a"}
    assert not made.needs_approval
    approved = replace(row, status=Status.PLANNED, reason=None, lane=FIRST_APPROVED_LANE)
    [again] = recheck_undo([approved], frozenset(), (), wanted="bcdef", accounts=ended)
    assert (again.status, again.reason, again.error) == (Status.HELD, Reason.AGAINST_AD, ended["a"])
    assert again.about == {"account": "a"}


def test_an_account_whose_membership_ad_wants_is_added_as_a_run_would() -> None:
    """With `disabled_users: keep`, a disabled account is wanted."""
    present = replace(world(), accounts={"a": "the AD account is disabled"})
    made = plan_undo("bad", [done("a", "remove")], (), present, definition(), PlanContext(observed_at=NOON))
    assert made.rows[0].status is Status.PLANNED


def test_an_undo_goes_by_the_name_that_the_group_has_today() -> None:
    rows = [done("a", "add", genesys_group={"id": "G", "name": "Formerly"})]
    made = undone(rows, world("x-a"), policy=definition(protect=["Team *"]))["G:a:remove"]
    assert (made.reason, made.genesys_group) == (Reason.PROTECTED, {"id": "G", "name": "Team G"})


def test_removals_of_other_runs_count_in_the_limits_of_an_undo() -> None:
    policy = definition(limits={"removals": 1})
    for asked, reason in (
        ((), None),
        (("G:b:remove",), Reason.OVER_LIMIT),
        (("G:b:add", "H:b:remove"), None),
    ):
        context = PlanContext(observed_at=NOON, limits=LimitFacts(elsewhere=dict.fromkeys(asked, ())))
        made = plan_undo("bad", [done("a", "add")], (), world("x-a"), policy, context)
        assert made.rows[0].reason is reason, asked


# -- the rules, each alone and in their order ---------------------------------------------------------

RESTORABLE = UndoFacts(
    action=Action.ADD,
    genesys_user_id="x-ann",
    changed_since=False,
    excluded=False,
    mapped=True,
    members=frozenset(),
)

OBSTACLES: dict[Reason, dict[str, Any]] = {
    Reason.NEWER_VIEW: {"changed_since": True},
    Reason.EXCLUDED: {"excluded": True},
    Reason.MAPPING_CHANGED: {"mapped": False},
    Reason.GENESYS_UNREADABLE: {"members": None},
    Reason.ALREADY_SO: {"members": frozenset({"x-ann"})},
    Reason.CLAIMED_BY: {"claimed": True},
    Reason.REMOVALS_NEVER: {"action": Action.REMOVE, "members": frozenset({"x-ann"}), "removals": "never"},
    Reason.NO_GENESYS_USER: {"user_state": None},
    Reason.INACTIVE: {"user_state": "inactive"},
}
AGAINST_AD: dict[Any, dict[str, Any]] = {
    has_no_account: {"against_ad": True, "account_gone": True, "approved": True},
    needs_approval: {"against_ad": True},
}


def test_what_no_rule_speaks_against_is_restored() -> None:
    assert decide_undo(RESTORABLE) == (Status.PLANNED, None)
    there = replace(RESTORABLE, action=Action.REMOVE, members=frozenset({"x-ann"}))
    assert decide_undo(replace(there, user_state="deleted")) == (Status.PLANNED, None)


def test_every_rule_of_an_undo_is_tested_here() -> None:
    assert [reason for is_true, _, reason in UNDO_RULES if is_true not in AGAINST_AD] == list(OBSTACLES)
    assert [is_true for is_true, _, reason in UNDO_RULES if reason is Reason.AGAINST_AD] == list(AGAINST_AD)


@pytest.mark.parametrize("rule", UNDO_RULES, ids=lambda rule: rule[0].__name__)
def test_one_obstacle_is_enough(rule: tuple[Any, Status, Reason]) -> None:
    is_true, status, reason = rule
    facts = replace(RESTORABLE, **(AGAINST_AD.get(is_true) or OBSTACLES[reason]))
    assert is_true(facts)
    assert not is_true(RESTORABLE)
    assert decide_undo(facts) == (status, reason)


def test_of_several_obstacles_the_first_decides() -> None:
    everything: dict[str, Any] = {"changed_since": True, "excluded": True, "mapped": False, "claimed": True}
    assert decide_undo(replace(RESTORABLE, members=None, **everything))[1] is Reason.NEWER_VIEW
    everything["changed_since"] = False
    assert decide_undo(replace(RESTORABLE, members=None, **everything))[1] is Reason.EXCLUDED
    assert decide_undo(replace(RESTORABLE, members=None, claimed=True))[1] is Reason.GENESYS_UNREADABLE


# -- whatever a run did -------------------------------------------------------------------------------

rows_done = st.lists(st.builds(done, st.sampled_from("abcdef"), st.sampled_from(["add", "remove"])), max_size=8)
members = st.frozensets(st.sampled_from([f"x-{user}" for user in "abcdef"]))


@given(rows_done, members, st.frozensets(st.sampled_from("abcdef")))
def test_an_undo_touches_only_what_the_run_wrote_and_brings_it_back(
    rows: list[Row], present: frozenset[str], changed: frozenset[str]
) -> None:
    keys = tuple(row.key for row in rows if row.user_guid in changed)
    made = undone(
        rows, world(*present), changed=keys, policy=definition(limits={"removals": 99, "removals_percent": 100})
    )
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.user_guid or "", row)
    assert {row.user_guid for row in made.values()} == first.keys()
    for row in made.values():
        assert row.action is INVERSE[first[row.user_guid or ""].action]
        if row.status is Status.PLANNED:
            assert row.user_guid not in changed
            assert (row.genesys_user_id in present) is (row.action is Action.REMOVE)


@given(rows_done, members, members)
def test_a_recheck_of_an_undo_never_grows_it(rows: list[Row], present: frozenset[str], later: frozenset[str]) -> None:
    policy = definition(limits={"removals": 99, "removals_percent": 100})
    frozen = [row for row in undone(rows, world(*present), policy=policy).values() if row.status is Status.PLANNED]
    again = recheck_undo(frozen, later, {row.key for row in frozen[:1]}, wanted="abcdef", accounts={})
    assert [row.key for row in again] == [row.key for row in frozen]
    for row in again:
        assert row.status is Status.PLANNED or row.status in SETTLED
        if row.status is Status.PLANNED:
            assert (row.genesys_user_id in later) is (row.action is Action.REMOVE)
    if again:
        assert again[0].status is Status.SUPERSEDED
