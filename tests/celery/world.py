"""The world of the Celery tests, and what they ask of it."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any

import requests

from sandbox import company
from sandbox.airflow_stack import FINISHED, StackError
from sandbox.celery_stack import CeleryStack
from sandbox.directory_objects import Group
from sandbox.tcp_proxy import TcpProxy
from tests.support.stack import Stack, until

TROUBLE = "genesys_ad_group_sync__trouble"
OTHER = "genesys_ad_group_sync__other"
"""Writes to the same Genesys organisation as the one in trouble. Two removals ask a person."""
MISSED = "genesys_ad_group_sync__missed"
GENESYS_WORKER = "near-genesys"
DIRECTORY_WORKER = "near-ad"
LEASE_SECONDS = 300
"""`TaskContext.lease_ttl`."""

GROUPS = {
    "trouble-one": (Group("trouble-one", "Trouble One", ("nina.nagel", "paul.peters")), TROUBLE),
    "trouble-two": (Group("trouble-two", "Trouble Two", ("petra.pohl", "oskar.opitz")), TROUBLE),
    "other-one": (Group("other-one", "Other One", ("nina.nagel", "paul.peters", "lena.lang")), OTHER),
    "other-two": (Group("other-two", "Other Two", ("petra.pohl", "oskar.opitz")), OTHER),
    "missed-one": (Group("missed-one", "Missed One", ("nina.nagel", "paul.peters")), MISSED),
    "missed-two": (Group("missed-two", "Missed Two", ("petra.pohl", "oskar.opitz")), MISSED),
}
"""By sAMAccountName: the AD group, and the DAG that syncs it to the Genesys group of the same name."""

Row = tuple[str, str, str]
"""(Genesys group, Genesys user id, action)"""


@dataclass(frozen=True)
class Figures:
    """The cost of a scenario. ``healed``: seconds from the trouble's end to the end of the last run."""

    scenario: str
    healed: float
    writes: int
    duplicates: int
    lost: int
    revived: tuple[str, ...]


FIGURES: list[Figures] = []
"""Of each scenario until now, also of one that failed."""


def table(figures: Sequence[Figures]) -> list[str]:
    """Return the lines of the table at the end of the level."""
    width = max(len(each.scenario) for each in figures)
    lines = [f"{'killed':<{width}}  seconds to heal  writes  duplicates  lost  Airflow services that ended"]
    return lines + [
        f"{each.scenario:<{width}}{each.healed:>17.0f}{each.writes:>8}{each.duplicates:>12}{each.lost:>6}"
        f"  {', '.join(each.revived) or 'none'}"
        for each in figures
    ]


@dataclass(frozen=True)
class Write:
    """A request that changes members, by the sandbox's log. Times are in seconds since 1970."""

    run_id: str
    begin: float
    end: float


