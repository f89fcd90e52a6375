"""What a whole DAG run costs through a real Airflow, where nothing has changed: seconds by task.

    python -m benchmarks.dag_run [--users 4000] [--groups 200] [--memberships 40000] [--runs 3]

Samba, the Genesys sandbox (without a limit of requests) and Airflow with the LocalExecutor, on this machine. The first
run compares everything, the others find nothing to do. A task's seconds go from its start to its end, as Airflow notes
them; most of them are Airflow's own. `benchmarks.scale` shows what the stages alone take.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from benchmarks.scale_stages import LIMITS
from sandbox import company, demo
from sandbox.active_directory import SandboxDirectory
from sandbox.airflow_stack import AirflowStack
from sandbox.directory_objects import Content
from sandbox.genesys_cloud import SandboxOptions, spawn

PLACE = Path(".sandbox/dag-run")
PREFIX = "GC-"


def main() -> int:
    """Print a table: a row for each task, a column for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=4000)
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--memberships", type=int, default=40_000)
    parser.add_argument("--runs", type=int, default=3, help="runs without changes")
    asked = parser.parse_args()
    shutil.rmtree(PLACE, ignore_errors=True)
    content = company.crowd(asked.users, asked.groups, asked.memberships)
    with _airflow(PLACE.resolve(), content) as airflow:
        airflow.unpause(demo.DAG_ID)
        while not (scheduled := airflow.runs(demo.DAG_ID)):
            time.sleep(0.5)
        runs = [_timed(airflow, scheduled[0]["dag_run_id"])]
        runs += [_timed(airflow, airflow.trigger(demo.DAG_ID)) for _ in range(asked.runs)]
    print(f"\n{asked.users} users, {asked.groups} groups, {asked.memberships} memberships; seconds")
    print(f"{'':<20}{'first':>9}" + "".join(f"{f'idle {number}':>9}" for number in range(1, asked.runs + 1)))
    for row in dict.fromkeys(name for run in runs for name in run):
        print(f"{row:<20}" + "".join(f"{run[row]:>9.2f}" if row in run else f"{'':>9}" for run in runs))
    return 0


@contextmanager
def _airflow(folder: Path, content: Content) -> Iterator[AirflowStack]:
    config = folder / "config"
    config.mkdir(parents=True)
    options = SandboxOptions(rate_allowed=None)
    with spawn(seed=_seed(content), options=options) as genesys, SandboxDirectory.start(content) as directory:
        keys = demo.definition(folder / "reports", schedule="@yearly", full_schedule="@yearly", limits=LIMITS)
        keys["groups"] = [{"name": f"{PREFIX}(?P<team>.+)", "genesys_name": "{team}"}]
        (config / "default.yaml").write_text(yaml.safe_dump(keys))
        connections = {
            "active_directory_default": directory.connection(),
            "genesys_cloud_default": genesys.connection(),
        }
        airflow = AirflowStack(folder / "airflow", config, connections)
        try:
            airflow.start()
            airflow.wait_for_dag(demo.DAG_ID)
            yield airflow
        finally:
            airflow.stop()


def _seed(content: Content) -> dict[str, list[dict[str, Any]]]:
    users = [
        {"id": company.genesys_id("user", user.sam), "name": user.cn, "email": user.mail, "username": user.mail}
        for user in content.users
    ]
    names = [group.cn.removeprefix(PREFIX) for group in content.groups]
    groups = [{"id": company.genesys_id("group", name), "name": name, "individuals": []} for name in names]
    return {"users": users, "groups": groups}


def _timed(airflow: AirflowStack, run_id: str) -> dict[str, float]:
    """Wait for the end of a run, and return the seconds of each task and of the run."""
    if airflow.wait_for_run(demo.DAG_ID, run_id) != "success":
        raise SystemExit(f"The run {run_id} failed. Read the logs of its tasks in {airflow.home / 'logs'}.")
    found: dict[str, float] = {}
    for task in airflow.tasks(demo.DAG_ID, run_id):
        if task["duration"] is not None:
            found[task["task_id"]] = found.get(task["task_id"], 0.0) + task["duration"]
    run = airflow.run(demo.DAG_ID, run_id)
    began, ended = (datetime.fromisoformat(run[key].replace("Z", "+00:00")) for key in ("start_date", "end_date"))
    tasks = sum(found.values())
    return {**found, "all tasks": tasks, "run": (ended - began).total_seconds()}


if __name__ == "__main__":
    sys.exit(main())
