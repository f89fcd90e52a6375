"""How fast each page of the Airflow plugin is, and how large, by the size of the journal.

    python -m benchmarks.pages [--memberships 10000 100000 1000000] [--runs 10000] [--url postgresql://…] [--only TEXT]

Fills a journal as `benchmarks.explain` does (by default a SQLite file that is removed again; a database that is named
and not empty is taken as it is), and asks the app for each page, as Airflow's API server does once it has let somebody
in. Milliseconds are those to the first byte, which is when the whole page is made: of the first request after the API
server's start, and the best of five later ones. The goals: less than 200 ms later on, less than 300 KB, and no more
with a longer history. Exits with 1 if a page misses a goal.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from sqlalchemy import text

from benchmarks.explain import DAG, NAME, NOW, Company, fill, genesys_group, genesys_user, person
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.settings import SyncDefinition, parse_definition
from genesys_ad_sync_airflow.pages.access import Viewer, viewer
from genesys_ad_sync_airflow.pages.app import create_app
from genesys_ad_sync_airflow.pages.sources import Sources

GOAL_MS = 200.0
GOAL_BYTES = 300 * 1024
TRIES = 5


@dataclass(frozen=True)
class Measured:
    """A page. ``first`` and ``ms``: milliseconds to the first byte, of the first request and later on.

    ``first_cpu`` and ``cpu``: milliseconds of the processor in this process; ``server``: in PostgreSQL, later on, if it
    is on this machine. On a busy machine, only these mean something.
    """

    first: float
    first_cpu: float
    ms: float
    cpu: float
    server: float
    size: int

    @property
    def good(self) -> bool:
        return self.ms < GOAL_MS and self.size < GOAL_BYTES


class MayAll(Viewer):
    """Somebody with every right: how long Airflow takes to answer that is not measured."""

    def __init__(self) -> None:
        super().__init__(SimpleAuthManagerUser(username="benchmark", role=None))

    def may(self, *_: Any) -> bool:
        return True


def definition() -> SyncDefinition:
    return parse_definition(
        'directory: {group_base: "OU=cc,DC=t"}\n'
        'groups: [{name: "Team (?P<number>.+)", genesys_name: "Queue {number}"}]\n'
        'report: {path: "file:///nowhere"}'
    )


def addresses(company: Company) -> dict[str, str]:
    """Return path and query of each page, by what it is."""
    middle = company.people // 2

    def at(path: str, **query: object) -> str:
        return f"/{path}?{urlencode(query)}" if query else f"/{path}"

    return {
        "overview": at(""),
        "runs": at("runs"),
        "runs, old ones": at("runs", before=company.runs // 10),
        "runs, part of the run id": at("runs", text="run-77"),
        "runs, of a state that none has": at("runs", state="failed"),
        "run": at("run", dag_id=DAG, run_id=f"run-{company.runs - 1}"),
        "run with a tenth of the memberships": at("run", dag_id=DAG, run_id=f"run-{company.large_run}"),
        "the same, of a status that none has": at(
            "run", dag_id=DAG, run_id=f"run-{company.large_run}", status="failed"
        ),
        "to do": at("todo"),
        "to do, one cause": at("todo/cause", definition=NAME, status="held", reason="over_limit"),
        "group": at("group", definition=NAME, id=genesys_group(1)),
        "group with half of the people": at("group", definition=NAME, id=genesys_group(0)),
        "the same, last page": at("group", definition=NAME, id=genesys_group(0), number=10**6),
        "person": at("person", guid=person(middle)),
        "person that AD does not know": at("person", user="hand-1-1"),
        "search, nothing yet": at("search"),
        "search by name": at("search", q=f"Person Nr {middle}"),
        "search by mail": at("search", q=f"person.{middle}@example.com"),
        "search by objectGUID": at("search", q=person(middle)),
        "search by Genesys id": at("search", q=genesys_user(middle)),
        "search by the name of a member by hand": at("search", q="Hand 77"),
        "search by group": at("search", q="Queue 1", kind="groups"),
        "search, nobody of that name": at("search", q="nobody"),
        "search, nobody, two words": at("search", q="nobody else"),
        "search, nobody, an umlaut": at("search", q="Müller"),
        "search, nobody, an umlaut and two words": at("search", q="Person Nr Ü"),
        "search by a name with an umlaut": at("search", q=f"person nr {middle + 1} jäger"),
        "search, part of all names": at("search", q="Person"),
        "mapping preview, form": at("preview"),
    }


async def _ask(app: Any, address: str) -> tuple[float, int, int]:
    """Return the seconds to the first byte, the status and the size of a page."""
    path, _, query = address.partition("?")
    began, first, status, size = time.perf_counter(), 0.0, 0, 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal first, status, size
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            first = first or time.perf_counter() - began
            size += len(message.get("body", b""))

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(b"host", b"localhost"), (b"accept", b"text/html")], "server": ("localhost", 80),
        "client": ("localhost", 1),
    }  # fmt: skip
    await app(scope, receive, send)
    return first, status, size


def measure(journal: Journal, company: Company, only: str = "") -> dict[str, Measured]:
    """Return the figures of each page."""
    known = {NAME: definition()}
    app = create_app(Sources(journal=lambda: journal, definitions=lambda: known, clock=lambda: NOW))
    app.inner.dependency_overrides[get_user] = lambda: None
    app.inner.dependency_overrides[viewer] = MayAll
    found = {}
    for name, address in addresses(company).items():
        if only not in name:
            continue
        tries, cpu, server = [], [], []
        for _ in range(TRIES + 1):
            before, server_before = time.process_time(), _server_seconds(journal)
            tries.append(asyncio.run(_ask(app, address)))
            cpu.append(time.process_time() - before)
            server.append(_server_seconds(journal) - server_before)
        assert {status for _, status, _ in tries} == {200}, (name, tries)
        first, later = tries[0][0], min(seconds for seconds, _, _ in tries[1:])
        best_cpu, best_server = min(cpu[1:]) * 1000, min(server[1:]) * 1000
        found[name] = Measured(first * 1000, cpu[0] * 1000, later * 1000, best_cpu, best_server, tries[-1][2])
    return found


def _server_seconds(journal: Journal) -> float:
    """Return the seconds that the processor spent for the journal's connections to PostgreSQL on this machine."""
    engine = journal.database.engine
    if engine.dialect.name == "sqlite":
        return 0.0
    with engine.connect() as connection:
        pids = connection.scalars(text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")).all()
    files = [Path(f"/proc/{pid}/schedstat") for pid in pids]
    return sum(int(file.read_text().split()[0]) for file in files if file.exists()) / 1e9


def measured(company: Company, url: str, only: str) -> dict[str, Measured]:
    with Journal.open(url) as journal:
        if not journal.lookups.definitions():
            began = time.perf_counter()
            fill(journal, company)
            took = time.perf_counter() - began
            print(
                f"{company.memberships:,} memberships, {company.runs:,} runs: filled in {took:.0f} s", file=sys.stderr
            )
        return measure(journal, company, only)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--memberships", type=int, nargs="+", default=[10_000])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--url", help="a database, for one size; filled if it is empty; default: a SQLite file")
    parser.add_argument("--only", default="", metavar="TEXT", help="only pages with this text in their name")
    options = parser.parse_args()
    if options.url and len(options.memberships) > 1:
        parser.error("a database takes one size")
    logging.disable(logging.WARNING)
    good = True
    for size in options.memberships:
        with tempfile.TemporaryDirectory() as folder:
            url = options.url or f"sqlite:///{Path(folder) / 'journal.db'}"
            found = measured(Company(size, options.runs), url, options.only)
        columns = "".join(f"{name:>10}" for name in ("first ms", "cpu", "later ms", "cpu", "server", "KB"))
        print(f"{f'{size:,} memberships, {options.runs:,} runs':<42}{columns}")
        for name, page in found.items():
            figures = "".join(
                f"{figure:>10.1f}"
                for figure in (page.first, page.first_cpu, page.ms, page.cpu, page.server, page.size / 1024)
            )
            print(f"{name:<42}{figures}{'' if page.good else '  over the goal'}")
        good &= all(page.good for page in found.values())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
