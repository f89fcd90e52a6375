"""How long the pages take, and how large they are, by the size of the journal.

    python -m benchmarks.pages [--memberships 1000000] [--runs 10000] [--url postgresql://…]

Fills a journal as `benchmarks.explain` does (a database that is named and not empty is taken as it is) and
asks the app for each page, without Airflow's login. Seconds are those until the answer is complete: of the first
request after the API server's start, and the best of five later ones.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from airflow.api_fastapi.core_api.security import get_user
from starlette.testclient import TestClient

from benchmarks.explain import DAG, NOW, Company, fill
from genesys_ad_sync.journal import Journal
from genesys_ad_sync_airflow.pages.access import viewer
from genesys_ad_sync_airflow.pages.app import create_app
from genesys_ad_sync_airflow.pages.sources import Sources

PAGES = {
    "overview": "/",
    "runs": "/runs",
    "runs, by a part of the id": "/runs?text=run-9",
    "runs, of a state that none has": "/runs?state=failed",
    "run": f"/run?dag_id={DAG}&run_id=run-1",
    "to do": "/todo",
    "to do, one cause": "/todo/cause?definition=default&status=held&reason=over_limit",
}
TRIES = 5


class Everybody:
    """A viewer that may see everything."""

    def may(self, right: str, dag_id: str) -> bool:  # noqa: ARG002  as Viewer has it
        return True

    def must(self, right: str, dag_id: str) -> None:
        """Refuse nothing."""


def measure(journal: Journal) -> list[tuple[str, float, float, int]]:
    """Return for each page: its name, the seconds of the first and of the best later request, and its bytes."""
    app = create_app(Sources(journal=lambda: journal, definitions=dict, clock=lambda: NOW))
    app.inner.dependency_overrides[get_user] = lambda: None
    app.inner.dependency_overrides[viewer] = Everybody
    browser = TestClient(app)
    return [(name, *_page(browser, path)) for name, path in PAGES.items()]


def _page(browser: TestClient, path: str) -> tuple[float, float, int]:
    seconds = []
    answer: Any = None
    for _ in range(TRIES + 1):
        began = time.perf_counter()
        answer = browser.get(path)
        seconds.append(time.perf_counter() - began)
        assert answer.status_code == 200, answer.text  # noqa: PLR2004
    return seconds[0], min(seconds[1:]), len(answer.content)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--memberships", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--url", help="a database; filled if it is empty")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Journal.open(options.url or f"sqlite:///{Path(folder) / 'journal.db'}") as journal,
    ):
        if not journal.lookups.definitions():
            fill(journal, Company(options.memberships, options.runs))
        print(f"{'page':<32}{'first s':>9}{'later s':>9}{'bytes':>10}")
        for name, first, later, size in measure(journal):
            print(f"{name:<32}{first:>9.3f}{later:>9.3f}{size:>10,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
