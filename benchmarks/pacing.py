"""How much of the rate limit processes on one token use; how often they are refused.

    python -m benchmarks.pacing

They are measured alone, and beside a rival that takes 40 % of it. The sandbox shortens the window.
Share: of what the reserve and the rival leave in the windows that were filled from beginning to end.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from cryptography.fernet import Fernet, MultiFernet

from benchmarks.synthetic import CONNECTION, be_quiet, genesys_seed, group_id
from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync_airflow.genesys_cloud.hook import GenesysCloudHook
from genesys_ad_sync_airflow.token_store import JournalTokenStore
from sandbox.genesys_cloud import SandboxOptions, spawn

if TYPE_CHECKING:
    from collections.abc import Mapping

ALLOWED, WINDOW, RESERVE = 300, 12.0, 10  # requests, seconds, percent
WINDOWS = 3  # that are measured
WORKERS = 5  # threads of each lane, as `genesys.workers`
RIVAL_SHARE = 0.4
LEAST_SHARE = 0.95  # of the budget


def lane(connection: Mapping[str, Any], folder: str, key: bytes, all_ready: Any) -> None:
    """Use the rate limit as a mapped `patch` does: requests from five threads."""
    be_quiet()
    os.environ[f"AIRFLOW_CONN_{CONNECTION.upper()}"] = json.dumps(dict(connection))
    with Journal.open(f"sqlite:///{folder}/journal.db") as journal:
        store = JournalTokenStore(lambda: journal, MultiFernet([Fernet(key)]))
        hook = GenesysCloudHook(CONNECTION, rate_reserve=RESERVE, token_store=store)

        hook.settings  # noqa: B018  # read before the start, which all lanes have at the same moment
        all_ready.wait(timeout=300)
        until = time.time() + (WINDOWS + 2) * WINDOW

        def work(_: int) -> None:
            while time.time() < until:
                hook.call("GET", f"/api/v2/groups/{group_id(0)}/individuals")

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(work, range(WORKERS)))


class Rival(threading.Thread):
    """Another integration on the same token.

    It reads no headers; it just takes its share, evenly.
    """

    def __init__(self, url: str, authorization: str) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.refused = 0
        self._url = f"{url}/api/v2/groups/{group_id(1)}"
        self._authorization = authorization

    def run(self) -> None:
        pause = WINDOW / (ALLOWED * RIVAL_SHARE)
        began, sent = time.monotonic(), 0
        with requests.Session() as session:
            session.trust_env = False
            while not self.over.wait(max(0.0, began + sent * pause - time.monotonic())):
                answer = session.get(self._url, headers={"Authorization": self._authorization}, timeout=10)
                self.refused += answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
                sent += 1


def measure(lanes: int, *, rival: bool) -> dict[str, float]:
    """Measure one setting: so many lanes, with or without a rival."""
    options = SandboxOptions(rate_allowed=ALLOWED, rate_window=WINDOW, token_requests_per_window=3)
    with spawn(genesys_seed(1, {0: [0], 1: [0]}), options) as sandbox, tempfile.TemporaryDirectory() as folder:
        key = Fernet.generate_key()
        connection = sandbox.connection()
        os.environ[f"AIRFLOW_CONN_{CONNECTION.upper()}"] = json.dumps(connection)
        with Journal.open(f"sqlite:///{Path(folder) / 'journal.db'}") as journal:
            store = JournalTokenStore(lambda: journal, MultiFernet([Fernet(key)]))
            hook = GenesysCloudHook(CONNECTION, token_store=store)
            # The rival gets the very token.
            with hook.get_conn() as session:
                authorization = session.prepare_request(requests.Request("GET", sandbox.url)).headers["Authorization"]
        taker = Rival(sandbox.url, authorization) if rival else None
        if taker:
            taker.start()
        context = multiprocessing.get_context("spawn")
        all_ready = context.Barrier(lanes)
        processes = [context.Process(target=lane, args=(connection, folder, key, all_ready)) for _ in range(lanes)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if taker:
            taker.over.set()
            taker.join()
        log = sandbox.requests(path="^/api/v2/groups/")
        tokens = len(sandbox.requests(path="^/oauth/token"))
    return {**figures(log), "rival_429": taker.refused if taker else 0, "tokens": tokens}


def figures(log: list[dict[str, Any]]) -> dict[str, float]:
    """Compute the figures of one setting from the sandbox's log.

    Windows are cut as the sandbox cuts them: one begins with the first request after the one before has ended.
    """
    ours = [entry for entry in log if entry["path"].endswith("/individuals")]
    windows: list[Counter[str]] = []
    starts: list[float] = []
    for entry in log:
        if not starts or entry["time"] >= starts[-1] + WINDOW:
            starts.append(entry["time"])
            windows.append(Counter())
        windows[-1]["ours" if entry["path"].endswith("/individuals") else "rival"] += 1
    first = ours[0]["time"]
    whole = [
        (counts, start)
        for counts, start, end in zip(windows, starts, starts[1:], strict=False)
        if start >= first and end <= ours[-1]["time"]
    ]
    left = sum(ALLOWED * (1 - RESERVE / 100) - counts["rival"] for counts, _ in whole)
    used = sum(counts["ours"] for counts, _ in whole)
    # time lost between windows counts as well: a window that could have begun earlier
    length = (whole[-1][1] - whole[0][1]) / (len(whole) - 1) if len(whole) > 1 else WINDOW
    return {
        "windows": len(whole),
        "share": used / left * WINDOW / length if left else 0.0,
        "requests": len(ours),
        "refused": sum(entry["status"] == HTTPStatus.TOO_MANY_REQUESTS for entry in ours),
    }


def main() -> int:
    be_quiet()
    failed = []
    print(
        f"{'lanes':>6}{'rival':>7}{'windows':>9}{'share':>8}{'requests':>10}{'429':>6}{'429 of rival':>14}{'tokens':>8}"
    )
    for rival in (False, True):
        for lanes in (1, 4, 8):
            got = measure(lanes, rival=rival)
            print(
                f"{lanes:>6}{'40 %' if rival else 'no':>7}{got['windows']:>9}{got['share']:>8.1%}{got['requests']:>10}"
                f"{got['refused']:>6}{got['rival_429']:>14}{got['tokens']:>8}",
                flush=True,
            )
            if got["share"] < LEAST_SHARE:
                failed.append(
                    f"{lanes} lanes, rival {rival}: {got['share']:.1%} of the budget, less than {LEAST_SHARE:.0%}"
                )
            if got["refused"] > (0.005 * got["requests"] if rival else 0):
                failed.append(f"{lanes} lanes, rival {rival}: {got['refused']} times refused")
    for text in failed:
        print(f"NOT MET: {text}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
