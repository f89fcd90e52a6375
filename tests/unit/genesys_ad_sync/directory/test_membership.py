"""Effective membership and the difference of two views, on small hand-made views."""

import dataclasses
import datetime
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesys_ad_sync.directory.membership import (
    MembershipPolicy,
    count_non_users,
    difference,
    effective_members,
    nested_groups,
    prune,
    unreadable_members,
    wanted_members,
)
from genesys_ad_sync.model import Action, DirectoryGroup, DirectoryUser, DirectoryView, PrincipalKind, Reason

BEFORE = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
KINDS = {"c": PrincipalKind.CONTACT, "w": PrincipalKind.COMPUTER, "o": PrincipalKind.OTHER}


def view(members, *, out_of_scope="", disabled=""):
    """Build a view from ``{"A": "Bxy"}``.

    Capitals are groups, small letters people (see KINDS), ? is unresolved.
    """
    names = {name for group in members for name in members[group]} | set(members)
    return DirectoryView(
        groups={
            name: DirectoryGroup(name, f"CN={name}", name, name, None, in_scope=name not in out_of_scope)
            for name in members
        },
        users={
            name: DirectoryUser(
                name, f"CN={name}", KINDS.get(name, PrincipalKind.USER), name, name, disabled=name in disabled
            )
            for name in names
            if name.islower()
        },
        members={name: set(members[name]) for name in members},
    )


def people(a_view, root, *, nested=True, disabled_users="remove"):
    return effective_members(a_view, root, MembershipPolicy(nested, disabled_users))


def changes(before, after, roots="A", *, nested=True, disabled_users="remove", before_policy=None):
    policy = MembershipPolicy(nested, disabled_users)
    return difference(before, after, roots, policy, observed_after=BEFORE, observed_at=NOW, before_policy=before_policy)


def test_an_expired_account_counts_by_its_own_policy():
    some = view({"A": "xy"})
    some.users["x"] = dataclasses.replace(some.users["x"], expired=True)
    assert set(effective_members(some, "A", MembershipPolicy(True, "keep", "remove"))) == {"y"}
    assert set(effective_members(some, "A", MembershipPolicy(True, "remove", "keep"))) == {"x", "y"}


def test_a_person_far_down_is_in_by_the_shortest_path():
    found = people(view({"A": "BCx", "B": "D", "C": "y", "D": "Cyz"}), "A")
    assert found == {"x": ("A",), "y": ("A", "C"), "z": ("A", "B", "D")}


def test_a_cycle_ends_and_gives_everybody_in_it_to_each_group():
    ring = view({"A": "Bx", "B": "Cy", "C": "Az"})
    assert [set(people(ring, root)) for root in "ABC"] == [{"x", "y", "z"}] * 3
    assert nested_groups(ring, "B") == {"A", "B", "C"}
    assert set(people(view({"A": "Ax"}), "A")) == {"x"}


def test_without_nesting_only_direct_members_count():
    assert people(view({"A": "Bx", "B": "y"}), "A", nested=False) == {"x": ("A",)}


def test_disabled_people_are_out_or_in_by_policy():
    some = view({"A": "xy"}, disabled="x")
    assert set(people(some, "A")) == {"y"}
    assert set(people(some, "A", disabled_users="keep")) == {"x", "y"}


def test_contacts_computers_and_strangers_are_left_out_with_a_count():
    some = view({"A": "Bxcw?", "B": "co"})
    assert set(people(some, "A")) == {"x"}
    assert count_non_users(some, "A") == Counter({"contact": 1, "computer": 1, "other": 1, "unresolved": 1})


def test_members_that_nobody_can_read_may_be_people():
    some = view({"A": "Bxc?", "B": "o"})
    assert unreadable_members(some, ["A", "gone"], nested=True) == {"?"}
    assert unreadable_members(some, ["B"], nested=True) == frozenset()
    foreign = dataclasses.replace(
        some.users["o"], dn="CN=S-1-5-21-1-2-3-4,CN=ForeignSecurityPrincipals,DC=example,DC=com"
    )
    some.users["o"] = foreign
    assert unreadable_members(some, ["A"], nested=True) == {"?", "o"}
    assert unreadable_members(some, ["A"], nested=False) == {"?"}


def test_a_group_that_was_not_read_is_not_an_empty_one():
    with pytest.raises(KeyError):
        people(view({"A": "x"}), "B")


