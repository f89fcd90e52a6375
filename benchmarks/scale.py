"""What a run costs in a large company, by its size: seconds by stage, peak memory, growth of the journal.

    python -m benchmarks.scale [--memberships 10000 100000] [--kinds first idle …] [--postgresql URL]

Each run is in a process of its own. Active Directory and Genesys Cloud are worked out in that process and answer at
once, so that the product's own time is measured. The exponent says how seconds and memory grow with the number of
memberships: 1 means in proportion. ``--postgresql``: a server where this may create a database, which is dropped again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import multiprocessing
import queue
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text

from benchmarks.scale_stages import Measured, Options, measure

KINDS = ("first", "idle", "idle-again", "few", "touched", "patch", "full", "history", "idle-after", "full-after")
STAGES = ("poll", "map_groups", "resolve_users", "plan", "patch", "report", "history")
CHANGED = {"few": 5, "touched": 2000, "patch": 5000, "history": 1000}
"""Groups in which two changes are made, people whom the HR feed writes, groups to patch, runs of the past."""


def main() -> int:
    asked = _arguments()
    results: list[Measured] = []
    for backend in ("SQLite", *(["PostgreSQL"] if asked.postgresql else [])):
        print(f"\n{backend}\n{_header()}", flush=True)
        of_backend = []
        for memberships in asked.memberships:
            with _journal(backend, asked.postgresql) as (url, folder):
                for kind in asked.kinds:
                    measured = _in_a_process(_options(asked, kind, url, folder, memberships))
                    measured.kind = kind
                    of_backend.append(measured)
                    print(_line(measured), flush=True)
        for text_ in exponents(of_backend):
            print(text_, flush=True)
        results += of_backend
    if asked.json:
        Path(asked.json).write_text(json.dumps([dataclasses.asdict(one) for one in results], indent=1))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--memberships", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--postgresql", help="URL of a database of a server, for example postgresql://me@host/postgres")
    parser.add_argument("--orphans", type=float, default=0.0, help="percent of the people without a Genesys user")
    parser.add_argument("--patch-groups", type=int, default=CHANGED["patch"])
    parser.add_argument("--runs", type=int, default=CHANGED["history"], help="runs of the past")
    parser.add_argument("--json", help="a file for all figures")
    return parser.parse_args()


def _options(asked: argparse.Namespace, kind: str, url: str, folder: str, memberships: int) -> Options:
    changed = {**CHANGED, "patch": asked.patch_groups, "history": asked.runs}.get(kind, 0)
    return Options(kind.split("-", maxsplit=1)[0], url, folder, memberships, changed, asked.orphans)


@contextmanager
def _journal(backend: str, server: str | None) -> Iterator[tuple[str, str]]:
    """Yield the URL of an empty database, and a folder for reports."""
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        if backend == "SQLite":
            yield f"sqlite:///{folder}/journal.db", folder
            return
        name = f"scale_{uuid.uuid4().hex}"
        engine = create_engine(make_url(str(server)), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(f"CREATE DATABASE {name}"))
            yield make_url(str(server)).set(database=name).render_as_string(hide_password=False), folder
            with engine.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        finally:
            engine.dispose()


def _in_a_process(options: Options) -> Measured:
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    process = context.Process(target=_answer, args=(options, answers))
    process.start()
    try:
        while True:
            try:
                measured: Measured = answers.get(timeout=5)
                break
            except queue.Empty:
                if process.exitcode not in (None, 0):
                    raise RuntimeError(f"{options.kind} at {options.memberships} failed, see above") from None
    finally:
        process.join()
    return measured


def _answer(options: Options, answers: Any) -> None:
    answers.put(measure(options))


# -- the table ----------------------------------------------------------------------------------------


def _header() -> str:
    stages = "".join(f"{stage[:9]:>10}" for stage in STAGES)
    return (
        f"{'':<12}{'memberships':>12}{'seconds':>9}{'CPU':>8}{'MB peak':>9}{'journal KB':>12}{'statements':>12}"
        f"{'lock s':>8}{'XCom KB':>9}{stages}"
    )


def _line(one: Measured) -> str:
    stages = "".join(f"{one.seconds.get(stage, 0.0):>10.2f}" for stage in STAGES)
    per_group = f"   {1000 * one.cpu['patch'] / one.groups_written:.1f} ms CPU a group" if one.groups_written else ""
    return (
        f"{one.kind:<12}{one.memberships:>12}{sum(one.seconds.values()):>9.2f}{sum(one.cpu.values()):>8.2f}"
        f"{one.peak_mb:>9.0f}{one.journal_bytes / 1024:>12.0f}{one.statements:>12}{one.longest_write:>8.2f}"
        f"{sum(one.xcom_bytes.values()) / 1024:>9.1f}{stages}{per_group}"
    )


def exponents(results: list[Measured]) -> list[str]:
    """Return a line for each kind and step between two sizes."""
    lines = []
    for kind in dict.fromkeys(one.kind for one in results):
        of_kind = sorted((one for one in results if one.kind == kind), key=lambda one: one.memberships)
        for small, large in pairwise(of_kind):
            if small.memberships == large.memberships:
                continue  # measured several times
            factor = math.log(large.memberships / small.memberships)
            grown = {
                "seconds": (sum(small.seconds.values()), sum(large.seconds.values())),
                "CPU": (sum(small.cpu.values()), sum(large.cpu.values())),
                "memory": (small.peak_mb - small.base_mb, large.peak_mb - large.base_mb),
                "statements": (small.statements, large.statements),
            }
            shown = ", ".join(
                f"{name} {math.log(after / before) / factor:.2f}"
                for name, (before, after) in grown.items()
                if before > 0 and after > 0
            )
            lines.append(f"exponents {kind} {small.memberships} to {large.memberships}: {shown}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
