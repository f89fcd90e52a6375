"""Runs of the pipeline against the Genesys sandbox, with an invented Active Directory.

Each stage has a `TaskContext` and a hook of its own, as Airflow's tasks have; `poll` is replaced by writing a view.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import yaml
from cryptography.fernet import Fernet, MultiFernet

from genesys_ad_sync.directory.membership import difference
from genesys_ad_sync.genesys.request_counts import RequestCounts
from genesys_ad_sync.journal import ViewUpdate
from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync.model import (
    Action,
    Cursor,
    DirectoryGroup,
    DirectoryUser,
    DirectoryView,
    MembershipPolicy,
    Mode,
    PrincipalKind,
    RunKey,
    RunRequest,
)
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.settings import SyncDefinition, parse_definition
from genesys_ad_sync.stages.map_groups import map_groups
from genesys_ad_sync.stages.patch import patch
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync.stages.report import write_report
from genesys_ad_sync.stages.resolve_users import resolve_users
from genesys_ad_sync_airflow.genesys_cloud.hook import GenesysCloudHook
from genesys_ad_sync_airflow.token_store import JournalTokenStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy

DAG_ID = "genesys_ad_group_sync"
BASE = "OU=Contact Center,DC=example,DC=com"
CONNECTION = "genesys_cloud_default"


def be_quiet() -> None:
    """Silence alembic and the hooks, which would log between the figures."""
    logging.disable(logging.WARNING)


def user_id(number: int) -> str:
    return f"00000000-0000-4000-a000-{number:012d}"


def group_id(number: int) -> str:
    return f"00000000-0000-4000-b000-{number:012d}"


def user_guid(number: int) -> str:
    return f"aaaaaaaa-0000-4000-8000-{number:012d}"


def group_guid(number: int) -> str:
    return f"bbbbbbbb-0000-4000-8000-{number:012d}"


def genesys_seed(users: int, members: Mapping[int, Iterable[int]]) -> dict[str, Any]:
    """Return a Genesys organisation.

    It has users 0 to ``users`` - 1, and a group for each key with those individuals.
    """
    return {
        "users": [
            {"id": user_id(n), "name": f"User {n:06d}", "email": f"user{n:06d}@example.com"} for n in range(users)
        ],
        "groups": [
            {"id": group_id(g), "name": f"Team {g:04d}", "individuals": [user_id(n) for n in of]}
            for g, of in members.items()
        ],
    }


def directory_view(
    members: Mapping[int, Iterable[int]], mails: Mapping[int, str] | None = None, *, user_names: bool = False
) -> DirectoryView:
    """Return what AD has: the same people and groups.

    ``mails``: those that are not the usual ones. ``user_names``: everybody has a user principal name, too.
    """
    mails = mails or {}
    lists = {g: set(of) for g, of in members.items()}
    people = set().union(*lists.values()) if lists else set()
    return DirectoryView(
        groups={
            group_guid(g): DirectoryGroup(
                guid=group_guid(g),
                dn=f"CN=Team {g:04d},{BASE}",
                name=f"Team {g:04d}",
                sam_account_name=f"Team {g:04d}",
                sid=None,
                in_scope=True,
            )
            for g in lists
        },
        users={
            user_guid(n): DirectoryUser(
                guid=user_guid(n),
                dn=f"CN=User {n:06d},{BASE}",
                kind=PrincipalKind.USER,
                name=f"User {n:06d}",
                sam_account_name=f"user{n:06d}",
                disabled=False,
                attributes={
                    "mail": mails.get(n, f"user{n:06d}@example.com"),
                    **({"userPrincipalName": f"User{n:06d}@example.com"} if user_names else {}),
                },
            )
            for n in people
        },
        members={group_guid(g): {user_guid(n) for n in of} for g, of in lists.items()},
    )


def definition_for(folder: Path, **more: Any) -> SyncDefinition:
    keys: dict[str, Any] = {
        "directory": {"group_base": BASE},
        "genesys": {key: more.pop(key) for key in ("write", "rate_reserve", "workers", "verify_within") if key in more},
        "groups": [{"name": "(?P<same>.+)", "genesys_name": "{same}"}],
        "limits": {
            "removals": 10**6,
            "removals_percent": 100,
            "per_run": 10**6,
            "per_day": 10**7,
            "additions": 10**6,
            "additions_per_run": 10**6,
            "new_pairs": "allow",
        },
        "report": {"path": (folder / "reports").as_uri()},
        "dry_run": False,
        **more,
    }
    return parse_definition(yaml.safe_dump(keys))


class SyntheticRuns:
    """Runs of one definition: ``tell`` what AD has, then ``run``.

    A context manager: leaving it closes the journal.
    """

    def __init__(
        self,
        folder: Path,
        connection: Mapping[str, Any],
        *,
        retry_policy: HttpRetryPolicy | None = None,
        sleep: Callable[[float], None] = time.sleep,
        fernet_key: bytes | None = None,
        **definition: Any,
    ) -> None:
        self.folder = folder
        self.definition = definition_for(folder, **definition)
        self.journal = Journal.open(f"sqlite:///{folder / 'journal.db'}")
        self.view = DirectoryView()
        self.sleep = sleep
        self.retry_policy = retry_policy
        self.fernet_key = fernet_key or Fernet.generate_key()
        self.seconds: dict[str, float] = {}  # of the last run, by stage
        self.run_type = "scheduled"
        self.groups: tuple[str, ...] = ()  # param `groups`
        self.scope = "synthetic"  # fingerprint; with a real one, the pages and a preview can read the view
        self.clock_offset = timedelta(0)
        self._number = 0
        os.environ[f"AIRFLOW_CONN_{CONNECTION.upper()}"] = json.dumps(dict(connection))

    def __enter__(self) -> SyntheticRuns:
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()

    def task(self, run_id: str, task: str) -> TaskContext:
        """Return the context of one task."""
        hook = GenesysCloudHook(
            CONNECTION,
            rate_reserve=self.definition.genesys.rate_reserve,
            retry_policy=self.retry_policy,
            sleep=self.sleep,
            token_store=JournalTokenStore(lambda: self.journal, MultiFernet([Fernet(self.fernet_key)])),
        )
        return TaskContext(
            definition=self.definition,
            journal=self.journal.of(self.definition.name),
            key=RunKey(self.definition.dag_id, run_id),
            task_key=task,
            directory=cast("Any", _NobodyElse),
            client=lambda: hook,
            api_url=lambda: hook.settings.api_url,
            client_id=lambda: hook.settings.client_id,
            reports=ReportStore(self.folder / "reports"),
            clock=lambda: datetime.now(timezone.utc) + self.clock_offset,
            sleep=self.sleep,
            log=lambda _: None,
            lease_wait=timedelta(0),
        )

    def tell(
        self,
        members: Mapping[int, Iterable[int]],
        mails: Mapping[int, str] | None = None,
        *,
        user_names: bool = False,
    ) -> None:
        """Set what Active Directory has, see `directory_view`. The next run finds out."""
        self.tell_view(directory_view(members, mails, user_names=user_names))

    def tell_view(self, view: DirectoryView) -> None:
        """Set what Active Directory has, with names of its own."""
        self._next = view

    def go_on(self, after: int) -> None:
        """Go on after so many runs of another process, the last of which found what was set."""
        self._number, self.view = after, self._next

    def poll(self, run_id: str, mode: Mode = Mode.AUTO) -> None:
        """Do what the task of that name does, with the view that was set."""
        journal, name, after = self.journal, self.definition.name, self._next
        now = datetime.now(timezone.utc) + self.clock_offset
        run = journal.runs.begin(
            RunKey(self.definition.dag_id, run_id),
            name,
            RunRequest(
                clear_number=0, run_type=self.run_type, mode=mode, dry_run=False, window=None, groups=self.groups
            ),
            now,
        )
        stored = journal.of(name).views.cursor()
        changes = (
            difference(
                self.view,
                after,
                set(after.groups),
                MembershipPolicy(nested=True, disabled_users="remove"),
                observed_after=stored.cursor.polled_at,
                observed_at=now,
            )
            if stored
            else []
        )
        # As DirSync does: where nothing has changed, nothing is read, but for what a removal has to be proven by.
        waiting = journal.of(name).changes.unsettled()
        idle = stored is not None and after == self.view and all(change.action is Action.ADD for change in waiting)
        complete = [] if idle and mode is not Mode.FULL else sorted(after.groups)
        update = ViewUpdate(self.view, after, changes=changes, complete=complete, full=True)
        poll = journal.of(name).views.advance(
            ViewUpdate(DirectoryView(), DirectoryView()) if idle else update,
            cursor=Cursor("dc1.example.com", group_guid(0), 1, b"cookie", now),
            scope=self.scope,
            expected_poll=stored.poll if stored else None,
        )
        self.view = after
        journal.runs.set_polled(run, poll, now)
        journal.facts.put(run, "complete", dict.fromkeys(complete, poll))
        journal.facts.put(run, "notes", [])

    def run(self, mode: Mode = Mode.AUTO) -> dict[str, Any]:
        """Make a complete run and return its report."""
        run_id = self.begin(mode)
        with self._timed("plan"):
            planned = plan(self.task(run_id, "plan"))
        with self._timed("patch"):
            for batch in planned["batches"]:
                patch(self.task(run_id, f"patch[{batch['lane']}]"), batch["lane"])
        return self.finish(run_id, mode)

    def begin(self, mode: Mode = Mode.AUTO) -> str:
        """Run all up to `resolve_users` and return the run's id."""
        self._number += 1
        run_id = f"run-{self._number}"
        self.seconds = {}
        with self._timed("poll"):
            self.poll(run_id, mode)
        with self._timed("map_groups"):
            map_groups(self.task(run_id, "map_groups"))
        self._confirm_mirrors()
        with self._timed("resolve_users"):
            resolve_users(self.task(run_id, "resolve_users"))
        return run_id

    def _confirm_mirrors(self) -> None:
        """Confirm the first comparison of each mirror, as a person would."""
        if self.definition.removals == "mirror":
            pairs = self.journal.of(self.definition.name).pairs
            pairs.confirm_mirror({pair.genesys_group_id for pair in pairs.active()}, datetime.now(timezone.utc))

    def finish(self, run_id: str, mode: Mode = Mode.AUTO) -> dict[str, Any]:
        with self._timed("report"):
            document, _ = write_report(self.task(run_id, "report"), RunRequest(run_type=self.run_type, mode=mode))
        return document

    @contextmanager
    def _timed(self, stage: str) -> Any:
        began = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began


class _NobodyElse:
    """A directory in which no other account carries a value: the only question to AD after `poll`."""

    def __enter__(self) -> _NobodyElse:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def root_dse(self) -> SimpleNamespace:
        return SimpleNamespace(naming_context="DC=example,DC=com")

    def search_paged(self, _base: str, ldap_filter: str, *_: object, **__: object) -> Iterator[Any]:
        assert "objectClass=user" in ldap_filter, "these runs read no Active Directory"
        return iter(())


def endpoint_counts(requests: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Count the requests of the sandbox's log by endpoint."""
    counts = RequestCounts()
    for entry in requests:
        counts.sent(entry["method"], entry["path"])
    return counts.by_endpoint
