"""Which rows wait for an approver: limits, protected groups, a restored journal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from genesys_ad_sync.model import ABOUT_KEYS, Doubt, Match, Reason
from genesys_ad_sync.planning import Plan
from genesys_ad_sync.planning.inputs import LimitFacts
from genesys_ad_sync.report.remedies import remedy
from tests.support.planning_examples import removed
from tests.support.sync_examples import change, definition, genesys_group, grant, matches, planned, target, told

ALONE = {"min_group_size": 1000, "empty_group": "allow"}
"""Switches the other limits of a group off."""


def leaving(count: int, id_: str = "G", owned: int = 0, **changed: Any) -> Any:
    """Return a Genesys group that ``count`` of its ``owned`` people leave."""
    users = [f"{id_}-{number:03}" for number in range(max(count, owned))]
    facts = {
        "genesys_group": genesys_group(id_, f"Team {id_}"),
        "members": frozenset(f"x-{user}" for user in users),
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


def test_a_person_is_asked_about_what_ad_cannot_decide_and_the_row_names_the_domain_controllers() -> None:
    doubt = Doubt({"i1": 7}, {"dc1.example.com": 2}, "dc2.example.com")
    held = change("remove", "ann", held_reason=Reason.OTHER_DOMAIN_CONTROLLER, trusted_dc="dc1", doubt=doubt)
    waits = removed(changes=(held,))
    asks = removed(changes=(replace(held, doubt=replace(doubt, ask=True)),))
    assert (waits.needs_approval, asks.needs_approval) == (frozenset(), {asks.rows[0].key})
    assert told(waits) == told(asks) == [("remove", "ann", "held", "other_domain_controller")]
    about = {
        "domain_controller": "dc1.example.com",
        "behind": "2 changes of dc1.example.com",
        "shown_by": "dc2.example.com",
        "since": held.observed_at.isoformat(),
    }
    assert waits.rows[0].about == about
    assert asks.rows[0].about == {**about, "ask": "yes"}
    assert waits.rows[0].about.keys() | asks.rows[0].about.keys() <= ABOUT_KEYS
    assert "dc1.example.com answers again" in (remedy(waits.rows[0]) or "")
    assert "approve_removals" in (remedy(asks.rows[0]) or "")
    both = replace(asks.rows[0], reason=Reason.MAPPING_CHANGED)
    assert "came back without this member" in (remedy(both) or "")


@pytest.mark.parametrize("reason", [Reason.OTHER_DOMAIN_CONTROLLER, Reason.MAPPING_CHANGED])
def test_nobody_is_asked_about_a_group_that_another_definition_feeds(reason: Reason) -> None:
    """An approval could not release it."""
    held = change("remove", "ann", held_reason=reason, doubt=Doubt(ask=True))
    made = removed(changes=(held,), claimed_by="other")
    assert told(made) == [("remove", "ann", "held", "claimed_by")]
    assert made.needs_approval == frozenset()


def test_nobody_is_asked_while_ad_may_still_decide_for_one_of_two_groups() -> None:
    asked = Doubt(ask=True)
    held = change("remove", "ann", held_reason=Reason.OTHER_DOMAIN_CONTROLLER, doubt=asked)
    other = change("remove", "ann", "g2", id=2, held_reason=Reason.OTHER_DOMAIN_CONTROLLER, doubt=Doubt())
    made = removed(sources=("g1", "g2"), changes=(held, other), grants=(grant("ann"), grant("ann", "g2")))
    assert made.needs_approval == frozenset()


def test_a_limit_of_a_group_holds_all_removals_of_that_group_and_no_others() -> None:
    policy = definition(limits={"removals": 2, **ALONE})
    groups = (leaving(3, "G"), leaving(2, "H"))
    made = planned(*groups, known=known_of(*groups), policy=policy)
    assert statuses(made) == {"G": {"over_limit"}, "H": {"planned"}}
    assert made.fail_reason is None


def test_the_percentage_is_of_the_present_members_whom_ad_owns() -> None:
    policy = definition(limits={"removals_percent": 20, "min_group_size": 10})
    within, beyond = leaving(2, owned=10), leaving(3, owned=10)
    assert statuses(planned(within, known=known_of(within), policy=policy)) == {"G": {"planned"}}
    assert statuses(planned(beyond, known=known_of(beyond), policy=policy)) == {"G": {"over_limit"}}
    manual = replace(beyond, members=beyond.members | {f"manual-{n}" for n in range(90)})
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
    per_run = definition(limits={"per_run": 5, **ALONE})
    assert statuses(planned(*groups, known=known, policy=per_run)) == {"G": {"over_limit"}, "H": {"over_limit"}}
    per_day = definition(limits={"per_day": 10, **ALONE})
    assert statuses(planned(*groups, known=known, policy=per_day, limits=LimitFacts(removed={"X": 4}))) == {
        "G": {"planned"},
        "H": {"planned"},
    }
    assert statuses(planned(*groups, known=known, policy=per_day, limits=LimitFacts(removed={"X": 5}))) == {
        "G": {"over_limit"},
        "H": {"over_limit"},
    }


def test_an_exceeded_limit_of_removals_stops_no_add() -> None:
    group = leaving(3)
    group = replace(group, wanted={"new": ("g1",)}, changes=(*group.changes, change("add", "new", id=99)))
    made = planned(group, known=known_of(group), policy=definition(limits={"removals": 0}))
    assert told(made)[0] == ("add", "new", "planned", None)


def test_removals_that_no_limit_could_let_through_do_not_count() -> None:
    policy = definition(limits={"per_run": 3, **ALONE})
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
    policy = definition(protect=["sal*"], limits={"per_run": 1, **ALONE})
    protected = target(
        members=frozenset({"x-ann"}),
        grants=(grant("ann"),),
        wanted={"bob": ("g1",)},
        changes=(change("remove", "ann"), change("add", "bob", id=2)),
    )
    other = leaving(1, "H")
    made = planned(protected, other, known=matches("ann", "bob", "H-000"), policy=policy)
    assert statuses(made) == {"G": {"protected"}, "H": {"over_limit"}}
    renamed = planned(
        protected,
        known=matches("ann", "bob"),
        policy=definition(protect=["Voice"]),
        protected_names={"G": frozenset({"Voice"})},
    )
    assert statuses(renamed) == {"G": {"protected"}}


def test_a_member_who_was_there_by_hand_is_removed_by_a_person_alone() -> None:
    by_hand = replace(grant("ann"), was_manual=True)
    for limits in ({"on_excess": "approve"}, {"on_excess": "hold"}):
        made = removed(grants=(by_hand,), policy={"limits": {**ALONE, **limits}})
        assert told(made) == [("remove", "ann", "held", "was_manual")]
        assert made.needs_approval == {"G:ann:remove"}
    made = removed(grants=(by_hand, grant("ann", "g2")), sources=("g1", "g2"))
    assert {row.reason for row in made.rows} != {Reason.WAS_MANUAL}  # another AD group granted it without that


def test_a_restored_journal_holds_additions_and_removals() -> None:
    assert told(removed(context={"journal_restored": True})) == [("remove", "ann", "held", "journal_restored")]
    made = planned(
        target(wanted={"ann": ("g1",)}, changes=(change("add", "ann"),)),
        known=matches("ann"),
        journal_restored=True,
    )
    assert told(made) == [("add", "ann", "held", "journal_restored")]
    assert made.needs_approval == {"G:ann:add"}


def test_under_mirror_a_share_of_all_members_may_go_not_of_those_whom_ad_owns() -> None:
    """An AD group that looks empty in the first comparison would take everybody out: AD owns nobody yet."""
    facts = target(full=True, members=frozenset(f"x{number}" for number in range(40)))
    made = planned(facts, policy=definition(removals="mirror"))
    assert {row.reason for row in made.rows} == {Reason.OVER_LIMIT}
    assert len(made.needs_approval) == 40


# -- additions ----------------------------------------------------------------------------------------


def joining(count: int, id_: str = "G", present: int = 0, **changed: Any) -> Any:
    """Return a Genesys group that ``count`` people join who are not among its ``present`` members."""
    users = [f"{id_}-new-{number:03}" for number in range(count)]
    facts = {
        "genesys_group": genesys_group(id_, f"Team {id_}"),
        "members": frozenset(f"x-old-{number}" for number in range(present)),
        "wanted": dict.fromkeys(users, ("g1",)),
        "changes": tuple(change("add", user, id=1000 + number) for number, user in enumerate(users)),
        **changed,
    }
    return target(**facts)


def test_a_rule_that_fills_a_group_with_three_hundred_people_needs_a_person() -> None:
    group, other = joining(300), joining(200, "H")
    made = planned(group, other, known=known_of(group, other))
    assert statuses(made) == {"G": {"over_additions"}, "H": {"planned"}}
    assert len(made.needs_approval) == 300
    row = next(row for row in made.rows if row.genesys_group_id == "G")
    assert row.about == {"limit": "limits.additions is 200"}


def test_the_same_people_found_by_a_comparison_need_a_person_too() -> None:
    group = joining(300, changes=(), full=True)
    made = planned(group, known=matches(*group.wanted))
    assert statuses(made) == {"G": {"over_additions"}}


def test_additions_of_all_groups_together_need_a_person_and_removals_go_on() -> None:
    policy = definition(limits={"additions_per_run": 5, **ALONE})
    groups = (joining(3, "G"), joining(3, "H"), leaving(1, "I"))
    made = planned(*groups, known=known_of(*groups), policy=policy)
    assert statuses(made) == {"G": {"over_additions"}, "H": {"over_additions"}, "I": {"planned"}}


def test_the_share_of_additions_is_of_all_members_of_a_day_ago() -> None:
    policy = definition(limits={"additions_percent": 20})
    for today, count, word in ((0, 2, "planned"), (0, 3, "over_additions"), (2, 1, "over_additions")):
        group = joining(count, present=10 + today)
        facts = LimitFacts(added={"G": today})
        made = planned(group, known=known_of(group), policy=policy, limits=facts)
        assert statuses(made) == {"G": {word}}, (today, count)


@pytest.mark.parametrize(("on_excess", "asked"), [("approve", 3), ("hold", 0), ("fail", 0)])
@pytest.mark.parametrize("made_by", [joining, leaving])
def test_on_excess_decides_who_is_asked_about_either_limit(made_by: Any, on_excess: str, asked: int) -> None:
    group = made_by(3)
    policy = definition(limits={"additions": 2, "removals": 2, **ALONE, "on_excess": on_excess})
    made = planned(group, known=known_of(group), policy=policy)
    assert len(made.needs_approval) == asked
    assert {row.status.value for row in made.rows} == {"held"}
    assert bool(made.fail_reason) is (on_excess == "fail")
    assert {row.about.get("on_excess") for row in made.rows} == {None if asked else on_excess}


def test_an_addition_that_another_run_seems_to_make_counts_and_waits_for_it() -> None:
    group = joining(3)
    group = replace(group, members=frozenset({"x-G-new-000"}))
    policy = definition(limits={"additions": 2})
    made = planned(group, known=known_of(group), policy=policy, in_flight=True)
    assert statuses(made) == {"G": {"over_additions", "in_flight"}}
    assert len(made.needs_approval) == 2
    within = planned(group, known=known_of(group), policy=definition(limits={"additions": 3}), in_flight=True)
    assert statuses(within) == {"G": {"planned", "already_so"}}


# -- all that is pending ------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "made_by"), [("add", joining), ("remove", leaving)])
def test_what_this_run_does_not_act_on_counts_in_its_limits(action: str, made_by: Any) -> None:
    group = made_by(2)
    here = [row.key for row in planned(group, known=known_of(group), policy=definition(limits=ALONE)).rows]
    limits = {"additions": 3, "removals": 3, "per_run": 4, "additions_per_run": 4, **ALONE}

    def word(*elsewhere: str) -> set[str]:
        facts = LimitFacts(elsewhere=dict.fromkeys(elsewhere, ()))
        return statuses(planned(group, known=known_of(group), policy=definition(limits=limits), limits=facts))["G"]

    over = "over_additions" if action == "add" else "over_limit"
    assert word(*here, f"G:one:{action}") == {"planned"}
    assert word(f"G:one:{action}", f"G:two:{action}") == {over}
    assert word(f"H:one:{action}", f"H:two:{action}") == {"planned"}
    assert word(*(f"{id_}:one:{action}" for id_ in "HIJ")) == {over}
    assert word(*(f"{id_}:one:{'remove' if action == 'add' else 'add'}" for id_ in "GHIJ")) == {"planned"}


def test_what_is_pending_elsewhere_alone_holds_and_stops_nothing() -> None:
    facts = LimitFacts(elsewhere=dict.fromkeys([f"G:p{number}:remove" for number in range(99)], ()))
    group = joining(1)
    made = planned(group, known=known_of(group), policy=definition(limits={"on_excess": "fail"}), limits=facts)
    assert made.fail_reason is None
    assert statuses(made) == {"G": {"planned"}}


def test_a_row_that_a_person_approved_in_another_run_is_left_to_it_and_counts_nowhere() -> None:
    group = leaving(3)
    facts = LimitFacts(approved={"G:G-000:remove": "dag/asks"})
    made = planned(group, known=known_of(group), policy=definition(limits={"removals": 2, **ALONE}), limits=facts)
    assert statuses(made) == {"G": {"planned", "in_flight"}}
    row = next(row for row in made.rows if row.reason is Reason.IN_FLIGHT)
    assert "dag/asks" in (row.error or "")
    assert made.needs_approval == frozenset()


def test_a_removal_that_could_not_be_read_back_counts_once() -> None:
    group = leaving(2)
    policy = definition(limits={"per_day": 3, **ALONE})
    again = LimitFacts(unverified=frozenset({"G:G-000:remove", "G:G-001:remove"}))
    assert statuses(planned(group, known=known_of(group), policy=policy, limits=again)) == {"G": {"planned"}}
    others = LimitFacts(unverified=frozenset({"G:x:remove", "H:y:remove"}))
    assert statuses(planned(group, known=known_of(group), policy=policy, limits=others)) == {"G": {"over_limit"}}


# -- what went over before ----------------------------------------------------------------------------


def test_what_went_over_before_waits_with_all_of_its_group_until_a_person_approves() -> None:
    groups = (leaving(2, "G", owned=50), leaving(1, "H", owned=50, changes=(change("remove", "H-000", id=77),)))
    for facts in (
        LimitFacts(went_over={0: ("removals",)}),
        LimitFacts(elsewhere={"G:else:remove": ("per_run",)}),
    ):
        made = planned(*groups, known=known_of(*groups), limits=facts)
        assert statuses(made) == {"G": {"over_limit"}, "H": {"planned"}}
        assert len(made.needs_approval) == 2


def test_a_change_that_went_over_and_is_not_pending_any_more_holds_nothing() -> None:
    group = leaving(2, owned=50)
    back = replace(group, wanted={"G-000": ("g1",)})
    made = planned(back, known=known_of(group), limits=LimitFacts(went_over={0: ("removals",)}))
    assert statuses(made) == {"G": {"planned", "newer_view"}}


# -- a group that would be empty ----------------------------------------------------------------------


def empties(policy: dict[str, Any] | None = None, facts: LimitFacts | None = None, **changed: Any) -> set[str]:
    group = leaving(2, **changed)
    known = known_of(group)
    made = planned(group, known=known, policy=definition(**(policy or {})), limits=facts or LimitFacts())
    return statuses(made)["G"]


def test_removals_that_leave_nobody_of_ad_need_a_person() -> None:
    assert empties() == {"empty_group"}
    assert empties(members=frozenset({"x-G-000", "x-G-001", "manual"})) == {"empty_group"}
    assert empties(owned=3) == {"planned"}


def test_the_last_one_of_two_within_a_day_needs_a_person_and_an_only_one_does_not() -> None:
    last = leaving(1)
    assert statuses(planned(last, known=known_of(last))) == {"G": {"planned"}}
    for most, word in ((1, "planned"), (2, "empty_group")):
        made = planned(last, known=known_of(last), limits=LimitFacts(most_owned={"G": most}))
        assert statuses(made) == {"G": {word}}


def test_a_member_whom_somebody_took_out_by_hand_was_owned_all_the_same() -> None:
    group = replace(leaving(2), members=frozenset({"x-G-000"}))
    assert statuses(planned(group, known=known_of(group))) == {"G": {"empty_group", "already_so"}}


def test_a_group_that_others_join_in_the_same_plan_is_not_empty() -> None:
    group = leaving(2)
    group = replace(group, wanted={"new": ("g1",)}, changes=(*group.changes, change("add", "new", id=99)))
    assert statuses(planned(group, known=matches("new", "G-000", "G-001"))) == {"G": {"planned"}}


@pytest.mark.parametrize("limits", [{"additions": 0}, {"additions_per_run": 0}])
def test_additions_that_a_limit_holds_fill_no_group(limits: dict[str, int]) -> None:
    group = leaving(2)
    group = replace(group, wanted={"new": ("g1",)}, changes=(*group.changes, change("add", "new", id=99)))
    made = planned(group, known=matches("new", "G-000", "G-001"), policy=definition(limits=limits))
    assert statuses(made) == {"G": {"over_additions", "empty_group"}}
    assert len(made.needs_approval) == 3


def test_a_removal_that_this_run_does_not_act_on_empties_a_group_too() -> None:
    group = leaving(2)
    one = replace(group, changes=group.changes[:1])
    assert statuses(planned(one, known=known_of(one))) == {"G": {"planned"}}
    for facts in (LimitFacts(elsewhere={"G:G-001:remove": ()}), LimitFacts(approved={"G:G-001:remove": "dag/asks"})):
        assert statuses(planned(one, known=known_of(one), limits=facts)) == {"G": {"empty_group"}}


def test_under_mirror_a_group_that_loses_all_members_needs_a_person() -> None:
    facts = target(full=True, members=frozenset({"s1", "s2"}))
    assert statuses(planned(facts, policy=definition(removals="mirror"))) == {"G": {"empty_group"}}
    kept = target(full=True, members=frozenset({"s1", "s2", "x-ann"}), wanted={"ann": ("g1",)})
    assert statuses(planned(kept, known=matches("ann"), policy=definition(removals="mirror"))) == {"G": {"planned"}}


@pytest.mark.parametrize(
    ("limits", "word", "asked"),
    [
        ({}, "empty_group", 2),
        ({"empty_group": "hold"}, "empty_group", 0),
        ({"empty_group": "allow"}, "planned", 0),
        ({"on_excess": "hold"}, "empty_group", 0),
        ({"on_excess": "fail"}, "empty_group", 2),
        ({"removals": 1}, "over_limit", 2),
        ({"removals": 1, "empty_group": "hold"}, "empty_group", 0),
        ({"removals": 1, "on_excess": "hold"}, "over_limit", 0),
    ],
)
def test_of_an_exceeded_limit_and_an_empty_group_the_stricter_one_decides(
    limits: dict[str, Any], word: str, asked: int
) -> None:
    group = leaving(2)
    made = planned(group, known=known_of(group), policy=definition(limits=limits))
    assert statuses(made) == {"G": {word}}
    assert len(made.needs_approval) == asked
    assert made.fail_reason is None
