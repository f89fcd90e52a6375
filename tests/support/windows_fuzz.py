"""One round of the windows fuzz.

A small directory changes at random. Runs of every kind follow it in any order, task processes are killed at
random, DirSync answers are spoilt. Then everything must be as if one `full` run had been made.

Each run is a process of its own, as in Airflow. What is right is decided by `SandboxDirectory.truth`, not by
the product.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import ldap3
import yaml

from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync.model import SETTLED, Reason, Status
from genesys_ad_sync.report.schema import validate
from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import BASE_DN, DISABLED_ACCOUNT, ENABLED_ACCOUNT, GLOBAL_SECURITY_GROUP
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions

PEOPLE = 12
UNKNOWN_TO_GENESYS = ("u11", "u12")
MAPPED = {"g1": "A", "g2": "A", "g3": "B", "g4": "C"}  # AD group -> Genesys group
NESTED = ("n1", "n2")  # AD groups out of the scope
STAGES = ("poll", "map_groups", "resolve_users", "plan", "patch")
DAG_ID = "genesys_ad_group_sync"
LEASE_TTL = timedelta(minutes=5)
TRICKS = ("repeat", "full", "garbage", "cut")

KINDS = {  # of changes -> how often
    "add": 30, "remove": 24, "replace": 4, "nest": 6, "unnest": 5, "delete_user": 5, "new_user": 4,
    "anew": 5, "disable": 4, "enable": 4, "rename": 4, "move_user": 3, "mail": 3, "primary": 3, "swap": 4,
    "move_group": 1, "delete_group": 1, "rename_ou": 1,
}  # fmt: skip

RUNS = {  # how often
    "none": 2, "live": 8, "two": 3, "late": 5, "full": 1, "changes": 2, "dry": 2, "groups": 2, "window": 4,
    "cleared": 2, "cleared_patch": 2, "undo": 4, "release": 2,
}  # fmt: skip

_NAMESPACE = uuid.UUID(int=0xF022)


def genesys_id(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, name))


def genesys_seed() -> dict[str, Any]:
    """Everybody but the unknown ones; each group has a member of its own whom AD does not know, and one more."""
    names = [f"u{number}" for number in range(1, 60) if f"u{number}" not in UNKNOWN_TO_GENESYS]
    users = [
        {"id": genesys_id(name), "name": name, "email": f"{name}@example.com", "username": f"{name}@example.com",
         "state": "active", "external_ids": []}
        for name in [*names, *(f"manual{group}" for group in "ABC")]
    ]  # fmt: skip
    groups = [
        {"id": genesys_id(f"group {name}"), "name": name, "individuals": [genesys_id(f"manual{name}")]}
        for name in "ABC"
    ]
    return {"users": users, "groups": groups}


OPTIONS = SandboxOptions(rate_allowed=None)


# -- the directory ------------------------------------------------------------------------------------


class Directory:
    """The round's part of the sandbox directory, and random changes of it. Not one line of the product."""

    def __init__(self, sandbox: SandboxDirectory, rng: random.Random) -> None:
        self.sandbox = sandbox
        self.rng = rng
        self.ldap = sandbox.ldap()
        self.root = f"OU=Round {uuid.UUID(int=rng.getrandbits(128)).hex[:12]},{BASE_DN}"
        self.scope, self.outside = f"OU=In,{self.root}", f"OU=Out,{self.root}"
        self.prefix = self.root[9:17]
        self.dn: dict[str, str] = {}
        self.next_user = PEOPLE + 1
        self.done: Counter[str] = Counter()
        self.tombstones_are_seen = True
        self.lost: set[str] = set()  # Genesys groups that an AD group once fed and does not feed any more
        for ou in (self.root, self.scope, self.outside):
            self._do(self.ldap.add(ou, ["organizationalUnit"]))
        for number in range(1, PEOPLE + 1):
            self.add_user(f"u{number}")
        for name in (*NESTED, *MAPPED):
            self.add_group(name)

    def add_user(self, name: str) -> None:
        self.dn[name] = f"CN={name},{self.outside}"
        values = {
            "sAMAccountName": f"{self.prefix}{name}",
            "mail": f"{name}@example.com",
            "userAccountControl": str(ENABLED_ACCOUNT),
        }
        self._do(self.ldap.add(self.dn[name], ["user"], values))

    def add_group(self, name: str) -> None:
        self.dn[name] = f"CN={name},{self.scope if name in MAPPED else self.outside}"
        people = self.rng.sample(self.people(), 3)
        values: dict[str, Any] = {
            "sAMAccountName": f"{self.prefix}{name}",
            "groupType": str(GLOBAL_SECURITY_GROUP),
            "member": [self.dn[one] for one in people],
        }
        if name in MAPPED:
            values["info"] = genesys_id(f"group {MAPPED[name]}")
        self._do(self.ldap.add(self.dn[name], ["group"], values))

    def people(self) -> list[str]:
        return sorted(name for name in self.dn if name.startswith("u"))

    def groups(self) -> list[str]:
        return sorted(name for name in self.dn if not name.startswith("u"))

    def change(self, kind: str | None = None) -> None:
        """One random change. One that AD refuses (to add a member twice, say) is none."""
        kind = kind or self.rng.choices(list(KINDS), list(KINDS.values()))[0]
        if kind in ("delete_user", "delete_group") and (len(self.people()) < 6 or len(self.groups()) < 5):
            kind = "add"
        if getattr(self, f"_{kind}")():
            self.done[kind] += 1

    def _pick(self, names: Sequence[str]) -> str:
        return self.rng.choice(names)

    def _member(self, group: str, member: str, how: str) -> bool:
        return bool(self.ldap.modify(self.dn[group], {"member": [(how, [self.dn[member]])]})[0])

    def _add(self) -> bool:
        return self._member(self._pick(self.groups()), self._pick(self.people()), ldap3.MODIFY_ADD)

    def _remove(self) -> bool:
        return any(
            self._member(self._pick(self.groups()), self._pick(self.people()), ldap3.MODIFY_DELETE) for _ in range(6)
        )

    def _swap(self) -> bool:
        """Out and in again, or in and out again, before anybody can see it."""
        group, person = self._pick(self.groups()), self._pick(self.people())
        ways = [ldap3.MODIFY_DELETE, ldap3.MODIFY_ADD]
        return all(self._member(group, person, way) for way in self.rng.sample(ways, 2))

    def _replace(self) -> bool:
        people = self.rng.sample(self.people(), self.rng.randint(0, 5))
        change = {"member": [(ldap3.MODIFY_REPLACE, [self.dn[one] for one in people])]}
        return bool(self.ldap.modify(self.dn[self._pick(self.groups())], change)[0])

    def _nest(self) -> bool:
        return self._member(self._pick(self.groups()), self._pick(self.groups()), ldap3.MODIFY_ADD)

    def _unnest(self) -> bool:
        return any(
            self._member(self._pick(self.groups()), self._pick(self.groups()), ldap3.MODIFY_DELETE) for _ in range(8)
        )

    def _delete_user(self) -> bool:
        return bool(self.ldap.delete(self.dn.pop(self._pick(self.people())))[0])

    def _anew(self) -> bool:
        """Delete a person, and add one with the same mail before anybody sees it.

        The new one is in some of the groups or in none. An account that may not see tombstones cannot know that it is
        the same person: such a change is held.
        """
        if not self.tombstones_are_seen:
            return False
        name = self._pick(self.people())
        done = bool(self.ldap.delete(self.dn.pop(name))[0])
        self.add_user(name)
        for group in self.rng.sample(self.groups(), self.rng.randint(0, 2)):
            self._member(group, name, ldap3.MODIFY_ADD)
        return done

    def _new_user(self) -> bool:
        name, self.next_user = f"u{self.next_user}", self.next_user + 1
        self.add_user(name)
        return self._member(self._pick(self.groups()), name, ldap3.MODIFY_ADD)

    def _disable(self) -> bool:
        return self._set(self._pick(self.people()), "userAccountControl", str(DISABLED_ACCOUNT))

    def _enable(self) -> bool:
        done = [self._set(name, "userAccountControl", str(ENABLED_ACCOUNT)) for name in self.people()[::2]]
        return any(done)

    def _mail(self) -> bool:
        name = self._pick(self.people())
        return self._set(name, "mail", self.rng.choice([f"{name}@example.com", f"{name.upper()}@Example.com"]))

    def _set(self, name: str, attribute: str, value: str) -> bool:
        return bool(self.ldap.modify(self.dn[name], {attribute: [(ldap3.MODIFY_REPLACE, [value])]})[0])

    def _rename(self) -> bool:
        name = self._pick(sorted(self.dn))
        cn, (_, parent) = f"CN={name} {self.rng.randint(0, 10**6)}", self.dn[name].split(",", 1)
        return self._renamed(name, cn, parent)

    def _renamed(self, name: str, cn: str, parent: str) -> bool:
        done = bool(self.ldap.modify_dn(self.dn[name], cn, new_superior=parent)[0])
        if done:
            self.dn[name] = f"{cn},{parent}"
        return done

    def _moved(self, name: str) -> bool:
        cn, parent = self.dn[name].split(",", 1)
        target = self.outside if parent == self.scope else self.scope
        return self._renamed(name, cn, target)

    def _move_user(self) -> bool:
        return self._moved(self._pick(self.people()))

    def _move_group(self) -> bool:
        name = self._pick([name for name in self.groups() if name in MAPPED])
        self.lost.add(MAPPED[name])
        return self._moved(name)

    def _delete_group(self) -> bool:
        name = self._pick(self.groups())
        if name in MAPPED:
            self.lost.add(MAPPED[name])
        return bool(self.ldap.delete(self.dn.pop(name))[0])

    def _primary(self) -> bool:
        """Change a person's primary group, which is in no `member` and counts all the same."""
        person, group = self._pick(self.people()), self._pick(self.groups())
        if not self._member(group, person, ldap3.MODIFY_ADD):
            return False
        found = self.ldap.search(self.dn[group], "(objectClass=*)", ldap3.BASE, attributes=["primaryGroupToken"])[2]
        token = found[0]["raw_attributes"]["primaryGroupToken"][0].decode()
        return self._set(person, "primaryGroupID", token)

    def _rename_ou(self) -> bool:
        """Everything in it gets another DN without a change of its own."""
        new = f"OU=Out {self.rng.randint(0, 10**6)}"
        done = bool(self.ldap.modify_dn(self.outside, new)[0])
        if done:
            old, self.outside = self.outside, f"{new},{self.root}"
            self.dn = {name: dn.removesuffix(old) + self.outside if dn.endswith(old) else dn
                       for name, dn in self.dn.items()}  # fmt: skip
        return done

    def truth(self) -> dict[str, set[str]]:
        """Genesys group -> Genesys users who must be in it because of AD."""
        wanted: dict[str, set[str]] = {name: set() for name in "ABC"}
        known = {user["id"] for user in genesys_seed()["users"]}
        by_sam = {f"{self.prefix}{name}": target for name, target in MAPPED.items()}
        for group in self.sandbox.truth(base=self.scope).values():
            if group.sam in by_sam:
                people = {genesys_id(person.sam.removeprefix(self.prefix)) for person in group.members.values()}
                wanted[by_sam[group.sam]] |= people & known
        return wanted

    def close(self) -> None:
        """Delete the round's objects: the next round has accounts with the same mails.

        People first, since a group that is somebody's primary group cannot be deleted.
        """
        found = self.ldap.search(self.root, "(objectClass=user)", ldap3.SUBTREE, attributes=["cn"])[2]
        for entry in found:
            if entry.get("type") == "searchResEntry":
                self._do(self.ldap.delete(entry["dn"]))
        self.ldap.delete(self.root, controls=[("1.2.840.113556.1.4.805", True, None)])  # tree delete
        self.ldap.unbind()

    @staticmethod
    def _do(answer: tuple[bool, Mapping[str, Any], Any, Any]) -> None:
        ok, result, _, _ = answer
        assert ok, result


