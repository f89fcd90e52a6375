"""The scheduler was down over several windows while AD changed: they are made up for by backfill, in either direction.

Figures (runs, writes, rows) are printed: `pytest -rP tests/system/test_catch_up.py`.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import yaml

from include.sandbox import company, demo
from include.sandbox.airflow_stack import FINISHED
from include.sandbox.directory_objects import AddGroup, AddMember, Change, Group, RemoveMember
from tests.fixtures.stack import Stack, until

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, eq=False)
class Direction:
    """A sync definition with a DAG and two groups of its own, and the way in which its missed windows are made up for.

    ``windows``: what happens in AD in each of those that nobody sees. In each direction, somebody comes and goes, and
    somebody goes and comes back."""

    name: str
    options: tuple[str, ...]
    windows: tuple[list[Change], ...]

    @property
    def dag(self) -> str:
        return f"genesys_ad_group_sync__{self.name}"

    @property
    def groups(self) -> dict[str, str]:
        """sAMAccountName -> name, in AD and in Genesys."""
        return {f"{self.name}-{number}": f"{self.name} {number}" for number in ("one", "two")}


FORWARD = Direction(
    "forward",
    (),
    (
        [AddMember("forward-one", "rosa.richter"), RemoveMember("forward-two", "petra.pohl")],
        [RemoveMember("forward-one", "rosa.richter"), AddMember("forward-two", "lena.lang")],
        [RemoveMember("forward-one", "nina.nagel"), AddMember("forward-two", "petra.pohl")],
    ),
)
BACKWARDS = Direction(
    "backwards",
    ("--run-backwards",),
    (
        [RemoveMember("backwards-two", "petra.pohl"), AddMember("backwards-one", "mario.maier")],
        [AddMember("backwards-two", "rosa.richter"), RemoveMember("backwards-two", "oskar.opitz")],
        [RemoveMember("backwards-two", "rosa.richter"), AddMember("backwards-two", "petra.pohl")],
    ),
)
DIRECTIONS = (FORWARD, BACKWARDS)


@dataclass
class Missed:
    """The windows in which the scheduler was down. From before them: ``before``, a mark for `Stack.writes`,
    ``people``, the members of the Genesys groups, and ``known``, the runs."""

    stack: Stack
    direction: Direction
    windows: list[tuple[datetime, datetime]]
    before: int
    people: dict[str, set[str]]
    known: set[str]

    def backfill(self, *options: str) -> list[str]:
        """`airflow backfill create` over the windows, as a person types it. Gives the run ids, by window."""
        done = self.stack.airflow.airflow(
            *("backfill", "create", "--dag-id", self.direction.dag, "--max-active-runs", "3"),
            *(*self.direction.options, *options),
            *("--from-date", self.windows[0][0].isoformat(), "--to-date", self.windows[-1][0].isoformat()),
        )
        assert "error" not in done.lower(), done
        by_start = {instant(run["data_interval_start"]): run["dag_run_id"] for run in runs(self.stack, self.direction)}
        return [by_start[start] for start, _ in self.windows]

    def made(self) -> list[dict[str, Any]]:
        """The runs since."""
        return [run for run in runs(self.stack, self.direction) if run["dag_run_id"] not in self.known]

    def writes(self) -> list[dict[str, Any]]:
        return [write for group in self.direction.groups.values() for write in self.stack.writes(self.before, group)]

    def difference(self) -> Counter[tuple[str, str, str]]:
        """(group, user, action) -> 1, of what is otherwise now than before the windows."""
        now = people(self.stack, self.direction)
        joined = [(group, user, "add") for group in now for user in now[group] - self.people[group]]
        left = [(group, user, "remove") for group in now for user in self.people[group] - now[group]]
        return Counter(joined + left)

    def equal(self) -> None:
        """Genesys = AD, by plain LDAP and the sandbox's state."""
        truth = self.stack.directory.truth_by_name()
        wanted = {
            name: {company.genesys_user_of(person) for person in truth[sam]}
            for sam, name in self.direction.groups.items()
        }
        assert people(self.stack, self.direction) == wanted


def people(stack: Stack, direction: Direction) -> dict[str, set[str]]:
    return {name: stack.individuals(name) for name in direction.groups.values()}


def runs(stack: Stack, direction: Direction) -> list[dict[str, Any]]:
    return stack.airflow.runs(direction.dag)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@pytest.fixture
def world(stack: Stack) -> Iterator[Stack]:
    """Two definitions that run every minute, each with two groups that nobody else maps. Their first runs are over, and
    they are paused. Whatever happens, the tests after this one have a scheduler."""
    first = (("nina.nagel", "paul.peters"), ("petra.pohl", "oskar.opitz"))
    seed = stack.genesys.snapshot()
    for direction in DIRECTIONS:
        named = zip(direction.groups.items(), first, strict=True)
        stack.directory.apply([AddGroup(Group(sam, name, members)) for (sam, name), members in named])
        for name in direction.groups.values():
            seed["groups"].append({"id": company.genesys_id("group", name), "name": name, "individuals": []})
    stack.genesys.load_seed(seed)
    for direction in DIRECTIONS:
        keys = demo.definition(
            stack.reports,
            schedule="* * * * *",
            full_schedule="@yearly",
            groups=[{"name": f"(?P<same>{direction.name} .+)", "genesys_name": "{same}"}],
            limits={"removals_percent": 100},
        )
        (stack.airflow.config_dir / f"{direction.name}.yaml").write_text(yaml.safe_dump(keys))
    for direction in DIRECTIONS:
        stack.airflow.wait_for_dag(direction.dag, timeout=180)
        stack.airflow.unpause(direction.dag)
    for direction in DIRECTIONS:
        until(
            "a first scheduled run",
            lambda direction=direction: [run for run in runs(stack, direction) if run["state"] == "success"],
        )
    come_to_rest(stack)
    yield stack
    stack.airflow.stop_service("scheduler")
    stack.airflow.start_service("scheduler")
    for direction in DIRECTIONS:
        stack.airflow.unpause(direction.dag, paused=True)


