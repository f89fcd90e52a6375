"""What a run with nothing to do costs, with many people who have no Genesys user.

    python -m benchmarks.idle [memberships …]

For each size and share of orphans: requests, seconds, peak memory, and growth of the journal and size of the report, of
the first idle run and of the tenth. The runs are scheduled ones; a first run has compared everything. Each person has a
mail and a user principal name with capitals, and the definition has the usual rules for both. Nothing limits the rate.
The first run and the idle ones are in a process of their own; the sandbox is another process.

Claimed: at most 3 requests for up to 500 Genesys groups and one for each further 500; a journal that grows by less than
20 KB per run, whatever the number of orphans. The first idle run also stores the mapping, which has baselines now; a
run stores it again when it has changed, and it is forgotten a day after the run.
"""

from __future__ import annotations

import base64
import math
import resource
import sqlite3
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.processes import in_a_process
from benchmarks.synthetic import DAG_ID, SyntheticRuns, be_quiet, genesys_seed
from sandbox.genesys_cloud import SandboxOptions, spawn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PER_GROUP, GROUPS_PER_PERSON = 200, 10
SHARES = (0, 5, 20)  # percent of the people who have no Genesys user
RUNS = 10
MOST_REQUESTS, MOST_JOURNAL = 3, 20_000
MAPPING_PER_GROUP = 250  # bytes
FERNET_KEY = base64.urlsafe_b64encode(bytes(32))  # the same in each process
GROUPS_PER_REQUEST = 500


@dataclass(frozen=True)
class Idle:
    """One idle run. ``journal``: bytes by which it grew; ``report``: bytes of the JSON; ``waiting``: known orphans."""

    requests: int
    seconds: float
    journal: int
    report: int
    waiting: int


def members_of(memberships: int) -> dict[int, set[int]]:
    """Return people by group; each is in several groups."""
    groups = max(1, memberships // PER_GROUP)
    people = people_in(memberships)
    return {g: {(g * PER_GROUP + n) % people for n in range(PER_GROUP)} for g in range(groups)}


def people_in(memberships: int) -> int:
    return max(PER_GROUP, memberships // GROUPS_PER_PERSON)


def first_run(folder: str, memberships: int, share: int, connection: Mapping[str, Any]) -> int:
    """Compare everything once; return the number of orphans."""
    with _runs(folder, memberships, connection) as runs:
        document = runs.run()
    if document["failures"] or document["held"] or bool(document["orphans"]) is not bool(share):
        raise AssertionError(f"first run: {document['failures']} failed, {document['held']} held")
    return int(document["orphans"])


def idle_runs(folder: str, memberships: int, orphans: int, connection: Mapping[str, Any]) -> tuple[list[Idle], float]:
    """Make the idle runs; return their costs, and the peak of this process in MB.

    The invented directory is a part of the memory.
    """
    with _runs(folder, memberships, connection) as runs:
        runs.go_on(after=1)
        idle = [idle_run(runs, Path(folder)) for _ in range(RUNS)]
    if any(one.waiting != orphans for one in idle):
        raise AssertionError(f"{idle[-1].waiting} of {orphans} orphans are open")
    return idle, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def _runs(folder: str, memberships: int, connection: Mapping[str, Any]) -> Iterator[SyntheticRuns]:
    be_quiet()
    with SyntheticRuns(Path(folder), connection, fernet_key=FERNET_KEY, limits=_no_limits()) as runs:
        runs.tell(members_of(memberships), user_names=True)
        yield runs


def _no_limits() -> dict[str, int]:
    many = 10**9
    return {"removals": many, "removals_percent": 100, "per_run": many, "per_day": many, "additions": many,
            "additions_per_run": many}  # fmt: skip


def idle_run(runs: SyntheticRuns, folder: Path) -> Idle:
    size, began = journal_size(folder), time.perf_counter()
    document = runs.run()
    seconds = time.perf_counter() - began
    if document["total_changes"]:
        raise AssertionError(f"an idle run lists {document['total_changes']} changes")
    newest = max((folder / "reports" / DAG_ID).glob("run-*.json"), key=lambda path: path.stat().st_mtime)
    waiting = document["open"]["orphaned"]["count"] if document["open"] else 0
    return Idle(document["requests"]["total"], seconds, journal_size(folder) - size, newest.stat().st_size, waiting)


def journal_size(folder: Path) -> int:
    """Return the bytes of the database in use, without what lies in its write-ahead log."""
    connection = sqlite3.connect(folder / "journal.db")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)
    finally:
        connection.close()


def main() -> int:
    be_quiet()
    failed = []
    print(
        f"{'memberships':>12}{'groups':>8}{'orphans':>9}{'MB peak':>9}   requests, seconds, journal, report: 1st | 10th"
    )
    for memberships in [int(text) for text in sys.argv[1:]] or [10_000, 100_000]:
        groups, people = len(members_of(memberships)), people_in(memberships)
        for share in SHARES:
            known = people - people * share // 100
            seed = genesys_seed(known, {g: [] for g in range(groups)})
            options = SandboxOptions(rate_allowed=None, max_groups_per_user=None)
            with spawn(seed, options) as sandbox, tempfile.TemporaryDirectory() as folder:
                of = (folder, memberships)
                orphans = in_a_process(first_run, *of, share, sandbox.connection())
                idle, peak = in_a_process(idle_runs, *of, orphans, sandbox.connection())
            first, last = idle[0], idle[-1]
            runs = " | ".join(
                f"{one.requests:>3}{one.seconds:>7.2f}{one.journal:>8}{one.report:>7}" for one in (first, last)
            )
            print(f"{memberships:>12}{groups:>8}{last.waiting:>9}{peak:>9.0f}   {runs}", flush=True)
            most = MOST_REQUESTS + max(0, math.ceil(groups / GROUPS_PER_REQUEST) - 1)
            for name, one in (("first", first), ("tenth", last)):
                if one.requests > most:
                    failed.append(f"{memberships}, {share} %, {name}: {one.requests} requests, more than {most}")
                if one.journal > MOST_JOURNAL + (MAPPING_PER_GROUP * groups if name == "first" else 0):
                    failed.append(f"{memberships}, {share} %, {name}: the journal grows by {one.journal} bytes")
    for text in failed:
        print(f"NOT MET: {text}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
