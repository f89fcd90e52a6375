"""Ends that AD announced beforehand, and accounts that expire at another time than the journal knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.model import Scope
from genesys_ad_sync.polling.announced import DueEnds, as_expired_then, due_ends, expires_otherwise
from tests.support.journal import T0, cursor, user, view


def delta(**values: frozenset[str]) -> Delta:
    return Delta(cursor(), T0, {}, frozenset({"ann"}), frozenset(), {}, 1, **values)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(None, True), (delta(states=frozenset({"ann"})), True), (delta(expiries=frozenset({"ann"})), False)],
)
def test_another_end_must_be_named_itself(answer: Delta | None, expected: bool) -> None:
    before, after = view({"g": "ann bob"}), view({"g": "ann bob"})
    assert not expires_otherwise(before, after, answer)
    after.users["ann"] = user("ann", expires_at=T0)
    assert expires_otherwise(before, after, answer) is expected
    assert expires_otherwise(after, before, answer) is expected


def test_an_account_that_came_into_view_or_left_it_is_no_other_end() -> None:
    shown = view({"g": "ann"})
    shown.users["ann"] = user("ann", expires_at=T0)
    assert not expires_otherwise(view({"g": ""}), shown, None)
    assert not expires_otherwise(shown, view({"g": ""}), None)


DUE = DueEnds(
    expired=frozenset({"bob", "gone"}),
    links={"g": frozenset({"cid"})},
    objects=frozenset({"dan", "eve"}),
    there=frozenset({"eve"}),
)


def test_announced_ends_count_as_reported_but_for_objects_that_were_extended() -> None:
    listed = replace(delta(), deleted=frozenset({"gone"}))
    told = DUE.added_to(listed, believed=True)
    assert told.expiries == {"bob"}
    assert told.deleted == {"gone", "dan"}
    assert told.removed("g") == {"cid"}
    assert told.touched == {"ann", "bob", "eve"}


def test_a_doubted_domain_controller_announces_no_end_but_its_objects_are_looked_at() -> None:
    unsure = DUE.added_to(delta(), believed=False)
    assert (unsure.expiries, unsure.deleted, unsure.removed("g")) == (frozenset(), frozenset(), frozenset())
    assert unsure.touched == {"ann", "bob", "gone", "eve"}


@pytest.mark.parametrize(("hours", "expired"), [(0, True), (-1, True), (1, False)])
def test_a_journal_that_knew_no_expiry_sees_nobody_expire_who_had_before(hours: int, expired: bool) -> None:
    before, after = view({"g": "ann bob"}), view({"g": "ann bob"})
    end = T0 + timedelta(hours=hours)
    after.users["ann"] = user("ann", expired=True, expires_at=end)
    then = as_expired_then(before, after, T0)
    assert then.users["ann"].expired is expired
    assert not then.users["bob"].expired


@pytest.mark.parametrize(("policy", "expected"), [("keep", frozenset()), ("remove", frozenset({"ann"}))])
def test_accounts_expire_only_where_that_removes_them(policy: str, expected: frozenset[str]) -> None:
    journal: Any = SimpleNamespace(
        announced=SimpleNamespace(objects=lambda _: frozenset(), links=lambda _: {}),
        views=SimpleNamespace(users_expired_at=lambda _: frozenset({"ann"})),
    )
    scope = Scope("DC=example", "OU=x", "(x=*)", True, "remove", (), (), expired_users=policy)
    nothing: Any = None
    assert due_ends(journal, scope, nothing, T0).expired == expected
