"""The scheduler was down over several windows while AD changed: backfill makes up for them, in either direction.

Figures (runs, writes, rows) are printed: `pytest -rP tests/system/test_catch_up.py`. No run has to be faster than the
schedule: after the missed windows it has no tick for a year.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import pytest
import yaml

from sandbox import company, demo
from sandbox.airflow_stack import FINISHED
from sandbox.directory_objects import AddGroup, AddMember, Change, Group, RemoveMember
from tests.support.stack import MINUTE, Stack, ticks, until

FORWARD, BACKWARDS = "forward", "backwards"
OPTIONS = {FORWARD: (), BACKWARDS: ("--run-backwards",)}
FIRST = (("nina.nagel", "paul.peters"), ("petra.pohl", "oskar.opitz"))


def changes(one: str, two: str) -> tuple[list[Change], ...]:
    """Return the changes in AD in each of the windows that nobody sees.

    They are in the groups with these two sAMAccountNames. Rosa comes and goes; Petra goes and comes back.
    """
    return (
        [AddMember(one, "rosa.richter"), RemoveMember(two, "petra.pohl")],
        [RemoveMember(one, "rosa.richter"), AddMember(two, "lena.lang")],
        [RemoveMember(one, "nina.nagel"), AddMember(two, "petra.pohl")],
    )


@dataclass
class Missed:
    """One sync definition and the windows that its scheduler missed.

    ``people``: the members of its Genesys groups before the windows. ``backfilled``: run ids, by window.
    """

    stack: Stack
    direction: str
    windows: list[tuple[datetime, datetime]] = field(default_factory=list)
    people: dict[str, set[str]] = field(default_factory=dict)
    before: int = 0
    known: set[str] = field(default_factory=set)
    backfilled: list[str] = field(default_factory=list)

    @property
    def dag_id(self) -> str:
        return f"genesys_ad_group_sync__missed-{self.direction}"

    @property
    def groups(self) -> dict[str, str]:
        """Genesys group names by the AD groups' sAMAccountNames."""
        return {f"{self.direction}-{n}": f"Missed {self.direction} {n}" for n in ("one", "two")}

    def define(self, **schedule: str) -> None:
        keys = demo.definition(
            self.stack.reports,
            full_schedule="@yearly",
            groups=[{"name": f"(?P<same>Missed {self.direction} .+)", "genesys_name": "{same}"}],
            limits={"removals_percent": 100},
            **schedule,
        )
        (self.stack.airflow.config_dir / f"missed-{self.direction}.yaml").write_text(yaml.safe_dump(keys))

    def now(self) -> dict[str, set[str]]:
        return {name: self.stack.individuals(name) for name in self.groups.values()}

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs of the DAG that were not there before the windows."""
        return [run for run in self.stack.airflow.runs(self.dag_id) if run["dag_run_id"] not in self.known]

    def create_backfill(self, *options: str) -> None:
        """`airflow backfill create` over the windows, as a person types it."""
        first, last = self.windows[0][0], self.windows[-1][0]
        options = ("--max-active-runs", "3", *OPTIONS[self.direction], *options)
        self.stack.create_backfill(self.dag_id, first, last, *options)
        by_start = {instant(run["data_interval_start"]): run["dag_run_id"] for run in self.runs()}
        self.backfilled = [by_start[start] for start, _ in self.windows]

    def finish(self) -> None:
        """Wait until every run is over and Airflow has closed the backfill; before that it allows no other one."""
        until("all runs to end", lambda: all(run["state"] in FINISHED for run in self.stack.airflow.runs(self.dag_id)))
        until("Airflow to close the backfill", self._backfills_closed)

    def _backfills_closed(self) -> bool:
        backfills = self.stack.airflow.api("GET", f"backfills?dag_id={self.dag_id}")["backfills"]
        return all(backfill["completed_at"] for backfill in backfills)

    def writes(self) -> list[dict[str, Any]]:
        return [write for group in self.groups.values() for write in self.stack.writes(self.before, group)]

    def difference(self) -> Counter[tuple[str, str, str]]:
        """(group, user, action) -> 1, of what is otherwise now than before the windows."""
        now = self.now()
        joined = [(group, user, "add") for group in now for user in now[group] - self.people[group]]
        left = [(group, user, "remove") for group in now for user in self.people[group] - now[group]]
        return Counter(joined + left)

    def equal(self) -> None:
        """Genesys = AD, by plain LDAP and the sandbox's state."""
        truth = self.stack.directory.truth_by_name()
        wanted = {name: {company.genesys_user_of(person) for person in truth[sam]} for sam, name in self.groups.items()}
        assert self.now() == wanted

    def settled(self, runs: Sequence[dict[str, Any]]) -> Counter[tuple[str, str, str]]:
        """(group, user, action) -> in how many of the runs' reports it is listed as done by that run."""
        return Counter(
            (row["genesys_group"]["name"], row["user_id"], row["action"])
            for run in runs
            for row in self.stack.report(self.dag_id, run["dag_run_id"])["details"]
            if row["status"] == "success" and row["settled_by"] is None
        )


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def wait_until(when: datetime) -> None:
    time.sleep(max(0.0, (when - datetime.now(timezone.utc)).total_seconds() + 0.2))


