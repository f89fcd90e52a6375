"""The planned rows just before writing: the plan may shrink, never grow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from genesys_ad_sync.model import Match, Reason, Status
from genesys_ad_sync.planning import Plan, PlanContext, recheck
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE
from tests.support.planning_examples import whole
from tests.support.sync_examples import NOON, change, definition, grant, matched, matches, planned, target, told


def test_a_recheck_drops_a_manual_member_whom_ad_wants_meanwhile() -> None:
    mirror, now = definition(removals="mirror"), PlanContext(observed_at=NOON)
    made = planned(target(full=True, members=frozenset({"x-dora"})), policy=mirror)
    assert told(made) == [("remove", None, "planned", None)]
    later = target(members=frozenset({"x-dora"}), wanted={"dora": ("g1",)})
    row = recheck(made.rows, later, matches("dora"), mirror, now)[0]
    assert (row.status, row.reason, row.key) == (Status.SUPERSEDED, Reason.NEWER_VIEW, made.rows[0].key)


def checked(made: Plan, known: dict[str, Match] | None = None, **changed: Any) -> list[tuple[str, str | None]]:
    facts = {
        "wanted": {"ann": ("g1",)},
        "members": frozenset({"x-carl"}),
        "grants": (grant("carl"),),
        **changed,
    }
    rows = recheck(made.rows, target(**facts), known or matches("ann"), definition(), PlanContext(observed_at=NOON))
    return [(row.status.value, row.reason.value if row.reason else None) for row in rows]


@pytest.fixture
def frozen() -> Plan:
    """Return a plan with an add of ann and a removal of carl."""
    made = whole()
    assert [row.status for row in made.rows] == [Status.PLANNED, Status.PLANNED]
    return made


def test_a_plan_that_still_holds_stays_as_it_is(frozen: Plan) -> None:
    facts = target(wanted={"ann": ("g1",)}, members=frozenset({"x-carl"}), grants=(grant("carl"),))
    assert recheck(frozen.rows, facts, matches("ann"), definition(), PlanContext(observed_at=NOON)) == frozen.rows


@pytest.mark.parametrize(
    ("changed", "add", "remove"),
    [
        ({"wanted": {}}, ("superseded", "newer_view"), ("planned", None)),
        ({"wanted": {"carl": ("g1",), "ann": ("g1",)}}, ("planned", None), ("superseded", "newer_view")),
        (
            {"wanted": {"carl": ("g2",), "ann": ("g1",)}, "sources": ("g1", "g2")},
            ("planned", None),
            ("superseded", "newer_view"),
        ),
        # nobody has looked whether carl's Genesys user is active: it may be a hidden member
        ({"members": frozenset({"x-ann"})}, ("unchanged", "already_so"), ("planned", None)),
        ({"complete": False}, ("planned", None), ("held", "unproven")),
        ({"grants": ()}, ("planned", None), ("held", "genesys_unreadable")),
        ({"members": None}, ("held", "genesys_unreadable"), ("held", "genesys_unreadable")),
        ({"claimed_by": "sales"}, ("held", "claimed_by"), ("held", "claimed_by")),
    ],
)
def test_a_recheck_shrinks_the_plan(
    frozen: Plan, changed: dict[str, Any], add: tuple[str, str | None], remove: tuple[str, str | None]
) -> None:
    assert checked(frozen, **changed) == [add, remove]


def test_a_recheck_never_turns_a_row_to_another_genesys_user(frozen: Plan) -> None:
    assert checked(frozen, known=matches(matched("ann", "other")))[0] == ("held", "ambiguous")


def test_a_person_who_said_yes_is_not_asked_again(frozen: Plan) -> None:
    approved = replace(
        frozen, rows=tuple(replace(row, status=Status.HELD, reason=Reason.OVER_LIMIT) for row in frozen.rows)
    )
    assert checked(approved) == [("planned", None), ("planned", None)]


@pytest.mark.parametrize(
    ("protect", "restored", "expected"),
    [
        ([], False, (Status.PLANNED, None)),
        (["sal*"], False, (Status.HELD, Reason.IN_FLIGHT)),
        (["G"], False, (Status.HELD, Reason.IN_FLIGHT)),
        ([], True, (Status.HELD, Reason.IN_FLIGHT)),
    ],
)
def test_what_seemed_to_need_no_write_is_not_written_where_a_person_must_be_asked(
    frozen: Plan, protect: list[str], restored: bool, expected: tuple[Status, Reason | None]
) -> None:
    """ann was a member when the plan was made, so no approver was asked. Now she is not."""
    seemed_done = replace(frozen.rows[0], status=Status.UNCHANGED, reason=Reason.ALREADY_SO)
    now = target(wanted={"ann": ("g1",)}, members=frozenset({"x-carl"}), grants=(grant("carl"),))
    context = PlanContext(observed_at=NOON, journal_restored=restored)
    [row] = recheck([seemed_done], now, matches("ann"), definition(protect=protect), context)
    assert (row.status, row.reason) == expected


CARL_IS_THERE = target(wanted={"ann": ("g1",)}, members=frozenset({"x-carl"}), grants=(grant("carl"),))
NOW = PlanContext(observed_at=NOON)


def test_a_removal_that_seemed_to_need_no_write_needs_its_limits(frozen: Plan) -> None:
    seemed_out = replace(frozen.rows[1], reason=Reason.ALREADY_SO)
    [row] = recheck([seemed_out], CARL_IS_THERE, matches("ann"), definition(), NOW)
    assert (row.status, row.reason) == (Status.HELD, Reason.IN_FLIGHT)


def test_a_doubt_that_came_since_the_plan_holds_its_row(frozen: Plan) -> None:
    doubted = change("remove", "carl", held_reason=Reason.SCOPE_CHANGED)
    rows = recheck(frozen.rows, CARL_IS_THERE, matches("ann"), definition(), NOW, [doubted])
    assert [(row.status, row.reason) for row in rows] == [
        (Status.PLANNED, None),
        (Status.HELD, Reason.SCOPE_CHANGED),
    ]


def test_what_ad_reported_again_since_the_plan_is_settled_by_the_row(frozen: Plan) -> None:
    planned_for = replace(frozen.rows[1], change_ids=(1,))
    again = change("remove", "carl", id=9)
    [row] = recheck([planned_for], CARL_IS_THERE, matches("ann"), definition(), NOW, [again])
    assert row.change_ids == (1, 9)
    [row] = recheck(
        [replace(planned_for, change_ids=(1, 9))], CARL_IS_THERE, matches("ann"), definition(), NOW, [again]
    )
    assert row.change_ids == (1, 9)


def test_whom_the_plan_saw_among_the_members_was_seen(frozen: Plan) -> None:
    gone = replace(CARL_IS_THERE, members=frozenset())
    [row] = recheck([frozen.rows[1]], gone, matches("ann"), definition(), NOW)
    assert (row.status, row.unseen) == (Status.PLANNED, False)
    [row] = recheck([replace(frozen.rows[1], unseen=True)], gone, matches("ann"), definition(), NOW)
    assert (row.status, row.unseen) == (Status.PLANNED, True)


@pytest.mark.parametrize(
    ("lane", "expected"),
    [(0, (Status.HELD, Reason.WAS_MANUAL)), (FIRST_APPROVED_LANE, (Status.PLANNED, None))],
)
def test_a_membership_by_hand_goes_only_by_the_approval_of_its_row(
    frozen: Plan, lane: int, expected: tuple[Status, Reason | None]
) -> None:
    by_hand = replace(CARL_IS_THERE, grants=(replace(grant("carl"), was_manual=True),))
    [row] = recheck([replace(frozen.rows[1], lane=lane)], by_hand, matches("ann"), definition(), NOW)
    assert (row.status, row.reason) == expected
