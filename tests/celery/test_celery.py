"""The DAG with the Celery executor: what workers on several machines share, and what happens when a part fails.

Each scenario ends with the same check: all runs green, Genesys = AD by plain LDAP, no change sent twice, each change
once in the reports, and one writer at a time by the sandbox's log. A table of all of them is printed at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
import yaml

from sandbox import company, demo
from sandbox.celery_stack import AD_QUEUE, definition_keys, on_host
from sandbox.directory_objects import AddMember, Change, RemoveMember
from tests.celery.conftest import definition_of
from tests.celery.world import (
    DIRECTORY_WORKER,
    GENESYS_WORKER,
    MISSED,
    OTHER,
    TROUBLE,
    CeleryWorld,
    Scenario,
)
from tests.support.stack import DEFAULT, GREEN, MINUTE, ticks, until

AD_TASKS = {"poll", "resolve_users", "plan"}
Trouble = Callable[[Scenario, str, Callable[[], None]], list[str]]
"""What happens to a run while its first write is in flight; it returns the runs of another DAG that it started.

It takes the scenario, the run's id, and a function that lets the answer to the write go.
"""


def test_a_scheduled_run_makes_genesys_equal_to_ad_and_its_tasks_run_in_their_queues(world: CeleryWorld) -> None:
    (first,) = world.airflow.runs(DEFAULT)
    run_id = first["dag_run_id"]
    assert (first["run_type"], first["state"]) == ("scheduled", "success")
    assert world.states(DEFAULT, run_id) == GREEN
    expected = company.expected_individuals(world.truth, world.directory.truth_by_name())
    assert {group: set(world.genesys.individuals(group)) for group in expected} == expected
    report = world.report(DEFAULT, run_id)
    assert report["failures"] == 0
    assert report["successes"] == len(world.done_rows(DEFAULT, run_id)) > 100
    tasks = {task["task_id"]: task for task in world.airflow.tasks(DEFAULT, run_id)}
    assert {name for name, task in tasks.items() if task["queue"] == AD_QUEUE} == AD_TASKS | {"patch_approved"}
    workers = {task["hostname"] for name, task in tasks.items() if name in GREEN and task["state"] == "success"}
    assert len(workers) == (2 if on_host(GENESYS_WORKER) else 1)
    print(f"scheduled run: {report['successes']} changes, on {sorted(workers)}")


# -- trouble in the middle of a lane ------------------------------------------------------------------


def kill_the_worker(scenario: Scenario, _: str, let_go: Callable[[], None]) -> list[str]:
    """Another run comes while the lease of the dead worker is still held."""
    airflow = scenario.world.airflow
    airflow.kill_worker(GENESYS_WORKER)
    airflow.start_worker(GENESYS_WORKER)
    let_go()
    return [airflow.trigger(OTHER)]


def restart_redis(scenario: Scenario, _: str, let_go: Callable[[], None]) -> list[str]:
    redis = scenario.world.airflow.redis
    redis.stop()
    redis.start()
    let_go()
    return []


def restart_postgresql(scenario: Scenario, _: str, let_go: Callable[[], None]) -> list[str]:
    postgresql = scenario.world.airflow.postgresql
    postgresql.stop()
    postgresql.start()
    let_go()
    return []


def cut_the_worker_off_from_the_journal(scenario: Scenario, run_id: str, let_go: Callable[[], None]) -> list[str]:
    """Cut the worker off while it holds the lease, another run waits for that, and a write cannot be recorded."""
    world = scenario.world
    waiting = world.airflow.trigger(OTHER)
    world.wait_for_lease(OTHER, [waiting], scenario.mark)
    world.proxy.cut()
    try:
        let_go()
        until("the try to fail", lambda: "up_for_retry" in world.states(TROUBLE, run_id)["patch"])
    finally:
        world.proxy.connect()
    return [waiting]


@pytest.mark.parametrize(
    ("trouble", "others"),
    [
        pytest.param(kill_the_worker, (OTHER,), id="worker near Genesys, in a lane"),
        pytest.param(restart_redis, (), id="Redis, restarted"),
        pytest.param(restart_postgresql, (), id="PostgreSQL, restarted"),
        pytest.param(cut_the_worker_off_from_the_journal, (OTHER,), id="the way to the journal"),
    ],
)
def test_a_run_heals_from_trouble_in_the_middle_of_a_lane(
    world: CeleryWorld, request: pytest.FixtureRequest, trouble: Trouble, others: tuple[str, ...]
) -> None:
    scenario = Scenario(world, request.node.callspec.id, (TROUBLE, *others), keeper=TROUBLE if others else None)
    world.directory.apply(
        [
            _moved(world, "trouble-one", "rosa.richter"),
            _moved(world, "trouble-one", "nina.nagel"),
            _moved(world, "trouble-two", "lena.lang"),
            *(_moved(world, "other-two", "rosa.richter") for _ in others),
        ]
    )
    with world.held_write(TROUBLE) as let_go:
        run_id = world.airflow.trigger(TROUBLE)
        world.wait_for_write(TROUBLE, scenario.mark)
        started = trouble(scenario, run_id, let_go)
    scenario.trouble_is_over()
    done = scenario.heals({TROUBLE: [run_id], **dict.fromkeys(others, started)})
    assert len(done) == 3 + len(others)


def _moved(world: CeleryWorld, sam: str, person: str) -> Change:
    """Return the change that takes a person in who is out, and out who is in."""
    return (RemoveMember if person in world.directory.truth_by_name()[sam] else AddMember)(sam, person)


def test_a_killed_worker_near_ad_is_replaced(world: CeleryWorld) -> None:
    """`poll` waits in its queue until there is a worker again."""
    scenario = Scenario(world, "worker near AD", (OTHER,))
    world.airflow.kill_worker(DIRECTORY_WORKER)
    world.directory.apply([_moved(world, "other-two", "lena.lang")])
    run_id = world.airflow.trigger(OTHER)
    waiting = world.airflow.redis.waiting
    began = {"running", "success"}
    until("poll to be sent", lambda: waiting(AD_QUEUE) or world.states(OTHER, run_id).get("poll") in began)
    assert waiting(AD_QUEUE) == 1
    world.airflow.start_worker(DIRECTORY_WORKER)
    scenario.trouble_is_over()
    assert len(scenario.heals({OTHER: [run_id]})) == 1


# -- a person -----------------------------------------------------------------------------------------


def test_an_approval_holds_no_worker_and_is_carried_out(world: CeleryWorld) -> None:
    scenario = Scenario(world, "nothing: an approval", (OTHER,))
    world.directory.apply([RemoveMember("other-one", person) for person in ("nina.nagel", "paul.peters")])
    run_id = world.airflow.trigger(OTHER)
    until("the question", lambda: world.states(OTHER, run_id).get("approve_removals") == "awaiting_input")
    # An answer that comes before the scheduler has noticed that the task waits is taken for a crash of the task.
    noticed = f"TaskInstance Finished: dag_id={OTHER}, task_id=approve_removals, run_id={run_id},"
    log = world.airflow.home / "scheduler.log"
    until("the scheduler to notice", lambda: noticed in log.read_text(errors="replace"))
    assert world.writes_of(OTHER, scenario.mark) == []
    until("the workers to be free", lambda: world.airflow.busy_workers() == [], seconds=300)
    path = f"dags/{OTHER}/dagRuns/{run_id}/taskInstances/approve_removals/-1/hitlDetails"
    (option,) = [text for text in world.airflow.api("GET", path)["options"] if text.startswith("Other One")]
    world.airflow.api("PATCH", path, json={"chosen_options": [option], "params_input": {}})
    scenario.trouble_is_over()
    assert len(scenario.heals({OTHER: [run_id]})) == 2
    assert world.report(OTHER, run_id)["approval"]["decision"] == "approved"
    assert world.states(OTHER, run_id)["patch_approved"] == "success"


# -- missed windows -----------------------------------------------------------------------------------


def test_a_backfill_of_missed_windows_with_three_runs_at_once(world: CeleryWorld) -> None:
    """The scheduler was down over three windows; nobody has looked at AD since before them."""
    airflow = world.airflow
    scenario = Scenario(world, "scheduler, over three windows", (MISSED,))
    (first,) = airflow.runs(MISSED)
    airflow.stop_service("scheduler")
    start = datetime.fromisoformat(first["end_date"].replace("Z", "+00:00")).replace(second=0, microsecond=0) + MINUTE
    last = start + 2 * MINUTE
    keys = definition_of(MISSED, definition_keys(airflow.bucket), **ticks(start, 4))
    (airflow.config_dir / "missed.yaml").write_text(yaml.safe_dump(demo.definition(Path("/not/used"), **keys)))
    world.directory.apply(
        [
            AddMember("missed-one", "rosa.richter"),
            RemoveMember("missed-one", "nina.nagel"),
            AddMember("missed-two", "lena.lang"),
        ]
    )
    _wait_until(last + MINUTE)  # the tests before this one took longer
    world.wait_for_next_run(MISSED, last)
    world.create_backfill(MISSED, start, last, "--max-active-runs", "3")
    made = [run["dag_run_id"] for run in airflow.runs(MISSED) if run["dag_run_id"] != first["dag_run_id"]]
    assert len(made) == 3
    with world.held_write(MISSED):
        airflow.start_service("scheduler")
        scenario.trouble_is_over()
        world.wait_for_write(MISSED, scenario.mark)
        until("three runs at once", lambda: {airflow.run(MISSED, run_id)["state"] for run_id in made} == {"running"})
        world.wait_for_lease(MISSED, made, scenario.mark, writes=1)
    assert len(scenario.heals({MISSED: made})) == 3
    assert len(airflow.runs(MISSED)) == 1 + len(made)


def _wait_until(when: datetime) -> None:
    time.sleep(max(0.0, (when - datetime.now(timezone.utc)).total_seconds()))
