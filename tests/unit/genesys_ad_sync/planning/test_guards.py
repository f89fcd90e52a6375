"""Each guard alone: what it stops, and that it lets everything else pass.

`ALLOWED` is a removal that no guard refuses; each test changes one fact of it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from genesys_ad_sync.model import Match, MatchStatus, Objection, Reason, Rival, RunKey
from genesys_ad_sync.planning import guards
from genesys_ad_sync.planning.guards import Removal
from tests.support.sync_examples import NOON, grant, matched

ALLOWED = Removal(
    genesys_user_id="x-ann",
    user_guid="ann",
    policy="granted",
    complete=True,
    sources=frozenset({"g1", "g2"}),
    former_sources=frozenset({"g9"}),
    lost=("g1",),
    grants=(grant("ann"),),
    match=matched("ann"),
    known_ids=frozenset({"x-ann"}),
    claimants=frozenset({"ann"}),
)


def contested(user: str, *rivals: Rival) -> Match:
    return Match(user, MatchStatus.AMBIGUOUS, reason=Reason.AMBIGUOUS, candidates=("x-ann",), rivals=rivals)


def test_other_accounts_hold_a_removal_only_as_claimants_who_belong_into_the_group() -> None:
    assert guards.why_held(replace(ALLOWED, match=contested("ann", Rival("bob", "x-ann")))) is None


def test_a_removal_that_breaks_no_rule_is_allowed() -> None:
    assert guards.why_held(ALLOWED) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"complete": False}, Reason.UNPROVEN),
        ({"grants": ()}, Reason.NOT_OWNED),
        ({"match": Match("ann", MatchStatus.AMBIGUOUS)}, Reason.AMBIGUOUS),
        ({"match": contested("ann", Rival(None, "y"))}, Reason.AMBIGUOUS),
        ({"match": contested("ann", Rival("bob", "x-ann"), Rival(None, "y"))}, Reason.AMBIGUOUS),
        ({"match": Match("ann", MatchStatus.AMBIGUOUS, reason=Reason.LINK_CONTRADICTED)}, Reason.LINK_CONTRADICTED),
        ({"known_ids": frozenset({"x-ann", "y"})}, Reason.AMBIGUOUS),
        ({"claimants": frozenset({"ann", "bob"})}, Reason.AMBIGUOUS),
        ({"policy": "mirror", "grants": (), "all_wanted_looked_up": False}, Reason.GENESYS_UNREADABLE),
        ({"grants": (grant("ann"), grant("ann", "g9"))}, Reason.MAPPING_CHANGED),
        ({"policy": "mirror", "grants": (), "lost": ("g1", "g9")}, Reason.MAPPING_CHANGED),
        ({"policy": "mirror", "grants": (), "lost": (), "sources": frozenset()}, Reason.MAPPING_CHANGED),
        ({"listed_out_of_view": True}, Reason.MAPPING_CHANGED),
        ({"held_reason": Reason.OTHER_DOMAIN_CONTROLLER}, Reason.OTHER_DOMAIN_CONTROLLER),
        ({"held_reason": Reason.SCOPE_CHANGED}, Reason.SCOPE_CHANGED),
    ],
)
def test_one_wrong_fact_is_enough_to_hold(changed: dict[str, object], reason: Reason) -> None:
    assert guards.why_held(replace(ALLOWED, **changed)) is reason  # type: ignore[arg-type]


def test_what_an_earlier_mapping_granted_says_so_although_nothing_was_proven() -> None:
    """The run that finds it out has not read the AD group completely, and no note would say why."""
    unread = replace(ALLOWED, grants=(grant("ann", "g9"),), complete=False)
    assert guards.why_held(unread) is Reason.MAPPING_CHANGED


def test_the_value_of_an_unidentified_person_holds_a_stranger_and_nobody_whom_ad_owns() -> None:
    assert guards.why_held(replace(ALLOWED, may_be_unidentified=True)) is None
    stranger = replace(ALLOWED, may_be_unidentified=True, policy="mirror", grants=())
    assert guards.why_held(stranger) is Reason.UNIDENTIFIED_MEMBERS


def test_what_was_there_by_hand_asks_a_person_unless_it_is_a_mirror() -> None:
    by_hand = replace(grant("ann"), was_manual=True)
    assert guards.why_held(replace(ALLOWED, grants=(by_hand,))) is Reason.WAS_MANUAL
    assert guards.why_held(replace(ALLOWED, grants=(by_hand, grant("ann", "g2")))) is None
    assert guards.why_held(replace(ALLOWED, grants=(by_hand,), policy="mirror")) is None


def test_a_group_that_had_a_protected_name_stays_protected() -> None:
    assert guards.protected("G", "Lunch room", ["Voice"], {"Voice"}) is Reason.PROTECTED
    assert guards.protected("G", "Lunch room", ["Chat"], {"Voice"}) is None


def test_under_mirror_a_manual_member_may_go() -> None:
    manual = replace(ALLOWED, policy="mirror", grants=(), user_guid=None, match=None, claimants=frozenset(), lost=())
    assert guards.why_held(manual) is None


def test_somebody_gone_from_ad_may_still_be_removed_on_the_strength_of_the_grant() -> None:
    gone = replace(ALLOWED, match=Match("ann", MatchStatus.ORPHANED, reason=Reason.NO_MATCHING_ATTRIBUTE))
    assert guards.why_held(gone) is None


def test_protect_is_a_list_of_patterns_on_genesys_group_names_or_of_ids() -> None:
    id_ = "7C0B-1"
    assert guards.protected(id_, "Sales Nord", ["Support", "sales*"]) is Reason.PROTECTED
    assert guards.protected(id_, "Sales Nord", ["7c0b-1"]) is Reason.PROTECTED
    assert guards.protected(id_, "[VIP] Voice", ["[VIP] Voice"]) is Reason.PROTECTED
    assert guards.protected(id_, "Sales Nord", ["Support", "7*"]) is None  # an id is no place for wildcards
    assert guards.protected(id_, "Sales Nord", []) is None


def test_a_restored_journal_asks_a_person() -> None:
    assert guards.journal_restored(restored=True) is Reason.JOURNAL_RESTORED
    assert guards.journal_restored(restored=False) is None


def test_a_persons_decision_holds_until_ad_reports_something_newer() -> None:
    pin = Objection(Reason.UNDONE, RunKey("dag", "undo"), NOON, last_change=7)
    assert guards.objected(pin, 7)
    assert guards.objected(pin, 0)
    assert not guards.objected(pin, 8)
    assert not guards.objected(None, 0)
