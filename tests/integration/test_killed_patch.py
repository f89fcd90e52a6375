"""A mapped `patch` that is killed (kill -9, worker lost) and tried again by Airflow sends only what is missing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from benchmarks.synthetic import genesys_seed, group_id, user_id
from genesys_ad_sync.stages.patch import patch
from genesys_ad_sync.stages.plan import plan
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions
from tests.support.chaos import STRATEGIES, Setting, killed_patch, new_key

BEFORE = {g: set(range(20 * g, 20 * g + 20)) for g in range(4)}
AFTER = {g: {n + 10 for n in of} for g, of in BEFORE.items()}


def changes_sent(log: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """(group, user) of every membership that logged requests would write; of `user_patch`, (any, user)."""
    sent: set[tuple[str, str]] = set()
    for entry in log:
        group = entry["path"].split("/groups/")[-1].split("/")[0]
        if "/scim/" in entry["path"]:
            for operation in entry["body"]["Operations"]:
                ids = [one["value"] for one in operation.get("value", ())] or [operation["path"].split('"')[1]]
                sent |= {(group, one) for one in ids}
        elif entry["method"] == "DELETE":
            sent |= {(group, one) for one in parse_qs(entry["query"])["ids"][0].split(",")}
        elif entry["path"].endswith("/members"):
            sent |= {(group, one) for one in entry["body"]["memberIds"]}
        else:
            sent.add(("", entry["path"].rsplit("/", 1)[1]))
    return sent


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("after", [2, 3], ids=["after an answer", "before sending"])
def test_a_retry_sends_only_what_is_missing_and_the_report_is_complete(
    strategy: str, after: int, tmp_path: Path
) -> None:
    options = SandboxOptions(rate_allowed=None, user_patch_groups="honoured")
    with SandboxGenesys.start(genesys_seed(100, BEFORE), options) as genesys:
        setting = Setting(str(tmp_path), genesys.connection(), strategy, new_key(random.Random(1)))
        with setting.open() as runs:
            runs.tell(BEFORE)
            runs.run()
            runs.tell(AFTER)
            run_id = runs.begin()
            lanes = [batch["lane"] for batch in plan(runs.task(run_id, "plan"))["batches"]]
            assert killed_patch(setting, run_id, lanes[0], after=after)
            seq = genesys.requests()[-1]["seq"]
            at_the_kill = {group_id(g): set(genesys.individuals(group_id(g))) for g in BEFORE}
            for lane in lanes:
                patch(runs.task(run_id, f"patch[{lane}]"), lane)
            report = runs.finish(run_id)
        sent_again = changes_sent(genesys.writes(after=seq))
        expected = {group_id(g): {user_id(n) for n in of} for g, of in AFTER.items()}
        missing = {(group, user) for group in expected for user in at_the_kill[group] ^ expected[group]}
        if strategy == "user_patch":
            missing = {("", user) for _, user in missing}
        assert sent_again == missing
        assert {group: set(genesys.individuals(group)) for group in expected} == expected
        assert report["successes"] == report["total_changes"] == 80
        done = {(row["genesys_group"]["id"], row["user_id"], row["action"]) for row in report["details"]}
        assert len(done) == 80
