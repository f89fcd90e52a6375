"""Which memberships were in Genesys Cloud by hand before AD granted them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from genesys_ad_sync.model import Grant
from genesys_ad_sync.planning.was_manual import mark
from tests.support.planning_examples import whole
from tests.support.sync_examples import grant

BY_HAND = replace(grant("ann", "g2"), was_manual=True)


def is_manual(**changed: Any) -> bool:
    """Return whether a grant of ann is manual, who was a member without a write."""
    facts: dict[str, Any] = {
        "candidates": {("G", "x-ann")},
        "known": (),
        "ours": (),
        "compared": {("g1", "G")},
        **changed,
    }
    [marked] = mark([grant("ann")], **facts)
    return marked.was_manual


@pytest.mark.parametrize(
    ("changed", "manual"),
    [
        ({}, True),
        ({"candidates": ()}, False),  # this run wrote it
        ({"known": (grant("ann", "g2"),)}, False),  # AD owned it already
        ({"known": (BY_HAND,)}, True),
        ({"known": (BY_HAND, grant("ann", "g3"))}, False),
        ({"ours": {("G", "x-ann")}}, False),  # a run wrote it and died
        ({"compared": ()}, False),  # what both had at the first comparison is AD's own
        ({"compared": {("g2", "G")}}, False),
    ],
)
def test_a_membership_that_no_run_wrote_is_manual_unless_it_was_ads_before(
    changed: dict[str, Any], manual: bool
) -> None:
    assert is_manual(**changed) is manual


def found(*grants: Grant, **changed: Any) -> list[bool]:
    """Return whether the grants that a comparison finds for bob are manual."""
    return [one.was_manual for one in whole(grants=grants, **changed).new_grants]


def test_what_a_comparison_finds_is_manual_unless_it_is_the_first_one_of_its_pair() -> None:
    assert found() == [True]
    assert found(trial_rules={"g1": "rule"}) == [False]
    assert found(trial_rules={"g2": "rule"}) == [True]


@pytest.mark.parametrize("manual", [True, False])
def test_what_another_ad_group_grants_already_stays_as_manual_as_it_was(manual: bool) -> None:
    before = replace(grant("bob", "g2"), was_manual=manual)
    both = {"sources": ("g1", "g2"), "wanted": {"bob": ("g1", "g2")}}
    assert found(before, **both) == [manual]
