"""What reading Active Directory costs, beside the same reads with bare ldap3.

    python -m benchmarks.poll [--users 20000 --groups 1000 --memberships 200000] [--repeat 5]

Against a Samba domain controller on this machine, so the server's own time is in all figures and a network's in none.
An idle DirSync costs Samba more the more users there are, whatever is asked; the ratio shows what the product adds.
An account that sees no tombstones also costs the member lists of the mapped groups at each poll, above 20,000
memberships a part of them. Those lines are for the directory, and for one of a tenth of its size.
What the product does is measured in a process of its own (its memory is the peak of that process, imports included).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import re
import resource
import statistics
import tempfile
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ldap3
from ldap3.protocol.microsoft import extended_dn_control, show_deleted_control

from benchmarks.processes import in_a_process
from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.dirsync import CHANGES_FILTER, NOTHING
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.model import GroupPair, RunRequest
from genesys_ad_sync.polling.deletions import read_deletions
from genesys_ad_sync.polling.poller import DirectoryPoller
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.settings import parse_definition
from genesys_ad_sync_airflow.active_directory.hook import ActiveDirectoryHook
from sandbox.active_directory import Account, SandboxDirectory
from sandbox.directory_objects import BASE_DN, CONTACT_CENTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


GUID = re.compile(rb"<GUID=([0-9a-f-]{36})>")
ATTRIBUTES = ["objectGUID", "objectClass", "cn", "sAMAccountName", "userAccountControl", "mail", "userPrincipalName"]
WATCHED = [*ATTRIBUTES, "member", "isDeleted", "name", "primaryGroupID"]


@dataclass(frozen=True)
class Cost:
    """``requests`` None: not counted."""

    seconds: float
    requests: int | None = None
    peak_mb: float | None = None


def guid_in(extended_dn: bytes) -> bytes:
    """Return the GUID in an extended DN. Raises ValueError if there is none."""
    found = GUID.search(extended_dn)
    if found is None:
        raise ValueError(f"no GUID in {extended_dn!r}")
    return found.group(1)


# -- the floor: bare ldap3 ----------------------------------------------------------------------------


class Bare:
    """The same reads for the bytes only: no view, no journal, no proof."""

    def __init__(self, connection: ldap3.Connection) -> None:
        self._connection = connection
        self.requests = 0

    def _search(self, base: str, where: str, what: list[str], controls: list[Any], **paging: Any) -> tuple[Any, Any]:
        self.requests += 1
        _, result, response, _ = self._connection.search(base, where, attributes=what, controls=controls, **paging)
        assert result["result"] == 0, result
        return result, response

    def whole(self) -> tuple[int, int]:
        """Read all groups with their members' GUIDs, range by range, and all users."""
        memberships = 0
        for entry in self._paged(CONTACT_CENTER, "(objectClass=group)", [*ATTRIBUTES, "member;range=0-1499"], 200):
            for name, values in entry["raw_attributes"].items():
                if name.lower().startswith("member;"):
                    memberships += len({guid_in(value) for value in values})
                    if not name.endswith("-*"):
                        memberships += self._more_members(entry, len(values))
        users = sum(1 for _ in self._paged(BASE_DN, "(objectClass=user)", ATTRIBUTES, 500))
        return memberships, users

    def _more_members(self, entry: dict[str, Any], low: int) -> int:
        count = 0
        guid = guid_in(entry["dn"].encode()).decode()
        while True:
            name = f"member;range={low}-{low + 1499}"
            _, response = self._search(
                f"<GUID={guid}>", "(objectClass=*)", [name], [extended_dn_control(False, False)],
                search_scope=ldap3.BASE,
            )  # fmt: skip
            ((answered, values),) = [
                (key, values)
                for key, values in response[0]["raw_attributes"].items()
                if key.lower().startswith("member;")
            ]
            count += len({guid_in(value) for value in values})
            if answered.endswith("-*"):
                return count
            low += len(values)

    def _paged(self, base: str, where: str, what: list[str], size: int) -> Iterator[dict[str, Any]]:
        cookie = None
        while True:
            result, response = self._search(
                base, where, what, [extended_dn_control(False, False)], paged_size=size, paged_cookie=cookie
            )
            yield from (entry for entry in response if entry["type"] == "searchResEntry")
            cookie = result["controls"][ctl.PAGED_RESULTS]["value"]["cookie"]
            if not cookie:
                return

    def dirsync(self, cookie: bytes, where: str = CHANGES_FILTER) -> tuple[bytes, int]:
        """Read the changes since a cookie. Return (the next cookie, how many entries)."""
        controls = [ctl.dirsync_control(cookie), show_deleted_control(False), extended_dn_control(False, False)]
        result, response = self._search(BASE_DN, where, WATCHED, controls)
        return bytes(result["controls"][ctl.DIRSYNC]["value"]["cookie"]), len(response)