def come_to_rest(stack: Stack) -> None:
    """Nothing is under way, and the DAGs are paused. A run that is queued when its DAG is paused would stay so."""

    def rests() -> bool:
        if not all_over():
            for direction in DIRECTIONS:
                stack.airflow.unpause(direction.dag)
            return False
        for direction in DIRECTIONS:
            stack.airflow.unpause(direction.dag, paused=True)
        return all_over()

    def all_over() -> bool:
        return all(run["state"] in FINISHED for direction in DIRECTIONS for run in runs(stack, direction))

    until("all runs to end", rests, 400)


def miss(stack: Stack) -> list[Missed]:
    """The schedules are on; the scheduler is down for as many minutes as there are windows, and AD changes in each."""
    before = stack.mark()
    members = {direction: people(stack, direction) for direction in DIRECTIONS}
    stack.airflow.stop_service("scheduler")
    known = {direction: runs(stack, direction) for direction in DIRECTIONS}
    for direction in DIRECTIONS:
        stack.airflow.unpause(direction.dag)
    ends = [instant(run["data_interval_end"]) for of_dag in known.values() for run in of_dag]
    start = max([*ends, datetime.now(timezone.utc).replace(second=0, microsecond=0)])
    missed = [(start + n * MINUTE, start + (n + 1) * MINUTE) for n in range(len(FORWARD.windows))]
    for number, (begins, over) in enumerate(missed):
        wait_until(begins)
        for direction in DIRECTIONS:
            stack.directory.apply(direction.windows[number])
        wait_until(over)
    return [
        Missed(stack, one, missed, before, members[one], {run["dag_run_id"] for run in known[one]})
        for one in DIRECTIONS
    ]


def wait_until(when: datetime) -> None:
    time.sleep(max(0.0, (when - datetime.now(timezone.utc)).total_seconds() + 0.2))


def make_up(stack: Stack, missed: Sequence[Missed], *options: str) -> list[list[str]]:
    """The backfills of all directions, until every run is over and the schedule has nothing new. Gives their run ids.

    They are created while nothing else writes to Airflow's database: on SQLite, which it has here, the command would
    give up."""
    others = ("scheduler", "dag-processor")
    for service in others:
        stack.airflow.stop_service(service)
    backfilled = [one.backfill(*options) for one in missed]
    for service in others:
        stack.airflow.start_service(service)
    come_to_rest(stack)
    until("Airflow to close the backfills", lambda: backfills_closed(stack))  # before that it allows no other one
    return backfilled


def backfills_closed(stack: Stack) -> bool:
    found = [
        backfill
        for direction in DIRECTIONS
        for backfill in stack.airflow.api("GET", f"backfills?dag_id={direction.dag}")["backfills"]
    ]
    return all(backfill["completed_at"] for backfill in found)


def settled(stack: Stack, dag: str, made: Sequence[dict[str, Any]]) -> Counter[tuple[str, str, str]]:
    """(group, user, action) -> in how many of the runs' reports it stands as done by that run."""
    return Counter(
        (row["genesys_group"]["name"], row["user_id"], row["action"])
        for run in made
        for row in stack.report(dag, run["dag_run_id"])["details"]
        if row["status"] == "success" and row["settled_by"] is None
    )


def test_windows_missed_by_a_stopped_scheduler_are_made_up_for_by_backfill_in_either_direction(world: Stack) -> None:
    missed = miss(world)
    backfilled = make_up(world, missed)
    for one, run_ids in zip(missed, backfilled, strict=True):
        dag, made = one.direction.dag, one.made()
        assert {run["state"] for run in made} == {"success"}
        assert [run["dag_run_id"] for run in made if run["run_type"] == "backfill"] == run_ids
        for run_id, (start, end) in zip(run_ids, one.windows, strict=True):
            window = world.report(dag, run_id)["window"]
            assert (instant(window["start"]), instant(window["end"])) == (start, end)
        one.equal()
        done = settled(world, dag, made)
        assert done == one.difference()  # who came and went, or went and came back, is no change any more
        assert len(done) == 2
        writes = one.writes()
        assert len(writes) == len({group for group, _, _ in done})
        kinds = Counter(run["run_type"] for run in made)
        print(f"{one.direction.name}: {len(made)} runs ({kinds}), {len(writes)} writes, {len(done)} changes")

    reports = {
        (one.direction.dag, run_id): world.report(one.direction.dag, run_id)
        for one, run_ids in zip(missed, backfilled, strict=True)
        for run_id in run_ids
    }
    mark = world.mark()
    for direction in DIRECTIONS:
        world.airflow.unpause(direction.dag)
    again = [replace(one, before=mark) for one in missed]
    assert make_up(world, again, "--reprocess-behavior", "completed") == backfilled
    for one in again:
        assert one.writes() == []
        one.equal()
    for (dag, run_id), earlier in reports.items():
        report = world.report(dag, run_id)
        assert (report["run_type"], report["attempt"]) == ("backfill", earlier["attempt"] + 1)
        assert done_rows(report) == done_rows(earlier)
    print(f"reprocessed: {len(reports)} runs, no write")


def done_rows(report: dict[str, Any]) -> list[str]:
    """What the run itself did."""
    done = [row for row in report["details"] if row["status"] == "success" and row["settled_by"] is None]
    return sorted(json.dumps(row, sort_keys=True) for row in done)
