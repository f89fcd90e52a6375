"""Wall time and peak memory of one run with 1,000, 10,000 and 100,000 adds.

    python -m benchmarks.memory [adds …]

There is no rate limit. Each run is in a process of its own, with groups of 500 members; the sandbox is another process.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.synthetic import SyntheticRuns, be_quiet, genesys_seed, group_id
from sandbox.genesys_cloud import SandboxOptions, spawn

PER_GROUP = 500
USERS = 20_000


def members_of(adds: int) -> dict[int, set[int]]:
    """Return users by group. Each is in several once there are more adds than users."""
    return {
        g: {(g * PER_GROUP + n) % USERS for n in range(min(PER_GROUP, adds - g * PER_GROUP))}
        for g in range(-(-adds // PER_GROUP))
    }


def one_run(adds: int, connection: dict[str, Any], answers: Any) -> None:
    be_quiet()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    members = members_of(adds)
    with tempfile.TemporaryDirectory() as folder, SyntheticRuns(Path(folder), connection) as runs:
        runs.tell(members)
        began = time.perf_counter()
        document = runs.run()
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answers.put((seconds, before, peak, document["successes"], document["requests"]["total"], dict(runs.seconds)))


def main() -> int:
    be_quiet()
    context = multiprocessing.get_context("spawn")
    print(f"{'adds':>8}{'seconds':>9}{'requests':>10}{'MB before':>11}{'MB peak':>9}   by stage")
    for adds in [int(text) for text in sys.argv[1:]] or [1_000, 10_000, 100_000]:
        seed = genesys_seed(USERS, {g: [] for g in members_of(adds)})
        with spawn(seed, SandboxOptions(rate_allowed=None, max_groups_per_user=None)) as sandbox:
            answers = context.Queue()
            process = context.Process(target=one_run, args=(adds, sandbox.connection(), answers))
            process.start()
            seconds, before, peak, done, sent, stages = answers.get(timeout=3600)
            process.join()
            written = sum(len(sandbox.individuals(group_id(g))) for g in members_of(adds))
        if done != adds or written != adds:
            raise AssertionError(f"{done} successes, {written} memberships; {adds} were asked for")
        by_stage = ", ".join(f"{name} {took:.1f}" for name, took in stages.items())
        print(f"{adds:>8}{seconds:>9.1f}{sent:>10}{before:>11.0f}{peak:>9.0f}   {by_stage}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