@pytest.fixture(scope="module")
def world(stack: Stack) -> dict[str, Missed]:
    """Two definitions with two groups each, one for each direction. The first run of each is over."""
    world = {direction: Missed(stack, direction) for direction in OPTIONS}
    seed = stack.genesys.snapshot()
    for missed in world.values():
        stack.directory.apply(
            [AddGroup(Group(sam, name, who)) for (sam, name), who in zip(missed.groups.items(), FIRST, strict=True)]
        )
        for name in missed.groups.values():
            seed["groups"].append({"id": company.genesys_id("group", name), "name": name, "individuals": []})
        missed.define(schedule="@yearly")
    stack.genesys.load_seed(seed)
    for missed in world.values():
        stack.airflow.wait_for_dag(missed.dag_id)
        stack.airflow.unpause(missed.dag_id)
    for missed in world.values():
        (first,) = until("the first run", lambda missed=missed: stack.airflow.runs(missed.dag_id))
        assert stack.airflow.wait_for_run(missed.dag_id, first["dag_run_id"]) == "success"
        missed.equal()
    return world


@pytest.fixture(scope="module")
def caught_up(world: dict[str, Missed]) -> dict[str, Missed]:
    """AD changed in three windows of a minute while the scheduler was down. Both backfills are over."""
    stack = next(iter(world.values())).stack
    happens = [changes(*missed.groups) for missed in world.values()]
    stack.airflow.stop_service("scheduler")
    for missed in world.values():
        missed.before, missed.people = stack.mark(), missed.now()
        missed.known = {run["dag_run_id"] for run in stack.airflow.runs(missed.dag_id)}
    start = datetime.now(timezone.utc).replace(second=0, microsecond=0) + MINUTE
    windows = [(start + n * MINUTE, start + (n + 1) * MINUTE) for n in range(3)]
    for missed in world.values():
        missed.windows = windows
        missed.define(**ticks(start, 4))
    for number, (begins, ends) in enumerate(windows):
        wait_until(begins)
        for of_definition in happens:
            stack.directory.apply(of_definition[number])
        wait_until(ends)
    for missed in world.values():
        # what a scheduler that comes back would run next: the last of the windows
        stack.wait_for_next_run(missed.dag_id, windows[-1][0])
    with stack.nobody_else_writes():
        for missed in world.values():
            missed.create_backfill()
    for missed in world.values():
        missed.finish()
    return world


@dataclass(frozen=True)
class Reprocessed:
    """``earlier``: the reports from before, by run id. ``mark``: for `Stack.writes`."""

    earlier: dict[str, dict[str, Any]]
    mark: int


@pytest.fixture(scope="module")
def reprocessed(caught_up: dict[str, Missed]) -> dict[str, Reprocessed]:
    """Make the same backfills once more, with `--reprocess-behavior completed`."""
    stack = next(iter(caught_up.values())).stack
    before = {
        direction: Reprocessed({run: stack.report(missed.dag_id, run) for run in missed.backfilled}, stack.mark())
        for direction, missed in caught_up.items()
    }
    with stack.nobody_else_writes():
        for direction, missed in caught_up.items():
            missed.create_backfill("--reprocess-behavior", "completed")
            assert missed.backfilled == list(before[direction].earlier)
    for missed in caught_up.values():
        missed.finish()
    return before


@pytest.mark.parametrize("direction", OPTIONS)
def test_windows_missed_by_a_stopped_scheduler_are_made_up_for_by_backfill(
    caught_up: dict[str, Missed], direction: str
) -> None:
    missed = caught_up[direction]
    made = missed.runs()
    assert {run["state"] for run in made} == {"success"}
    assert [run["dag_run_id"] for run in made if run["run_type"] == "backfill"] == missed.backfilled
    for run_id, (start, end) in zip(missed.backfilled, missed.windows, strict=True):
        window = missed.stack.report(missed.dag_id, run_id)["window"]
        assert (instant(window["start"]), instant(window["end"])) == (start, end)
    missed.equal()
    done = missed.settled(made)
    assert done == missed.difference()  # who came and went, or went and came back, is no change any more
    assert len(done) >= 2
    writes = missed.writes()
    assert len(writes) == 2
    print(f"{len(made)} runs ({Counter(run['run_type'] for run in made)}), {len(writes)} writes, {len(done)} changes")


@pytest.mark.parametrize("direction", OPTIONS)
def test_windows_that_are_processed_again_write_nothing_and_keep_their_rows(
    caught_up: dict[str, Missed], reprocessed: dict[str, Reprocessed], direction: str
) -> None:
    missed, before = caught_up[direction], reprocessed[direction]
    assert [write for group in missed.groups.values() for write in missed.stack.writes(before.mark, group)] == []
    missed.equal()
    for run_id, earlier in before.earlier.items():
        report = missed.stack.report(missed.dag_id, run_id)
        assert (report["run_type"], report["attempt"]) == ("backfill", earlier["attempt"] + 1)
        assert done_rows(report) == done_rows(earlier)
    print(f"processed again: {len(missed.backfilled)} runs, no write")


def done_rows(report: dict[str, Any]) -> list[str]:
    """Return the rows that the run itself settled."""
    done = [row for row in report["details"] if row["status"] == "success" and row["settled_by"] is None]
    return sorted(json.dumps(row, sort_keys=True) for row in done)
