"""What every stage is given: the definition, the journal, the two systems, the clock and the run's identity."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from genesys_ad_sync import names
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.genesys.client import GenesysClient
from genesys_ad_sync.genesys.gateway import GenesysGateway
from genesys_ad_sync.journal.records import RunKey, RunRecord
from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync.model import DirectoryGroup, Mode, Window
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.settings import SyncDefinition

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class RunRequest:
    """What a person, the scheduler or a backfill asks of a run."""

    run_type: str  # scheduled | manual | backfill | ...
    clear_number: int = 0
    mode: Mode = Mode.AUTO
    window: Window | None = None  # bounded: only changes of this window; None: live
    dry_run: bool = False
    groups: tuple[str, ...] = ()  # shell patterns on AD group names; empty: all
    undo_run: str | None = None  # take back what this run did, and do nothing else
    release_run: str | None = None  # what was undone, or rejected, in this run may be done again
    refused: str | None = None  # why `poll` did not take it; for the report


@dataclass
class Sync:
    """One task's access to the world. Nothing is asked of a connection before a stage uses it: `report` must be able
    to tell about one that makes no sense."""

    definition: SyncDefinition
    journal: Journal
    key: RunKey
    task_key: str  # unique among the tasks of the run, e.g. "patch[3]"
    directory: Callable[[], AbstractContextManager[LdapSession]]
    client: Callable[[], GenesysClient]
    api_url: Callable[[], str]  # of Genesys Cloud
    client_id: Callable[[], str]  # of the OAuth client there
    reports: ReportStore
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    say: Callable[[str], None]  # progress for the task log: ids and counts, no names
    definitions: frozenset[str] | None = None  # names of all sync definitions there are; None: not known
    lease_wait: timedelta = timedelta(minutes=5)
    lease_ttl: timedelta = timedelta(minutes=5)
    _gateway: GenesysGateway | None = field(default=None, init=False)
    _client: GenesysClient | None = field(default=None, init=False)
    _facts: dict[str, Any] = field(default_factory=dict, init=False)
    _try: str = field(default_factory=lambda: uuid.uuid4().hex[:8], init=False)  # a retried task sends more

    @property
    def organisation(self) -> str:
        """Names the Genesys organisation for lease and claims: its API's address (Genesys group ids are unique anyway;
        runs that share an address without need merely wait for each other)."""
        return self.api_url()

    @property
    def external_ids_of(self) -> str:
        """Names the Genesys organisation for its external ids, which two organisations at one API address (test and
        production in one region) may both have: by the OAuth client, too, since that belongs to one organisation. Not
        for the log."""
        return f"{self.api_url()} {self.client_id()}"

    @property
    def genesys_client(self) -> GenesysClient:
        if self._client is None:
            self._client = self.client()
        return self._client

    @property
    def genesys(self) -> GenesysGateway:
        if self._gateway is None:
            self._gateway = GenesysGateway(self.genesys_client)
        return self._gateway

    @property
    def run(self) -> RunRecord:
        return self.journal.run(self.key)

    def count_requests(self) -> None:
        """Notes in the journal how many requests this task has sent so far (the report sums them up)."""
        if self._client is not None:
            counts = self._client.request_counts.as_dict()
            self.journal.add_requests(self.run, f"{self.task_key}#{self._try}", counts)

    def fact(self, key: str, default: Any = None) -> Any:
        """What an earlier task of this run left in the journal under ``key``; ``default`` if it did not come to that.
        Read once per task."""
        if key not in self._facts:
            self._facts[key] = self.journal.fact(self.run, key, default=None)
        return default if self._facts[key] is None else self._facts[key]

    def know(self, key: str, value: Any) -> None:
        """Something newer than what the earlier task left; for this task only."""
        self._facts[key] = value


def tells_of_failure(
    stage: Callable[Concatenate[Sync, _Given], _Result],
) -> Callable[Concatenate[Sync, _Given], _Result]:
    """A stage whose error the report tells (see `failures`), until a later try of it succeeds; and whose requests it
    counts, whatever became of the stage."""
    fact = f"failed:{stage.__name__}"

    @functools.wraps(stage)
    def telling(task: Sync, *args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        try:
            result = stage(task, *args, **kwargs)
        except GroupSyncError as error:
            with suppress(GroupSyncError):  # no run yet, or the journal itself is what fails
                task.journal.put_fact(task.run, fact, str(error))
            raise
        finally:
            with suppress(GroupSyncError):
                task.count_requests()
        if task.fact(fact) is not None:
            task.journal.put_fact(task.run, fact, None)
        return result

    return telling


def failures(task: Sync) -> list[str]:
    """Why stages of this run ended with an error."""
    stages = ("poll", "map_groups", "resolve_users", "plan")
    return [f"{stage} failed: {told}" for stage in stages if (told := task.fact(f"failed:{stage}"))]


def chosen(groups: Iterable[DirectoryGroup], patterns: tuple[str, ...]) -> list[DirectoryGroup]:
    """The groups on which param `groups` lets this run act."""
    return [
        group for group in groups if not patterns or names.matches_any(patterns, (group.name, group.sam_account_name))
    ]
