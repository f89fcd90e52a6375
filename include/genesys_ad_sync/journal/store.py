"""Put the journal's stores together.

They hold what AD said, what follows from it, what was done, and by which run. Every method of a store is one
transaction (but see ``together``), and may be called from several threads and processes. Errors of the database are
raised as ``JournalError`` with the remedy.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType

from sqlalchemy import URL, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.abilities import Abilities
from genesys_ad_sync.journal.announced import AnnouncedEnds
from genesys_ad_sync.journal.changes import Changes
from genesys_ad_sync.journal.claims import AllClaims, Claims
from genesys_ad_sync.journal.database import Database
from genesys_ad_sync.journal.definition_lookups import DefinitionLookups
from genesys_ad_sync.journal.definitions import Definitions
from genesys_ad_sync.journal.dry_evidence import DryEvidences
from genesys_ad_sync.journal.external_ids import ExternalIds
from genesys_ad_sync.journal.facts import Facts
from genesys_ad_sync.journal.figures import Figures
from genesys_ad_sync.journal.grants import Grants
from genesys_ad_sync.journal.group_members import GroupMembers
from genesys_ad_sync.journal.hosts import refuse_other_host
from genesys_ad_sync.journal.housekeeping import Housekeeping
from genesys_ad_sync.journal.leases import Leases
from genesys_ad_sync.journal.leavers import Leavers
from genesys_ad_sync.journal.limit_counts import LimitCounts
from genesys_ad_sync.journal.links import Links
from genesys_ad_sync.journal.listings import Listings
from genesys_ad_sync.journal.lookups import Lookups
from genesys_ad_sync.journal.new_pairs import NewPairs, ProtectedGroups
from genesys_ad_sync.journal.notices import Notices
from genesys_ad_sync.journal.opening import open_database
from genesys_ad_sync.journal.pairs import Pairs
from genesys_ad_sync.journal.pins import Pins
from genesys_ad_sync.journal.questions import Questions
from genesys_ad_sync.journal.refusals import Refusals
from genesys_ad_sync.journal.refused_logins import RefusedLogins
from genesys_ad_sync.journal.renaming import Renaming
from genesys_ad_sync.journal.restoration import Restoration
from genesys_ad_sync.journal.rows import Rows
from genesys_ad_sync.journal.runs import Runs
from genesys_ad_sync.journal.searches import Searches
from genesys_ad_sync.journal.secrets import Secrets
from genesys_ad_sync.journal.views import Views
from genesys_ad_sync.journal.waiting import Waiting
from genesys_ad_sync.model import Link, Outcome, RunKey, RunRecord, StoredCursor
from genesys_ad_sync.this_machine import Host

__all__ = ["DefinitionJournal", "Journal", "Link", "Outcome", "RunKey", "RunRecord", "StoredCursor"]


class Journal:
    """The open journal, with the stores that all sync definitions share.

    Those of one definition are reached by ``of``. A context manager: leaving it closes the connections.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.runs = Runs(database)
        self.facts = Facts(database)
        self.rows = Rows(database)
        self.figures = Figures(database)
        self.leases = Leases(database)
        self.secrets = Secrets(database)
        self.refused_logins = RefusedLogins(database)
        self.external_ids = ExternalIds(database)
        self.claims = AllClaims(database)
        self.lookups = Lookups(database)
        self.listings = Listings(database)
        self.searches = Searches(database)
        self._of: dict[str, DefinitionJournal] = {}

    @classmethod
    def open(cls, url: str | URL, *, create: bool = True, upgrade: bool = True) -> Journal:
        """Open the journal at an SQLAlchemy URL (SQLite file or PostgreSQL).

        Its tables are created or upgraded first.

        :param create: make a journal where there is none.

        :raises JournalError: it cannot be opened; the text says why and what to do, without the password.
        """
        return cls(open_database(url, create=create, upgrade=upgrade))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what should be changed about its place, because others may read it there."""
        return self._database.warnings

    @property
    def database(self) -> Database:
        """Return the database, for those who copy it."""
        return self._database

    @property
    def place(self) -> str:
        """Return where the journal is, for messages: without a password."""
        return self._database.name

    @property
    def is_file(self) -> bool:
        """Tell whether the journal is a SQLite file."""
        return self._database.engine.dialect.name == "sqlite"

    def refuse_other_host(self, host: Host, now: datetime) -> None:
        """Refuse a SQLite file that another machine used a short time ago.

        :raises JournalOfOtherHost: see `hosts.STILL_IN_USE`.
        """
        if self.is_file:
            with self._database.reading() as connection:
                refuse_other_host(connection, self.place, host, now)

    def clock(self, own: Callable[[], datetime]) -> Callable[[], datetime]:
        """Return the clock of the database's server, which all machines share.

        Where clocks of two machines differ by minutes, one of them would see the lease of the other end too early, and
        write at the same time. A file has one machine, and its own clock.

        :param own: this machine's clock.
        """
        ahead = self._database.clock_difference(own)
        return lambda: own() + ahead

    def generation(self) -> int:
        """Return how often the journal was moved to another database, counted from 1."""
        with self._database.reading() as connection:
            return int(connection.execute(select(tables.meta.c.generation)).scalar_one())

    def of(self, definition: str) -> DefinitionJournal:
        """Return the journal of one sync definition: the same object for the same name."""
        return self._of.setdefault(definition, DefinitionJournal(self, self._database, definition))

    def definitions_with_links(self) -> list[str]:
        """Return the names of the sync definitions that have links, sorted."""
        with self._database.reading() as connection:
            names = connection.scalars(select(tables.link.c.definition).distinct())
            return sorted(names)

    def close(self) -> None:
        """Close the connections."""
        self._database.engine.dispose()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def together(self, *preparers: str) -> AbstractContextManager[None]:
        """Make one transaction of all that this thread asks of the journal within the block."""
        return self._database.together(*preparers)

    def identity(self) -> tuple[str, int]:
        """Return (the journal's id, how many attempts of runs it has seen).

        Reports keep both. Another id, or a smaller number than a report has, means that the journal was lost or
        restored.
        """
        with self._database.reading() as connection:
            row = connection.execute(select(tables.meta.c.journal_id, tables.meta.c.run_counter)).one()
            return row.journal_id, row.run_counter


class DefinitionJournal:
    """The journal as one sync definition sees it: its own stores, and the shared ones."""

    def __init__(self, journal: Journal, database: Database, definition: str) -> None:
        self.definition = definition
        self.views = Views(database, definition)
        self.announced = AnnouncedEnds(database, definition)
        self.abilities = Abilities(database, definition)
        self.changes = Changes(database, definition)
        self.pairs = Pairs(database, definition)
        self.new_pairs = NewPairs(database, definition)
        self.protected_groups = ProtectedGroups(database, definition)
        self.grants = Grants(database, definition)
        self.dry_evidence = DryEvidences(database, definition)
        self.links = Links(database, definition)
        self.leavers = Leavers(database, definition)
        self.claims = Claims(database, definition)
        self.definitions = Definitions(database, definition)
        self.renaming = Renaming(database, definition)
        self.questions = Questions(database, definition)
        self.pins = Pins(database, definition)
        self.restoration = Restoration(database, definition)
        self.limit_counts = LimitCounts(database, definition)
        self.lookups = DefinitionLookups(database, definition)
        self.group_members = GroupMembers(database, definition)
        self.refusals = Refusals(database, definition)
        self.waiting = Waiting(database, definition)
        self.notices = Notices(database, definition)
        self.housekeeping = Housekeeping(database, definition)
        self.runs = journal.runs
        self.facts = journal.facts
        self.rows = journal.rows
        self.figures = journal.figures
        self.leases = journal.leases
        self.external_ids = journal.external_ids
        self._journal = journal

    def of(self, definition: str) -> DefinitionJournal:
        """Return the journal of another definition."""
        return self._journal.of(definition)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return warnings about the place of the journal.

        Others may read it there, so something must be changed.
        """
        return self._journal.warnings

    @property
    def place(self) -> str:
        """Return where the journal is, for messages: without a password."""
        return self._journal.place

    @property
    def is_file(self) -> bool:
        """Tell whether the journal is a SQLite file."""
        return self._journal.is_file

    def let_others_write(self) -> None:
        """Wait for a moment between two transactions of a long writing.

        Others could not write otherwise.
        """
        self._journal.database.let_others_write()

    def generation(self) -> int:
        """Return how often the journal was moved to another database, counted from 1."""
        return self._journal.generation()

    def together(self, *preparers: str) -> AbstractContextManager[None]:
        """Make one transaction of all that this thread asks of the journal within the block."""
        return self._journal.together(*preparers)

    def identity(self) -> tuple[str, int]:
        """Return the identity of the journal, which is the same for all definitions."""
        return self._journal.identity()
