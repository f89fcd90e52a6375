"""How long a change in Active Directory takes until it is in effect in Genesys Cloud.

    python -m benchmarks.latency [--executor local|celery] [--changes 50] [--pause 10]

A real Airflow with a schedule of every minute, Samba and the Genesys sandbox. Memberships are added and removed one
after the other; who was added is removed only after the addition was seen. Each change is timed from the answer of the
domain controller until the sandbox's state has it. The wait for the next run, half a minute in the mean, is a part of
that.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import time
from collections import Counter
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
FEWEST_MEMBERS = 3  # so that no change empties the group, which would ask a person


@dataclass(frozen=True)
class Expected:
    """A membership that is to come, or to go. ``since``: `time.monotonic` of the change in AD."""

    person: str
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
    keys = demo.definition(world.folder / "reports", schedule="* * * * *", limits={"removals_percent": 100}, **more)
    (world.folder / "config" / "default.yaml").write_text(yaml.safe_dump(keys))
    world.airflow.read_dags_again()
    world.airflow.unpause(demo.DAG_ID)
    while not (runs := world.airflow.runs(demo.DAG_ID)):
        time.sleep(LOOK_EVERY_SECONDS)
    world.airflow.wait_for_run(demo.DAG_ID, runs[0]["dag_run_id"])


def measure(world: demo.World, changes: int, pause: float) -> tuple[list[float], int]:
    """Return the seconds of each change that arrived, and how many did not."""
    pace = random.Random(1)
    sam, strangers = _group_and_strangers(world)
    waiting: list[Expected] = []
    inside: list[str] = []
    seconds: list[float] = []
    for number in range(changes):
        leaves = bool(inside) and number % 2 == 1
        person = inside.pop(0) if leaves else strangers.pop(0)
        world.directory.apply([RemoveMember(sam, person) if leaves else AddMember(sam, person)])
        waiting.append(Expected(person, company.genesys_id("user", person), not leaves, time.monotonic()))
        end = time.monotonic() + pace.uniform(0.0, 2 * pause)
        for arrived, after in _arrivals(world, sam, waiting, end):
            seconds.append(after)
            (inside if arrived.member else strangers).append(arrived.person)
    end = time.monotonic() + LONGEST_SECONDS
    seconds += [after for _, after in _arrivals(world, sam, waiting, end, until_empty=True)]
    return seconds, len(waiting)


def _group_and_strangers(world: demo.World) -> tuple[str, list[str]]:
    """Return an AD group, and people with a Genesys user who are not in its Genesys group.

    Nothing else feeds that one. Of all such groups, it is the one with the most strangers.
    """
    truth = world.directory.truth_by_name()
    fed = Counter(company.PAIRS[sam] for sam in truth if sam in company.PAIRS)
    everybody = {person for people in truth.values() for person in people}

    def strangers(sam: str) -> list[str]:
        present = _members(world, sam)
        users = {person: company.genesys_id("user", person) for person in sorted(everybody - truth[sam])}
        return [who for who, user in users.items() if company.genesys_user_of(who) == user and user not in present]

    alone = [sam for sam in truth if fed[company.PAIRS.get(sam, "")] == 1 and len(truth[sam]) >= FEWEST_MEMBERS]
    found = {sam: strangers(sam) for sam in alone}
    return max(found.items(), key=lambda item: len(item[1]))


def _members(world: demo.World, sam: str) -> set[str]:
    return set(world.genesys.individuals(company.genesys_id("group", company.PAIRS[sam])))


def _arrivals(
    world: demo.World, sam: str, waiting: list[Expected], end: float, *, until_empty: bool = False
) -> Iterator[tuple[Expected, float]]:
    """Take what has arrived out of ``waiting``, until a time; yield it with its seconds."""
    while time.monotonic() < end and not (until_empty and not waiting):
        members = _members(world, sam)
        now = time.monotonic()
        for one in list(waiting):
            if (one.user_id in members) is one.member:
                waiting.remove(one)
                yield one, now - one.since
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
