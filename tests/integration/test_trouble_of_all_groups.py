"""What `plan` does where the members of no group can be read: it asks for few of them, and ends with the error.

Active Directory is only told of (benchmarks/synthetic.py); Genesys is the sandbox.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic import SyntheticRuns, endpoint_counts, genesys_seed, group_id
from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    PermissionMissing,
    ServerError,
    Throttled,
    UnexpectedAnswer,
)
from genesys_ad_sync.run.present_members import FAILURES_IN_A_ROW
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions
from tests.support.synthetic_runs import opened

GROUPS, WORKERS, ATTEMPTS = 40, 5, 2
EVERYBODY = 99  # a group in which all are, so that all are linked
BEFORE: dict[int, set[int]] = {**{group: {group} for group in range(GROUPS)}, EVERYBODY: set(range(60))}
AFTER: dict[int, set[int]] = {**BEFORE, **{group: {group, 50} for group in range(GROUPS)}}
INDIVIDUALS, TOKEN = "GET /api/v2/groups/{id}/individuals", "POST /oauth/token"


@pytest.fixture
def genesys() -> Iterator[SandboxGenesys]:
    with SandboxGenesys.start(genesys_seed(60, BEFORE), SandboxOptions(rate_allowed=None)) as sandbox:
        yield sandbox


@pytest.fixture
def runs(genesys: SandboxGenesys, tmp_path: Path) -> Iterator[SyntheticRuns]:
    """With something to do in each group."""
    with opened(genesys, tmp_path, BEFORE, attempts=ATTEMPTS, workers=WORKERS) as made:
        made.tell(AFTER)
        yield made


def reads(genesys: SandboxGenesys) -> int:
    return endpoint_counts(genesys.requests())[INDIVIDUALS]


def known(runs: SyntheticRuns) -> set[str]:
    return {one.genesys_group_id for one in runs.journal.of(runs.definition.name).refusals.all()}


@pytest.mark.parametrize(
    ("kind", "more", "error"),
    [("unauthorized", {}, AuthenticationFailed), ("throttle", {"retry_after": 900}, Throttled)],
    ids=["401", "429 for a quarter of an hour"],
)
def test_what_is_certainly_not_about_a_group_ends_the_reading_at_once_and_is_kept_with_no_group(
    genesys: SandboxGenesys, runs: SyntheticRuns, kind: Any, more: dict[str, Any], error: type[Exception]
) -> None:
    genesys.add_fault(kind, method="GET", path="individuals", times=None, **more)
    with pytest.raises(error):
        runs.run()
    assert reads(genesys) <= 2 * WORKERS  # those under way, each of them once more with a new token
    assert endpoint_counts(genesys.requests()).get(TOKEN, 0) <= WORKERS
    assert known(runs) == set()
    genesys.clear_faults()
    report = runs.run()
    assert report["successes"] == GROUPS, "nothing waits for the trouble that is over"


@pytest.mark.parametrize(
    ("kind", "more", "error"),
    [
        ("status", {"status": 503}, ServerError),
        ("status", {"status": 403}, PermissionMissing),
        ("reset_before", {}, ConnectionFailed),
        ("html", {}, UnexpectedAnswer),
    ],
    ids=["503", "403", "no connection", "a page"],
)
def test_an_outage_costs_a_few_requests_and_not_some_for_each_group(
    genesys: SandboxGenesys, runs: SyntheticRuns, kind: Any, more: dict[str, Any], error: type[Exception]
) -> None:
    genesys.add_fault(kind, method="GET", path="individuals", times=None, **more)
    with pytest.raises(error):
        runs.run()
    assert reads(genesys) <= (FAILURES_IN_A_ROW + WORKERS) * ATTEMPTS
    assert "plan failed" in " ".join(runs.finish("run-2")["notes"])
    genesys.clear_faults()
    report = runs.run()
    assert report["successes"] == GROUPS


def test_many_groups_that_fail_for_ever_keep_the_others_waiting_for_one_run_only(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    bad = sorted(group_id(number) for number in range(FAILURES_IN_A_ROW + WORKERS))
    genesys.add_fault("status", method="GET", path=f"({'|'.join(bad)})/individuals", times=None, status=403)
    with pytest.raises(PermissionMissing):
        runs.run()
    report = runs.run()
    outcomes = Counter((row["status"], row["reason"]) for row in report["details"])
    assert outcomes[("success", None)] == GROUPS - len(bad)


def test_a_group_without_members_that_can_be_read_is_that_groups_trouble(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    """However many they are: Genesys answers, and says that they are not complete."""
    genesys.add_fault("short_page", method="GET", path="individuals", times=None)
    report = runs.run()
    assert Counter(row["reason"] for row in report["details"]) == {"genesys_unreadable": GROUPS}
