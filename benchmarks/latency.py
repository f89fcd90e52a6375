"""How long a change in Active Directory takes until it is in effect in Genesys Cloud.

    python -m benchmarks.latency [--executor local|celery] [--changes 50] [--pause 10]

A real Airflow with a schedule of every minute, Samba and the Genesys sandbox. Memberships are added and removed one
after the other. Each is timed from the answer of the domain controller until the sandbox's state has it. The wait for
the next run, half a minute in the mean, is a part of that.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from sandbox import celery_stack, company, demo
from sandbox.celery_stack import CeleryStack
from sandbox.directory_objects import AddMember, RemoveMember

PLACE = Path(".sandbox/latency")
LOOK_EVERY_SECONDS = 0.5
LONGEST_SECONDS = 1800.0


@dataclass(frozen=True)
class Expected:
    """A membership that is to come, or to go. ``since``: `time.monotonic` of the change in AD."""

    group_id: str
    user_id: str
    member: bool
    since: float


def main() -> int:
    """Print the percentiles of all changes. Returns 1 if a change did not arrive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executor", choices=("local", "celery"), default="local")
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument("--pause", type=float, default=10.0, help="mean seconds between two changes")
    options = parser.parse_args()
    shutil.rmtree(PLACE, ignore_errors=True)
    with demo.world(PLACE.resolve(), celery=options.executor == "celery") as world:
        _start_schedule(world)
        seconds, lost = measure(world, options.changes, options.pause)
    report(options.executor, seconds, lost)
    return 1 if lost else 0


def _start_schedule(world: demo.World) -> None:
    """Have a run every minute, and wait for the first one, which compares everything."""
    more = celery_stack.definition_keys(world.airflow.bucket) if isinstance(world.airflow, CeleryStack) else {}
    keys = demo.definition(world.folder / "reports", schedule="* * * * *", **more)
    (world.folder / "config" / "default.yaml").write_text(yaml.safe_dump(keys))
    world.airflow.read_dags_again()
    world.airflow.unpause(demo.DAG_ID)
    while not (runs := world.airflow.runs(demo.DAG_ID)):
        time.sleep(LOOK_EVERY_SECONDS)
    world.airflow.wait_for_run(demo.DAG_ID, runs[0]["dag_run_id"])


def measure(world: demo.World, changes: int, pause: float) -> tuple[list[float], int]:
    """Return the seconds of each change that arrived, and how many did not."""
    pace = random.Random(1)
    waiting: list[Expected] = []
    seconds: list[float] = []
    for sam, person, add in itertools.islice(_changes(world), changes):
        world.directory.apply([AddMember(sam, person) if add else RemoveMember(sam, person)])
        waiting.append(
            Expected(
                company.genesys_id("group", company.PAIRS[sam]),
                company.genesys_id("user", person),
                add,
                time.monotonic(),
            )
        )
        _look_until(world, waiting, seconds, time.monotonic() + pace.uniform(0.0, 2 * pause))
    _look_until(world, waiting, seconds, time.monotonic() + LONGEST_SECONDS, until_empty=True)
    return seconds, len(waiting)


def _changes(world: demo.World) -> Iterator[tuple[str, str, bool]]:
    """Yield (AD group, person, whether to add): people of other groups join a group, and leave it later."""
    truth = world.directory.truth_by_name()
    sam = max((sam for sam in company.PAIRS if sam in truth), key=lambda sam: len(truth[sam]))
    everybody = {person for people in truth.values() for person in people}
    strangers = sorted(person for person in everybody - truth[sam] if company.genesys_user_of(person))
    for first, second in itertools.pairwise(itertools.cycle(strangers)):
        yield sam, first, True
        yield sam, second, True
        yield sam, first, False
        yield sam, second, False


def _look_until(
    world: demo.World, waiting: list[Expected], seconds: list[float], end: float, *, until_empty: bool = False
) -> None:
    """Move what has arrived from ``waiting`` to ``seconds``, until a time."""
    while time.monotonic() < end and not (until_empty and not waiting):
        members = {group: set(world.genesys.individuals(group)) for group in {one.group_id for one in waiting}}
        now = time.monotonic()
        for one in list(waiting):
            if (one.user_id in members[one.group_id]) is one.member:
                seconds.append(now - one.since)
                waiting.remove(one)
        time.sleep(LOOK_EVERY_SECONDS)


def report(executor: str, seconds: list[float], lost: int) -> None:
    """Print a line of the table."""
    if len(seconds) < 2:  # noqa: PLR2004  quantiles need two
        print(f"{executor}: {len(seconds)} changes arrived, {lost} did not")
        return
    percentiles = statistics.quantiles(seconds, n=100, method="inclusive")
    print("executor  changes  lost     p50 s     p95 s     max s")
    print(
        f"{executor:<10}{len(seconds):>7}{lost:>6}{percentiles[49]:>10.1f}{percentiles[94]:>10.1f}{max(seconds):>10.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