# -- a run, in a process of its own -------------------------------------------------------------------


@dataclass
class Order:
    """What a task process is told. ``kill_at``: the how-many-th statement or request is its last act."""

    folder: str
    definition: str
    connections: dict[str, Any]
    run_id: str
    request: dict[str, Any]
    stages: list[str]
    lanes: list[int]
    kill_at: int | None = None
    trick: str | None = None
    clock_offset: float = 0.0


_acts = 0


def work(order: Order) -> None:
    """Do the stages in turn, in a task process, and note each that is done."""
    folder = Path(order.folder)
    for connection_id, connection in order.connections.items():
        os.environ[f"AIRFLOW_CONN_{connection_id.upper()}"] = json.dumps(connection)
    _arm(order.kill_at)
    _spoil(order.trick, folder / "cookies")
    from tests.support.pipeline import Pipeline, parse_definition

    with Journal.open(f"sqlite:///{folder / 'journal.db'}") as journal:
        pipeline = Pipeline(
            None,  # type: ignore[arg-type]  # no stage asks the sandboxes
            None,  # type: ignore[arg-type]
            folder,
            parse_definition(order.definition),
            journal,
            dag_id=DAG_ID,
            clock_offset=timedelta(seconds=order.clock_offset),
        )
        try:
            _stages(order, pipeline, folder / f"{order.run_id}.progress")
        except Exception as error:  # noqa: BLE001  the parent process judges it
            (folder / f"{order.run_id}.error").write_text(f"{type(error).__name__}: {error}")
            if type(error).__name__ not in EXPECTED_ERRORS:
                import traceback

                (folder / f"{order.run_id}.error").write_text("UNEXPECTED " + traceback.format_exc())
            os._exit(1)
    (folder / "acts").write_text(str(_acts))
    os._exit(0)


