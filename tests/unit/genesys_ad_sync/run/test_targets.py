"""Which changes belong to which Genesys group, and which groups a run compares in full."""

from __future__ import annotations

import pytest

from genesys_ad_sync.model import GroupPair, Mode
from genesys_ad_sync.run.targets import assign_changes, groups_to_compare, left_behind, with_unsettled
from tests.support.sync_examples import change


def pair(group: str, target: str, *, baseline: bool = True) -> GroupPair:
    return GroupPair(group, target, target, 0, baseline)


def test_a_change_belongs_to_the_genesys_group_that_its_ad_group_feeds() -> None:
    first, second, third = change("add", "u", "g1", id=1), change("remove", "v", "g2", id=2), change("add", "w", "g1")
    assigned, unmapped = assign_changes([first, second, third], [pair("g1", "A"), pair("g2", "B")], [])
    assert assigned == {"A": [first, third], "B": [second]}
    assert unmapped == {}


def test_a_change_of_an_ad_group_that_nothing_maps_is_listed_by_the_ad_group() -> None:
    lonely = change("add", "u", "g3")
    assert assign_changes([lonely], [pair("g1", "A")], []) == ({}, {"g3": [lonely]})


def test_a_former_pair_takes_the_changes_of_an_ad_group_that_feeds_nothing_else() -> None:
    left = change("remove", "u", "g1")
    assert assign_changes([left], [], [pair("g1", "Old")])[0] == {"Old": [left]}
    assert assign_changes([left], [pair("g1", "New")], [pair("g1", "Old")])[0] == {"New": [left]}


PAIRS = [pair("g1", "A"), pair("g2", "A", baseline=False), pair("g3", "B")]
ALL = {"g1", "g2", "g3"}


@pytest.mark.parametrize(
    ("mode", "bounded", "allowed", "compared"),
    [
        (Mode.FULL, False, ALL, {"A", "B"}),
        (Mode.FULL, False, {"g3"}, {"B"}),
        (Mode.AUTO, False, ALL, {"A"}),
        (Mode.AUTO, False, {"g1"}, {"A"}),  # another AD group of it has no baseline
        (Mode.AUTO, False, {"g3"}, set()),
        (Mode.AUTO, True, ALL, set()),
        (Mode.CHANGES, False, ALL, set()),
    ],
)
def test_a_genesys_group_is_compared_in_full_without_a_baseline_or_in_mode_full(
    mode: Mode, bounded: bool, allowed: set[str], compared: set[str]
) -> None:
    assert groups_to_compare(mode, PAIRS, allowed, bounded=bounded) == compared


@pytest.mark.parametrize(
    ("mode", "bounded", "allowed", "found"),
    [
        (Mode.FULL, False, ALL, {"Old", "Older"}),
        (Mode.FULL, False, {"g2"}, {"Older"}),
        (Mode.AUTO, False, ALL, {"Old"}),  # only what this run found out
        (Mode.AUTO, True, ALL, set()),
        (Mode.CHANGES, False, ALL, set()),
    ],
)
def test_a_genesys_group_that_nothing_feeds_any_more_is_compared_once_and_in_mode_full(
    mode: Mode, bounded: bool, allowed: set[str], found: set[str]
) -> None:
    former = [pair("g1", "Old"), pair("g2", "Older")]
    assert left_behind(mode, former, allowed, {"Old"}, bounded=bounded) == found


def test_a_comparison_knows_every_unsettled_change_once() -> None:
    listed, further, other = change("add", "u", id=1), change("remove", "v", id=2), change("add", "w", id=3)
    together = with_unsettled({"A": [listed], "B": [other]}, {"A": [listed, further], "C": []})
    assert together == {"A": [listed, further], "B": [other], "C": []}
