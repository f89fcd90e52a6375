"""Which memberships AD owns from now on, and which no longer."""

from __future__ import annotations

from typing import Any

import pytest

from genesys_ad_sync.model import Action, Outcome, Reason, Row, Status
from genesys_ad_sync.planning import Move, Relinking
from genesys_ad_sync.planning.grants import grants_begun_by, grants_ended_by, grants_in_vain, settled_removals
from tests.support.planning_examples import inactive, removed, whole
from tests.support.sync_examples import NOON, change, grant, matched, matches, planned, target, told

# -- before anything is written -----------------------------------------------------------------------


def test_what_ad_wants_and_genesys_has_is_found_and_can_become_a_grant() -> None:
    assert whole().new_grants == (grant("bob"),)
    assert whole(grants=(grant("bob"), grant("carl"))).new_grants == ()
    assert whole(known=matches("ann", inactive("bob"))).new_grants == (grant("bob"),)
    assert whole(full=False).new_grants == ()
    assert whole(claimed_by="sales").new_grants == ()
    assert whole(known=matches("ann", "bob", matched("eve", "x-bob"))).new_grants == ()
    doubted = change("add", "bob", held_reason=Reason.OTHER_DOMAIN_CONTROLLER)
    assert whole(changes=(doubted,)).new_grants == ()


def test_a_comparison_counts_for_nothing_while_another_run_writes() -> None:
    facts = target(full=True, wanted={"bob": ("g1",)}, members=frozenset({"x-bob"}))
    assert planned(facts, known=matches("bob")).compared_groups == {"G"}
    made = planned(facts, known=matches("bob"), in_flight=True)
    assert (made.new_grants, made.compared_groups) == ((), frozenset())


def test_a_grant_follows_no_link_in_a_group_of_another_definition() -> None:
    facts = {"grants": (grant("ann", genesys_id="x-old"),), "moves": {("ann", "x-old"): Move("x-ann")}}
    members = frozenset({"x-ann"})
    assert grant("ann") in whole(**facts, members=members).new_grants
    assert whole(**facts, members=members, claimed_by="sales").new_grants == ()


def test_the_grant_of_a_former_user_waits_for_the_answer_about_the_link() -> None:
    old = grant("ann", genesys_id="x-old")
    facts = {
        "grants": (old,),
        "moves": {("ann", "x-old"): Move("x-new")},
        "wanted": {"bob": ("g1",)},
        "members": frozenset({"x-old"}),
        "known": matches(matched("bob", "x-old")),
    }
    assert whole(**facts).stale_grants == (old,)  # bob is that user now
    assert whole(**facts, relinks={"ann": Relinking("x-old", "old", "new")}).stale_grants == ()


def test_a_grant_through_a_former_ad_group_is_stale_once_another_one_wants_the_member() -> None:
    grants = (grant("bob"), grant("bob", "g9"), grant("carl", "g9"))
    made = whole(grants=grants, former_sources=frozenset({"g9"}))
    assert made.stale_grants == (grant("bob", "g9"),)
    assert whole(grants=grants, former_sources=frozenset({"g9"}), full=False).stale_grants == ()
    unconfirmed = {"former_sources": frozenset({"g9"}), "unconfirmed": frozenset({"g1"})}
    assert whole(grants=grants, **unconfirmed).stale_grants == ()


def test_a_grant_passes_to_the_ad_group_that_still_wants_the_member() -> None:
    made = removed(sources=("g1", "g2"), wanted={"ann": ("g2",)})
    assert made.new_grants == (grant("ann", "g2"),)


# -- by what became of the rows -----------------------------------------------------------------------


def row(action: str, status: Status, reason: Reason | None = None, **changed: Any) -> Row:
    """Return a row of ann, through g1."""
    fields: dict[str, Any] = {
        "action": Action(action),
        "status": status,
        "reason": reason,
        "genesys_group_id": "G",
        "user_guid": "ann",
        "group_guids": ("g1",),
        "genesys_user_id": "x-ann",
    }
    return Row(**{**fields, **changed})


def test_an_add_in_effect_is_a_grant_of_each_ad_group_that_wants_it() -> None:
    both = row("add", Status.SUCCESS, group_guids=("g1", "g2"))
    assert grants_begun_by([both]) == [grant("ann"), grant("ann", "g2")]
    assert grants_begun_by([row("add", Status.UNCHANGED, Reason.ALREADY_SO)]) == [grant("ann")]


@pytest.mark.parametrize(
    "other",
    [
        row("add", Status.FAILED, Reason.REFUSED),
        row("add", Status.HELD, Reason.OVER_LIMIT),
        row("add", Status.SUCCESS, settled_by="dag/run-0"),  # that run noted its own
        row("add", Status.UNCHANGED, Reason.ALREADY_SO, undoes_run="bad"),  # put back by another writer
        row("add", Status.SUCCESS, user_guid=None),  # unknown to AD
        row("remove", Status.SUCCESS),
    ],
)
def test_nothing_else_begins_a_grant(other: Row) -> None:
    assert grants_begun_by([other]) == []


