"""The scheduler was down over several windows while AD changed: they are made up for by backfill, in either direction.

Figures (runs, writes, rows) are printed: `pytest -rP tests/system/test_catch_up.py`.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import yaml

from sandbox import company, demo
from sandbox.airflow_stack import FINISHED
from sandbox.directory_objects import AddGroup, AddMember, Change, Group, RemoveMember
from tests.support.stack import Stack, until

DAG = "genesys_ad_group_sync__missed"
GROUPS = {"missed-one": "Missed One", "missed-two": "Missed Two"}
MINUTE = timedelta(minutes=1)

# What happens in AD in each of the windows that nobody sees. Rosa comes and goes; Petra goes and comes back.
FIRST_TIME = (
    [AddMember("missed-one", "rosa.richter"), RemoveMember("missed-two", "petra.pohl")],
    [RemoveMember("missed-one", "rosa.richter"), AddMember("missed-two", "lena.lang")],
    [RemoveMember("missed-one", "nina.nagel"), AddMember("missed-two", "petra.pohl")],
)
SECOND_TIME = (
    [RemoveMember("missed-two", "lena.lang"), AddMember("missed-one", "mario.maier")],
    [AddMember("missed-two", "nina.nagel"), RemoveMember("missed-one", "paul.peters")],
    [RemoveMember("missed-two", "nina.nagel"), AddMember("missed-one", "nina.nagel")],
)


@dataclass
class Missed:
    """The windows in which the scheduler was down. From before them: ``before``, a mark for `Stack.writes`, and
    ``people``, the members of the Genesys groups."""

    stack: Stack
    windows: list[tuple[datetime, datetime]]
    before: int
    people: dict[str, set[str]]

    def backfill(self, *options: str) -> list[str]:
        """`airflow backfill create` over the windows, as a person types it. Gives the run ids, by window."""
        self.stack.create_backfill(DAG, self.windows[0][0], self.windows[-1][0], "--max-active-runs", "3", *options)
        by_start = {instant(run["data_interval_start"]): run["dag_run_id"] for run in self.stack.airflow.runs(DAG)}
        return [by_start[start] for start, _ in self.windows]

    def finish(self) -> list[dict[str, Any]]:
        """Until every run is over, and the schedule has nothing new: all runs of the DAG."""
        come_to_rest(self.stack)
        until("Airflow to close the backfill", self._backfills_closed)  # before that it allows no other one
        return self.stack.airflow.runs(DAG)

    def _backfills_closed(self) -> bool:
        backfills = self.stack.airflow.api("GET", f"backfills?dag_id={DAG}")["backfills"]
        return all(backfill["completed_at"] for backfill in backfills)

    def writes(self) -> list[dict[str, Any]]:
        return [write for group in GROUPS.values() for write in self.stack.writes(self.before, group)]

    def difference(self) -> Counter[tuple[str, str, str]]:
        """(group, user, action) -> 1, of what is otherwise now than before the windows."""
        now = people(self.stack)
        joined = [(group, user, "add") for group in now for user in now[group] - self.people[group]]
        left = [(group, user, "remove") for group in now for user in self.people[group] - now[group]]
        return Counter(joined + left)

    def equal(self) -> None:
        """Genesys = AD, by plain LDAP and the sandbox's state."""
        truth = self.stack.directory.truth_by_name()
        wanted = {name: {company.genesys_user_of(person) for person in truth[sam]} for sam, name in GROUPS.items()}
        assert people(self.stack) == wanted


def people(stack: Stack) -> dict[str, set[str]]:
    return {name: stack.individuals(name) for name in GROUPS.values()}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@pytest.fixture(scope="module")
def world(stack: Stack) -> Stack:
    """A definition that runs every minute, with two groups that nobody else maps. Its first run is over, and it is
    paused."""
    first = (("nina.nagel", "paul.peters"), ("petra.pohl", "oskar.opitz"))
    stack.directory.apply(
        [AddGroup(Group(sam, name, people)) for (sam, name), people in zip(GROUPS.items(), first, strict=True)]
    )
    seed = stack.genesys.snapshot()
    for name in GROUPS.values():
        seed["groups"].append({"id": company.genesys_id("group", name), "name": name, "individuals": []})
    stack.genesys.load_seed(seed)
    keys = demo.definition(
        stack.reports,
        schedule="* * * * *",
        full_schedule="@yearly",
        groups=[{"name": "(?P<same>Missed .+)", "genesys_name": "{same}"}],
        limits={"removals_percent": 100},
    )
    (stack.airflow.config_dir / "missed.yaml").write_text(yaml.safe_dump(keys))
    stack.airflow.wait_for_dag(DAG, timeout=180)
    stack.airflow.unpause(DAG)
    until("a first scheduled run", lambda: [run for run in stack.airflow.runs(DAG) if run["state"] == "success"])
    come_to_rest(stack)
    return stack


