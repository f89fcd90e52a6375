"""One run of the pipeline while everything goes wrong, and what must still be true.

No pytest in here: a child process imports it, to be killed in the middle of its work.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from benchmarks.synthetic import SyntheticRuns, genesys_seed, group_id, user_id
from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.stages.map_groups import map_groups
from genesys_ad_sync.stages.patch import patch
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync.stages.resolve_users import resolve_users
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions

STRATEGIES = ("scim_patch", "group_members", "user_patch")
PROBABILITY = 0.2  # that a request is hit by some fault
TRIES = 4  # Airflow's `retries: 3`
SPEED = 50  # how much faster than in real life anybody waits
USERS = 180

FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("status", {"status": 500}),
    ("status", {"status": 500, "processed": True}),
    ("status", {"status": 502}),
    ("status", {"status": 503, "retry_after": 1}),
    ("status", {"status": 503, "processed": True}),
    ("status", {"status": 504, "processed": True}),
    ("status", {"status": 408}),
    ("status", {"status": 409}),
    ("throttle", {"retry_after": 0}),
    ("throttle", {}),
    ("unauthorized", {}),
    ("token_revoked", {}),
    ("html", {}),
    ("html", {"status": 502}),
    ("truncated_json", {}),
    ("cut_body", {}),
    ("reset_before", {}),
    ("reset_after", {}),
    ("reset_after", {}),
    ("slow", {"seconds": 0.05}),
    ("stale", {"seconds": 3.0, "method": "GET"}),
    ("short_page", {"method": "GET"}),
    ("foreign_write", {"method": "POST|PATCH|DELETE", "path": "/groups/"}),
]
SILENT: list[tuple[str, dict[str, Any]]] = [
    # answered like a success: only the read-back tells
    ("lost_write", {"method": "POST|PATCH|DELETE", "path": "/groups/|/users/"}),
    ("partial_write", {"method": "POST|PATCH|DELETE", "path": "/groups/"}),
]


def quick(seconds: float) -> None:
    time.sleep(seconds / SPEED)


@dataclass
class Told:
    """What came of it."""

    runs: int = 0
    tries: int = 0  # of tasks, beyond the first
    killed: bool = False
    requests: int = 0
    faults: int = 0
    statuses: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """All that a child process needs to do a part of the same run."""

    folder: str
    connection: dict[str, Any]
    strategy: str
    fernet_key: bytes

    def open(self) -> SyntheticRuns:
        return SyntheticRuns(
            Path(self.folder),
            self.connection,
            retry_policy=HttpRetryPolicy(jitter=0.5),
            sleep=quick,
            fernet_key=self.fernet_key,
            write=self.strategy,
        )


def membership(draw: random.Random) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """(before, after): a large group with more changes than fit into a request, and small ones."""
    everybody = range(USERS)
    before = {0: set(range(70)), **{g: set(draw.sample(everybody, 25)) for g in range(1, 5)}}
    before[5] = set(everybody)  # so that everybody is known; nothing changes here
    after = {0: set(range(40, 140)), 5: before[5]}
    for g in range(1, 5):
        stay = set(draw.sample(sorted(before[g]), 15))
        after[g] = stay | set(draw.sample(everybody, 12))
    return before, after


def chaos(seed: int, strategy: str, folder: Path, *, silent: bool) -> Told:
    """Raise AssertionError if something is wrong after a run with faults.

    ``silent``: with faults that look like success.
    """
    draw = random.Random(seed)
    before, after = membership(draw)
    options = SandboxOptions(
        rate_allowed=None,
        user_patch_groups="honoured",
        conflict=draw.choice(["409", "400"]),
        version_bump=draw.choice(["per_request", "per_member"]),
        version_step=draw.choice([1, 3]),
        member_already_there=draw.choice(["ignore", "refuse"]),
        member_not_there=draw.choice(["ignore", "refuse"]),
        refuse_member_status=draw.choice([400, 404]),
        scim_max_operations=draw.choice([None, 20]),
        scim_gateway_errors=draw.choice(["scim", "error_body"]),
    )
    told = Told()
    with SandboxGenesys.start(genesys_seed(USERS, before), options) as genesys:
        setting = Setting(str(folder), genesys.connection(), strategy, new_key(draw))
        with setting.open() as runs:
            runs.tell(before)
            runs.run()
            genesys.clear_log()
            _let_loose(genesys, seed, silent=silent)
            runs.tell(after)
            expected = {group_id(g): {user_id(n) for n in of} for g, of in after.items()}
            document: Mapping[str, Any] = {}
            for attempt in range(4):
                if attempt == 3:
                    genesys.clear_faults()
                document = _run(runs, setting, draw, told, kill=attempt == 0)
                _check_report(document, genesys)
                told.runs += 1
                if not document["failures"] and not document["held"] and attempt < 3 and told.runs >= 1:
                    break
            log = genesys.requests()
            told.requests = len(log)
            told.faults = sum(bool(entry["faults"]) for entry in log)
            for row in document["details"]:
                told.statuses[row["status"]] = told.statuses.get(row["status"], 0) + 1
            present = {group: set(genesys.individuals(group)) for group in expected}
            wrong = {
                group: len(present[group] ^ expected[group]) for group in expected if present[group] != expected[group]
            }
            assert not wrong, f"memberships that are not as they should be: {wrong}"
            _check_caps(log)
    return told


def new_key(draw: random.Random) -> bytes:
    import base64

    return base64.urlsafe_b64encode(draw.randbytes(32))


def _let_loose(genesys: SandboxGenesys, seed: int, *, silent: bool) -> None:
    genesys.clear_faults(seed=seed)
    faults = FAULTS + (SILENT if silent else [])
    # the first that answers wins, so each is drawn alone: together they hit one request in five
    each = 1.25 * PROBABILITY / len(faults)  # some are for some requests only
    for kind, values in faults:
        given = {"path": "^/api/v2/", **values}
        genesys.add_fault(kind, times=None, probability=each, **given)  # type: ignore[arg-type]  # one of Kind
    genesys.add_fault("status", path="^/oauth/", status=503, times=None, probability=PROBABILITY)


def _run(runs: SyntheticRuns, setting: Setting, draw: random.Random, told: Told, *, kill: bool) -> Mapping[str, Any]:
    """As Airflow does it: a failed task is tried again, what comes after a failed one is not run, the report always."""
    runs._number += 1
    run_id = f"run-{runs._number}"
    runs.poll(run_id)
    planned: dict[str, Any] = {}
    done = (
        _tried(lambda: map_groups(runs.task(run_id, "map_groups")), told)
        and _tried(lambda: resolve_users(runs.task(run_id, "resolve_users")), told)
        and _tried(lambda: planned.update(plan(runs.task(run_id, "plan"))), told)
    )
    if done:
        for batch in planned["batches"]:
            lane = batch["lane"]
            if kill and not told.killed:
                told.killed = killed_patch(setting, run_id, lane, after=draw.randint(1, 6))
            _tried(lambda lane=lane: patch(runs.task(run_id, f"patch[{lane}]"), lane), told)  # type: ignore[misc]
    return runs.finish(run_id)


def _tried(task: Callable[[], Any], told: Told) -> bool:
    for number in range(TRIES):
        try:
            task()
        except GroupSyncError:
            told.tries += 1
            if number == TRIES - 1:
                return False
        else:
            return True
    return False


# -- kill -9 ------------------------------------------------------------------------------------------


def killed_patch(setting: Setting, run_id: str, lane: int, after: int) -> bool:
    """Do the lane in a process that is killed with its ``after``-th write.

    The kill comes before the write is sent or after its answer, by turns. False: it was done, or failed, sooner.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.support.chaos"])
    process = context.Process(target=patch_and_die, args=(setting, run_id, lane, after))
    process.start()
    process.join(timeout=600)
    return process.exitcode == -signal.SIGKILL