def test_unnesting_removes_by_the_path_that_was():
    (change,) = changes(view({"A": "Bx", "B": "y"}), view({"A": "x", "B": "y"}))
    assert (change.action, change.user_guid, change.path) == (Action.REMOVE, "y", ("A", "B"))
    assert (change.observed_after, change.observed_at, change.held_reason) == (BEFORE, NOW, None)


def test_who_is_still_in_by_another_way_is_not_removed():
    assert changes(view({"A": "Bx", "B": "x"}), view({"A": "B", "B": "x"})) == []


def test_disabling_removes_and_enabling_adds():
    off, on = view({"A": "x"}, disabled="x"), view({"A": "x"})
    assert [change.action for change in changes(on, off)] == [Action.REMOVE]
    assert [change.action for change in changes(off, on)] == [Action.ADD]
    assert changes(on, off, disabled_users="keep") == []


@pytest.mark.parametrize(
    "after",
    [view({"B": "z"}), view({"A": "xy", "B": "z"}, out_of_scope="A")],
    ids=["deleted", "moved out of scope"],
)
def test_removals_of_a_group_that_is_gone_are_held(after):
    gone = changes(view({"A": "xy", "B": "z"}), after, "AB")
    assert [(c.group_guid, c.user_guid, c.action, c.held_reason) for c in gone] == [
        ("A", "x", Action.REMOVE, Reason.MAPPING_CHANGED),
        ("A", "y", Action.REMOVE, Reason.MAPPING_CHANGED),
    ]


def test_an_edited_policy_shows_as_changes_though_the_views_are_equal():
    some = view({"A": "Bx", "B": "yz"}, disabled="z")
    flat, keeping = MembershipPolicy(nested=False, disabled_users="remove"), MembershipPolicy(True, "keep")
    assert [(c.user_guid, c.action) for c in changes(some, some, before_policy=flat)] == [("y", Action.ADD)]
    assert [(c.user_guid, c.action) for c in changes(some, some, before_policy=keeping)] == [("z", Action.REMOVE)]


def test_wanted_members_name_each_of_the_groups_that_grants_them():
    some = view({"A": "Bx", "B": "yz", "C": "y", "D": "q"}, disabled="z", out_of_scope="D")
    policy = MembershipPolicy(nested=True, disabled_users="remove")
    wanted = wanted_members(some, {"C", "A", "D", "gone"}, policy)
    assert wanted == {"x": ("A",), "y": ("A", "C")}
    assert wanted_members(some, {"B"}, MembershipPolicy(True, "keep")) == {"y": ("B",), "z": ("B",)}


def test_a_new_group_adds_everybody():
    fresh = changes(view({"B": "z"}), view({"A": "Bx", "B": "z"}), "AB")
    assert [(c.group_guid, c.user_guid, c.action, c.path) for c in fresh] == [
        ("A", "x", Action.ADD, ("A",)),
        ("A", "z", Action.ADD, ("A", "B")),
    ]


def test_a_change_far_down_is_one_change_for_each_group_above():
    before = view({"A": "B", "B": "C", "C": "x"})
    after = view({"A": "B", "B": "C", "C": "xy"})
    assert [(c.group_guid, c.path) for c in changes(before, after, "ABC")] == [
        ("A", ("A", "B", "C")),
        ("B", ("B", "C")),
        ("C", ("C",)),
    ]


def test_pruning_leaves_what_the_groups_in_scope_reach():
    some = view({"A": "Bx", "B": "Cy", "C": "B", "D": "Ez", "E": "q"}, out_of_scope="BCDE")
    kept = prune(some, nested=True)
    assert (set(kept.groups), set(kept.users), set(kept.members)) == (set("ABC"), set("xy"), set("ABC"))
    flat = prune(some, nested=False)
    assert (set(flat.groups), set(flat.users)) == ({"A"}, {"x"})


views = st.fixed_dictionaries({group: st.sets(st.sampled_from("ABCDwxyz")).map("".join) for group in "ABCD"})


@given(views, views)
def test_the_changes_lead_from_one_view_to_the_other(before, after):
    one, two = view(before), view(after)
    for root in "ABCD":
        members = set(people(one, root))
        for change in changes(one, two, root):
            if change.action is Action.ADD:
                assert change.user_guid not in members
                members.add(change.user_guid)
                last = two.members[change.path[-1]]
            else:
                members.remove(change.user_guid)
                last = one.members[change.path[-1]]
            assert change.path[0] == root
            assert change.user_guid in last
        assert members == set(people(two, root))
    assert changes(one, one, "ABCD") == []
