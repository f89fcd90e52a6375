"""The main job, once, for real: Active Directory → Airflow → Genesys Cloud, all on this machine.

    python -m sandbox.demo          three runs and the report of the second one (`make demo`)
    python -m sandbox.demo --plan   one dry run and its plan (`make plan`)
    python -m sandbox.demo --stay   leaves everything running to play with (`make up`)

Active Directory is a Samba domain controller, Genesys Cloud the sandbox, Airflow the real one with its scheduler.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from genesys_ad_sync.report.summary import render_summary
from sandbox import company
from sandbox.active_directory import SandboxDirectory
from sandbox.airflow_stack import PROJECT, AirflowStack
from sandbox.genesys_cloud import SpawnedSandbox, spawn
from sandbox.ports import reserve_port

DAG_ID = "genesys_ad_group_sync"
# The same each time, so that a bookmark works. If one is taken, another port is used and printed.
AIRFLOW_PORT = 8080
GENESYS_PORT = 8090
DIRECTORY_ADDRESS = "127.100.0.10"
LOG_PORT = 8793  # Airflow's own default


def say(text: str = "") -> None:
    print(text, flush=True)


@dataclass
class World:
    """All three systems, running."""

    directory: SandboxDirectory
    genesys: SpawnedSandbox
    airflow: AirflowStack


def definition(reports: Path, **more: Any) -> dict[str, Any]:
    """A sync definition for the sandbox's company, as one would write it in YAML."""
    return {
        **company.sync_definition(),
        "schedule": "*/15 * * * *",
        "full_schedule": "0 3 * * *",
        "dry_run": False,
        "report": {"path": reports.as_uri()},
        **more,
    }


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Starts the three, and ends them in the end. Files lie below ``folder``, which must be a new one."""
    config = folder / "config"
    config.mkdir(parents=True)
    (config / "default.yaml").write_text(yaml.safe_dump(definition(folder / "reports"), sort_keys=False))
    with spawn(seed=company.genesys_seed(), port=reserve_port(GENESYS_PORT)) as genesys:
        say(f"Genesys Cloud   sandbox at {genesys.url}")
        with SandboxDirectory.start(address=DIRECTORY_ADDRESS) as directory:
            say(f"Active Directory   Samba domain controller at ldaps://{directory.host}")
            airflow = AirflowStack(
                folder / "airflow",
                config,
                {
                    "active_directory_default": directory.connection(),
                    "genesys_cloud_default": genesys.connection(),
                },
                port=reserve_port(AIRFLOW_PORT),
                log_port=reserve_port(LOG_PORT),
            )
            say("Airflow   starting API server, scheduler and DAG processor …")
            try:
                airflow.start()
                airflow.wait_for_dag(DAG_ID)
                say(f"Airflow   {airflow.url}   user admin, password {airflow.password}")
                yield World(directory, genesys, airflow)
            finally:
                airflow.stop()


def run(world: World, title: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Triggers a run, shows how it goes, and returns its report. Exits if the run is red."""
    say()
    say(f"— {title}")
    before, start = len(world.genesys.writes()), time.monotonic()
    run_id = world.airflow.trigger(DAG_ID, conf)
    state = world.airflow.wait_for_run(DAG_ID, run_id, progress=lambda line: say(f"  {line}"))
    counts = world.airflow.xcom(DAG_ID, run_id, "report")
    say(
        f"  run {state} after {time.monotonic() - start:.0f} s, {counts['requests']} requests to Genesys Cloud, "
        f"{len(world.genesys.writes()) - before} of them writes"
    )
    report: dict[str, Any] = json.loads(Path(counts["path"].removeprefix("file://")).read_text())
    if state != "success":
        say(render_summary(report))
        raise SystemExit(f"the run failed: look at {world.airflow.url} or {world.airflow.home}/logs")
    return {"path": counts["path"], "report": report, "writes": len(world.genesys.writes()) - before}


def compare(world: World, first: dict[str, set[str]]) -> None:
    """Uses no product code: plain ldap3 on one side, the sandbox's own state on the other. Exits on a difference."""
    expected = company.expected_individuals(first, world.directory.truth_by_name())
    wrong = {
        group: (set(world.genesys.individuals(group)), people)
        for group, people in expected.items()
        if set(world.genesys.individuals(group)) != people
    }
    if wrong:
        for group, (seen, wanted) in wrong.items():
            say(f"  group {group}: missing {sorted(wanted - seen)}, too many {sorted(seen - wanted)}")
        raise SystemExit(f"{len(wrong)} Genesys groups are not what Active Directory says")
    mapped = len(set(company.PAIRS.values()))
    say(
        f"  Genesys Cloud = Active Directory in all {mapped} mapped groups "
        f"({sum(len(people) for people in expected.values())} members); {len(expected) - mapped} other groups untouched"
    )


def demo(world: World) -> None:
    world.airflow.unpause(DAG_ID)
    at_first = world.directory.truth_by_name()
    run(world, "First run: everything is compared as a whole", {})
    compare(world, at_first)

    changes = company.demo_changes()
    world.directory.apply(changes)
    say()
    say(f"{len(changes)} changes were made in Active Directory: joined, left, renamed, disabled, deleted, nested ones")
    second = run(world, "Second run: what has changed", {})
    compare(world, at_first)

    third = run(world, "Third run: nothing has changed", {})
    if third["writes"]:
        raise SystemExit(f"the third run wrote {third['writes']} times although nothing had changed")

    say()
    say("The report of the second run:")
    say()
    say(render_summary(second["report"]))
    say(f"report: {second['path'].removeprefix('file://')}")


def plan(world: World) -> None:
    world.airflow.unpause(DAG_ID)
    done = run(world, "Dry run: what would be written", {"mode": "full", "dry_run": True})
    say()
    say(render_summary(done["report"]))
    say(f"report: {done['path'].removeprefix('file://')}")


def stay(world: World) -> None:
    """Waits for Ctrl-C."""
    world.airflow.unpause(DAG_ID)
    directory = world.directory
    say()
    say(f"Open {world.airflow.url} (admin / {world.airflow.password}), DAG {DAG_ID}, and click Trigger.")
    say("To change something in Active Directory, in another terminal:")
    say(
        f"  LDAPTLS_CACERT={directory.ca_certs_file} ldapmodify -H ldaps://{directory.host} "
        f"-D {directory.admin_login} -w '{directory.admin_password}'"
    )
    say(f"What Genesys Cloud has: curl {world.genesys.url}/_sandbox/state")
    say("Ctrl-C ends everything.")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    say("ending …")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo")
    parser.add_argument("--plan", action="store_true", help="one dry run")
    parser.add_argument("--stay", action="store_true", help="leave everything running")
    options = parser.parse_args()
    folder = PROJECT / ".sandbox" / ("up" if options.stay else "plan" if options.plan else "demo")
    shutil.rmtree(folder, ignore_errors=True)
    # an interrupted demo ends what it started
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with world(folder) as everything:
        if options.stay:
            stay(everything)
        elif options.plan:
            plan(everything)
        else:
            demo(everything)
    return 0


if __name__ == "__main__":
    sys.exit(main())
