"""Each guard by itself: what it stops, and that it lets everything else pass.

`ALLOWED` is a removal that no guard refuses; each test changes one fact of it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from genesys_ad_sync.model import Match, MatchStatus, Reason
from genesys_ad_sync.planning import guards as guard
from genesys_ad_sync.planning.guards import PendingRemovals, Removal
from genesys_ad_sync.settings import Limits
from tests.support.sync_examples import grant, matched

ALLOWED = Removal(
    genesys_user_id="x-ann",
    user_guid="ann",
    policy="granted",
    complete=True,
    feeding=frozenset({"g1", "g2"}),
    retired=frozenset({"g9"}),
    lost=("g1",),
    grants=(grant("ann"),),
    match=matched("ann"),
    known_ids=frozenset({"x-ann"}),
    claimants=frozenset({"ann"}),
)


def test_a_removal_that_breaks_no_rule_is_allowed() -> None:
    assert guard.why_held(ALLOWED) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"complete": False}, Reason.UNPROVEN),
        ({"grants": ()}, Reason.NOT_OWNED),
        ({"match": Match("ann", MatchStatus.AMBIGUOUS)}, Reason.AMBIGUOUS),
        ({"known_ids": frozenset({"x-ann", "y"})}, Reason.AMBIGUOUS),
        ({"claimants": frozenset({"ann", "bob"})}, Reason.AMBIGUOUS),
        ({"policy": "mirror", "grants": (), "everybody_looked_up": False}, Reason.AMBIGUOUS),
        ({"grants": (grant("ann"), grant("ann", "g9"))}, Reason.MAPPING_CHANGED),
        ({"policy": "mirror", "grants": (), "lost": ("g1", "g9")}, Reason.MAPPING_CHANGED),
        ({"policy": "mirror", "grants": (), "lost": (), "feeding": frozenset()}, Reason.MAPPING_CHANGED),
        ({"held_reason": Reason.OTHER_DOMAIN_CONTROLLER}, Reason.OTHER_DOMAIN_CONTROLLER),
        ({"held_reason": Reason.SCOPE_CHANGED}, Reason.SCOPE_CHANGED),
    ],
)
def test_one_wrong_fact_is_enough_to_hold(changed: dict[str, object], reason: Reason) -> None:
    assert guard.why_held(replace(ALLOWED, **changed)) is reason  # type: ignore[arg-type]


def test_under_mirror_a_manual_member_may_go() -> None:
    manual = replace(ALLOWED, policy="mirror", grants=(), user_guid=None, match=None, claimants=frozenset(), lost=())
    assert guard.why_held(manual) is None


def test_somebody_gone_from_ad_may_still_be_removed_on_the_strength_of_the_grant() -> None:
    gone = replace(ALLOWED, match=Match("ann", MatchStatus.ORPHANED, reason=Reason.NO_MATCHING_ATTRIBUTE))
    assert guard.why_held(gone) is None


def test_protect_is_a_list_of_patterns_on_genesys_group_names() -> None:
    assert guard.protected("VIP Callers", ["vip*"]) is Reason.PROTECTED
    assert guard.protected("Sales", ["vip*"]) is None


def test_a_restored_journal_asks_a_person() -> None:
    assert guard.journal_is_whole(True) is Reason.JOURNAL_RESTORED
    assert guard.journal_is_whole(False) is None


# -- limits: one below, one above ---------------------------------------------------------------------


def pending(count: int, owned: int = 0, id_: str = "G") -> PendingRemovals:
    return PendingRemovals(id_, f"group {id_}", count, owned)


LIMITS = Limits(removals=5, removals_percent=20, min_group_size=10, per_run=8, per_day=20)


def test_as_many_as_the_limit_of_a_group_may_go_and_one_more_holds_all_of_it() -> None:
    assert guard.excess([pending(5)], 0, LIMITS).held_groups == frozenset()
    made = guard.excess([pending(6), pending(1, id_="H")], 0, LIMITS)
    assert made.held_groups == {"G"}
    assert "limits.removals is 5" in made.texts[0]


def test_the_percentage_counts_the_members_whom_ad_owns() -> None:
    assert guard.excess([pending(2, owned=10)], 0, LIMITS).held_groups == frozenset()
    assert guard.excess([pending(3, owned=10)], 0, LIMITS).held_groups == {"G"}


def test_small_groups_have_no_percentage() -> None:
    assert guard.excess([pending(5, owned=9)], 0, LIMITS).held_groups == frozenset()


def test_the_limit_of_a_run_holds_every_removal_of_the_run() -> None:
    groups = [pending(4, id_="G"), pending(4, id_="H"), pending(0, id_="I")]
    assert guard.excess(groups, 0, LIMITS).held_groups == frozenset()
    made = guard.excess([*groups, pending(1, id_="J")], 0, LIMITS)
    assert made.held_groups == {"G", "H", "J"}


def test_a_slow_leak_is_stopped_by_the_limit_of_a_day() -> None:
    assert guard.excess([pending(5)], 15, LIMITS).held_groups == frozenset()
    made = guard.excess([pending(5)], 16, LIMITS)
    assert made.held_groups == {"G"}
    assert "after 16 today" in made.texts[0]


def test_a_day_that_is_used_up_holds_nothing_where_nothing_is_to_be_removed() -> None:
    assert guard.excess([pending(0)], 99, LIMITS).texts == ()


def test_a_limit_of_zero_lets_nobody_go() -> None:
    assert guard.excess([pending(1)], 0, Limits(removals=0)).held_groups == {"G"}


# -- what is too much to be believed ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "lost", "too_much"),
    [(10, 3, False), (10, 4, True), (9, 8, False), (9, 9, True), (1, 1, True), (100, 0, False), (0, 0, False)],
)
def test_so_many_members_cannot_have_gone_without_a_word(before: int, lost: int, too_much: bool) -> None:
    assert guard.shrunk(before, lost, Limits(shrink_percent=30, min_group_size=10)) is too_much


def test_a_hundred_percent_believes_everything() -> None:
    assert not guard.shrunk(10, 10, Limits(shrink_percent=100))


def test_an_undone_pair_is_held_until_ad_tells_something_newer() -> None:
    assert guard.undone(7, 7) is Reason.UNDONE
    assert guard.undone(7, 0) is Reason.UNDONE
    assert guard.undone(7, 8) is None
    assert guard.undone(None, 0) is None
