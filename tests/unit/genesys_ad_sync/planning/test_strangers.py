"""Members that AD does not own, under `mirror`: what asks a person, and who is never offered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from genesys_ad_sync.model import GenesysUser, Grant, Match, MatchStatus, Objection, Reason, RunKey
from genesys_ad_sync.planning import Plan, Target, recheck
from genesys_ad_sync.planning.inputs import PlanContext
from tests.support.planning_examples import ambiguous, inactive, orphan
from tests.support.sync_examples import NOON, change, definition, directory_user, grant, matches, planned, target, told

MIRROR = definition(removals="mirror")
DORA = GenesysUser("x-dora", "Dora", "dora@example.com", "dora.user@example.com", "active")


def mirrored(known: dict[str, Match] | None = None, context: dict[str, Any] | None = None, **changed: Any) -> Plan:
    """Ann and bob are wanted, and members; dora is a member by hand."""
    return planned(_target(**changed), known=known or matches("ann", "bob"), policy=MIRROR, **(context or {}))


def _target(**changed: Any) -> Target:
    facts: dict[str, Any] = {
        "full": True,
        "wanted": {"ann": ("g1",), "bob": ("g1",)},
        "members": frozenset({"x-ann", "x-bob", "x-dora"}),
        "profiles": {"x-dora": DORA},
        **changed,
    }
    return target(**facts)


def of_dora(made: Plan) -> tuple[str, Reason | None, bool]:
    [row] = [row for row in made.rows if row.genesys_user_id == "x-dora"]
    return row.status.value, row.reason, row.key in made.needs_approval


def test_a_stranger_goes_if_everybody_is_identified() -> None:
    assert of_dora(mirrored()) == ("planned", None, False)
    assert of_dora(mirrored(known=matches("ann", inactive("bob")))) == ("planned", None, False)


UNKNOWN = {
    "orphaned": {"known": matches("ann", orphan("bob"))},
    "without a value": {"known": matches("ann", orphan("bob", Reason.NO_MATCHING_ATTRIBUTE))},
    "ambiguous": {"known": matches("ann", ambiguous("bob", "x-1", "x-2"))},
    "claimed by two": {
        "known": matches("ann", "bob", Match("eve", matches("bob")["bob"].status, "x-bob", "mail=email"))
    },
    "not readable": {"unreadable": frozenset({"zoe"})},
}


@pytest.mark.parametrize("why", UNKNOWN)
def test_a_stranger_needs_a_person_if_somebody_wanted_is_not_identified(why: str) -> None:
    made = mirrored(**UNKNOWN[why])  # type: ignore[arg-type]
    assert of_dora(made) == ("held", Reason.UNIDENTIFIED_MEMBERS, True)
    [row] = [row for row in made.rows if row.genesys_user_id == "x-dora"]
    assert [rival.guid for rival in row.rivals] == ["zoe" if why == "not readable" else "bob"]
    assert row.about["member"] == "Dora, mail dora@example.com, user name dora.user@example.com"
    assert row.about["unidentified"]


def test_a_row_names_some_of_many_who_are_not_identified() -> None:
    many = {f"p{n}": ("g1",) for n in range(9)}
    made = mirrored(known=matches("ann", *(orphan(name) for name in many)), wanted={"ann": ("g1",), **many})
    [row] = [row for row in made.rows if row.genesys_user_id == "x-dora"]
    assert row.about["unidentified"].endswith(" and 4 more")
    assert len(row.rivals) == 9


@pytest.mark.parametrize(
    "attributes",
    [{"mail": "DORA@example.com "}, {"userprincipalname": "dora.user@example.com"}, {"x": "dora@example.com"}],
)
@pytest.mark.parametrize("excluded", [False, True])
def test_a_stranger_with_a_value_of_somebody_not_identified_is_never_offered(
    attributes: dict[str, str], excluded: bool
) -> None:
    context: dict[str, Any] = {"users": {"bob": directory_user("bob", attributes=attributes)}}
    effective = {"ann": ("g1",), "bob": ("g1",)}
    if excluded:
        context["excluded_users"] = frozenset({"bob"})
        effective = {"ann": ("g1",)}
    made = mirrored(known=matches("ann", orphan("bob")), context=context, wanted=effective)
    assert of_dora(made) == ("held", Reason.UNIDENTIFIED_MEMBERS, False)


def test_an_identified_person_with_that_value_keeps_nobody() -> None:
    users = {"bob": directory_user("bob", attributes={"mail": "dora@example.com"})}
    assert of_dora(mirrored(context={"users": users})) == ("planned", None, False)


def test_the_first_comparison_and_a_group_without_members_need_a_person() -> None:
    assert of_dora(mirrored(mirror_confirmed=False)) == ("held", Reason.FIRST_MIRROR, True)
    assert of_dora(mirrored(empty_sources=("g2",))) == ("held", Reason.EMPTY_GROUP, True)
    both = mirrored(known=matches("ann", orphan("bob")), mirror_confirmed=False, empty_sources=("g2",))
    assert of_dora(both) == ("held", Reason.UNIDENTIFIED_MEMBERS, True)


def test_what_ad_owns_is_no_stranger() -> None:
    owned = (Grant("G", "x-dora", "dora", "g1"),)
    made = mirrored(known=matches("ann", orphan("bob"), "dora"), grants=owned, mirror_confirmed=False)
    assert of_dora(made) == ("planned", None, False)


def test_limits_count_strangers_who_need_a_person_for_another_reason_too() -> None:
    policy = definition(removals="mirror", limits={"removals": 1})
    facts = _target(
        mirror_confirmed=False, grants=(grant("cid"),), members=frozenset({"x-ann", "x-bob", "x-dora", "x-cid"})
    )
    made = planned(facts, known=matches("ann", "bob", "cid"), policy=policy)
    assert {row.genesys_user_id: row.reason for row in made.rows} == {
        "x-dora": Reason.FIRST_MIRROR,
        "x-cid": Reason.OVER_LIMIT,
    }


# -- owners --

OWNED_BY_DORA: dict[str, Any] = {"owners": frozenset({"x-dora"})}


def test_a_stranger_who_owns_the_group_stays_and_is_counted() -> None:
    made = mirrored(**OWNED_BY_DORA, members=frozenset({"x-ann", "x-bob", "x-dora", "x-eve"}))
    assert [(row.genesys_user_id, row.status.value) for row in made.rows] == [("x-eve", "planned")]
    assert made.group_results[0].manual_member_ids == ("x-dora", "x-eve")


def test_an_owner_who_was_to_go_before_is_settled_and_stays() -> None:
    compared = change("remove", None, genesys_user_id="x-dora", origin="comparison")
    made = mirrored(**OWNED_BY_DORA, changes=(compared,))
    assert told(made) == [("remove", None, "skipped", "not_owned")]
    assert made.rows[0].error == "the member owns the Genesys group"


def test_an_owner_whom_ad_granted_the_membership_is_no_stranger() -> None:
    made = mirrored(**OWNED_BY_DORA, known=matches("ann", "bob", "dora"), grants=(grant("dora"),))
    assert of_dora(made) == ("planned", None, False)


def test_mirror_once_asks_about_an_owner_and_says_so() -> None:
    made = planned(_target(**OWNED_BY_DORA), known=matches("ann", "bob"), mirror_once=True)
    assert of_dora(made) == ("held", Reason.MIRROR_ONCE, True)
    assert made.rows[0].about["member"].endswith(", who owns the Genesys group")


# -- mirror_once --


@pytest.mark.parametrize("on_excess", ["approve", "hold", "fail"])
def test_mirror_once_asks_about_each_stranger_and_counts_them_in_no_limit(on_excess: str) -> None:
    limits = {"removals": 1, "per_run": 1, "per_day": 1, "on_excess": on_excess}
    facts = _target(grants=(grant("cid"),), members=frozenset({"x-ann", "x-bob", "x-dora", "x-cid", "x-eve"}))
    made = planned(facts, known=matches("ann", "bob", "cid"), policy=definition(limits=limits), mirror_once=True)
    assert {row.genesys_user_id: (row.status.value, row.reason) for row in made.rows} == {
        "x-dora": ("held", Reason.MIRROR_ONCE),
        "x-eve": ("held", Reason.MIRROR_ONCE),
        "x-cid": ("planned", None),
    }
    assert len(made.needs_approval) == 2
    assert made.fail_reason is None
    assert {change.genesys_user_id or change.user_guid for _, change in made.comparison_changes} == {"x-cid"}


def test_what_mirror_once_may_not_take_ends_with_the_run_too() -> None:
    """Somebody undid the removal once, or nobody knows yet whether the member is wanted."""
    undone = Objection(Reason.UNDONE, RunKey("dag", "undo"), NOON, last_change=0)
    context: dict[str, Any] = {"mirror_once": True, "objections": {"G:x-dora:remove": undone}}
    for known, reason in ((matches("ann", "bob"), Reason.UNDONE), (matches("ann"), Reason.GENESYS_UNREADABLE)):
        made = planned(_target(), known=known, **(context if reason is Reason.UNDONE else {"mirror_once": True}))
        assert of_dora(made) == ("held", reason, False)
        assert not [change for key, change in made.comparison_changes if key == "G:x-dora:remove"]


# -- just before writing --


def test_a_recheck_holds_a_stranger_whom_nobody_approved_and_lets_an_approved_one_go() -> None:
    made = mirrored()
    [row] = [row for row in made.rows if row.genesys_user_id == "x-dora"]
    later, context = matches("ann", orphan("bob")), PlanContext(observed_at=NOON)
    [held] = recheck([row], _target(), later, MIRROR, context)
    assert (held.status.value, held.reason) == ("held", Reason.UNIDENTIFIED_MEMBERS)
    [approved] = recheck([replace(row, lane=100)], _target(), later, MIRROR, context)
    assert approved.status.value == "planned"


def test_a_recheck_holds_even_an_approved_stranger_who_has_a_value_of_somebody_not_identified() -> None:
    [row] = [replace(row, lane=100) for row in mirrored().rows if row.genesys_user_id == "x-dora"]
    users = {"bob": directory_user("bob", attributes={"mail": "dora@example.com"})}
    [held] = recheck(
        [row], _target(), matches("ann", orphan("bob")), MIRROR, PlanContext(observed_at=NOON, users=users)
    )
    assert (held.status.value, held.reason) == ("held", Reason.UNIDENTIFIED_MEMBERS)


def test_a_removal_that_nothing_in_ad_is_behind_ends_with_the_mirror() -> None:
    compared = change("remove", None, genesys_user_id="x-dora", origin="comparison")
    granted = planned(_target(changes=(compared,)), known=matches("ann", "bob"))
    assert told(granted) == [("remove", None, "skipped", "not_owned")]


def test_mirror_once_says_so_in_a_protected_group_and_after_a_restored_journal() -> None:
    """Its rows end with the run: no later run asks again, as the other reasons would promise."""
    facts = _target(grants=(grant("cid"),), members=frozenset({"x-ann", "x-bob", "x-dora", "x-cid"}))
    known, policy = matches("ann", "bob", "cid"), definition(protect=[facts.genesys_group.name])
    made = planned(facts, known=known, policy=policy, mirror_once=True, journal_restored=True)
    assert {row.genesys_user_id: row.reason for row in made.rows} == {
        "x-dora": Reason.MIRROR_ONCE,
        "x-cid": Reason.PROTECTED,
    }
    assert made.needs_approval == {row.key for row in made.rows}


def test_a_member_that_an_excluded_account_is_stays_whoever_else_may_be_that_user() -> None:
    carl, zoe = (Match(guid, MatchStatus.MATCHED, "x-dora", "mail=email") for guid in ("carl", "zoe"))
    known = matches("ann", "bob", carl, zoe)
    made = mirrored(known=known, context={"excluded_users": frozenset({"zoe"})})
    assert told(made) == [("remove", "zoe", "skipped", "excluded")]
    # what AD owns through another account is that account's
    grants = (grant("carl", genesys_id="x-dora"), grant("abe", genesys_id="x-dora"))
    owned = mirrored(known=known, context={"excluded_users": frozenset({"abe", "zoe"})}, grants=grants)
    assert told(owned) == [("remove", "carl", "planned", None)]


def test_who_may_be_somebody_whom_ad_wants_is_no_manual_member() -> None:
    known = matches("ann", ambiguous("bob", "x-1", "x-2"))
    made = mirrored(known=known, members=frozenset({"x-ann", "x-1", "x-dora"}))
    assert made.group_results[0].manual_member_ids == ("x-dora",)
