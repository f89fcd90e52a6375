"""What becomes of each kind of change, limits and approvers left aside."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from genesys_ad_sync.model import BY_PERSON, Evidence, Match, MatchStatus, Objection, Reason, Rival, RunKey, Status
from genesys_ad_sync.planning import Move, Relinking
from tests.support.planning_examples import added, ambiguous, inactive, orphan, removed, whole
from tests.support.sync_examples import NOON, change, genesys_group, grant, matched, matches, planned, target, told

ANN_JOINS = target(wanted={"ann": ("g1",)}, changes=(change("add", "ann"),))
DOUBTFUL = change("remove", "ann", held_reason=Reason.SCOPE_CHANGED)


def contested(user: str, by: str) -> Match:
    rivals = (Rival(by, "x-ann"),)
    return Match(user, MatchStatus.AMBIGUOUS, reason=Reason.AMBIGUOUS, candidates=("x-ann",), rivals=rivals)


def linked(user: str, genesys_id: str | None = None) -> Match:
    return Match(user, MatchStatus.MATCHED, genesys_id or f"x-{user}", "link")


# -- adds -----------------------------------------------------------------------------------------------


def test_an_add_that_is_wanted_and_missing_is_written() -> None:
    row = added().rows[0]
    assert (row.status, row.genesys_user_id, row.change_ids, row.lane) == (Status.PLANNED, "x-ann", (1,), 0)


def test_an_add_that_the_newest_view_no_longer_says_is_superseded() -> None:
    assert told(added(wanted={})) == [("add", "ann", "superseded", "newer_view")]


def test_an_add_stands_on_the_ad_groups_that_say_so_now() -> None:
    made = added(sources=("g1", "g2"), wanted={"ann": ("g2",)})
    assert (made.rows[0].status, made.rows[0].group_guids) == (Status.PLANNED, ("g2",))


def test_an_add_of_a_member_is_unchanged() -> None:
    assert told(added(members=frozenset({"x-ann"}))) == [("add", "ann", "unchanged", "already_so")]


@pytest.mark.parametrize(
    ("match", "status", "reason"),
    [
        (orphan("ann"), "orphaned", "no_genesys_user"),
        (orphan("ann", Reason.NO_MATCHING_ATTRIBUTE), "orphaned", "no_matching_attribute"),
        (inactive("ann"), "orphaned", "inactive"),
        (ambiguous("ann", "x", "y"), "held", "ambiguous"),
    ],
)
def test_an_add_of_somebody_who_is_no_active_genesys_user_is_not_written(
    match: Match, status: str, reason: str
) -> None:
    assert told(added({"ann": match})) == [("add", "ann", status, reason)]


def test_an_inactive_member_is_as_it_should_be() -> None:
    made = added({"ann": inactive("ann")}, members=frozenset({"x-ann"}))
    assert told(made) == [("add", "ann", "unchanged", "already_so")]


def test_somebody_who_was_not_looked_up_is_held_not_orphaned() -> None:
    assert told(added({})) == [("add", "ann", "held", "genesys_unreadable")]


def test_one_genesys_user_for_two_ad_accounts_is_added_for_neither() -> None:
    known = matches(matched("ann", "x"), matched("ann2", "x"))
    assert told(added(known)) == [("add", "ann", "held", "ambiguous")]
    decided = matches(Match("ann", MatchStatus.MATCHED, "x", BY_PERSON), matched("ann2", "x"))
    assert told(added(decided)) == [("add", "ann", "planned", None)]
    assert told(added(matches(linked("ann", "x"), linked("ann2", "x")))) == [("add", "ann", "held", "ambiguous")]


def test_an_unproven_group_may_gain_members() -> None:
    assert told(added(complete=False)) == [("add", "ann", "planned", None)]


def test_an_add_to_an_ad_group_that_no_rule_maps_any_more_is_skipped() -> None:
    made = added(sources=(), former_sources=frozenset({"g1"}), wanted={})
    assert told(made) == [("add", "ann", "skipped", "unmapped")]


def test_a_leftover_of_a_former_mapping_does_not_hide_an_add_that_another_group_wants() -> None:
    made = added(sources=("g2",), former_sources=frozenset({"g1"}), wanted={"ann": ("g2",)})
    assert told(made) == [("add", "ann", "planned", None)]
    assert made.rows[0].group_guids == ("g2",)


def objections(action: str, reason: Reason, person: str = "ann") -> dict[str, Any]:
    decided = Objection(reason, RunKey("dag", "asked"), NOON, last_change=5, by="olivia")
    return {"objections": {f"G:{person}:{action}": decided}}


@pytest.mark.parametrize("reason", [Reason.REJECTED, Reason.UNDONE])
def test_what_a_person_rejected_or_undid_stays_held_and_names_the_person(reason: Reason) -> None:
    for action, made in (
        ("add", planned(ANN_JOINS, known=matches("ann"), **objections("add", reason))),
        ("remove", removed(context=objections("remove", reason))),
        ("remove", removed(complete=False, context=objections("remove", reason))),  # whatever else holds it
        ("remove", removed(changes=(DOUBTFUL,), context=objections("remove", reason))),
    ):
        assert told(made) == [(action, "ann", "held", reason.value)]
        assert made.rows[0].about == {"run": "dag/asked", "by": "olivia", "at": "2026-03-02T12:00:00Z"}
        assert not made.needs_approval


def test_a_decision_holds_nothing_else() -> None:
    for other in (objections("remove", Reason.UNDONE), objections("add", Reason.UNDONE, "bob")):
        assert told(planned(ANN_JOINS, known=matches("ann"), **other)) == [("add", "ann", "planned", None)]


def test_a_decision_ends_with_what_ad_reported_later_and_not_with_what_was_seen_later() -> None:
    for evidence, held in ((Evidence.TOLD, False), (Evidence.SEEN, True), (Evidence.DOUBTED, True), (None, True)):
        made = removed(
            changes=(change("remove", "ann", id=6, evidence=evidence),), context=objections("remove", Reason.REJECTED)
        )
        assert made.rows[0].reason is (Reason.REJECTED if held else None), evidence


def test_what_needs_no_write_is_settled_whatever_a_person_decided() -> None:
    made = removed(members=frozenset(), context=objections("remove", Reason.REJECTED))
    assert told(made) == [("remove", "ann", "unchanged", "already_so")]


def test_a_decision_about_a_member_whom_ad_did_not_know_holds_for_the_account_too() -> None:
    made = removed(context=objections("remove", Reason.UNDONE, "x-ann"))
    assert told(made) == [("remove", "ann", "held", "undone")]


def test_a_group_of_another_definition_says_so_first() -> None:
    made = removed(claimed_by="sales", context=objections("remove", Reason.UNDONE))
    assert told(made) == [("remove", "ann", "held", "claimed_by")]


def test_an_add_that_only_a_doubted_domain_controller_shows_is_held() -> None:
    doubted = change("add", "ann", held_reason=Reason.OTHER_DOMAIN_CONTROLLER)
    held = [("add", "ann", "held", "other_domain_controller")]
    assert told(added(changes=(doubted,))) == held
    # also if she is a member, which may be the work of somebody in Genesys Cloud
    assert told(added(changes=(doubted,), members=frozenset({"x-ann"}))) == held
    by_another_group = {"sources": ("g1", "g2"), "wanted": {"ann": ("g1", "g2")}}
    assert told(added(changes=(doubted,), **by_another_group)) == [("add", "ann", "planned", None)]
    assert told(added(changes=(doubted, change("add", "ann", id=2)))) == [("add", "ann", "planned", None)]


# -- removals -------------------------------------------------------------------------------------------


def test_a_removal_that_everything_agrees_with_is_written() -> None:
    row = removed().rows[0]
    assert (row.status, row.genesys_user_id, row.change_ids, row.lane) == (Status.PLANNED, "x-ann", (1,), 0)


def test_a_removal_is_superseded_when_the_group_lists_the_person_again() -> None:
    assert told(removed(wanted={"ann": ("g1",)})) == [("remove", "ann", "superseded", "newer_view")]


def test_a_person_stays_while_another_ad_group_grants_the_membership() -> None:
    made = removed(sources=("g1", "g2"), wanted={"ann": ("g2",)}, grants=(grant("ann"), grant("ann", "g2")))
    assert told(made) == [("remove", "ann", "unchanged", "still_granted")]
    assert made.rows[0].group_guids == ("g1",)  # only this AD group's grant is over


def test_a_loss_that_only_another_domain_controller_shows_ends_no_grant_although_another_group_wants_the_person() -> (
    None
):
    doubted = change("remove", "ann", held_reason=Reason.OTHER_DOMAIN_CONTROLLER)
    made = removed(changes=(doubted,), sources=("g1", "g2"), wanted={"ann": ("g2",)})
    assert told(made) == [("remove", "ann", "held", "other_domain_controller")]


def test_whom_a_group_out_of_view_listed_last_stays() -> None:
    made = removed(former_sources=frozenset({"g9"}), listed_last=frozenset({"ann"}))
    assert told(made) == [("remove", "ann", "held", "mapping_changed")]


def test_a_grant_ends_only_for_the_ad_group_that_does_not_list_the_person_again() -> None:
    left = (change("remove", "ann"), change("remove", "ann", "g2", id=2))
    made = removed(sources=("g1", "g2"), wanted={"ann": ("g2",)}, changes=left)
    assert told(made) == [("remove", "ann", "unchanged", "still_granted")]
    assert made.rows[0].group_guids == ("g1",)


def test_a_removal_of_somebody_who_is_no_member_is_unchanged() -> None:
    assert told(removed(members=frozenset())) == [("remove", "ann", "unchanged", "already_so")]


def test_a_removal_of_somebody_whom_genesys_does_not_know_is_unchanged() -> None:
    made = removed({"ann": orphan("ann")}, grants=())
    assert told(made) == [("remove", "ann", "unchanged", "no_genesys_user")]


def test_a_removal_finds_somebody_gone_from_ad_by_the_grant() -> None:
    made = removed({"ann": orphan("ann", Reason.NO_MATCHING_ATTRIBUTE)})
    assert (made.rows[0].status, made.rows[0].genesys_user_id) == (Status.PLANNED, "x-ann")


def test_an_inactive_member_can_be_removed() -> None:
    assert told(removed({"ann": inactive("ann")})) == [("remove", "ann", "planned", None)]


def test_a_removal_is_skipped_when_the_policy_is_never() -> None:
    assert told(removed(policy={"removals": "never"})) == [("remove", "ann", "skipped", "removals_never")]


@pytest.mark.parametrize("policy", ["granted", "mirror"])
def test_a_removal_is_held_unless_every_feeding_group_was_read_completely(policy: str) -> None:
    made = removed(policy={"removals": policy}, complete=False)
    assert told(made) == [("remove", "ann", "held", "unproven")]


@pytest.mark.parametrize(("proven_by", "held"), [(6, True), (7, False), (8, False), (None, False)])
def test_a_removal_needs_a_proof_that_is_not_older_than_the_poll_that_recorded_it(
    proven_by: int | None, *, held: bool
) -> None:
    made = removed(
        proven_by=proven_by, changes=(change("remove", "ann", poll=3), change("remove", "ann", id=2, poll=7))
    )
    assert told(made) == [("remove", "ann", "held", "unproven") if held else ("remove", "ann", "planned", None)]


def test_a_removal_of_what_ad_never_granted_is_held() -> None:
    assert told(removed(grants=())) == [("remove", "ann", "held", "not_owned")]
    assert told(removed(grants=(), policy={"removals": "mirror"})) == [("remove", "ann", "planned", None)]


@pytest.mark.parametrize(
    ("known", "rivals"),
    [
        (matches(ambiguous("ann", "x-ann", "y")), ()),
        (matches(matched("ann", "somebody-else")), (Rival(None, "somebody-else"),)),  # another link than at the grant
        (matches("ann", matched("bob", "x-ann")), (Rival("bob", "x-ann"),)),  # recreated in AD, or one mail for two
        (matches("ann", ambiguous("bob", "x-ann", "z")), (Rival("bob", "x-ann"),)),
        (matches(contested("ann", "bob"), contested("bob", "ann")), (Rival("bob", "x-ann"),)),
    ],
)
def test_a_removal_is_held_when_it_is_not_sure_whom_it_would_hit(
    known: dict[str, Match], rivals: tuple[Rival, ...]
) -> None:
    made = removed(matches(*known.values(), *([] if "bob" in known else ["bob"])), wanted={"bob": ("g1",)})
    assert told(made) == [("remove", "ann", "held", "ambiguous")]
    assert made.rows[0].rivals == rivals


@pytest.mark.parametrize(
    "known",
    [
        matches("ann", matched("bob", "x-ann")),
        matches("ann", ambiguous("bob", "x-ann", "z")),
        matches(contested("ann", "bob"), contested("bob", "ann")),
    ],
)
def test_nobody_vetoes_a_removal_from_a_group_in_which_nobody_else_is_wanted(known: dict[str, Match]) -> None:
    assert told(removed(known)) == [("remove", "ann", "planned", None)]
    unreadable = removed(known, unreadable=frozenset({"bob"}))  # bob may be a member whom AD does not show
    assert told(unreadable) == [("remove", "ann", "held", "ambiguous")]
    assert unreadable.rows[0].rivals == (Rival("bob", "x-ann"),)


def test_two_accounts_that_are_one_genesys_user_may_both_leave() -> None:
    known = matches(contested("ann", "bob"), contested("bob", "ann"))
    left = (change("remove", "ann"), change("remove", "bob", id=2))
    made = removed(known, changes=left, grants=(grant("ann"), grant("bob", genesys_id="x-ann")))
    assert told(made) == [("remove", "ann", "planned", None), ("remove", "bob", "planned", None)]


@pytest.mark.parametrize("kind", ["excluded_users", "deleted_users", "disabled_users"])
def test_accounts_without_a_veto_hold_nobody_up(kind: str) -> None:
    known = matches(matched("ann"), matched("other", "x-ann"))
    context = {kind: frozenset({"other"})}
    in_group = {"ann": ("g1",), "other": ("g1",)} if kind == "excluded_users" else {"ann": ("g1",)}
    adding = target(wanted=in_group, changes=(change("add", "ann"),))
    assert told(planned(adding, known=known, **context)) == [("add", "ann", "planned", None)]
    wanted = {"wanted": {"other": ("g1",)}} if kind == "excluded_users" else {}
    assert told(removed(known, context=context, **wanted)) == [("remove", "ann", "planned", None)]


def test_who_takes_over_from_a_disabled_account_keeps_the_membership() -> None:
    known = matches(matched("ann"), matched("ann2", "x-ann"))
    made = removed(known, context={"disabled_users": frozenset({"ann"})}, wanted={"ann2": ("g1",)})
    assert told(made) == [("remove", "ann", "unchanged", "still_granted")]
    assert made.new_grants == (grant("ann2", genesys_id="x-ann"),)


def test_only_an_account_without_a_veto_is_succeeded_and_only_by_a_confirmed_pair() -> None:
    known = matches(orphan("ann"), matched("ann2", "x-ann"))
    assert told(removed(known, wanted={"ann2": ("g1",)})) == [("remove", "ann", "held", "ambiguous")]
    deleted = {"deleted_users": frozenset({"ann"})}
    both = {"sources": ("g1", "g2"), "unconfirmed": frozenset({"g2"})}
    made = removed(known, context=deleted, wanted={"ann2": ("g2",)}, **both)
    assert told(made) == [("remove", "ann", "held", "ambiguous")]


def test_a_link_wins_over_a_newcomer_who_names_it_as_rival() -> None:
    known = matches(linked("ann"), contested("bob", "ann"))
    both = target(wanted={"ann": ("g1",), "bob": ("g1",)}, changes=(change("add", "ann"), change("add", "bob", id=2)))
    made = planned(both, known=known)
    assert told(made) == [("add", "ann", "planned", None), ("add", "bob", "held", "ambiguous")]
    assert made.rows[1].rivals == (Rival("ann", "x-ann"),)
    late = planned(both, known=matches(linked("ann"), matched("bob", "x-ann")))  # looked up apart
    assert told(late) == [("add", "ann", "planned", None), ("add", "bob", "held", "ambiguous")]


def test_a_contradicted_link_holds_adds_and_removals_and_names_both_users() -> None:
    doubted = Match(
        "ann",
        MatchStatus.AMBIGUOUS,
        reason=Reason.LINK_CONTRADICTED,
        candidates=("x-ann", "y"),
        rivals=(Rival(None, "y"),),
    )
    for made in (added({"ann": doubted}), removed({"ann": doubted})):
        [row] = made.rows
        assert (row.status, row.reason) == (Status.HELD, Reason.LINK_CONTRADICTED)
        assert (row.genesys_user_id, row.rivals) == ("x-ann", (Rival(None, "y"),))


def test_whom_genesys_refuses_to_look_up_is_held_and_the_others_go_on() -> None:
    refused = Match(
        "eve",
        MatchStatus.NOT_LOOKED_UP,
        matched_by="employeeNumber=external_id",
        reason=Reason.NOT_LOOKED_UP,
        value=".",
    )
    changes = (change("remove", "ann"), change("add", "eve", id=2))
    made = removed(matches("ann", refused), wanted={"eve": ("g1",)}, changes=changes)
    assert told(made) == [("add", "eve", "held", "not_looked_up"), ("remove", "ann", "planned", None)]
    assert made.rows[0].about == {"rule": "employeeNumber=external_id", "value": "."}
    leaves = removed(matches(refused), grants=(), changes=(change("remove", "eve"),))  # not the same as absent
    assert told(leaves) == [("remove", "eve", "held", "not_looked_up")]


def test_a_leaver_who_may_be_a_member_as_another_user_is_held_not_settled() -> None:
    doubted = ambiguous("ann", "y", "z")
    made = removed({"ann": doubted}, grants=(grant("ann", genesys_id="x-gone"),), members=frozenset({"z"}))
    assert told(made) == [("remove", "ann", "held", "ambiguous")]
    absent = {"grants": (grant("ann", genesys_id="x-gone"),), "members": frozenset()}
    seen = {"user_states": {"x-gone": "active"}}
    is_member = {**absent, "members": frozenset({"z"})}
    assert told(removed({"ann": doubted}, **is_member, context=seen)) == [("remove", "ann", "held", "ambiguous")]
    assert told(removed({"ann": doubted}, **absent, context=seen)) == [("remove", "ann", "unchanged", "already_so")]
    # a user whom Genesys shows nowhere may be a member all the same
    assert told(removed({"ann": doubted}, **absent)) == [("remove", "ann", "held", "ambiguous")]


# -- links that moved -----------------------------------------------------------------------------------

OLD = (grant("ann", genesys_id="x-old"),)


def test_a_grant_follows_the_link_to_a_member() -> None:
    moves = {("ann", "x-old"): Move("x-ann", deleted=True)}
    made = removed(grants=OLD, context={"moves": moves})
    assert told(made) == [("remove", "ann", "planned", None)]
    assert (made.rows[0].genesys_user_id, made.new_grants, made.stale_grants) == ("x-ann", (grant("ann"),), OLD)
    absent = removed(grants=OLD, members=frozenset(), context={"moves": moves})
    assert told(absent) == [("remove", "ann", "unchanged", "already_so")]
    assert absent.new_grants == ()


def test_the_former_user_of_a_relinked_account_leaves_and_the_new_one_comes() -> None:
    moves = {("ann", "x-old"): Move("x-ann")}
    made = whole(
        known=matches(linked("ann")), wanted={"ann": ("g1",)}, members=frozenset({"x-old"}), grants=OLD, moves=moves
    )
    assert told(made) == [("add", "ann", "planned", None), ("remove", None, "planned", None)]
    assert made.rows[1].genesys_user_id == "x-old"


def test_the_former_user_stays_where_another_account_is_that_user() -> None:
    moves = {("ann", "x-old"): Move("x-ann")}
    made = whole(
        known=matches(linked("ann"), linked("bob", "x-old")),
        members=frozenset({"x-old"}),
        grants=OLD,
        moves=moves,
    )
    assert told(made) == [("add", "ann", "planned", None)]
    assert made.stale_grants == OLD


def test_a_link_that_is_to_move_waits_for_a_person_with_all_that_follows() -> None:
    relinked = Match("ann", MatchStatus.MATCHED, "x-ann", "relink")
    facts: dict[str, Any] = {
        "known": matches(relinked, matched("bob", "x-old")),
        "grants": OLD,
        "moves": {("ann", "x-old"): Move("x-ann")},
        "relinks": {"ann": Relinking("x-old", "x-old", "x-ann")},
    }
    made = whole(**facts, wanted={"ann": ("g1",)}, members=frozenset({"x-old"}))
    assert told(made) == [("add", "ann", "held", "relink"), ("remove", None, "held", "relink")]
    about = {"account": "ann", "former_user": "x-old", "new_user": "x-ann"}
    assert [row.about for row in made.rows] == [about, about]
    assert made.needs_approval == {row.key for row in made.rows}
    assert (made.new_grants, made.stale_grants) == ((), ())
    there = whole(**facts, wanted={"ann": ("g1",)}, members=frozenset({"x-ann"}))
    assert told(there) == [("add", "ann", "held", "relink")]
    assert there.new_grants == ()
    new = {"grants": (), "moves": {}, "relinks": {"ann": Relinking(None, "none", "x-ann")}}  # never linked before
    first = whole(**{**facts, **new}, wanted={"ann": ("g1",)}, members=frozenset({"x-ann"}))
    assert (told(first), first.new_grants) == ([("add", "ann", "held", "relink")], ())
    # until then the old link holds for everybody else
    other = whole(**facts, wanted={"bob": ("g1",)}, members=frozenset({"x-dora"}))
    assert told(other) == [("add", "bob", "held", "ambiguous")]


RECREATED = matches("ann", matched("ann2", "x-ann"))  # two accounts with one mail; of ann, the tombstone was seen


def test_who_was_made_anew_and_is_still_wanted_keeps_the_membership_and_it_is_owned_through_the_new_account() -> None:
    deleted = {"deleted_users": frozenset({"ann"})}
    changes = (change("remove", "ann"), change("add", "ann2", id=2))
    made = removed(RECREATED, context=deleted, wanted={"ann2": ("g1",)}, changes=changes)
    assert told(made) == [("add", "ann2", "unchanged", "already_so"), ("remove", "ann", "unchanged", "still_granted")]
    assert made.new_grants == (grant("ann2", genesys_id="x-ann"),)
    absent = removed(RECREATED, context=deleted, wanted={"ann2": ("g1",)}, changes=changes, members=frozenset())
    assert told(absent) == [("add", "ann2", "planned", None), ("remove", "ann", "unchanged", "already_so")]


def test_who_was_made_anew_and_is_no_longer_wanted_is_removed() -> None:
    assert told(removed(RECREATED, context={"deleted_users": frozenset({"ann"})})) == [
        ("remove", "ann", "planned", None)
    ]
    assert told(removed(RECREATED)) == [("remove", "ann", "planned", None)], "no claimant is wanted there"


@pytest.mark.parametrize(
    ("known", "context"),
    [
        (matches("ann", ambiguous("ann2", "x-ann", "z")), {}),
        (matches("ann", matched("ann2", "x-ann"), matched("ann3", "x-ann")), {}),
    ],
)
def test_it_is_held_when_it_is_not_sure_who_was_made_anew(known: dict[str, Match], context: dict[str, Any]) -> None:
    wanted = {"ann2": ("g1",), "ann3": ("g1",)}
    made = removed(
        {**matches("ann3"), **known}, context={"deleted_users": frozenset({"ann"}), **context}, wanted=wanted
    )
    assert told(made) == [("remove", "ann", "held", "ambiguous")]


def test_it_is_held_while_the_new_account_was_not_looked_up() -> None:
    made = removed(context={"deleted_users": frozenset({"ann"})}, wanted={"ann2": ("g1",)})
    assert told(made) == [("remove", "ann", "held", "genesys_unreadable")]
    assert "1 people" in (made.rows[0].error or "")


def test_what_was_granted_to_a_deleted_account_does_not_stand_against_the_new_one() -> None:
    grants = (grant("ann0", genesys_id="x-ann"), grant("ann"))
    made = removed(grants=grants, context={"deleted_users": frozenset({"ann0"})})
    assert told(made) == [("remove", "ann", "planned", None)]


def test_a_removal_is_held_when_the_genesys_user_was_granted_it_for_another_account_too() -> None:
    made = removed(grants=(grant("ann"), grant("ann2", genesys_id="x-ann")), wanted={"ann2": ("g1",)})
    assert told(made) == [("remove", "ann", "held", "ambiguous")]


def test_an_ambiguous_person_none_of_whose_candidates_is_a_member_needs_no_removal() -> None:
    made = removed(matches(ambiguous("ann", "y", "z")), grants=())
    assert told(made) == [("remove", "ann", "unchanged", "already_so")]
    made = removed(matches(ambiguous("ann", "x-ann", "z")), grants=())
    assert told(made) == [("remove", "ann", "held", "ambiguous")]


def test_a_removal_of_somebody_who_was_not_looked_up_is_held() -> None:
    assert told(removed({}, grants=())) == [("remove", "ann", "held", "genesys_unreadable")]


@pytest.mark.parametrize(
    "changed",
    [
        {"sources": ("g2",), "former_sources": frozenset({"g1"})},  # the rule of g1 is gone, g2 still feeds
        {"sources": (), "former_sources": frozenset({"g1"})},  # nothing feeds it any more
        {"sources": ("g1",), "grants": (grant("ann"), grant("ann", "g2"))},  # granted by a pair of the past, too
    ],
)
def test_nobody_is_removed_by_a_changed_mapping(changed: dict[str, Any]) -> None:
    for removals in ("granted", "mirror"):
        made = removed(policy={"removals": removals}, **changed)
        assert told(made) == [("remove", "ann", "held", "mapping_changed")]


@pytest.mark.parametrize("reason", [Reason.OTHER_DOMAIN_CONTROLLER, Reason.SCOPE_CHANGED])
def test_a_removal_is_held_with_the_reason_of_its_change(reason: Reason) -> None:
    made = removed(changes=(change("remove", "ann", held_reason=reason),))
    assert told(made) == [("remove", "ann", "held", reason.value)]


def test_a_newer_change_of_the_same_group_lifts_the_doubt_but_one_of_another_group_does_not() -> None:
    doubtful = change("remove", "ann", held_reason=Reason.OTHER_DOMAIN_CONTROLLER)
    later = NOON + timedelta(hours=1)
    confirmed = removed(changes=(doubtful, change("remove", "ann", id=2, observed_at=later)))
    assert told(confirmed) == [("remove", "ann", "planned", None)]
    other = removed(sources=("g1", "g2"), changes=(doubtful, change("remove", "ann", "g2", id=2, observed_at=later)))
    assert told(other) == [("remove", "ann", "held", "other_domain_controller")]


def test_what_only_a_former_definition_wanted_is_not_removed() -> None:
    assert told(removed(grants=(), changes=(DOUBTFUL,))) == [("remove", "ann", "skipped", "not_owned")]
    compared = change("remove", "ann", origin="comparison")
    assert told(removed(grants=(), changes=(compared,))) == [("remove", "ann", "skipped", "not_owned")]
    assert told(removed(grants=())) == [("remove", "ann", "held", "not_owned")]


def test_nobody_is_removed_while_genesys_hides_groups() -> None:
    made = removed(context={"groups_hidden": True})
    assert told(made) == [("remove", "ann", "held", "genesys_unreadable")]
    assert "hides groups" in (made.rows[0].error or "")


def test_a_contested_leaver_is_known_by_the_only_user_that_others_claim() -> None:
    made = removed(matches(contested("ann", "bob")), grants=())
    assert told(made) == [("remove", "ann", "held", "not_owned")]
    assert made.rows[0].genesys_user_id == "x-ann"


# -- both -----------------------------------------------------------------------------------------------


def test_a_group_that_another_definition_feeds_is_held_and_that_is_said() -> None:
    made = removed(claimed_by="sales")
    assert told(made) == [("remove", "ann", "held", "claimed_by")]
    assert "'sales'" in (made.rows[0].error or "")
    assert told(added(claimed_by="sales")) == [("add", "ann", "held", "claimed_by")]


def test_a_group_that_could_not_be_read_has_its_changes_held_and_others_go_on() -> None:
    unread = target(
        members=None,
        wanted={"ann": ("g1",)},
        changes=(change("add", "ann"), change("remove", "bob", id=2)),
        full=True,
    )
    other = target(
        genesys_group=genesys_group("H", "Other"),
        wanted={"ann": ("g2",)},
        sources=("g2",),
        changes=(change("add", "ann", "g2", id=3),),
    )
    made = planned(unread, other, known=matches("ann", "bob"))
    assert told(made) == [
        ("add", None, "held", "genesys_unreadable"),  # of the rest nobody knows how it compares
        ("add", "ann", "held", "genesys_unreadable"),
        ("remove", "bob", "held", "genesys_unreadable"),
        ("add", "ann", "planned", None),
    ]
    assert made.group_results[0].before is None
    assert made.new_grants == ()
    assert made.compared_groups == frozenset()


def test_excluded_people_are_skipped_whatever_happens_to_them() -> None:
    made = planned(
        target(
            wanted={"ann": ("g1",)},
            members=frozenset({"x-bob"}),
            grants=(grant("bob"),),
            changes=(change("add", "ann"), change("remove", "bob", id=2)),
        ),
        known=matches("ann", "bob"),
        excluded_users=frozenset({"ann", "bob"}),
    )
    assert told(made) == [("add", "ann", "skipped", "excluded"), ("remove", "bob", "skipped", "excluded")]


def test_an_excluded_account_wants_nobody() -> None:
    known = matches("bob", matched("zoe", "x-bob"))
    facts = {"wanted": {"zoe": ("g1",)}, "members": frozenset({"x-bob"}), "grants": (grant("bob"),)}
    made = planned(target(full=True, **facts), known=known, excluded_users=frozenset({"zoe"}))
    assert told(made) == [("remove", "bob", "planned", None)]