@pytest.mark.parametrize(
    ("failed", "in_vain"),
    [
        (row("add", Status.ORPHANED, Reason.NO_GENESYS_USER), True),
        (row("add", Status.FAILED, Reason.REFUSED), True),
        (row("add", Status.FAILED, Reason.NOT_ATTEMPTED), True),
        (row("add", Status.FAILED, Reason.UNVERIFIED), False),  # may be in effect
        (row("add", Status.FAILED, Reason.NOT_IN_EFFECT), False),
        (row("add", Status.FAILED, Reason.REFUSED, undoes_run="bad"), False),  # an undo notes none
        (row("remove", Status.FAILED, Reason.REFUSED), False),
    ],
)
def test_a_grant_is_taken_back_only_where_the_add_is_known_to_have_failed(failed: Row, in_vain: bool) -> None:
    assert grants_in_vain([failed]) == ([grant("ann")] if in_vain else [])


def test_a_removal_in_effect_ends_every_grant_of_that_membership_and_no_other() -> None:
    ended = [grant("ann"), grant("ann", "g2")]
    others = [grant("bob"), grant("ann", target="H")]
    assert grants_ended_by([row("remove", Status.SUCCESS)], [*ended, *others], ()) == ended


def test_a_member_whom_another_ad_group_wants_keeps_its_grant() -> None:
    left_one = row("remove", Status.UNCHANGED, Reason.STILL_GRANTED)
    assert grants_ended_by([left_one], [grant("ann"), grant("ann", "g2")], ()) == [grant("ann")]


def test_a_grant_of_a_deleted_account_ends_with_the_membership_of_its_successor() -> None:
    grants = [grant("ann0", genesys_id="x-ann"), grant("ann1", genesys_id="x-ann"), grant("ann")]
    left = row("remove", Status.UNCHANGED, Reason.ALREADY_SO)
    assert sorted(grants_ended_by([left], grants, {"ann0"}), key=str) == sorted([grants[0], grants[2]], key=str)
    assert grants_ended_by([left], grants, ()) == [grants[2]]


def test_who_was_removed_is_owned_through_no_account_any_more() -> None:
    grants = [grant("ann0", genesys_id="x-ann"), grant("ann")]
    assert grants_ended_by([row("remove", Status.SUCCESS)], grants, ()) == grants
    by_hand = row("remove", Status.SUCCESS, user_guid=None)
    assert grants_ended_by([by_hand], grants, ()) == grants


def test_a_grant_of_a_former_genesys_user_ends_with_that_users_own_membership() -> None:
    former = grant("ann", genesys_id="x-old")
    left = row("remove", Status.SUCCESS)
    assert grants_ended_by([left], [former, grant("ann")], (), {("ann", "x-old")}) == [grant("ann")]
    left_behind = row("remove", Status.SUCCESS, user_guid=None, genesys_user_id="x-old")
    assert grants_ended_by([left_behind], [former, grant("ann")], (), {("ann", "x-old")}) == [former]


@pytest.mark.parametrize(
    "other",
    [
        row("remove", Status.FAILED, Reason.UNVERIFIED),
        row("remove", Status.HELD, Reason.UNPROVEN),
        row("remove", Status.SUPERSEDED, Reason.NEWER_VIEW),
        row("remove", Status.SUCCESS, settled_by="dag/run-0"),
        row("remove", Status.UNCHANGED, Reason.ALREADY_SO, undoes_run="bad"),
        row("remove", Status.SUCCESS, genesys_group_id=None),
        row("add", Status.SUCCESS),
    ],
)
def test_nothing_else_ends_a_grant(other: Row) -> None:
    assert settled_removals([other]) == []
    assert grants_ended_by([other], [grant("ann")], ()) == []


@pytest.mark.parametrize("wanted", [{}, {"ann": ("g2",)}], ids=["left both since", "is in the other again"])
def test_a_change_of_group_that_is_only_listed_again_transfers_nothing(wanted: dict[str, tuple[str, ...]]) -> None:
    """In the window of a backfill, an earlier run settled that Ann left one of two AD groups."""
    settled = change("remove", "ann", "g2", status=Status.UNCHANGED, settled_by="dag/earlier")
    outcome = Outcome(Status.UNCHANGED, Reason.STILL_GRANTED, "dag", "earlier", 1, None, None, None, NOON)
    facts = target(
        sources=("g1", "g2"),
        wanted=wanted,
        members=frozenset({"x-ann"}),
        grants=(grant("ann"),),
        changes=(settled,),
    )
    made = planned(facts, known=matches("ann"), outcomes={1: outcome})
    assert told(made) == [("remove", "ann", "unchanged", "still_granted")]
    assert made.new_grants == ()
