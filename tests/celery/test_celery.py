"""The DAG with the Celery executor: what workers on several machines share, and what happens when a part fails.

Figures are printed: `pytest -rP tests/celery`.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone

import pytest
import yaml

from sandbox import company, demo
from sandbox.celery_stack import definition_keys
from sandbox.directory_objects import AddMember, RemoveMember
from tests.celery.world import (
    APPROVAL,
    DIRECTORY_WORKER,
    GENESYS_WORKER,
    MISSED,
    TROUBLE,
    CeleryWorld,
    Trouble,
    difference,
)
from tests.support.stack import DEFAULT, GREEN, MINUTE, ticks, until

AD_TASKS = {"poll", "resolve_users", "plan"}


def test_a_scheduled_run_makes_genesys_equal_to_ad_and_its_tasks_run_in_their_queues(world: CeleryWorld) -> None:
    truth = world.directory.truth_by_name()
    world.airflow.unpause(DEFAULT)
    first = until("the first scheduled run", lambda: next(iter(world.airflow.runs(DEFAULT)), None))
    run_id = first["dag_run_id"]
    assert world.finish(DEFAULT, run_id) == "success"
    world.airflow.unpause(DEFAULT, paused=True)
    assert first["run_type"] == "scheduled"
    assert world.states(DEFAULT, run_id) == GREEN
    expected = company.expected_individuals(truth, world.directory.truth_by_name())
    assert {group: set(world.genesys.individuals(group)) for group in expected} == expected
    report = world.report(DEFAULT, run_id)
    assert report["failures"] == 0
    assert report["successes"] > 100
    queues = {task["task_id"]: task["queue"] for task in world.airflow.tasks(DEFAULT, run_id)}
    assert {task for task, queue in queues.items() if queue == "ad"} == AD_TASKS | {"patch_approved"}
    print(f"scheduled run: {report['successes']} changes")


# -- trouble in the middle of a lane ------------------------------------------------------------------


def kill_the_worker(world: CeleryWorld) -> None:
    world.airflow.kill_worker(GENESYS_WORKER)
    world.airflow.start_worker(GENESYS_WORKER)


def restart_redis(world: CeleryWorld) -> None:
    world.airflow.redis.stop()
    world.airflow.redis.start()


def restart_postgresql(world: CeleryWorld) -> None:
    world.airflow.postgresql.stop()
    world.airflow.postgresql.start()


def cut_the_worker_off_from_the_journal(world: CeleryWorld) -> None:
    """Cut the worker off while it holds the lease, and has written what it cannot record."""
    run_id = world.airflow.runs(TROUBLE)[-1]["dag_run_id"]
    world.proxy.cut()
    try:
        until("the try to fail", lambda: "up_for_retry" in world.states(TROUBLE, run_id)["patch"])
    finally:
        world.proxy.connect()


@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [
        pytest.param(kill_the_worker, 120, id="worker killed"),
        pytest.param(restart_redis, 20, id="Redis restarted"),
        pytest.param(restart_postgresql, 20, id="PostgreSQL restarted"),
        pytest.param(cut_the_worker_off_from_the_journal, 20, id="worker cut off from the journal"),
    ],
)
def test_a_run_heals_from_trouble_in_the_middle_of_a_lane(
    world: CeleryWorld, request: pytest.FixtureRequest, trouble: Trouble, seconds: float
) -> None:
    world.equal(TROUBLE)
    before, mark = world.present(TROUBLE), world.mark()
    one = world.directory.truth_by_name()["trouble-one"]
    move = [AddMember, RemoveMember] if "rosa.richter" not in one else [RemoveMember, AddMember]
    world.directory.apply([move[0]("trouble-one", "rosa.richter"), move[1]("trouble-one", "nina.nagel")])
    world.directory.apply([move[0]("trouble-two", "lena.lang")])
    with world.slow_writes("Trouble One", seconds):
        run_id = world.airflow.trigger(TROUBLE)
        world.wait_for_write(TROUBLE, mark)
        trouble(world)
    began = time.monotonic()
    assert world.finish(TROUBLE, run_id) == "success"
    scenario = request.node.callspec.id
    print(world.figures(scenario, began, TROUBLE, [run_id], mark))
    done = world.settled(TROUBLE, [run_id])
    assert done == difference(before, world.present(TROUBLE))
    assert len(done) == 3


def test_a_killed_worker_near_ad_is_replaced(world: CeleryWorld) -> None:
    """`poll` waits in its queue until there is a worker again."""
    mark = world.mark()
    world.airflow.kill_worker(DIRECTORY_WORKER)
    run_id = world.airflow.trigger(TROUBLE)
    until("poll to be queued", lambda: world.states(TROUBLE, run_id).get("poll") == "queued")
    world.airflow.start_worker(DIRECTORY_WORKER)
    began = time.monotonic()
    assert world.finish(TROUBLE, run_id) == "success"
    print(world.figures("no worker near AD", began, TROUBLE, [run_id], mark))


# -- a person -----------------------------------------------------------------------------------------


def test_an_approval_holds_no_worker_and_is_carried_out(world: CeleryWorld) -> None:
    mark = world.mark()
    world.directory.apply([RemoveMember("approval-one", person) for person in ("nina.nagel", "paul.peters")])
    run_id = world.airflow.trigger(APPROVAL)
    until("the question", lambda: world.states(APPROVAL, run_id).get("approve_removals") == "awaiting_input")
    log = world.airflow.home / "scheduler.log"
    until(
        "the scheduler to notice",
        lambda: f"task_id='approve_removals', run_id='{run_id}'" in log.read_text(errors="replace"),
    )
    assert world.writes_of(APPROVAL, mark) == []
    path = f"dags/{APPROVAL}/dagRuns/{run_id}/taskInstances/approve_removals/-1/hitlDetails"
    (option,) = [text for text in world.airflow.api("GET", path)["options"] if text.startswith("Approval One")]
    world.airflow.api("PATCH", path, json={"chosen_options": [option], "params_input": {}})
    began = time.monotonic()
    assert world.finish(APPROVAL, run_id) == "success"
    assert world.report(APPROVAL, run_id)["approval"]["decision"] == "approved"
    print(world.figures("approval", began, APPROVAL, [run_id], mark))


# -- missed windows -----------------------------------------------------------------------------------


def test_a_backfill_of_missed_windows_with_three_runs_at_once(world: CeleryWorld) -> None:
    before, mark = world.present(MISSED), world.mark()
    known = {run["dag_run_id"] for run in world.airflow.runs(MISSED)}
    happens = (
        [AddMember("missed-one", "rosa.richter"), RemoveMember("missed-two", "petra.pohl")],
        [RemoveMember("missed-one", "rosa.richter"), AddMember("missed-two", "lena.lang")],
        [RemoveMember("missed-one", "nina.nagel"), AddMember("missed-two", "petra.pohl")],
    )
    world.airflow.stop_service("scheduler")
    start = datetime.now(timezone.utc).replace(second=0, microsecond=0) + MINUTE
    keys = {
        **definition_keys(world.airflow.bucket),
        **ticks(start, 4),
        "full_schedule": "@yearly",
        "groups": [{"name": "(?P<same>Missed .+)", "genesys_name": "{same}"}],
        "limits": {"removals_percent": 100},
    }
    (world.airflow.config_dir / "missed.yaml").write_text(yaml.safe_dump(demo.definition(world.reports, **keys)))
    for number, changes in enumerate(happens):
        _wait_until(start + number * MINUTE)
        world.directory.apply(changes)
        _wait_until(start + (number + 1) * MINUTE)
    last = start + (len(happens) - 1) * MINUTE
    world.wait_for_next_run(MISSED, last)
    world.create_backfill(MISSED, start, last, "--max-active-runs", "3")
    world.airflow.start_service("scheduler")
    began = time.monotonic()
    made = [run["dag_run_id"] for run in world.airflow.runs(MISSED) if run["dag_run_id"] not in known]
    assert {world.finish(MISSED, run_id) for run_id in made} == {"success"}
    # a run of the schedule that came meanwhile
    made = [run["dag_run_id"] for run in world.airflow.runs(MISSED) if run["dag_run_id"] not in known]
    assert {world.finish(MISSED, run_id) for run_id in made} == {"success"}
    print(world.figures("backfill of three windows", began, MISSED, made, mark))
    assert world.settled(MISSED, made) == difference(before, world.present(MISSED))


def _wait_until(when: datetime) -> None:
    time.sleep(max(0.0, (when - datetime.now(timezone.utc)).total_seconds() + 0.2))
