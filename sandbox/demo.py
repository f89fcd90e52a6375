"""The main job for real: Active Directory → Airflow → Genesys Cloud, on this machine.

    python -m sandbox.demo          make three runs and print the report of the second one (`make demo`)
    python -m sandbox.demo --plan   make one dry run and print its plan (`make plan`)
    python -m sandbox.demo --stay   leave all three systems running (`make up`)
    python -m sandbox.demo --stay --executor celery   the same, with two Celery workers (`make up EXECUTOR=celery`)

Active Directory is a Samba domain controller, Genesys Cloud the sandbox, Airflow the real one with its scheduler.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from genesys_ad_sync.report.summary import render_summary
from sandbox import celery_stack, company
from sandbox.active_directory import SandboxDirectory
from sandbox.airflow_stack import ADMIN, PROJECT, AirflowStack
from sandbox.celery_stack import CeleryStack
from sandbox.genesys_cloud import SpawnedSandbox, spawn
from sandbox.ports import reserve_port

if TYPE_CHECKING:
    from collections.abc import Iterator

DAG_ID = "genesys_ad_group_sync"
# The same each time, so that a bookmark works. If one is taken, another is used and printed.
AIRFLOW_PORT = 8080
GENESYS_PORT = 8090
DIRECTORY_ADDRESS = "127.100.0.10"
LOG_PORT = 8793  # Airflow's own default
TERMINATED = 128 + signal.SIGTERM  # exit status, as a shell has it


def say(text: str = "") -> None:
    print(text, flush=True)


@dataclass
class World:
    """All three systems, running, and the folder of their files."""

    directory: SandboxDirectory
    genesys: SpawnedSandbox
    airflow: AirflowStack
    folder: Path


def definition(reports: Path, **more: Any) -> dict[str, Any]:
    """Return a sync definition for the sandbox's company, as one would write it in YAML."""
    return {
        **company.sync_definition(),
        "schedule": "*/15 * * * *",
        "full_schedule": "0 3 * * *",
        "dry_run": False,
        "report": {"path": reports.as_uri()},
        **more,
    }


@contextmanager
def world(folder: Path, *, dry_run: bool = False, celery: bool = False) -> Iterator[World]:
    """Start the three systems, print where they are, and end them at the end.

    Files are put below ``folder``, which must not exist. ``dry_run``: not even a scheduled run may write, and Airflow
    starts one as soon as the DAG is unpaused. ``celery``: with the Celery executor.
    """
    config = folder / "config"
    config.mkdir(parents=True)
    services: AbstractContextManager[dict[str, Any]] = celery_stack.services() if celery else nullcontext({})
    say("Starting Genesys Cloud (sandbox) and Active Directory (Samba) …")
    with (
        services as parts,
        spawn(seed=company.genesys_seed(), port=reserve_port(GENESYS_PORT)) as genesys,
        SandboxDirectory.start(address=DIRECTORY_ADDRESS) as directory,
    ):
        more = celery_stack.definition_keys(parts["bucket"]) if celery else {}
        keys = definition(folder / "reports", dry_run=dry_run, **more)
        (config / "default.yaml").write_text(yaml.safe_dump(keys, sort_keys=False))
        airflow = (CeleryStack if celery else AirflowStack)(
            folder / "airflow",
            config,
            {
                "active_directory_default": directory.connection(),
                "genesys_cloud_default": genesys.connection(),
            },
            port=reserve_port(AIRFLOW_PORT),
            log_port=reserve_port(LOG_PORT),
            **parts,
        )
        everything = World(directory, genesys, airflow, folder)
        say(places(everything))
        workers = ", two Celery workers" if celery else ""
        say(f"Starting Airflow (API server, scheduler, DAG processor{workers}) …")
        try:
            airflow.start()
            if isinstance(airflow, CeleryStack):
                airflow.start_workers()
            airflow.wait_for_dag(DAG_ID)
            say("All three systems are running.")
            yield everything
        finally:
            airflow.stop()


def places(world: World) -> str:
    """Return where everything is, one value a line, so that it can be copied."""
    directory, airflow = world.directory, world.airflow
    reports: Any = world.folder / "reports"
    if isinstance(airflow, CeleryStack):
        reports = f"bucket {airflow.bucket.name} of {airflow.bucket.endpoint}"
    return f"""
Airflow             {airflow.url}
  user              {ADMIN}
  password          {airflow.password}
Active Directory    ldaps://{directory.host}
  user              {directory.admin_login}
  password          {directory.admin_password}
  CA certificate    {directory.ca_certs_file}
Genesys Cloud       {world.genesys.url}
  its state         {world.genesys.url}/_sandbox/state
Sync definition     {world.folder / "config" / "default.yaml"}
Reports             {reports}
Logs of tasks       {airflow.home / "logs"}
Logs of Airflow     {airflow.home}/*.log

To try the command line, or an Airflow of your own, with these two:
{_export("active_directory_default", directory.connection())}
{_export("genesys_cloud_default", world.genesys.connection())}
"""


def _export(connection_id: str, connection: dict[str, Any]) -> str:
    """Return the line for a shell that sets an Airflow connection."""
    return f"export AIRFLOW_CONN_{connection_id.upper()}={shlex.quote(json.dumps(connection))}"


