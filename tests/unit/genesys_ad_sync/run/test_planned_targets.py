"""A plan in parts: their size changes no row of the journal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Column, Table, select

from benchmarks.scale_company import BASE, Company, CompanyClient, CompanySession
from benchmarks.synthetic import definition_for
from genesys_ad_sync.directory.entries import Entry
from genesys_ad_sync.journal import Journal, RunKey, grants, tables, view_writer
from genesys_ad_sync.model import Mode, RunRequest
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.stages import map_groups, patch, plan, poll, report, resolve_users
from tests.support.sync_examples import NOON

GROUPS = 4
TABLES = (
    tables.row,
    tables.grant,
    tables.change,
    tables.outcome,
    tables.group_result,
    tables.question,
    tables.pair,
    tables.link,
    tables.membership,
)
LOOSE = {"removals": 900, "removals_percent": 100, "per_run": 900, "per_day": 900, "additions": 900}
LIMITS = {"of a run": {**LOOSE, "per_run": GROUPS - 1}, "of a day": {**LOOSE, "per_day": GROUPS + 2}}


class Runs:
    """A company whose runs follow one another at known times."""

    def __init__(self, folder: Path, journal: Journal, definition: SyncDefinition) -> None:
        self.company = Company(200 * GROUPS)
        self.company.people = 2 * self.company.people  # else each person is in each group
        self.now = NOON
        self._folder, self._journal, self._definition = folder, journal, definition

    def run(self, mode: Mode = Mode.AUTO, changes: list[Entry] | None = None) -> dict[str, Any]:
        self.now += timedelta(minutes=15)
        made: list[TaskContext] = []

        def task(name: str) -> TaskContext:
            made.append(self._task(f"run-{self.now:%H%M}", name, changes or []))
            return made[-1]

        request = RunRequest(run_type="scheduled", mode=mode)
        poll.poll(task("poll"), request)
        map_groups.map_groups(task("map_groups"))
        resolve_users.resolve_users(task("resolve_users"))
        planned = plan.plan(task("plan"))
        for batch in planned["batches"]:
            patch.patch(task(f"patch[{batch['lane']}]"), batch["lane"])
        report.write_report(task("report"), request)
        return planned

    def _task(self, run_id: str, name: str, changes: list[Entry]) -> TaskContext:
        client = CompanyClient(self.company)
        return TaskContext(
            definition=self._definition,
            journal=self._journal.of(self._definition.name),
            key=RunKey("dag", run_id),
            task_key=name,
            directory=cast("Any", lambda: Session(self.company, changes, self.now)),
            client=lambda: cast("Any", client),
            api_url=lambda: "https://api.example.com",
            client_id=lambda: "client",
            reports=ReportStore(self._folder / "reports"),
            clock=lambda: self.now,
            sleep=time.sleep,
            log=lambda _: None,
            lease_wait=timedelta(0),
        )


class Session(CompanySession):
    """Active Directory with a clock of its own."""

    def __init__(self, company: Company, changes: list[Entry], now: datetime) -> None:
        super().__init__(company, changes)
        self._now = now

    def current_time(self) -> datetime:
        return self._now


def stored(journal: Journal) -> dict[str, list[tuple[Any, ...]]]:
    """Return what the journal holds, in the order of its texts.

    The lanes of `patch` record their outcomes in any order.
    """
    with journal.database.engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(*columns_of(table)))), key=str)
            for table in TABLES
        }


def columns_of(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if (table, column.name) != (tables.outcome, "id")]


def four_runs(folder: Path, limits: dict[str, int]) -> Iterator[tuple[str, Any]]:
    """Yield the plan of each run, and what the journal holds after all of them."""
    folder.mkdir()
    definition = definition_for(folder, limits={**limits, "new_pairs": "allow"}, directory={"group_base": BASE})
    with Journal.open(f"sqlite:///{folder}/journal.db") as journal:
        runs = Runs(folder, journal, definition)
        present = sorted(runs.company.genesys.of(1))
        runs.company.genesys.change(1, left=present[:3])  # AD wants them, Genesys lacks them
        yield "first", runs.run()
        yield "few", runs.run(changes=runs.company.swap(GROUPS, begin=7))
        yield "few again", runs.run(changes=runs.company.swap(GROUPS, begin=11))
        yield "full", runs.run(Mode.FULL)
        yield "stored", stored(journal)


@pytest.mark.parametrize(("limits", "size", "held"), [("of a run", 1, [0, 4, 8]), ("of a day", 3, [0, 0, 4])])
def test_parts_of_any_size_give_the_same_plan_and_the_same_rows(
    limits: str, size: int, held: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = dict(four_runs(tmp_path / "whole", LIMITS[limits]))
    assert [expected[run]["counts"]["held"] for run in ("first", "few", "few again")] == held
    assert len(expected["stored"][tables.grant.name]) > 700
    monkeypatch.setattr(grants, "GROUPS_AT_A_TIME", size)
    monkeypatch.setattr(view_writer, "GROUPS_AT_A_TIME", size)
    monkeypatch.setattr(plan, "GRANTS_AT_A_TIME", 100 * size)
    found = dict(four_runs(tmp_path / "parts", LIMITS[limits]))
    for part, value in expected.items():
        assert found[part] == value, part
