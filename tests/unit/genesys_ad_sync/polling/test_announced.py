"""Accounts that expire at another time than the journal knows, without a word of it."""

from __future__ import annotations

import pytest

from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.polling.announced import expires_otherwise
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