EXPECTED_ERRORS = ("LeaseBusy", "LeaseLost", "DirectoryIncomplete", "WindowError", "JournalConflict")


def _stages(order: Order, pipeline: Any, progress: Path) -> None:
    from genesys_ad_sync.stages.map_groups import map_groups
    from genesys_ad_sync.stages.patch import patch
    from genesys_ad_sync.stages.plan import plan
    from genesys_ad_sync.stages.poll import poll
    from genesys_ad_sync.stages.resolve_users import resolve_users

    request = pipeline.request(**order.request)
    lanes = list(order.lanes)
    for stage in order.stages:
        task = pipeline.task(order.run_id, stage)
        if stage == "poll":
            poll(task, request)
        elif stage == "map_groups":
            map_groups(task)
        elif stage == "resolve_users":
            resolve_users(task)
        elif stage == "plan":
            lanes = [batch["lane"] for batch in plan(task)["batches"]]
        elif stage == "patch":
            for lane in lanes:
                patch(pipeline.task(order.run_id, f"patch[{lane}]"), lane)
        elif stage == "report":
            pipeline.report(order.run_id, **order.request)
        with progress.open("a") as notes:
            notes.write(json.dumps({"stage": stage, "lanes": lanes}) + "\n")


def _arm(kill_at: int | None) -> None:
    """Count the process's acts on the outside, and kill it before or after one."""
    import requests
    from sqlalchemy import Engine, event

    from genesys_ad_sync.directory.session import LdapSession

    def act(*_: Any, **__: Any) -> None:
        global _acts  # noqa: PLW0603  one count per process, over all patched objects
        _acts += 1
        if _acts == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(method: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            act()
            answer = method(*arguments, **named)
            act()
            return answer

        return wrapped

    event.listen(Engine, "before_cursor_execute", act)
    event.listen(Engine, "commit", act)
    LdapSession._request = around(LdapSession._request)  # type: ignore[method-assign]
    requests.Session.send = around(requests.Session.send)  # type: ignore[method-assign]


def _spoil(trick: str | None, cookies: Path) -> None:
    """Spoil a DirSync answer as a domain controller may do.

    It repeats old news, answers with everything, or refuses the cookie; or the connection breaks.
    """
    from genesys_ad_sync.directory.session import LdapSession
    from genesys_ad_sync.errors import DirectoryIncomplete

    honest = LdapSession.dirsync

    def dirsync(self: Any, naming_context: str, ldap_filter: str, attributes: Any, cookie: bytes) -> Any:
        nonlocal trick
        known = [bytes.fromhex(line) for line in cookies.read_text().split()] if cookies.exists() else []
        spoilt = trick if cookie else None
        if spoilt:
            trick = None  # once in a process
        if spoilt == "repeat" and cookie in known:
            cookie = known[known.index(cookie) // 2]  # an older one: old news again, and the new ones
        if spoilt == "full":
            cookie = b""
        if spoilt == "garbage":
            cookie = b"garbage"
        answer = honest(self, naming_context, ldap_filter, attributes, cookie)
        if spoilt == "cut":
            raise DirectoryIncomplete("the connection broke (a test)")
        with cookies.open("a") as notes:
            notes.write(answer.cookie.hex() + "\n")
        return answer

    LdapSession.dirsync = dirsync  # type: ignore[method-assign]


# -- a round ------------------------------------------------------------------------------------------


@dataclass
class Run:
    """A DAG run as Airflow sees it: its tasks that are done, and what it was asked."""

    run_id: str
    request: dict[str, Any]
    done: list[str] = field(default_factory=list)
    lanes: list[int] = field(default_factory=list)
    reported: bool = False
    released: bool = False  # of an undo

    @property
    def missing(self) -> list[str]:
        return [stage for stage in STAGES if stage not in self.done]


class Round:
    """A seed's round: `play`, then `check`."""

    def __init__(self, seed: int, sandbox: SandboxDirectory, genesys: SandboxGenesys, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.folder = folder
        self.genesys = genesys
        genesys.load_seed(genesys_seed())
        self.directory = Directory(sandbox, self.rng)
        self.account = self.rng.choice(["reader", "reader", "reader", "limited"])
        self.directory.tombstones_are_seen = self.account == "reader"
        self.connections = {
            "active_directory_default": sandbox.connection(self.account),  # type: ignore[arg-type]
            "genesys_cloud_default": genesys.connection(),
        }
        self.definition = yaml.safe_dump(
            {
                "directory": {"group_base": self.directory.scope},
                "groups": [{"attribute": "info", "genesys_id": "{value}"}],
                "users": [{"directory": "mail", "genesys": "email"}],
                "removals": "granted",
                "limits": {
                    "removals": 10_000,
                    "removals_percent": 100,
                    "per_run": 10_000,
                    "per_day": 100_000,
                    "empty_group": "allow",
                    "additions": 10_000,
                    "additions_per_run": 10_000,
                    "shrink_percent": 100,
                    "new_pairs": "allow",
                },
                "dry_run": False,
                "report": {"path": (folder / "reports").as_uri()},
            }
        )
        self.runs: list[Run] = []
        self.clock_offset = 0.0
        self.acts = 250
        self.killed = 0
        self.failed: Counter[str] = Counter()
        self.tricks: Counter[str] = Counter()
        self.began = self.now()

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    # -- playing --

    def play(self) -> None:
        rng = self.rng
        self.finish(self.new_run(mode="auto"))
        self.began = self.now()
        for _ in range(rng.randint(2, 5)):
            for _ in range(rng.randint(0, 6)):
                self.directory.change()
            if rng.random() < 0.3:
                time.sleep(rng.random() * 1.2)  # so that windows differ: AD's clock has whole seconds
            self.random_runs()
        self.replay_windows()
        for _ in range(rng.randint(0, 3)):
            self.directory.change()
        self.final_runs()

    def new_run(self, **request: Any) -> Run:
        run = Run(f"run-{len(self.runs) + 1}", {"mode": "auto", "run_type": "scheduled", "dry_run": False, **request})
        self.runs.append(run)
        return run

    def random_runs(self) -> None:
        rng = self.rng
        requests: dict[str, dict[str, Any]] = {
            "live": {},
            "full": {"mode": "full"},
            "changes": {"mode": "changes"},
            "dry": {"dry_run": True, "mode": rng.choice(["auto", "full"])},
            "groups": {"groups": [rng.choice(["g1*", "g[23]*", "*4*"])]},
            "window": self.window(),
        }
        kind = rng.choices(list(RUNS), list(RUNS.values()))[0]
        if kind in requests:
            self.finish(self.new_run(**requests[kind]), trouble=True)
        elif kind == "two":
            self.finish(self.new_run(), self.new_run(**self.window()), trouble=True)
        elif kind in ("cleared", "cleared_patch"):
            self.clear(rng.choice(self.runs), only_patch=kind == "cleared_patch")
        elif kind == "release":
            self.release(trouble=True)
        elif kind in ("late", "undo"):
            getattr(self, kind)()

    def undo(self) -> None:
        """Take back an earlier run, an undo included. Nobody approves what that would add against AD."""
        done = [run for run in self.runs if "patch" in run.done]
        if done:
            self.finish(self.new_run(undo_run=self.rng.choice(done).run_id), trouble=True)

    def release(self, *, trouble: bool) -> None:
        """Release every undo, one run for each, so that AD decides again."""
        undos = [run for run in self.runs if run.request.get("undo_run") and "poll" in run.done and not run.released]
        for run in undos:
            self.finish(self.new_run(release_run=run.run_id), trouble=trouble)
            run.released = not trouble

    def late(self) -> None:
        """Let a planned run wait while AD and other runs continue; then write.

        It waits as for a free worker or a person.
        """
        late = self.new_run(**(self.window() if self.rng.random() < 0.3 else {}))
        for _ in range(self.rng.randint(1, 4)):
            self.directory.change()
        self.end(late, self.start(late, [stage for stage in STAGES if stage != "patch"], trouble=False),
                 expect_success=False)  # fmt: skip
        for _ in range(self.rng.randint(0, 4)):
            self.directory.change(self.rng.choice(["add", "remove", "swap", "replace"]))
        if self.rng.random() < 0.8:
            self.finish(self.new_run(), trouble=True)
        self.finish(late, trouble=True)

    def window(self) -> dict[str, Any]:
        span = (self.now() - self.began).total_seconds() + 1
        start, end = sorted(self.began + timedelta(seconds=self.rng.random() * span) for _ in range(2))
        return {"run_type": "backfill", "window": (start, end + timedelta(microseconds=1))}

    def clear(self, run: Run, *, only_patch: bool = False) -> None:
        """As a person does in the UI: all tasks of an old run, or its patch alone."""
        if only_patch:
            if "plan" not in run.done:
                return
            run.done = [stage for stage in run.done if stage != "patch"]
        else:
            run.request = {**run.request, "clear_number": run.request.get("clear_number", 0) + 1}
            if self.rng.random() < 0.3 and "window" in run.request:
                run.request["run_type"] = "backfill"
            run.done, run.lanes = [], []
        run.reported = run.released = False
        self.finish(run, trouble=True)

    def replay_windows(self) -> None:
        """Replay all the time, split into windows: forward, backward or in any order, some twice."""
        rng = self.rng
        if rng.random() < 0.5:
            return
        for _ in range(rng.randint(0, 4)):
            self.directory.change()
        span = (self.now() - self.began).total_seconds() + 1
        cuts = [self.began + timedelta(seconds=span * number / 3) for number in range(4)]
        windows = list(pairwise(cuts))
        windows += rng.sample(windows, rng.randint(0, 1))
        order = rng.choice(["forward", "backward", "any"])
        if order == "backward":
            windows.reverse()
        elif order == "any":
            rng.shuffle(windows)
        for window in windows:
            self.finish(self.new_run(run_type="backfill", window=window), trouble=True)

    def bursts(self) -> None:
        """Make changes of one kind and a live run; then all must be right.

        No other change helps to find them.
        """
        for kind in self.rng.sample(list(KINDS), 4):
            for _ in range(self.rng.randint(1, 2)):
                self.directory.change(kind)
            self.final_runs()
            self.check_membership()

    def final_runs(self) -> None:
        """Make the last runs, in which nothing goes wrong any more.

        Without the right to see tombstones, deletions are found by `full` only. A group that came back to the scope is
        compared in full by the run after the one that maps it. A group that failed or was refused in earlier runs is
        tried again within a day.
        """
        self.clock_offset += timedelta(days=1, hours=1).total_seconds()
        for run in self.runs:
            if not run.reported:
                self.finish(run)
        self.release(trouble=False)
        mode = "full" if self.account == "limited" else "auto"
        for _ in range(2 if self.directory.lost else 1):
            self.finish(self.new_run(mode=mode))

    def finish(self, *runs: Run, trouble: bool = False) -> None:
        """Run the tasks of these runs side by side until done or given up; report."""
        waiting = list(runs)
        for attempt in range(4):
            last = attempt == 3
            processes = [
                (run, self.start(run, [*run.missing, "report"], trouble=trouble and not last)) for run in waiting
            ]
            for run, process in processes:
                self.end(run, process, expect_success=not trouble)
            waiting = [run for run in waiting if run.missing or not run.reported]
            if not waiting:
                return
            if self.rng.random() < 0.5 or last:
                self.clock_offset += LEASE_TTL.total_seconds() * 2  # a killed run's lease runs out
            elif trouble and self.rng.random() < 0.3:
                self.directory.change()
        for run in waiting:  # given up; the report is written whatever happened before
            self.end(run, self.start(run, ["report"], trouble=False), expect_success=True)
            assert run.reported, "a report was not written"

    def start(self, run: Run, stages: list[str], *, trouble: bool) -> Any:
        rng = self.rng
        order = Order(
            folder=str(self.folder),
            definition=self.definition,
            connections=self.connections,
            run_id=run.run_id,
            request=run.request,
            stages=stages,
            lanes=run.lanes,
            clock_offset=self.clock_offset,
        )
        if trouble and rng.random() < 0.3:
            order.kill_at = rng.randint(1, self.acts if "poll" in stages else self.acts // 3)
        if trouble and rng.random() < 0.2:
            order.trick = rng.choice(TRICKS)
            self.tricks[order.trick] += 1
        process = CONTEXT.Process(target=work, args=(order,))
        process.start()
        return process

    def end(self, run: Run, process: Any, *, expect_success: bool) -> None:
        process.join(timeout=600)
        assert process.exitcode is not None, "a task hangs"
        self.killed += process.exitcode == -signal.SIGKILL
        error_file = self.folder / f"{run.run_id}.error"
        if error_file.exists():
            error = error_file.read_text()
            error_file.unlink()
            assert not error.startswith("UNEXPECTED"), error
            assert not expect_success, error
            self.failed[error.split(":")[0]] += 1
        else:
            assert process.exitcode in (0, -signal.SIGKILL), f"a task ended with {process.exitcode}"
        if (self.folder / "acts").exists():
            self.acts = max(50, int((self.folder / "acts").read_text() or 0))
        progress = self.folder / f"{run.run_id}.progress"
        for line in progress.read_text().splitlines() if progress.exists() else []:
            note = json.loads(line)
            run.lanes = note["lanes"]
            if note["stage"] == "report":
                run.reported = True
            else:
                run.done.append(note["stage"])
        progress.unlink(missing_ok=True)

    # -- checking --

    def check(self) -> None:
        self.check_membership()
        self.bursts()
        before = len(self.genesys.writes())
        full = self.new_run(mode="full")
        self.finish(full)
        assert len(self.genesys.writes()) == before, "a full run had something left to write"
        self.check_membership()
        self.check_reports()

    def check_membership(self) -> None:
        truth = self.directory.truth()
        for name, wanted in truth.items():
            present = set(self.genesys.individuals(genesys_id(f"group {name}")))
            manual = genesys_id(f"manual{name}")
            assert manual in present, f"a manual member of {name} is gone"
            missing, surplus = wanted - present, present - wanted - {manual}
            assert not missing, f"{name} lacks {self._names(missing)}"
            # What was granted by a group that was deleted or moved away stays, held (mapping_changed).
            assert not surplus or name in self.directory.lost, f"{name} has {self._names(surplus)} too many"

    def _names(self, ids: set[str]) -> list[str]:
        return [name for number in range(1, 60) if genesys_id(name := f"u{number}") in ids]

    def check_reports(self) -> None:
        """Every change stands in the report of the run that settled it, once; the totals add up."""
        settled_in: Counter[int] = Counter()
        with Journal.open(f"sqlite:///{self.folder / 'journal.db'}") as journal:
            for run in self.runs:
                path = self.folder / "reports" / DAG_ID / f"{run.run_id}.json"
                document = json.loads(path.read_text())
                validate(document)
                counts = ("successes", "failures", "orphans", "skipped", "held", "unchanged", "superseded", "planned")
                assert document["total_changes"] == sum(document[key] for key in counts) == len(document["details"])
                assert document["failures"] == 0 or run is not self.runs[-1]
                # A row stands once. One that several attempts of a run settled for different changes is in the file of
                # the earlier attempt, too.
                told = Counter(
                    (row["action"], row["status"], (row["directory_user"] or {}).get("guid"), row["settled_by"])
                    for file in [path, *path.parent.glob(f"{run.run_id}.[0-9]*.json")]
                    for row in json.loads(file.read_text())["details"]
                )
                for ids, row in rows_of(journal, run.run_id):
                    if row.status in SETTLED and row.settled_by is None and not document["dry_run"]:
                        settled_in.update(ids)
                        key = (row.action.value, row.status.value, row.user_guid, None)
                        assert told[key] > 0, f"a settled row of {run.run_id} does not stand in its report: {row}"
            states = settled_states(journal)
            twice = settled_twice(journal)
        assert not twice, f"changes that were settled by two runs, or twice by one: {twice}"
        for change_id, (settled, run_id) in states.items():
            assert settled_in[change_id] == (1 if settled else 0), (
                f"change {change_id} (settled: {settled} by {run_id}) stands in {settled_in[change_id]} reports"
            )
        assert set(settled_in) <= set(states)


def rows_of(journal: Journal, run_id: str) -> list[tuple[tuple[int, ...], Any]]:
    """Return the rows of all attempts of a run with the changes each settled itself."""
    from sqlalchemy import select

    from genesys_ad_sync.journal import tables
    from genesys_ad_sync.journal.stored_row import row_from_json

    with journal._database.reading() as connection:
        found = connection.execute(
            select(tables.row.c.data, tables.row.c.settled, tables.run.c.attempt)
            .join(tables.run, tables.run.c.id == tables.row.c.run)
            .where(tables.run.c.run_id == run_id)
        ).all()
        mine = {
            change_id: (settled_run, attempt)
            for change_id, settled_run, attempt in connection.execute(
                select(tables.change.c.id, tables.change.c.settled_run_id, tables.change.c.settled_attempt)
            )
        }
    result = []
    for data, settled, attempt in found:
        row = row_from_json(data)
        if settled:
            ids = tuple(one for one in row.change_ids if mine[one] == (run_id, attempt))
            result.append((ids, row))
    return result


def settled_twice(journal: Journal) -> list[int]:
    """Return changes of which two attempts said that they settled them."""
    from sqlalchemy import String, cast, func, select

    from genesys_ad_sync.journal import tables

    outcome = tables.outcome.c
    attempt = outcome.run_id + ":" + cast(outcome.attempt, String)
    with journal._database.reading() as connection:
        return list(
            connection.scalars(
                select(outcome.change_id)
                .where(outcome.status.in_([status.value for status in SETTLED]))
                .group_by(outcome.change_id)
                .having(func.count(attempt.distinct()) > 1)
            )
        )


def settled_states(journal: Journal) -> dict[int, tuple[bool, str | None]]:
    from sqlalchemy import select

    from genesys_ad_sync.journal import tables

    with journal._database.reading() as connection:
        return {
            row.id: (bool(row.settled), row.settled_run_id)
            for row in connection.execute(
                select(tables.change.c.id, tables.change.c.settled, tables.change.c.settled_run_id)
            )
        }


CONTEXT = multiprocessing.get_context("forkserver")  # forks from a process that has no thread and no connection
CONTEXT.set_forkserver_preload(["tests.support.windows_fuzz", "tests.support.pipeline", "alembic.command"])

__all__ = ["OPTIONS", "Reason", "Round", "Status", "genesys_seed"]
