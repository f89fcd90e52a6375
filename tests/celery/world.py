"""The world of the Celery tests, and what they ask of it."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import requests

from sandbox import company
from sandbox.airflow_stack import FINISHED, StackError
from sandbox.celery_stack import CeleryStack
from sandbox.directory_objects import Group
from sandbox.tcp_proxy import TcpProxy
from tests.support.stack import Stack, until

TROUBLE = "genesys_ad_group_sync__trouble"
APPROVAL = "genesys_ad_group_sync__approval"
MISSED = "genesys_ad_group_sync__missed"
GENESYS_WORKER = "near-genesys"
DIRECTORY_WORKER = "near-ad"

GROUPS = {
    "trouble-one": (Group("trouble-one", "Trouble One", ("nina.nagel", "paul.peters")), TROUBLE),
    "trouble-two": (Group("trouble-two", "Trouble Two", ("petra.pohl", "oskar.opitz")), TROUBLE),
    "approval-one": (Group("approval-one", "Approval One", ("nina.nagel", "paul.peters", "lena.lang")), APPROVAL),
    "missed-one": (Group("missed-one", "Missed One", ("nina.nagel", "paul.peters")), MISSED),
    "missed-two": (Group("missed-two", "Missed Two", ("petra.pohl", "oskar.opitz")), MISSED),
}
"""By sAMAccountName: the AD group, and the DAG that syncs it to the Genesys group of the same name."""

Row = tuple[str, str, str]
"""(Genesys group, Genesys user id, action)"""


@dataclass
class Figures:
    """The cost of a scenario. ``healed``: seconds from the trouble's end to the end of the last run."""

    scenario: str
    healed: float
    writes: int
    duplicates: int
    lost: int
    revived: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ended = f", ended and started again: {', '.join(self.revived)}" if self.revived else ""
        return (
            f"{self.scenario}: healed in {self.healed:.0f} s, {self.writes} writes, {self.duplicates} duplicates, "
            f"{self.lost} lost{ended}"
        )


@dataclass
class CeleryWorld(Stack):
    """The systems. ``reports`` is not used: the reports are in the bucket."""

    airflow: CeleryStack
    proxy: TcpProxy
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
        return {group.cn: self.individuals(group.cn) for group, of_dag in GROUPS.values() if of_dag == dag_id}

    def equal(self, dag_id: str) -> None:
        assert self.present(dag_id) == self.wanted(dag_id)

    # -- what was written -----------------------------------------------------------------------------

    def writes_of(self, dag_id: str, after: int) -> list[dict[str, Any]]:
        return [write for name in self.present(dag_id) for write in self.writes(after, name)]

    def wait_for_write(self, dag_id: str, after: int) -> None:
        """Wait until a request that writes is in flight."""
        until(
            "a write in flight",
            lambda: [write for write in self.writes_of(dag_id, after) if write["status"] is None],
        )

    @contextmanager
    def slow_writes(self, group: str, seconds: float) -> Iterator[None]:
        """Answer the next write of a group late; it is carried out at once."""
        path = f"/groups/{company.genesys_id('group', group)}"
        self.genesys.add_fault("slow", method="PATCH", path=path, seconds=seconds, when="after")
        try:
            yield
        finally:
            self.genesys.clear_faults()

    def settled(self, dag_id: str, run_ids: list[str]) -> Counter[Row]:
        """Return in how many reports each change is listed as done by that run."""
        return Counter(
            (row["genesys_group"]["name"], row["user_id"], row["action"])
            for run_id in run_ids
            for row in self.report(dag_id, run_id)["details"]
            if row["status"] == "success" and row["settled_by"] is None
        )

    def one_writer_at_a_time(self, dag_id: str, run_ids: list[str], after: int) -> None:
        """Check by the sandbox's log that writes of different runs do not overlap.

        A write belongs to the run whose report has its correlation id.
        """
        run_of = {
            row["correlation_id"]: run_id
            for run_id in run_ids
            for row in self.report(dag_id, run_id)["details"]
            if row["correlation_id"]
        }
        spans = sorted(
            (write["time"], write["time"] + (write["ms"] or 0) / 1000, run_of[write["correlation_id"]])
            for write in self.writes_of(dag_id, after)
            if write.get("correlation_id") in run_of
        )
        for (_, end, run), (begin, _, next_run) in pairwise(spans):
            assert run == next_run or end <= begin, (run, next_run)

    def figures(self, scenario: str, began: float, dag_id: str, run_ids: list[str], after: int) -> Figures:
        """Check that all is well after a trouble, and return what it cost.

        :param began: `time.monotonic` of the trouble's end.
        """
        healed = time.monotonic() - began
        sent = Counter(change for write in self.writes_of(dag_id, after) for change in _changes_of(write))
        wanted, present = self.wanted(dag_id), self.present(dag_id)
        figures = Figures(
            scenario,
            healed,
            len(self.writes_of(dag_id, after)),
            sum(count - 1 for count in sent.values()),
            sum(len(wanted[group] ^ present[group]) for group in wanted),
            self.revived,
        )
        self.revived = []
        assert (figures.duplicates, figures.lost) == (0, 0)
        self.equal(dag_id)
        self.one_writer_at_a_time(dag_id, run_ids, after)
        return figures


def _changes_of(write: dict[str, Any]) -> Iterator[Row]:
    """Yield the changes that a SCIM PATCH asks for."""
    group = write["path"].rpartition("/")[2]
    for operation in write["body"]["Operations"]:
        if operation["op"].lower() == "add":
            for member in operation["value"]:
                yield group, member["value"], "add"
        else:
            (user,) = re.findall(r'members\[value eq "([^"]+)"\]', operation["path"])
            yield group, user, "remove"


def difference(before: dict[str, set[str]], after: dict[str, set[str]]) -> Counter[Row]:
    """Return each membership that is otherwise after than before, once."""
    joined = [(group, user, "add") for group in after for user in after[group] - before[group]]
    left = [(group, user, "remove") for group in after for user in before[group] - after[group]]
    return Counter(joined + left)


Trouble = Callable[[CeleryWorld], None]