def patch_and_die(setting: Setting, run_id: str, lane: int, after: int) -> None:
    """Run `patch` in the child, which is killed."""
    with setting.open() as runs:
        task = runs.task(run_id, f"patch[{lane}]")
        client = task.genesys_client
        exchange = client._exchange  # type: ignore[attr-defined]  # of the hook: the request itself
        writes = 0

        def exchange_and_die(one: Any, token: str, *, again: bool) -> Any:
            nonlocal writes
            writing = one.method != "GET"
            writes += writing
            if writing and writes >= after and after % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = exchange(one, token, again=again)
            if writing and writes >= after:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        client._exchange = exchange_and_die  # type: ignore[attr-defined]
        with suppress(GroupSyncError):
            patch(task, lane)


# -- what must be true --------------------------------------------------------------------------------

NOT_KNOWN = {"unverified", "not_attempted", "genesys_unreadable"}  # said to be failed, and said that nobody knows


def _check_report(document: Mapping[str, Any], genesys: SandboxGenesys) -> None:
    """Check the report against the sandbox's own state.

    A change called success is in effect, a change called failed is not.
    """
    present: dict[str, set[str]] = {}
    for row in document["details"]:
        group = (row["genesys_group"] or {}).get("id")
        if group is None:
            continue
        members = present.setdefault(group, set(genesys.individuals(group)))
        in_effect = (row["user_id"] in members) is (row["action"] == "add")
        said = f"{row['action']} is {row['status']} ({row['reason']}: {row['error']})"
        if row["status"] in ("success", "unchanged"):
            assert in_effect, f"{said} and is not in effect"
        if row["status"] == "failed" and row["reason"] not in NOT_KNOWN:
            assert not in_effect, f"{said} and is in effect"
    counts = ("successes", "failures", "orphans", "skipped", "held", "unchanged", "superseded", "planned")
    assert document["total_changes"] == sum(document[name] for name in counts) == len(document["details"])


def _check_caps(log: list[dict[str, Any]]) -> None:
    for entry in log:
        if entry["body"] is None and entry["method"] != "DELETE":
            continue  # the killed process was killed between the head of a request and its body
        if entry["method"] == "DELETE":
            assert len(parse_qs(entry["query"])["ids"][0].split(",")) <= 50
        elif entry["method"] == "POST" and entry["path"].endswith("/members"):
            assert len(entry["body"]["memberIds"]) <= 50
        elif entry["method"] == "PATCH" and "/scim/" in entry["path"]:
            operations = entry["body"]["Operations"]
            assert sum(len(o["value"]) if "value" in o else 1 for o in operations) <= 50
            assert all(o["op"] == "add" or o["path"] != "members" for o in operations)