def run(world: World, title: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Trigger a run, print its progress, and return its report.

    Returns {"path": of the report, "report": its JSON, "writes": to Genesys Cloud meanwhile}. Exits if the run fails.
    """
    say()
    say(title)
    before, start = len(world.genesys.writes()), time.monotonic()
    run_id = world.airflow.trigger(DAG_ID, conf)
    state = world.airflow.wait_for_run(DAG_ID, run_id, progress=lambda line: say(f"  {line}"))
    counts = world.airflow.xcom(DAG_ID, run_id, "report")
    writes = len(world.genesys.writes()) - before
    path = counts["path"].removeprefix("file://")
    report: dict[str, Any] = json.loads(Path(path).read_text())
    say(
        f"  Run ended with state {state} after {time.monotonic() - start:.0f} s. "
        f"Requests to Genesys Cloud: {counts['requests']}, of which writes: {writes_of(report)}."
    )
    if state != "success":
        say(render_summary(report))
        raise SystemExit(f"The run failed. Read the logs of its tasks in {world.airflow.home / 'logs'}.")
    return {"path": path, "report": report, "writes": writes}


def writes_of(report: dict[str, Any]) -> int:
    """Count the writes to Genesys Cloud of one run, whatever runs beside it."""
    counts: dict[str, int] = report["requests"]["by_endpoint"]
    reading = ("GET ", "POST /oauth/")
    return sum(
        count
        for endpoint, count in counts.items()
        if not endpoint.startswith(reading) and not endpoint.endswith("/search")
    )


def compare(world: World, first: dict[str, set[str]]) -> None:
    """Compare both systems without product code. Exits on a difference.

    It reads Active Directory with plain ldap3, and the sandbox's own state.
    ``first``: effective members of AD groups at the first run.
    """
    expected = company.expected_individuals(first, world.directory.truth_by_name())
    wrong = {
        group: (set(world.genesys.individuals(group)), people)
        for group, people in expected.items()
        if set(world.genesys.individuals(group)) != people
    }
    if wrong:
        for group, (seen, wanted) in wrong.items():
            say(f"  group {group}: missing {sorted(wanted - seen)}, too many {sorted(seen - wanted)}")
        raise SystemExit(f"{len(wrong)} Genesys groups do not have the members that Active Directory says.")
    mapped = len(set(company.PAIRS.values()))
    say(
        f"  Check: all {mapped} mapped Genesys groups have the members that Active Directory says "
        f"({sum(len(people) for people in expected.values())} memberships). "
        f"The {len(expected) - mapped} other groups are untouched."
    )


def demo(world: World) -> None:
    world.airflow.unpause(DAG_ID)
    at_first = world.directory.truth_by_name()
    run(world, "First run: compares every mapped group.", {})
    compare(world, at_first)

    changes = company.demo_changes()
    world.directory.apply(changes)
    say()
    say(
        f"Made {len(changes)} changes in Active Directory: new, renamed, disabled and deleted users, members of groups."
    )
    second = run(world, "Second run: carries these changes over.", {})
    compare(world, at_first)

    third = run(world, "Third run: nothing has changed, so it must write nothing.", {})
    if third["writes"]:
        raise SystemExit(f"The third run wrote {third['writes']} times although nothing had changed.")

    say()
    say("Report of the second run:")
    show(second)


def plan(world: World) -> None:
    world.airflow.unpause(DAG_ID)
    done = run(world, "Dry run: compares every mapped group and writes nothing.", {"mode": "full", "dry_run": True})
    if done["writes"]:
        raise SystemExit(f"Genesys Cloud got {done['writes']} writes although this was a dry run.")
    show(done)


def show(done: dict[str, Any]) -> None:
    say()
    say(render_summary(done["report"]))
    say()
    say(f"As JSON: {done['path']}")


def stay(world: World) -> None:
    """Wait for Ctrl-C."""
    world.airflow.unpause(DAG_ID)
    directory = world.directory
    say(
        f"""
To start a run: log in to Airflow, open the DAG {DAG_ID} and click Trigger.

To change Active Directory, in another terminal:
  LDAPTLS_CACERT={directory.ca_certs_file} ldapmodify -H ldaps://{directory.host} \\
    -D {directory.admin_login} -w '{directory.admin_password}'

To see what Genesys Cloud has, open the address of its state, above.

Press Ctrl-C to end all three."""
    )
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    say("Ending …")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo")
    parser.add_argument("--plan", action="store_true", help="make one dry run and print its plan")
    parser.add_argument("--stay", action="store_true", help="leave all three systems running until Ctrl-C")
    parser.add_argument("--executor", choices=("local", "celery"), default="local", help="of Airflow, with --stay")
    options = parser.parse_args()
    celery = options.executor == "celery"
    if celery and not options.stay:
        parser.error("--executor celery needs --stay")
    folder = PROJECT / ".sandbox" / ("up" if options.stay else "plan" if options.plan else "demo")
    shutil.rmtree(folder, ignore_errors=True)
    # An interrupted demo ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    with world(folder, dry_run=options.plan, celery=celery) as everything:
        if options.stay:
            stay(everything)
        elif options.plan:
            plan(everything)
        else:
            demo(everything)
    return 0


if __name__ == "__main__":
    sys.exit(main())
