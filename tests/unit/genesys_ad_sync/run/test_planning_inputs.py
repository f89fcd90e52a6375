"""The pure parts of what a plan depends on."""

from __future__ import annotations

from genesys_ad_sync.model import Reason, SkippedGroup
from genesys_ad_sync.planning import UnmappedGroup
from genesys_ad_sync.run.planning_inputs import unmapped_groups
from tests.support.sync_examples import change, directory_group

SALES, NIGHTS = directory_group("Sales"), directory_group("Nights")
KNOWN = {group.guid: group for group in (SALES, NIGHTS)}
SKIPPED = [SkippedGroup(SALES.guid, Reason.EXCLUDED, "by name"), SkippedGroup(NIGHTS.guid, Reason.UNMAPPED)]


def test_a_live_run_lists_an_unmapped_group_that_changed() -> None:
    changed = change("add", "ann", SALES.guid)
    found = unmapped_groups(KNOWN, (), SKIPPED, {SALES.guid: [changed]}, full=False)
    assert found == (UnmappedGroup(SKIPPED[0], (changed,), full=False),)


def test_a_comparison_lists_each_unmapped_group() -> None:
    found = unmapped_groups(KNOWN, (), SKIPPED, {}, full=True)
    assert {group.skipped.group_guid for group in found} == set(KNOWN)


def test_param_groups_limits_the_unmapped_groups() -> None:
    found = unmapped_groups(KNOWN, ("Night*",), SKIPPED, {}, full=True)
    assert [group.skipped.group_guid for group in found] == [NIGHTS.guid]


def test_a_group_that_is_gone_and_of_no_pair_says_so() -> None:
    [group] = unmapped_groups(KNOWN, (), [], {SALES.guid: [change("remove", "ann", SALES.guid)]}, full=False)
    assert group.skipped.reason is Reason.UNMAPPED
    assert "gone" in group.skipped.detail
