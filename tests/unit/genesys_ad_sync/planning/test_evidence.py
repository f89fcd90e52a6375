"""What a list of changes says: the newest one, and what holds a removal."""

from __future__ import annotations

from datetime import timedelta

from genesys_ad_sync.model import Evidence, Reason
from genesys_ad_sync.planning.evidence import age, change_ids, held_reason, newest_polled_change
from tests.support.sync_examples import NOON, change

DOUBTED = Reason.OTHER_DOMAIN_CONTROLLER


def test_the_newest_change_is_the_one_seen_last_and_of_one_poll_the_one_recorded_last() -> None:
    first, second = change("add", "ann", id=1), change("add", "ann", id=2)
    later = change("add", "ann", id=None, observed_at=NOON + timedelta(hours=1))
    assert sorted([later, second, first], key=age) == [first, second, later]


def test_ids_are_listed_once_and_changes_without_one_left_out() -> None:
    assert change_ids([change("add", "ann", id=id_) for id_ in (7, None, 3, 7)]) == (3, 7)


def test_only_what_ad_reported_is_newer() -> None:
    reported = change("add", "ann", id=4, evidence=Evidence.TOLD)
    found = change("add", "ann", id=9, origin="comparison")
    seen = [change("add", "ann", id=8, evidence=kind) for kind in (Evidence.SEEN, Evidence.DOUBTED, None)]
    assert newest_polled_change([reported, found, *seen]) == 4
    assert newest_polled_change(seen) == 0
    assert newest_polled_change([found]) == newest_polled_change([]) == 0


def test_a_removal_is_held_if_the_newest_change_of_any_ad_group_is() -> None:
    doubted = change("remove", "ann", id=1, held_reason=DOUBTED)
    assert held_reason([doubted]) is DOUBTED
    assert held_reason([doubted, change("remove", "ann", id=2)]) is None
    assert held_reason([doubted, change("remove", "ann", "g2", id=2)]) is DOUBTED
    assert held_reason([]) is None
