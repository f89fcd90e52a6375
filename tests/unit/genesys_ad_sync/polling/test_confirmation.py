"""Held removals: which of them a poll confirms."""

from __future__ import annotations

from datetime import timedelta

import pytest

from genesys_ad_sync.directory.replica_trust import REPLICATION_TIME
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.model import Action, Change, Reason, Scope
from genesys_ad_sync.polling.confirmation import back_in_scope, confirmed_by_dirsync, confirmed_by_reading, is_out
from tests.support.journal import T0, change, cursor, view

SCOPE = Scope("DC=example", "OU=x", "(x=*)", True, "remove", (), ())
LATER = T0 + REPLICATION_TIME


def held(reason: Reason = Reason.OTHER_DOMAIN_CONTROLLER, group: str = "g") -> Change:
    return change(group, "u1", Action.REMOVE, held_reason=reason, trusted_dc="dc0.example.com")


def delta(*removed: str) -> Delta:
    return Delta(
        cursor=cursor(),
        read_until=T0,
        member_changes={"g": (frozenset(), frozenset(removed))},
        touched=frozenset(),
        deleted=frozenset(),
        primary_groups={},
        entries=1,
    )


def test_dirsync_confirms_the_removal_that_it_lists() -> None:
    assert confirmed_by_dirsync([held()], delta("u1")) == [held()]
    assert confirmed_by_dirsync([held()], delta("u2")) == []
    assert confirmed_by_dirsync([held()], None) == []


def test_dirsync_does_not_confirm_what_is_held_for_another_reason() -> None:
    assert confirmed_by_dirsync([held(Reason.SCOPE_CHANGED), held(Reason.MAPPING_CHANGED)], delta("u1")) == []


def test_a_second_complete_reading_confirms_when_replication_must_be_over() -> None:
    assert confirmed_by_reading([held()], cursor(LATER), {"g"}) == [held()]
    assert confirmed_by_reading([held()], cursor(LATER - timedelta(seconds=1)), {"g"}) == []
    assert confirmed_by_reading([held()], cursor(LATER), {"h"}) == []


def test_the_trusted_domain_controller_confirms_at_once() -> None:
    back = cursor(domain_controller="dc0.example.com", trusted_dc="dc0.example.com")
    assert confirmed_by_reading([held()], back, {"g"}) == [held()]


def test_a_group_that_was_read_completely_again_is_back() -> None:
    gone = held(Reason.MAPPING_CHANGED)
    assert back_in_scope([gone, held()], cursor(), {"g"}) == [gone]
    assert back_in_scope([gone], cursor(), {"h"}) == []


def test_a_doubtful_reading_brings_no_group_back() -> None:
    assert back_in_scope([held(Reason.MAPPING_CHANGED)], cursor(doubted_since=T0), {"g"}) == []


@pytest.mark.parametrize(
    ("members", "nested_only", "complete", "expected"),
    [
        ({"g": "u2"}, "", "g", True),
        ({"g": "u1"}, "", "g", False),
        ({"g": "n", "n": "u1"}, "n", "g n", False),  # still in it, through the nested group
        ({"g": "n", "n": ""}, "n", "g n", True),
        ({"g": "n", "n": ""}, "n", "g", False),  # the nested group was not read
        ({"g": "u2"}, "g", "g", False),  # out of scope
        ({"h": "u2"}, "", "g", False),  # not there
    ],
)
def test_a_removal_is_shown_by_a_complete_reading_alone(
    members: dict[str, str], nested_only: str, complete: str, expected: bool
) -> None:
    assert is_out(held(), view(members, nested_only=nested_only), SCOPE, complete.split()) is expected
