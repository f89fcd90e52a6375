"""What a run does, and does not do, with each kind of change."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from genesys_ad_sync.model import Change, GroupResult, Match, MatchStatus, Reason, Row, SkippedGroup, Status
from genesys_ad_sync.planning import Context, Plan, Unmapped, content_hash, recheck, spread
from tests.support.sync_examples import (
    NOON,
    change,
    definition,
    directory_group,
    directory_user,
    genesys_group,
    grant,
    matched,
    matches,
    planned,
    target,
    told,
)


def ambiguous(user: str, *candidates: str) -> Match:
    return Match(user, MatchStatus.AMBIGUOUS, reason=Reason.AMBIGUOUS, candidates=candidates)


def inactive(user: str) -> Match:
    return Match(user, MatchStatus.INACTIVE, f"x-{user}", "mail=email", Reason.INACTIVE)


def orphan(user: str, reason: Reason = Reason.NO_GENESYS_USER) -> Match:
    return Match(user, MatchStatus.ORPHANED, reason=reason)


# -- adds ---------------------------------------------------------------------------------------------


def added(known: dict[str, Match] | None = None, **changed: Any) -> Plan:
    """Plan one add of ann to g1, where the newest view still lists her."""
    facts = {"effective": {"ann": ("g1",)}, "changes": (change("add", "ann"),), **changed}
    return planned(target(**facts), known=matches("ann") if known is None else known)


def test_an_add_that_is_wanted_and_missing_is_written() -> None:
    row = added().rows[0]
    assert (row.status, row.genesys_user_id, row.change_ids, row.lane) == (Status.PLANNED, "x-ann", (1,), 0)


def test_an_add_that_the_newest_view_no_longer_says_is_superseded() -> None:
    assert told(added(effective={})) == [("add", "ann", "superseded", "newer_view")]


def test_an_add_stands_on_the_ad_groups_that_say_so_now() -> None:
    made = added(feeding=("g1", "g2"), effective={"ann": ("g2",)})
    assert (made.rows[0].status, made.rows[0].group_guids) == (Status.PLANNED, ("g2",))


def test_an_add_of_a_member_is_unchanged() -> None:
    assert told(added(present=frozenset({"x-ann"}))) == [("add", "ann", "unchanged", "already_so")]


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
    made = added({"ann": inactive("ann")}, present=frozenset({"x-ann"}))
    assert told(made) == [("add", "ann", "unchanged", "already_so")]


def test_somebody_who_was_not_looked_up_is_held_not_orphaned() -> None:
    assert told(added({})) == [("add", "ann", "held", "genesys_unreadable")]


def test_one_genesys_user_for_two_ad_accounts_is_added_for_neither() -> None:
    known = matches(matched("ann", "x"), matched("ann2", "x"))
    assert told(added(known)) == [("add", "ann", "held", "ambiguous")]


def test_an_unproven_group_may_gain_members() -> None:
    assert told(added(complete=False)) == [("add", "ann", "planned", None)]


def test_an_add_to_an_ad_group_that_no_rule_maps_any_more_is_skipped() -> None:
    made = added(feeding=(), retired=frozenset({"g1"}), effective={})
    assert told(made) == [("add", "ann", "skipped", "unmapped")]


def test_a_leftover_of_a_former_mapping_does_not_hide_an_add_that_another_group_wants() -> None:
    made = added(feeding=("g2",), retired=frozenset({"g1"}), effective={"ann": ("g2",)})
    assert told(made) == [("add", "ann", "planned", None)]
    assert made.rows[0].group_guids == ("g2",)


def test_an_add_that_a_person_rejected_or_undid_stays_held() -> None:
    made = added(changes=(change("add", "ann", held_reason=Reason.UNDONE),))
    assert told(made) == [("add", "ann", "held", "undone")]


def test_doubt_about_losses_does_not_stop_an_add() -> None:
    made = added(changes=(change("add", "ann", held_reason=Reason.OTHER_DOMAIN_CONTROLLER),))
    assert told(made) == [("add", "ann", "planned", None)]


# -- removals -----------------------------------------------------------------------------------------


def removed(
    known: dict[str, Match] | None = None,
    policy: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    **changed: Any,
) -> Plan:
    """Plan one removal of ann from g1, where she is a member by its grant."""
    facts = {
        "present": frozenset({"x-ann"}),
        "grants": (grant("ann"),),
        "changes": (change("remove", "ann"),),
        **changed,
    }
    known = matches("ann") if known is None else known
    return planned(target(**facts), known=known, policy=definition(**(policy or {})), **(context or {}))


def test_a_removal_that_everything_agrees_with_is_written() -> None:
    row = removed().rows[0]
    assert (row.status, row.genesys_user_id, row.change_ids, row.lane) == (Status.PLANNED, "x-ann", (1,), 0)


def test_a_removal_is_superseded_when_the_group_lists_the_person_again() -> None:
    assert told(removed(effective={"ann": ("g1",)})) == [("remove", "ann", "superseded", "newer_view")]


def test_a_person_stays_while_another_ad_group_grants_the_membership() -> None:
    made = removed(feeding=("g1", "g2"), effective={"ann": ("g2",)}, grants=(grant("ann"), grant("ann", "g2")))
    assert told(made) == [("remove", "ann", "unchanged", "still_granted")]
    assert made.rows[0].group_guids == ("g1",)  # only this AD group's grant is over


def test_a_grant_ends_only_for_the_ad_group_that_does_not_list_the_person_again() -> None:
    left = (change("remove", "ann"), change("remove", "ann", "g2", id=2))
    made = removed(feeding=("g1", "g2"), effective={"ann": ("g2",)}, changes=left)
    assert told(made) == [("remove", "ann", "unchanged", "still_granted")]
    assert made.rows[0].group_guids == ("g1",)


def test_a_removal_of_somebody_who_is_no_member_is_unchanged() -> None:
    assert told(removed(present=frozenset())) == [("remove", "ann", "unchanged", "already_so")]


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


def test_a_removal_of_what_ad_never_granted_is_held() -> None:
    assert told(removed(grants=())) == [("remove", "ann", "held", "not_owned")]
    assert told(removed(grants=(), policy={"removals": "mirror"})) == [("remove", "ann", "planned", None)]


@pytest.mark.parametrize(
    "known",
    [
        matches(ambiguous("ann", "x-ann", "y")),
        matches(matched("ann", "somebody-else")),  # the link moved after the grant
        matches("ann", matched("ann2", "x-ann")),  # recreated in AD, or one mail for two
        matches("ann", ambiguous("bob", "x-ann", "z")),
    ],
)
def test_a_removal_is_held_when_it_is_not_sure_whom_it_would_hit(known: dict[str, Match]) -> None:
    assert told(removed(known)) == [("remove", "ann", "held", "ambiguous")]


RECREATED = matches("ann", matched("ann2", "x-ann"))  # two accounts with one mail; of ann, the tombstone was seen


def test_who_was_made_anew_and_is_still_wanted_keeps_the_membership_and_it_is_owned_through_the_new_account() -> None:
    deleted = {"deleted_users": frozenset({"ann"})}
    changes = (change("remove", "ann"), change("add", "ann2", id=2))
    made = removed(RECREATED, context=deleted, effective={"ann2": ("g1",)}, changes=changes)
    assert told(made) == [("add", "ann2", "unchanged", "already_so"), ("remove", "ann", "unchanged", "still_granted")]
    assert made.found == (grant("ann2", genesys_id="x-ann"),)
    absent = removed(RECREATED, context=deleted, effective={"ann2": ("g1",)}, changes=changes, present=frozenset())
    assert told(absent) == [("add", "ann2", "planned", None), ("remove", "ann", "unchanged", "already_so")]


def test_who_was_made_anew_and_is_no_longer_wanted_is_removed() -> None:
    assert told(removed(RECREATED, context={"deleted_users": frozenset({"ann"})})) == [
        ("remove", "ann", "planned", None)
    ]
    assert told(removed(RECREATED)) == [("remove", "ann", "held", "ambiguous")], "no tombstone was seen"


@pytest.mark.parametrize(
    ("known", "context"),
    [
        (matches("ann", ambiguous("ann2", "x-ann", "z")), {}),
        (matches("ann", matched("ann2", "x-ann"), matched("ann3", "x-ann")), {}),
        (matches("ann"), {}),  # the new one was not looked up
    ],
)
def test_it_is_held_when_it_is_not_sure_who_was_made_anew(known: dict[str, Match], context: dict[str, Any]) -> None:
    wanted = {"ann2": ("g1",), "ann3": ("g1",)}
    made = removed(known, context={"deleted_users": frozenset({"ann"}), **context}, effective=wanted)
    assert told(made) == [("remove", "ann", "held", "ambiguous")]


def test_a_new_account_that_is_excluded_is_left_alone() -> None:
    context = {"deleted_users": frozenset({"ann"}), "excluded_users": frozenset({"ann2"})}
    assert told(removed(RECREATED, context=context)) == [("remove", "ann", "held", "ambiguous")]


def test_what_was_granted_to_a_deleted_account_does_not_stand_against_the_new_one() -> None:
    grants = (grant("ann0", genesys_id="x-ann"), grant("ann"))
    made = removed(grants=grants, context={"deleted_users": frozenset({"ann0"})})
    assert told(made) == [("remove", "ann", "planned", None)]


def test_a_removal_is_held_when_the_genesys_user_was_granted_it_for_another_account_too() -> None:
    made = removed(grants=(grant("ann"), grant("ann2", genesys_id="x-ann")), effective={"ann2": ("g1",)})
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
        {"feeding": ("g2",), "retired": frozenset({"g1"})},  # the rule of g1 is gone, g2 still feeds
        {"feeding": (), "retired": frozenset({"g1"})},  # nothing feeds it any more
        {"feeding": ("g1",), "grants": (grant("ann"), grant("ann", "g2"))},  # granted by a pair of the past, too
    ],
)
def test_nobody_is_removed_by_a_changed_mapping(changed: dict[str, Any]) -> None:
    for removals in ("granted", "mirror"):
        made = removed(policy={"removals": removals}, **changed)
        assert told(made) == [("remove", "ann", "held", "mapping_changed")]


@pytest.mark.parametrize("reason", [Reason.OTHER_DOMAIN_CONTROLLER, Reason.SCOPE_CHANGED, Reason.REJECTED])
def test_a_removal_is_held_with_the_reason_of_its_change(reason: Reason) -> None:
    made = removed(changes=(change("remove", "ann", held_reason=reason),))
    assert told(made) == [("remove", "ann", "held", reason.value)]


def test_a_newer_change_of_the_same_group_lifts_the_doubt_but_one_of_another_group_does_not() -> None:
    doubtful = change("remove", "ann", held_reason=Reason.OTHER_DOMAIN_CONTROLLER)
    later = NOON + timedelta(hours=1)
    confirmed = removed(changes=(doubtful, change("remove", "ann", id=2, observed_at=later)))
    assert told(confirmed) == [("remove", "ann", "planned", None)]
    other = removed(feeding=("g1", "g2"), changes=(doubtful, change("remove", "ann", "g2", id=2, observed_at=later)))
    assert told(other) == [("remove", "ann", "held", "other_domain_controller")]


# -- limits, protection, claims -----------------------------------------------------------------------


def leaving(count: int, id_: str = "G", owned: int = 0, **changed: Any) -> Any:
    """Return a Genesys group that ``count`` of its ``owned`` people leave."""
    users = [f"{id_}-{number:03}" for number in range(max(count, owned))]
    facts = {
        "genesys_group": genesys_group(id_, f"Team {id_}"),
        "present": frozenset(f"x-{user}" for user in users),
        "grants": tuple(grant(user, target=id_) for user in users),
        "changes": tuple(change("remove", user, id=number) for number, user in enumerate(users[:count])),
        **changed,
    }
    return target(**facts)


def known_of(*targets: Any) -> dict[str, Match]:
    return matches(*{one.user_guid for made in targets for one in made.changes if one.user_guid})


def statuses(made: Plan) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in made.rows:
        word = row.reason.value if row.reason else row.status.value
        found.setdefault(row.genesys_group_id or "", set()).add(word)
    return found


def test_a_limit_of_a_group_holds_all_removals_of_that_group_and_no_others() -> None:
    policy = definition(limits={"removals": 2, "min_group_size": 1000})
    groups = (leaving(3, "G"), leaving(2, "H"))
    made = planned(*groups, known=known_of(*groups), policy=policy)
    assert statuses(made) == {"G": {"over_limit"}, "H": {"planned"}}
    assert made.fail_reason is None


def test_the_percentage_is_of_the_present_members_whom_ad_owns() -> None:
    policy = definition(limits={"removals_percent": 20, "min_group_size": 10})
    within, beyond = leaving(2, owned=10), leaving(3, owned=10)
    assert statuses(planned(within, known=known_of(within), policy=policy)) == {"G": {"planned"}}
    assert statuses(planned(beyond, known=known_of(beyond), policy=policy)) == {"G": {"over_limit"}}
    manual = replace(beyond, present=beyond.present | {f"manual-{n}" for n in range(90)})
    assert statuses(planned(manual, known=known_of(manual), policy=policy)) == {"G": {"over_limit"}}


def test_grants_of_people_who_are_no_members_make_no_group_larger() -> None:
    policy = definition(limits={"removals_percent": 20, "min_group_size": 10})
    group = leaving(3, owned=10)
    once = tuple(grant(f"once-{number}") for number in range(90))
    made = planned(replace(group, grants=group.grants + once), known=known_of(group), policy=policy)
    assert statuses(made) == {"G": {"over_limit"}}


def test_limits_of_run_and_day_hold_every_removal() -> None:
    groups = (leaving(3, "G"), leaving(3, "H"))
    known = known_of(*groups)
    per_run = definition(limits={"per_run": 5, "min_group_size": 1000})
    assert statuses(planned(*groups, known=known, policy=per_run)) == {"G": {"over_limit"}, "H": {"over_limit"}}
    per_day = definition(limits={"per_day": 10, "min_group_size": 1000})
    assert statuses(planned(*groups, known=known, policy=per_day, removed_today=4)) == {
        "G": {"planned"},
        "H": {"planned"},
    }
    assert statuses(planned(*groups, known=known, policy=per_day, removed_today=5)) == {
        "G": {"over_limit"},
        "H": {"over_limit"},
    }


def test_an_exceeded_limit_stops_no_add() -> None:
    group = leaving(3)
    group = replace(group, effective={"new": ("g1",)}, changes=(*group.changes, change("add", "new", id=99)))
    made = planned(group, known=known_of(group), policy=definition(limits={"removals": 0}))
    assert told(made)[0] == ("add", "new", "planned", None)


def test_removals_that_no_limit_could_let_through_do_not_count() -> None:
    policy = definition(limits={"per_run": 3, "min_group_size": 1000})
    groups = (leaving(3, "G"), leaving(5, "H", complete=False))
    made = planned(*groups, known=known_of(*groups), policy=policy)
    assert statuses(made) == {"G": {"planned"}, "H": {"unproven"}}


def test_on_excess_fail_says_which_limit() -> None:
    group = leaving(3)
    made = planned(group, known=known_of(group), policy=definition(limits={"removals": 2, "on_excess": "fail"}))
    assert made.fail_reason is not None
    assert "limits.removals is 2" in made.fail_reason
    assert made.lanes == ()


def test_protected_groups_need_a_person_for_adds_and_removals_and_these_count() -> None:
    policy = definition(protect=["sal*"], limits={"per_run": 1, "min_group_size": 1000})
    protected = target(
        present=frozenset({"x-ann"}),
        grants=(grant("ann"),),
        effective={"bob": ("g1",)},
        changes=(change("remove", "ann"), change("add", "bob", id=2)),
    )
    other = leaving(1, "H")
    made = planned(protected, other, known=matches("ann", "bob", "H-000"), policy=policy)
    assert statuses(made) == {"G": {"protected"}, "H": {"over_limit"}}


def test_a_restored_journal_holds_removals_only() -> None:
    assert told(removed(context={"journal_restored": True})) == [("remove", "ann", "held", "journal_restored")]
    made = planned(
        target(effective={"ann": ("g1",)}, changes=(change("add", "ann"),)),
        known=matches("ann"),
        journal_restored=True,
    )
    assert told(made) == [("add", "ann", "planned", None)]


def test_a_group_that_another_definition_feeds_is_held_and_that_is_said() -> None:
    made = removed(claimed_by="sales")
    assert told(made) == [("remove", "ann", "held", "claimed_by")]
    assert "'sales'" in (made.rows[0].error or "")
    assert told(added(claimed_by="sales")) == [("add", "ann", "held", "claimed_by")]


def test_a_group_that_could_not_be_read_has_its_changes_held_and_others_go_on() -> None:
    unread = target(
        present=None,
        effective={"ann": ("g1",)},
        changes=(change("add", "ann"), change("remove", "bob", id=2)),
        whole=True,
    )
    other = target(
        genesys_group=genesys_group("H", "Other"),
        effective={"ann": ("g2",)},
        feeding=("g2",),
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
    assert made.found == ()
    assert made.compared == frozenset()


def test_excluded_people_are_skipped_whatever_happens_to_them() -> None:
    made = planned(
        target(
            effective={"ann": ("g1",)},
            present=frozenset({"x-bob"}),
            grants=(grant("bob"),),
            changes=(change("add", "ann"), change("remove", "bob", id=2)),
        ),
        known=matches("ann", "bob"),
        excluded_users=frozenset({"ann", "bob"}),
    )
    assert told(made) == [("add", "ann", "skipped", "excluded"), ("remove", "bob", "skipped", "excluded")]


# -- folding ------------------------------------------------------------------------------------------


def test_all_changes_of_one_person_and_action_are_one_row_with_the_newest_times() -> None:
    earlier = change("add", "ann", id=1, changed_at=NOON - timedelta(hours=1))
    later = change("add", "ann", "g2", id=2, observed_at=NOON + timedelta(hours=1), observed_after=NOON)
    made = added(feeding=("g1", "g2"), effective={"ann": ("g1", "g2")}, changes=(later, earlier))
    row = made.rows[0]
    assert len(made.rows) == 1
    assert (row.change_ids, row.group_guids) == ((1, 2), ("g1", "g2"))
    assert (row.changed_at, row.observed_after, row.observed_at) == (
        NOON - timedelta(hours=1),
        NOON,
        NOON + timedelta(hours=1),
    )


def test_an_add_and_a_removal_of_one_person_are_two_rows_of_which_the_newest_view_decides() -> None:
    both = (change("add", "ann", id=1), change("remove", "ann", id=2))
    assert told(added(changes=both)) == [("add", "ann", "planned", None), ("remove", "ann", "superseded", "newer_view")]
    assert told(removed(changes=both)) == [
        ("add", "ann", "superseded", "newer_view"),
        ("remove", "ann", "planned", None),
    ]


def test_a_row_tells_people_whom_it_is_about() -> None:
    made = planned(
        target(effective={"ann": ("g1",)}, changes=(change("add", "ann"),)),
        known=matches("ann"),
        groups={"g1": directory_group("Sales team", guid="g1")},
        users={"ann": directory_user("ann")},
    )
    row = made.rows[0]
    assert row.genesys_group == {"id": "G", "name": "Sales"}
    assert row.directory_groups[0]["name"] == "Sales team"
    assert (row.directory_user or {})["mail"] == "ann@example.com"
    unknown = added().rows[0]
    assert unknown.directory_user == {"guid": "ann", "dn": None, "mail": None}


def test_adds_of_a_group_stand_before_its_removals() -> None:
    made = planned(
        target(
            effective={"zoe": ("g1",)},
            present=frozenset({"x-ann"}),
            grants=(grant("ann"),),
            changes=(change("remove", "ann"), change("add", "zoe", id=2)),
        ),
        known=matches("ann", "zoe"),
    )
    assert [row.action.value for row in made.rows] == ["add", "remove"]


def test_a_settled_change_is_listed_again_and_settles_nothing() -> None:
    settled = change("add", "ann", status=Status.SUCCESS, settled_by="run-1")
    made = added(changes=(settled,), effective={})
    row = made.rows[0]
    assert (row.status, row.settled_by, row.change_ids, row.lane) == (Status.SUCCESS, "run-1", (), None)
    assert made.comparison_changes == ()


def test_an_unsettled_change_decides_over_a_settled_one_of_the_same_row() -> None:
    settled = change("add", "ann", status=Status.SUCCESS, settled_by="run-1")
    made = added(changes=(settled, change("add", "ann", id=2, status=Status.FAILED)))
    assert (told(made), made.rows[0].change_ids) == ([("add", "ann", "planned", None)], (2,))


# -- comparing as a whole -----------------------------------------------------------------------------


def whole(policy: dict[str, Any] | None = None, known: dict[str, Match] | None = None, **changed: Any) -> Plan:
    """ann and bob belong in it; bob is a member, carl was granted it once and dora came by hand."""
    facts = {
        "whole": True,
        "effective": {"ann": ("g1",), "bob": ("g1",)},
        "present": frozenset({"x-bob", "x-carl", "x-dora"}),
        "grants": (grant("carl"),),
        **changed,
    }
    return planned(target(**facts), known=known or matches("ann", "bob"), policy=definition(**(policy or {})))


def test_a_whole_comparison_lists_differences_and_nothing_else() -> None:
    made = whole()
    assert told(made) == [("add", "ann", "planned", None), ("remove", "carl", "planned", None)]
    result = made.group_results[0]
    assert result == GroupResult("G", "Sales", ("g1",), True, 3, None, 0, 0, 1)


def test_what_a_comparison_finds_is_given_as_changes_to_record() -> None:
    made = whole()
    assert made.comparison_changes == (
        ("G:ann:add", Change("g1", "ann", made.rows[0].action, NOON, origin="comparison", genesys_user_id="x-ann")),
        (
            "G:carl:remove",
            Change("g1", "carl", made.rows[1].action, NOON, origin="comparison", genesys_user_id="x-carl"),
        ),
    )
    assert [row.change_ids for row in made.rows] == [(), ()]


def test_a_comparison_folds_the_unsettled_changes_of_its_rows() -> None:
    made = whole(changes=(change("add", "ann", id=7, status=Status.ORPHANED),))
    assert made.rows[0].change_ids == (7,)
    assert [key for key, _ in made.comparison_changes] == ["G:carl:remove"]


def test_what_ad_wants_and_genesys_has_is_found_and_can_become_a_grant() -> None:
    assert whole().found == (grant("bob"),)
    assert whole(grants=(grant("bob"), grant("carl"))).found == ()
    assert whole(known=matches("ann", inactive("bob"))).found == (grant("bob"),)
    assert whole(whole=False).found == ()
    assert whole(claimed_by="sales").found == ()


def test_manual_members_stay_under_granted_and_never_and_go_under_mirror() -> None:
    assert ("remove", None, "planned", None) not in told(whole())
    assert told(whole({"removals": "never"})) == [
        ("add", "ann", "planned", None),
        ("remove", "carl", "skipped", "removals_never"),
    ]
    made = whole({"removals": "mirror"})
    assert ("remove", None, "planned", None) in told(made)
    assert [row.genesys_user_id for row in made.rows if row.user_guid is None] == ["x-dora"]


def test_a_manual_member_whom_ad_knows_is_named() -> None:
    made = whole({"removals": "mirror"}, known=matches("ann", "bob", "dora"))
    assert ("remove", "dora", "planned", None) in told(made)


def test_under_mirror_nobody_goes_who_may_be_somebody_whom_ad_wants() -> None:
    made = whole({"removals": "mirror"}, known=matches("ann", ambiguous("bob", "x-bob", "x-dora")))
    assert [row.genesys_user_id for row in made.rows if row.action.value == "remove"] == ["x-carl"]
    not_looked_up = whole({"removals": "mirror"}, known=matches("ann"))
    assert ("remove", None, "held", "ambiguous") in told(not_looked_up)


def test_a_change_that_names_a_genesys_user_only_is_taken_up_again() -> None:
    manual = change("remove", None, genesys_user_id="x-dora")
    mirror = definition(removals="mirror")
    there = target(present=frozenset({"x-dora"}), changes=(manual,))
    assert told(planned(there, policy=mirror)) == [("remove", None, "planned", None)]
    assert told(planned(there)) == [("remove", None, "held", "not_owned")]
    assert told(planned(replace(there, present=frozenset()), policy=mirror)) == [
        ("remove", None, "unchanged", "already_so")
    ]
    wanted = replace(there, effective={"dora": ("g1",)}, whole=True)
    assert told(planned(wanted, known=matches("dora"), policy=mirror)) == [
        ("remove", "dora", "superseded", "newer_view")
    ]


def test_a_comparison_removes_no_genesys_user_whom_ad_wants_through_another_account() -> None:
    recreated = whole(effective={"carl2": ("g1",)}, known=matches(matched("carl2", "x-carl")))
    assert [row for row in recreated.rows if row.genesys_user_id == "x-carl" and row.action.value == "remove"] == []


def test_a_recheck_drops_a_manual_member_whom_ad_wants_meanwhile() -> None:
    mirror, now = definition(removals="mirror"), Context(observed_at=NOON)
    made = planned(target(whole=True, present=frozenset({"x-dora"})), policy=mirror)
    assert told(made) == [("remove", None, "planned", None)]
    later = target(present=frozenset({"x-dora"}), effective={"dora": ("g1",)})
    row = recheck(made.rows, later, matches("dora"), mirror, now)[0]
    assert (row.status, row.reason, row.key) == (Status.SUPERSEDED, Reason.NEWER_VIEW, made.rows[0].key)


def test_a_comparison_lists_excluded_people_only_where_they_are_missing() -> None:
    facts = target(whole=True, effective={"ann": ("g1",), "bob": ("g1",)}, present=frozenset({"x-bob"}))
    made = planned(facts, known=matches("ann", "bob"), excluded_users=frozenset({"ann", "bob"}))
    assert told(made) == [("add", "ann", "skipped", "excluded")]
    assert made.found == ()


def test_a_group_that_nothing_feeds_is_never_written_not_even_under_mirror() -> None:
    made = whole({"removals": "mirror"}, feeding=(), effective={}, retired=frozenset({"g1"}))
    assert told(made) == [("remove", "carl", "held", "mapping_changed")]
    assert made.lanes == ()


# -- AD groups that feed nothing ----------------------------------------------------------------------


def test_an_unmapped_ad_group_gives_one_skipped_row_per_changed_member() -> None:
    group = Unmapped(
        SkippedGroup("g7", Reason.UNMAPPED),
        (change("add", "ann", "g7"), change("add", "ann", "g7", id=2), change("remove", "bob", "g7", id=3)),
    )
    made = planned(unmapped=(group,), groups={"g7": directory_group("Seven", guid="g7")})
    assert told(made) == [("add", "ann", "skipped", "unmapped"), ("remove", "bob", "skipped", "unmapped")]
    assert made.rows[0].change_ids == (1, 2)
    assert made.rows[0].directory_groups[0]["name"] == "Seven"
    assert made.comparison_changes == ()


def test_an_unmapped_ad_group_gives_one_row_in_all_where_everything_is_compared() -> None:
    group = Unmapped(
        SkippedGroup("g7", Reason.GENESYS_GROUP_MISSING, "no such group"), (change("add", "ann", "g7"),), whole=True
    )
    made = planned(unmapped=(group,))
    assert told(made) == [("add", None, "skipped", "genesys_group_missing")]
    assert (made.rows[0].change_ids, made.rows[0].error) == ((1,), "no such group")
    assert told(planned(unmapped=(replace(group, changes=()),))) == told(made)


def test_settled_changes_of_an_unmapped_ad_group_are_listed_again() -> None:
    settled = change("add", "ann", "g7", status=Status.SKIPPED, settled_by="run-1")
    made = planned(unmapped=(Unmapped(SkippedGroup("g7", Reason.UNMAPPED), (settled,)),))
    assert (made.rows[0].status, made.rows[0].settled_by, made.rows[0].change_ids) == (Status.SKIPPED, "run-1", ())


# -- the whole ----------------------------------------------------------------------------------------


def test_a_dry_run_plans_the_same_and_writes_nothing() -> None:
    facts = target(effective={"ann": ("g1",)}, changes=(change("add", "ann"),))
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
    assert whole(effective={"bob": ("g1",)}).hash != made.hash


# -- lanes --------------------------------------------------------------------------------------------


def rows_of(group: str, adds: int) -> list[Row]:
    made = added().rows[0]
    return [replace(made, genesys_group_id=group, user_guid=f"u{number}", lane=None) for number in range(adds)]


def test_little_work_is_one_lane() -> None:
    rows = spread([row for number in range(10) for row in rows_of(f"G{number}", 30)], "scim_patch")
    assert {row.lane for row in rows} == {0}


def test_much_work_is_a_bounded_number_of_balanced_lanes_and_a_group_is_never_split() -> None:
    rows = spread([row for number in range(400) for row in rows_of(f"G{number:03}", 1 + number % 7)], "scim_patch")
    lanes: dict[int | None, set[str | None]] = {}
    for row in rows:
        lanes.setdefault(row.lane, set()).add(row.genesys_group_id)
    assert sorted(lanes, key=str) == list(range(8))
    assert sum(len(groups) for groups in lanes.values()) == 400
    assert max(map(len, lanes.values())) - min(map(len, lanes.values())) <= 1


def test_ways_of_writing_that_cost_more_requests_open_more_lanes() -> None:
    rows = [*rows_of("G", 100), *rows_of("H", 100)]
    assert {row.lane for row in spread(rows, "scim_patch")} == {0}
    assert {row.lane for row in spread(rows, "user_patch")} == {0, 1}


def test_only_what_is_planned_has_a_lane() -> None:
    held = replace(rows_of("G", 1)[0], status=Status.HELD, lane=4)
    assert spread([held], "scim_patch")[0].lane is None


# -- the re-check -------------------------------------------------------------------------------------


def checked(made: Plan, known: dict[str, Match] | None = None, **changed: Any) -> list[tuple[str, str | None]]:
    facts = {
        "effective": {"ann": ("g1",)},
        "present": frozenset({"x-carl"}),
        "grants": (grant("carl"),),
        **changed,
    }
    rows = recheck(made.rows, target(**facts), known or matches("ann"), definition(), Context(observed_at=NOON))
    return [(row.status.value, row.reason.value if row.reason else None) for row in rows]


@pytest.fixture
def frozen() -> Plan:
    """Return an add of ann and a removal of carl."""
    made = whole()
    assert [row.status for row in made.rows] == [Status.PLANNED, Status.PLANNED]
    return made


def test_a_plan_that_still_holds_stays_as_it_is(frozen: Plan) -> None:
    facts = target(effective={"ann": ("g1",)}, present=frozenset({"x-carl"}), grants=(grant("carl"),))
    assert recheck(frozen.rows, facts, matches("ann"), definition(), Context(observed_at=NOON)) == frozen.rows


@pytest.mark.parametrize(
    ("changed", "add", "remove"),
    [
        ({"effective": {}}, ("superseded", "newer_view"), ("planned", None)),
        ({"effective": {"carl": ("g1",), "ann": ("g1",)}}, ("planned", None), ("superseded", "newer_view")),
        (
            {"effective": {"carl": ("g2",), "ann": ("g1",)}, "feeding": ("g1", "g2")},
            ("planned", None),
            ("superseded", "newer_view"),
        ),
        ({"present": frozenset({"x-ann"})}, ("unchanged", "already_so"), ("unchanged", "already_so")),
        ({"complete": False}, ("planned", None), ("held", "unproven")),
        ({"grants": ()}, ("planned", None), ("held", "genesys_unreadable")),
        ({"present": None}, ("held", "genesys_unreadable"), ("held", "genesys_unreadable")),
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


def test_under_mirror_a_share_of_all_members_may_go_not_of_those_whom_ad_owns() -> None:
    """An AD group that looks empty in the first comparison would take everybody out: AD owns nobody yet."""
    facts = target(whole=True, present=frozenset(f"x{number}" for number in range(40)))
    made = planned(facts, policy=definition(removals="mirror"))
    assert {row.reason for row in made.rows} == {Reason.OVER_LIMIT}
    assert len(made.to_approve) == 40