@pytest.fixture
def scheduler_again(stack: Stack) -> Iterator[None]:
    """Whatever happens here, the tests after this one have a scheduler."""
    yield
    stack.airflow.stop_service("scheduler")
    stack.airflow.start_service("scheduler")
    stack.airflow.unpause(DAG, paused=True)


def come_to_rest(stack: Stack) -> None:
    """Nothing is under way, and the DAG is paused. A run that is queued when it is paused would stay so."""

    def rests() -> bool:
        if not all(run["state"] in FINISHED for run in stack.airflow.runs(DAG)):
            stack.airflow.unpause(DAG)
            return False
        stack.airflow.unpause(DAG, paused=True)
        return all(run["state"] in FINISHED for run in stack.airflow.runs(DAG))

    until("all runs to end", rests, 400)


def miss(stack: Stack, windows: Sequence[Sequence[Change]]) -> Missed:
    """The schedule is on; the scheduler is down for as many minutes as there are windows, and AD changes in each."""
    come_to_rest(stack)
    before, members = stack.mark(), people(stack)
    stack.airflow.stop_service("scheduler")
    stack.airflow.unpause(DAG)
    known = [instant(run["data_interval_end"]) for run in stack.airflow.runs(DAG)]
    start = max([*known, datetime.now(timezone.utc).replace(second=0, microsecond=0)])
    missed = [(start + n * MINUTE, start + (n + 1) * MINUTE) for n in range(len(windows))]
    for (begins, ends), changes in zip(missed, windows, strict=True):
        wait_until(begins)
        stack.directory.apply(changes)
        wait_until(ends)
    return Missed(stack, missed, before, members)


def wait_until(when: datetime) -> None:
    time.sleep(max(0.0, (when - datetime.now(timezone.utc)).total_seconds() + 0.2))


def settled(stack: Stack, runs: Sequence[dict[str, Any]]) -> Counter[tuple[str, str, str]]:
    """(group, user, action) -> in how many of the runs' reports it stands as done by that run."""
    return Counter(
        (row["genesys_group"]["name"], row["user_id"], row["action"])
        for run in runs
        for row in stack.report(DAG, run["dag_run_id"])["details"]
        if row["status"] == "success" and row["settled_by"] is None
    )


@pytest.mark.parametrize(
    ("direction", "changes"), [((), FIRST_TIME), (("--run-backwards",), SECOND_TIME)], ids=["forward", "backwards"]
)
def test_windows_missed_by_a_stopped_scheduler_are_made_up_for_by_backfill(
    world: Stack, scheduler_again: None, direction: tuple[str, ...], changes: Sequence[Sequence[Change]]
) -> None:
    known = {run["dag_run_id"] for run in world.airflow.runs(DAG)}
    missed = miss(world, changes)
    backfilled = missed.backfill(*direction)
    made = [run for run in missed.finish() if run["dag_run_id"] not in known]

    assert {run["state"] for run in made} == {"success"}
    assert [run["dag_run_id"] for run in made if run["run_type"] == "backfill"] == backfilled
    for run_id, (start, end) in zip(backfilled, missed.windows, strict=True):
        window = world.report(DAG, run_id)["window"]
        assert (instant(window["start"]), instant(window["end"])) == (start, end)
    missed.equal()
    done = settled(world, made)
    assert done == missed.difference()  # who came and went, or went and came back, is no change any more
    assert len(done) >= 2
    writes = missed.writes()
    assert len(writes) == 2
    print(f"{len(made)} runs ({Counter(run['run_type'] for run in made)}), {len(writes)} writes, {len(done)} changes")

    reports = {run_id: world.report(DAG, run_id) for run_id in backfilled}
    again = Missed(world, missed.windows, world.mark(), missed.people)
    world.airflow.unpause(DAG)
    assert again.backfill(*direction, "--reprocess-behavior", "completed") == backfilled
    again.finish()
    assert again.writes() == []
    again.equal()
    for run_id, earlier in reports.items():
        report = world.report(DAG, run_id)
        assert (report["run_type"], report["attempt"]) == ("backfill", earlier["attempt"] + 1)
        assert done_rows(report) == done_rows(earlier)
    print(f"reprocessed: {len(backfilled)} runs, no write")


def done_rows(report: dict[str, Any]) -> list[str]:
    """What the run itself did."""
    done = [row for row in report["details"] if row["status"] == "success" and row["settled_by"] is None]
    return sorted(json.dumps(row, sort_keys=True) for row in done)