# -- the product, in a process of its own -------------------------------------------------------------


DEFINITION = f"""
directory: {{group_base: "{CONTACT_CENTER}"}}
groups: [{{name: "(?P<same>.+)", genesys_name: "{{same}}"}}]
users: [{{directory: mail, genesys: email}}]
report: {{path: "file:///nowhere"}}
"""


def product(folder: str, connection: dict[str, Any], repeat: int) -> list[Cost]:
    """Poll ``repeat`` times with a journal in ``folder``."""
    os.environ["AIRFLOW_CONN_ACTIVE_DIRECTORY_DEFAULT"] = json.dumps(connection)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with (
        Journal.open(f"sqlite:///{Path(folder) / 'journal.db'}") as journal,
        ActiveDirectoryHook().get_conn() as session,
    ):
        costs = []
        for _ in range(repeat):
            task = _sync(journal, session)
            requests, began = session.requests, time.perf_counter()
            poller = DirectoryPoller(task, session)
            read_deletions(task, poller, poller.poll(full=False))
            costs.append(
                Cost(time.perf_counter() - began, session.requests - requests,
                     resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            )  # fmt: skip
            map_all_groups(task)
        return costs


def map_all_groups(task: TaskContext) -> None:
    """Map each AD group to a Genesys group, as `map_groups` does after the first poll."""
    groups = task.journal.views.groups_in_scope()
    pairs = [GroupPair(group.guid, f"genesys-{group.guid}", group.name, rule=0) for group in groups]
    task.journal.pairs.replace(pairs, task.clock())


def _sync(journal: Journal, session: LdapSession) -> TaskContext:
    def unused() -> Any:
        raise AssertionError("reading AD needs nothing else")

    definition, key = parse_definition(DEFINITION), RunKey("benchmark", uuid.uuid4().hex)
    mine = journal.of(definition.name)
    mine.runs.begin(key, definition.name, RunRequest(run_type="manual"), datetime.now(timezone.utc))
    return TaskContext(
        definition=definition,
        journal=mine,
        key=key,
        task_key="poll",
        directory=lambda: session,
        client=unused,
        api_url=unused,
        client_id=unused,
        reports=None,  # type: ignore[arg-type]  # reading AD writes no report
        clock=lambda: datetime.now(timezone.utc),
        sleep=time.sleep,
        log=lambda _: None,
    )


# -- the comparison -----------------------------------------------------------------------------------


class Comparison:
    def __init__(self, directory: SandboxDirectory, folder: Path, repeat: int) -> None:
        self.directory = directory
        self.folder = folder
        self.repeat = repeat

    def product(self, repeat: int = 1, account: Account = "reader") -> list[Cost]:
        return in_a_process(product, str(self.folder), self.directory.connection(account), repeat)

    @contextmanager
    def bare(self) -> Iterator[Bare]:
        connection = self.directory.ldap("reader")
        try:
            yield Bare(connection)
        finally:
            connection.unbind()

    def timed(self, read: Callable[[Bare], Any]) -> tuple[Cost, Any]:
        with self.bare() as bare:
            began = time.perf_counter()
            answer = read(bare)
            return Cost(time.perf_counter() - began, bare.requests), answer


def best(costs: list[Cost]) -> Cost:
    """Return the median in time, so that one disturbance of the machine does not count."""
    seconds = statistics.median(cost.seconds for cost in costs)
    return Cost(seconds, costs[-1].requests, max((cost.peak_mb or 0 for cost in costs), default=None))


def line(name: str, ours: Cost, floor: Cost, aim: str) -> str:
    memory = f"{ours.peak_mb:.0f} MB" if ours.peak_mb else ""
    return (
        f"{name:<28} {ours.requests:>5} requests {ours.seconds:>8.3f} s {memory:>8}"
        f" | bare ldap3 {floor.requests:>5} requests {floor.seconds:>8.3f} s"
        f" | ratio {ours.seconds / floor.seconds:.2f}  ({aim})"
    )


def change(directory: SandboxDirectory, count: int, seed: int) -> None:
    """Take so many memberships away, one by one."""
    dice = random.Random(seed)
    connection = directory.ldap()
    groups = [
        entry["dn"]
        for entry in connection.search(CONTACT_CENTER, "(objectClass=group)", attributes=["1.1"])[2]
        if entry["type"] == "searchResEntry"
    ]
    done = 0
    while done < count:
        group = dice.choice(groups)
        found = connection.search(group, "(objectClass=*)", ldap3.BASE, attributes=["member"])[2]
        members = found[0]["raw_attributes"].get("member", [])
        if members:
            taken = {"member": [(ldap3.MODIFY_DELETE, [dice.choice(members)])]}
            done += bool(connection.modify(group, taken)[0])
    connection.unbind()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--groups", type=int, default=1_000)
    parser.add_argument("--memberships", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=5)
    asked = parser.parse_args()
    began = time.perf_counter()
    with crowd(asked.users, asked.groups, asked.memberships) as directory:
        print(f"ready after {time.perf_counter() - began:.0f} s", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            compare(Comparison(directory, Path(folder), asked.repeat))
        compare_accounts(directory, asked.repeat)
    with crowd(asked.users // 10, asked.groups // 10, asked.memberships // 10) as directory:
        compare_accounts(directory, asked.repeat)


@contextmanager
def crowd(users: int, groups: int, memberships: int) -> Iterator[SandboxDirectory]:
    with SandboxDirectory.start(users=users, groups=groups, memberships=memberships) as directory:
        print(f"{users} users, {groups} groups, {memberships} memberships on Samba", flush=True)
        yield directory


def compare_accounts(directory: SandboxDirectory, repeat: int) -> None:
    """Print what an idle poll costs with an account that sees tombstones, and with one that does not."""
    names: dict[Account, str] = {"reader": "idle, tombstones visible", "limited": "idle, tombstones hidden"}
    found = {}
    for account, name in names.items():
        with tempfile.TemporaryDirectory() as folder:
            both = Comparison(directory, Path(folder), repeat)
            both.product(account=account)  # the whole view; the groups are mapped afterwards
            found[account] = best(both.product(repeat, account))
        print(f"{name:<28} {found[account].requests:>5} requests {found[account].seconds:>8.3f} s", flush=True)
    more = (found["limited"].requests or 0) - (found["reader"].requests or 0)
    seconds = found["limited"].seconds - found["reader"].seconds
    print(f"{'':<28} the member lists of the mapped groups: {more} requests, {seconds:.3f} s", flush=True)


def compare(both: Comparison) -> None:
    repeat = both.repeat
    wholes = []
    for _ in range(max(2, repeat // 2)):  # each with an empty journal
        (both.folder / "journal.db").unlink(missing_ok=True)
        for leftover in both.folder.glob("journal.db-*"):
            leftover.unlink()
        wholes += both.product()
    floors = [both.timed(lambda bare: bare.whole())[0] for _ in range(max(2, repeat // 2))]
    print(line("whole view, empty journal", best(wholes), best(floors), "aim ≤ 1.4, < 500 MB"), flush=True)

    cookie = both.timed(lambda bare: bare.dirsync(b"", NOTHING))[1][0]
    idle = both.product(repeat)
    floors = [both.timed(lambda bare: bare.dirsync(cookie))[0] for _ in range(repeat)]
    print(line("idle poll", best(idle), best(floors), "aim ≤ 1.1"), flush=True)
    print(f"{'':<28} the product's own part: {best(idle).seconds - best(floors).seconds:.3f} s", flush=True)

    changed, floors = [], []
    for number in range(max(2, repeat // 2)):
        cookie = both.timed(lambda bare: bare.dirsync(b"", NOTHING))[1][0]
        change(both.directory, 100, number)
        changed += both.product()
        floors.append(both.timed(lambda bare: bare.dirsync(cookie))[0])  # noqa: B023 (called at once)
    print(line("poll with 100 removals", best(changed), best(floors), "no aim"), flush=True)


if __name__ == "__main__":
    main()
