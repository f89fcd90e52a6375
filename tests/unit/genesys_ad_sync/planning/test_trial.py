"""What dry runs have seen: kept, turned into grants, or dropped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from genesys_ad_sync.model import DryEvidence, Match, Reason
from genesys_ad_sync.planning import Plan
from tests.support.planning_examples import orphan
from tests.support.sync_examples import change, definition, grant, matched, matches, planned, target, told


def seen(user: str, genesys_id: str | None = None) -> DryEvidence:
    return DryEvidence(replace(grant(user, genesys_id=genesys_id), by_dry_run=True), "rule", "mail=email", "scope")


def trial(known: dict[str, Match] | None = None, policy: dict[str, Any] | None = None, **changed: Any) -> Plan:
    """Ann is wanted, and a member. Bob left AD during the trial, and is a member."""
    dry_run = changed.pop("dry_run", False)
    facts: dict[str, Any] = {
        "full": True,
        "wanted": {"ann": ("g1",)},
        "members": frozenset({"x-ann", "x-bob", "x-cid"}),
        "changes": (change("remove", "bob"),),
        "trial": (seen("ann"), seen("bob")),
        "trial_rules": {"g1": "rule"},
        **changed,
    }
    known = matches("ann", "bob", "cid") if known is None else known
    return planned(target(**facts), known=known, policy=definition(**(policy or {})), dry_run=dry_run, scope="scope")


BOB_GOES = [("remove", "bob", "planned", None)]
BOB_STAYS = [("remove", "bob", "held", "not_owned")]


@pytest.mark.parametrize("dry_run", [True, False])
def test_who_left_during_the_trial_goes(dry_run: bool) -> None:
    assert told(trial(dry_run=dry_run)) == BOB_GOES


def test_a_dry_comparison_keeps_who_left_and_replaces_the_rest() -> None:
    assert set(trial(dry_run=True).trial) == {seen("ann"), seen("bob")}
    assert trial().trial == ()
    now = trial(dry_run=True, members=frozenset({"x-ann"}))
    assert set(now.trial) == {seen("ann")}  # bob is out
    back = trial(dry_run=True, wanted={"ann": ("g1",), "bob": ("g1",)}, changes=())
    assert set(back.trial) == {seen("ann"), seen("bob")}
    assert trial(dry_run=True, trial_rules={}, trial=()).trial == ()  # a pair with a baseline


def test_a_live_comparison_makes_grants_of_it() -> None:
    found = trial().new_grants
    assert {(one.user_guid, one.by_dry_run) for one in found} == {("ann", False), ("bob", True)}


def test_a_grant_that_only_dry_runs_saw_is_replaced_once_ad_wants_the_member_again() -> None:
    mine = (replace(grant("ann"), by_dry_run=True),)
    found = trial(trial=(), grants=mine, changes=()).new_grants
    assert [(one.user_guid, one.by_dry_run) for one in found] == [("ann", False)]


def test_several_need_a_person_but_not_in_a_dry_run() -> None:
    two: dict[str, Any] = {
        "trial": (seen("bob"), seen("cid")),
        "changes": (change("remove", "bob"), change("remove", "cid", id=2)),
    }
    made = trial(**two)
    assert [row.reason for row in made.rows] == [Reason.OVER_LIMIT] * 2
    assert made.needs_approval == {row.key for row in made.rows}
    assert "dry runs" in made.rows[0].about["limit"]
    assert {row[2] for row in told(trial(dry_run=True, **two))} == {"planned"}
    owned = trial(**{**two, "grants": (grant("cid"),)})
    assert {row[2] for row in told(owned)} == {"planned"}
    owned = trial(**{**two, "grants": (grant("cid", "g2"),), "sources": ("g1", "g2")})
    assert {row[2] for row in told(owned)} == {"planned"}
    held = trial(policy={"limits": {"on_excess": "hold"}}, **two)
    assert held.needs_approval == {row.key for row in held.rows}
    failing = trial(policy={"limits": {"on_excess": "fail"}}, **two)
    assert failing.fail_reason is None


@pytest.mark.parametrize(
    ("changed", "rows"),
    [
        ({"known": matches("ann", matched("bob", "x-other"))}, [("remove", "bob", "unchanged", "already_so")]),
        ({"known": matches("ann", orphan("bob"))}, BOB_GOES),  # the mail was taken away with the account
        ({"claimed_by": "other"}, [("remove", "bob", "held", "claimed_by")]),
        ({"full": False}, BOB_STAYS),
        ({"trial": ()}, BOB_STAYS),
    ],
    ids=["another Genesys user", "no Genesys user", "claimed", "not compared", "no evidence"],
)
def test_evidence_counts_for_the_same_person_in_a_comparison_only(
    changed: dict[str, Any], rows: list[tuple[str, str, str, str | None]]
) -> None:
    assert told(trial(**changed)) == rows
