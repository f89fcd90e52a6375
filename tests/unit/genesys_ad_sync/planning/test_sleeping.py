"""Removals of users whom Genesys does not show among the members, and grants that sleep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from genesys_ad_sync.model import Row
from genesys_ad_sync.planning.sleeping import not_among_members, sleepers
from tests.support.planning_examples import inactive, orphan, removed
from tests.support.sync_examples import change, grant, matched, matches, target


def ann(made_by: dict[str, object]) -> Row:
    [row] = removed(members=frozenset(), **made_by).rows  # type: ignore[arg-type]
    return row


@pytest.mark.parametrize(
    ("state", "match", "status", "reason", "unseen"),
    [
        ("active", matched("ann"), "unchanged", "already_so", False),
        ("deleted", orphan("ann"), "unchanged", "already_so", True),
        ("inactive", inactive("ann"), "planned", None, True),
        ("inactive", matched("ann"), "planned", None, True),  # a link that was believed
        ("unknown", matched("ann"), "planned", None, True),
        ("unknown", orphan("ann"), "planned", None, True),
        (None, matched("ann"), "unchanged", "already_so", False),
        (None, inactive("ann"), "planned", None, True),
    ],
)
def test_the_state_of_a_user_who_is_no_member_decides(
    state: str | None, match: object, status: str, reason: str | None, unseen: bool
) -> None:
    states = {} if state is None else {"x-ann": state}
    row = ann({"known": matches(match), "context": {"user_states": states}})  # type: ignore[arg-type]
    assert (row.status.value, row.reason and row.reason.value, row.unseen) == (status, reason, unseen)


def test_a_hidden_user_whom_ad_does_not_own_needs_no_write() -> None:
    """A grant that sleeps already sleeps on: nobody saw that the user is out."""
    row = ann({"known": matches(inactive("ann")), "grants": (), "context": {"user_states": {"x-ann": "inactive"}}})
    assert (row.status.value, row.unseen) == ("unchanged", True)


@pytest.mark.parametrize(("policy", "status"), [({"removals": "never"}, "skipped"), ({"protect": ["Sales"]}, "held")])
def test_the_removal_of_a_hidden_member_meets_policy_and_protection(policy: dict[str, object], status: str) -> None:
    row = ann({"known": matches(inactive("ann")), "policy": policy})
    assert row.status.value == status


def test_a_hidden_removal_counts_in_the_limits() -> None:
    row = ann({"known": matches(inactive("ann")), "policy": {"limits": {"removals": 0}}})
    assert (row.status.value, row.reason) == ("held", "over_limit")


def test_a_sleeping_grant_wakes_with_the_member_and_ends_with_an_active_user_who_is_out() -> None:
    there, out, hidden, gone, unread = (
        grant("ann"), grant("bob"), grant("cid"), grant("dan"), grant("eve", target="H"),
    )  # fmt: skip
    states = {"x-bob": "active", "x-cid": "inactive", "x-eve": "active"}
    found = sleepers([there, out, hidden, gone, unread], {"G": {"x-ann"}, "H": None}, states)
    assert found.awake == (there,)
    assert found.ended == (out,)


def test_only_users_of_removals_who_are_no_members_are_looked_at() -> None:
    leaving = target(changes=(change("remove", "ann"),), grants=(grant("ann"), grant("bob")))
    assert not_among_members([leaving], {}) == {"x-ann"}
    assert not_among_members([leaving], matches(matched("ann", "x-new"))) == {"x-ann", "x-new"}
    for other in ({"wanted": {"ann": ("g1",)}}, {"members": frozenset({"x-ann"})}, {"members": None}):
        assert not_among_members([replace(leaving, **other)], {}) == set()  # type: ignore[arg-type]
