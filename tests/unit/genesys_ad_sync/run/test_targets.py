"""Which changes belong to which Genesys group, and which groups a run compares in full."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.model import DirectoryView, GroupPair, Mode, PairState
from genesys_ad_sync.planning import Target
from genesys_ad_sync.run import targets
from genesys_ad_sync.run.facts import StoredMapping
from genesys_ad_sync.run.targets import (
    assign_changes,
    collect,
    groups_to_compare,
    left_behind,
    target_of,
    with_unsettled,
)
from tests.support.journal import view
from tests.support.sync_examples import BASE, change, definition


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


def test_a_rejected_pair_without_a_baseline_is_compared_in_mode_full_only() -> None:
    rejected = [replace(pair("g1", "A", baseline=False), state=PairState.REJECTED)]
    assert groups_to_compare(Mode.AUTO, rejected, ALL, bounded=False) == set()
    assert groups_to_compare(Mode.FULL, rejected, ALL, bounded=False) == {"A"}


def test_a_comparison_knows_what_is_unsettled_in_its_groups_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    new, old, other = change("add", "u", "g1", id=9), change("remove", "v", "g1", id=2), change("add", "w", "g3", id=3)
    around: dict[str, Any] = {
        "changes_to_act_on": lambda *_: [new],
        "_pairs_of": lambda *_: (PAIRS, []),
        "_allowed": lambda *_: ALL,
        "_still_owned": lambda *_: set(),
        "groups_concerned": lambda *_: set(),
        "postpone": lambda _task, _run, changes: (changes, []),
        "_targets": lambda _task, changes, *_: tuple(changes.items()),
    }
    for name, value in around.items():
        monkeypatch.setattr(targets, name, value)
    task: Any = SimpleNamespace(
        run=SimpleNamespace(mode=Mode.AUTO, bounded=False),
        facts=Facts({}),
        journal=SimpleNamespace(changes=SimpleNamespace(unsettled=lambda: [old, new, other])),
    )
    assert dict(collect(task).targets) == {"A": [new, old]}


# -- one Genesys group by the newest view -------------------------------------------------------------


class Facts:
    def __init__(self, complete: dict[str, int]) -> None:
        self._values: dict[str, Any] = {"complete": complete, "mapping": StoredMapping(names={"A": "Sales"})}

    def __getitem__(self, fact: Any) -> Any:
        return self._values.get(fact.key, fact.default)

    required = __getitem__


def target_a(
    shown: DirectoryView,
    *pairs: GroupPair,
    complete: dict[str, int] | None = None,
    gone: DirectoryView | None = None,
    nested: bool = True,
    known_groups: frozenset[str] = frozenset(),
) -> Target:
    """Return the Genesys group A. ``gone``: AD groups of former pairs, as they were when last in view."""
    former = [pair(guid, "A") for guid in gone.groups] if gone else []
    views = SimpleNamespace(
        load_members=lambda _: shown,
        known_groups=lambda: known_groups,
        guids_in_scope=lambda guids: set(shown.groups) & set(guids),
        load_with_gone=lambda guids: gone if gone and set(guids) == gone.groups.keys() else DirectoryView(),
    )
    task: Any = SimpleNamespace(
        run=SimpleNamespace(dry_run=False),
        facts=Facts(complete or {}),
        definition=definition(directory={"group_base": BASE, "nested_groups": nested}),
        journal=SimpleNamespace(
            views=views, pairs=SimpleNamespace(active=lambda _: list(pairs), former=lambda _: former)
        ),
    )
    return target_of(task, "A")


NESTED = view({"g1": "ann n", "n": "bob", "g2": "cid"}, nested_only="n")


@pytest.mark.parametrize(
    ("complete", "proven", "by"),
    [
        ({"g1": 3, "n": 2, "g2": 4}, True, 2),
        ({"g1": 3, "g2": 4}, False, 3),  # the nested group was not read
        ({"g1": 3, "n": 3}, False, 3),
        ({}, False, None),
    ],
)
def test_a_target_is_proven_by_the_oldest_reading_of_all_groups_below(
    complete: dict[str, int], proven: bool, by: int | None
) -> None:
    target = target_a(NESTED, pair("g1", "A"), pair("g2", "A"), complete=complete)
    assert (target.complete, target.proven_by) == (proven, by)


def test_a_target_is_not_proven_while_an_ad_group_of_it_is_out_of_view() -> None:
    everything = dict.fromkeys(("g1", "n", "g2", "g3"), 3)
    assert not target_a(NESTED, pair("g1", "A"), pair("g3", "A"), complete=everything).complete


def test_an_unreadable_member_may_be_anybody_but_no_group_that_does_not_count() -> None:
    shown = view({"g1": "ann hidden n"}, unseen="hidden n")
    assert target_a(shown, pair("g1", "A")).unreadable == {"hidden", "n"}
    assert target_a(shown, pair("g1", "A"), nested=False, known_groups=frozenset({"n"})).unreadable == {"hidden"}


def test_an_ad_group_out_of_view_listed_its_users_last() -> None:
    target = target_a(NESTED, pair("g1", "A"), gone=view({"g0": "zoe"}))
    assert (target.former_sources, target.listed_last) == ({"g0"}, {"zoe"})


def test_a_rejected_pair_feeds_nothing_and_an_undecided_one_is_named() -> None:
    rejected = replace(pair("g2", "A"), state=PairState.REJECTED)
    undecided = replace(pair("n", "A"), state=PairState.NEW)
    target = target_a(NESTED, pair("g1", "A"), rejected, undecided)
    assert target.sources == ("g1", "n")
    assert target.wanted.keys() == {"ann", "bob"}
    assert (target.former_sources, target.refused) == ({"g2"}, {"cid": ("g2",)})
    assert target.unconfirmed == {"n"}
