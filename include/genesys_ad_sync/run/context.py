"""The context of every stage.

It has the definition, the journal, the two systems, the clock and the run's identity.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.genesys.client import GenesysClient
from genesys_ad_sync.genesys.gateway import GenesysGateway
from genesys_ad_sync.journal import DefinitionJournal
from genesys_ad_sync.model import RunKey, RunRecord
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.run.facts import NOTES, Facts
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.text import own_words
from genesys_ad_sync.this_machine import Host, this_host


@dataclass
class TaskContext:
    """One task's access to the world.

    No connection is used before a stage needs it: `report` must be able to describe one that is filled in wrongly.
    """

    definition: SyncDefinition
    journal: DefinitionJournal
    key: RunKey
    task_key: str  # unique among the tasks of the run, e.g. "patch[3]"
    directory: Callable[[], AbstractContextManager[LdapSession]]
    client: Callable[[], GenesysClient]
    api_url: Callable[[], str]  # of Genesys Cloud
    client_id: Callable[[], str]  # of the OAuth client there
    reports: ReportStore
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    log: Callable[[str], None]  # progress for the task log: ids and counts, no names
    all_definitions: frozenset[str] | None = None  # names of all sync definitions there are; None: not known
    awaits_answer: Callable[[RunKey], bool] = lambda _: True  # whether Airflow can still answer that run's question
    connection_warnings: Callable[[], Sequence[str]] = tuple  # what the Airflow connections leave unprotected
    host: Host = field(default_factory=this_host)
    lease_wait: timedelta = timedelta(minutes=5)
    lease_ttl: timedelta = timedelta(minutes=5)
    facts: Facts = field(init=False)
    _client: GenesysClient | None = field(default=None, init=False)
    _run: RunRecord | None = field(default=None, init=False)
    _try: str = field(default_factory=lambda: uuid.uuid4().hex[:8], init=False)  # a retried task sends more

    def __post_init__(self) -> None:
        self.facts = Facts(self.journal, lambda: self.run)

    @property
    def organisation(self) -> str:
        """The Genesys organisation's name for lease and claims: the address of its API.

        Two organisations that share an address merely wait for each other: Genesys group ids are unique anyway.
        """
        return self.api_url()

    @property
    def external_id_namespace(self) -> str:
        """Return the Genesys organisation's name for its external ids.

        It is made of the API address and OAuth client. Not for the log. Test and production in one region share the
        address and may use the same external ids; a client belongs to one.
        """
        return f"{self.api_url()} {self.client_id()}"

    @property
    def genesys_client(self) -> GenesysClient:
        """The client of this task, made at first use."""
        if self._client is None:
            self._client = self.client()
        return self._client

    @cached_property
    def genesys(self) -> GenesysGateway:
        """Groups, members and users of Genesys Cloud."""
        return GenesysGateway(self.genesys_client)

    @property
    def run(self) -> RunRecord:
        """The latest attempt of the run, read once. Raises RunUnknown before `poll` has begun it."""
        if self._run is None:
            self._run = self.journal.runs.get(self.key)
        return self._run

    def read_run_again(self) -> None:
        """Read the run again at its next use, because this task has changed it."""
        self._run = None

    def note(self, text: str) -> None:
        """Add a sentence to the report, and without Genesys' words to the log."""
        self.log(own_words(text))
        self.facts[NOTES] = tuple(dict.fromkeys([*self.facts.read_again(NOTES), text]))  # a retry says it again

    def count_requests(self) -> None:
        """Store how many requests this task has sent so far; the report adds them up."""
        if self._client is not None:
            counts = self._client.request_counts.as_dict()
            self.journal.figures.add_requests(self.run, f"{self.task_key}#{self._try}", counts)
