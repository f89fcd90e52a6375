"""A membership in one sentence."""

from __future__ import annotations

import itertools

import pytest

from genesys_ad_sync.views.named import Wait
from genesys_ad_sync.views.verdict import Facts, verdict
from tests.support.journal import T0

FLAGS = ("wanted", "owned", "asleep", "by_hand", "removed")


@pytest.mark.parametrize("values", list(itertools.product([True, False], repeat=len(FLAGS))))
def test_every_combination_says_whether_ad_wants_it(values: tuple[bool, ...]) -> None:
    facts = Facts(**dict(zip(FLAGS, values, strict=True)))
    text = verdict(facts)
    assert text.startswith(("Member: AD wants", "AD wants")) == facts.wanted
    assert ("to be removed" in text) == (facts.owned and not facts.wanted)


def test_what_holds_a_change_and_why_an_account_does_not_count() -> None:
    wait = Wait("held", "over_limit", "…", None, T0)
    assert verdict(Facts(wanted=False, owned=True), why_not="it is disabled", waits=wait) == (
        "AD owns the membership and no longer wants it: to be removed. The account does not count: it is disabled. "
        "A change waits: held, over_limit."
    )