@dataclass
class CeleryWorld(Stack):
    """The systems. ``reports`` is not used: the reports are in the bucket.

    ``truth``: effective members of AD groups before the first run, all by sAMAccountName.
    """

    airflow: CeleryStack
    proxy: TcpProxy
    truth: Mapping[str, set[str]]
    revived: list[str] = field(default_factory=list)

    def report(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return the report of a run, from the bucket."""
        path = self.airflow.xcom(dag_id, run_id, "report")["path"]
        report: dict[str, Any] = json.loads(self.airflow.bucket.read(path))
        return report

    def first_run(self, dag_id: str) -> None:
        first = until(f"the first run of {dag_id}", lambda: next(iter(self.airflow.runs(dag_id)), None))
        assert self.finish(dag_id, first["dag_run_id"]) == "success"
        self.equal(dag_id)

    def finish(self, dag_id: str, run_id: str) -> str:
        """Wait until a run is over, and return its state.

        A service that ends meanwhile is started again, as each platform does it. An API server that does not answer is
        asked again.
        """

        def state() -> str | None:
            self.revived += self.airflow.revive()
            try:
                found = str(self.airflow.run(dag_id, run_id)["state"])
            except (StackError, requests.RequestException):
                return None
            return found if found in FINISHED else None

        return str(until(f"run {run_id} of {dag_id} to end", state))

    # -- AD and Genesys -------------------------------------------------------------------------------

    def wanted(self, dag_id: str) -> dict[str, set[str]]:
        """Genesys users by Genesys group, by plain LDAP: no product code."""
        truth = self.directory.truth_by_name()
        return {
            group.cn: {user for person in truth[sam] if (user := company.genesys_user_of(person))}
            for sam, (group, of_dag) in GROUPS.items()
            if of_dag == dag_id
        }

    def present(self, dag_id: str) -> dict[str, set[str]]:
        return {group.cn: self.individuals(group.cn) for group in _groups_of(dag_id)}

    def equal(self, dag_id: str) -> None:
        assert self.present(dag_id) == self.wanted(dag_id)

    # -- what was written -----------------------------------------------------------------------------

    def writes_of(self, dag_id: str, after: int) -> list[dict[str, Any]]:
        return [write for group in _groups_of(dag_id) for write in self.writes(after, group.cn)]

    @contextmanager
    def held_write(self, dag_id: str) -> Iterator[Callable[[], None]]:
        """Carry out the next write of a DAG, and keep its answer back.

        Yields a function that lets the answer go. The end of the block does so, too.
        """
        ids = [company.genesys_id("group", group.cn) for group in _groups_of(dag_id)]
        self.genesys.add_fault("slow", method="PATCH", path=f"/groups/({'|'.join(ids)})", seconds=3600, when="after")
        try:
            yield self.genesys.clear_faults
        finally:
            self.genesys.clear_faults()

    def wait_for_write(self, dag_id: str, after: int) -> None:
        """Wait until a request that writes is in flight, and its worker is seen to be busy."""
        until("a write in flight", lambda: any(write["status"] is None for write in self.writes_of(dag_id, after)))
        assert GENESYS_WORKER in self.airflow.busy_workers()

    def wait_for_lease(self, dag_id: str, run_ids: Sequence[str], after: int, writes: int = 0) -> None:
        """Wait until one of these runs waits for another run's lease, or writes in spite of it.

        :param writes: how many writes there are of the DAG already.
        """
        logs = self.airflow.home / "logs" / f"dag_id={dag_id}"

        def is_there() -> bool:
            return len(self.writes_of(dag_id, after)) > writes or any(
                "waiting: Run" in log.read_text(errors="replace")
                for run_id in run_ids
                for log in (logs / f"run_id={run_id}").glob("task_id=patch/**/*.log")
            )

        until(f"a run of {dag_id} to come to the lease", is_there)

    def done_rows(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the rows of a report that this run has settled with success."""
        details = self.report(dag_id, run_id)["details"]
        return [row for row in details if row["status"] == "success" and row["settled_by"] is None]


@dataclass
class Scenario:
    """A trouble, and the check that all is well after it.

    ``keeper``: the DAG whose run is to keep the lease from its first write to its last.
    """

    world: CeleryWorld
    name: str
    dag_ids: tuple[str, ...]
    keeper: str | None = None
    mark: int = field(init=False)
    before: dict[str, dict[str, set[str]]] = field(init=False)
    over: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        for dag_id in self.dag_ids:
            self.world.equal(dag_id)
        self.before = {dag_id: self.world.present(dag_id) for dag_id in self.dag_ids}
        self.mark = self.world.mark()
        self.world.revived.clear()

    def trouble_is_over(self) -> None:
        """Count the seconds from now on."""
        self.over = time.monotonic()

    def heals(self, runs: Mapping[str, Sequence[str]]) -> Counter[Row]:
        """Wait for the runs' end, and check everything; return the changes that were made.

        :param runs: run ids by DAG; there are no others since the scenario began.
        """
        assert self.over is not None
        states = {self.world.finish(dag_id, run_id) for dag_id, of_dag in runs.items() for run_id in of_dag}
        healed = time.monotonic() - self.over
        writes = [write for dag_id in self.dag_ids for write in self.world.writes_of(dag_id, self.mark)]
        sent = Counter(change for write in writes for change in changes_of(write))
        wanted = {dag_id: self.world.wanted(dag_id) for dag_id in self.dag_ids}
        now = {dag_id: self.world.present(dag_id) for dag_id in self.dag_ids}
        duplicates = sum(count - 1 for count in sent.values())
        lost = sum(len(wanted[dag_id][group] ^ now[dag_id][group]) for dag_id in wanted for group in wanted[dag_id])
        FIGURES.append(Figures(self.name, healed, len(writes), duplicates, lost, tuple(self.world.revived)))
        assert states == {"success"}
        assert (duplicates, lost) == (0, 0)
        done: Counter[Row] = Counter()
        for dag_id in self.dag_ids:
            reported = Counter(
                (row["genesys_group"]["name"], row["user_id"], row["action"])
                for run_id in runs[dag_id]
                for row in self.world.done_rows(dag_id, run_id)
            )
            assert reported == difference(self.before[dag_id], now[dag_id])
            done += reported
        self._one_writer_at_a_time(runs)
        return done

    def _one_writer_at_a_time(self, runs: Mapping[str, Sequence[str]]) -> None:
        """Check by the sandbox's log that writes of different runs neither overlap nor come between each other."""
        spans = [write for dag_id, run_ids in runs.items() for write in self._writes_by_run(dag_id, run_ids)]
        for one, two in combinations(spans, 2):
            assert one.run_id == two.run_id or one.end <= two.begin or two.end <= one.begin, (one, two)
        if self.keeper is None:
            return
        (keeper,) = runs[self.keeper]
        its_own = sorted((span for span in spans if span.run_id == keeper), key=lambda span: span.begin)
        for one, two in pairwise(its_own):
            if two.begin - one.end < LEASE_SECONDS:  # else another run may have taken the lease
                between = [span for span in spans if span.run_id != keeper and one.begin < span.begin < two.begin]
                assert not between, (one, two, between)

    def _writes_by_run(self, dag_id: str, run_ids: Sequence[str]) -> Iterator[Write]:
        """Yield the writes of a DAG with the run that its report has them from.

        The write of a try that was killed is in no report. It is attributed where the DAG had one run only.
        """
        run_of = {row["correlation_id"]: run_id for run_id in run_ids for row in self.world.done_rows(dag_id, run_id)}
        for write in self.world.writes_of(dag_id, self.mark):
            run_id = run_ids[0] if len(run_ids) == 1 else run_of.get(write.get("correlation_id"))
            assert run_id is not None, f"no report has this write: {write}"
            assert write["ms"] is not None, f"not answered yet: {write}"
            yield Write(run_id, write["time"], write["time"] + write["ms"] / 1000)


def _groups_of(dag_id: str) -> list[Group]:
    return [group for group, of_dag in GROUPS.values() if of_dag == dag_id]


def changes_of(write: dict[str, Any]) -> Iterator[Row]:
    """Yield the changes that a SCIM PATCH asks for."""
    group = write["path"].rpartition("/")[2]
    for operation in write["body"]["Operations"]:
        if operation["op"].lower() == "add":
            for member in operation["value"]:
                yield group, member["value"], "add"
        else:
            (user,) = re.findall(r'members\[value eq "([^"]+)"\]', operation["path"])
            yield group, user, "remove"


def difference(before: Mapping[str, set[str]], after: Mapping[str, set[str]]) -> Counter[Row]:
    """Return each membership that is otherwise after than before, once."""
    joined = [(group, user, "add") for group in after for user in after[group] - before[group]]
    left = [(group, user, "remove") for group in after for user in before[group] - after[group]]
    return Counter(joined + left)
