"""The journal as one object: what AD said, what is to be done about it, what was done, and by whom.

Every method is one transaction (but see ``together``), and may be called from several threads and processes. Errors of
the database come as ``JournalError`` with the remedy. This file only puts the rooms together.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType

from sqlalchemy import URL, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.changes import Changes
from genesys_ad_sync.journal.database import Database
from genesys_ad_sync.journal.leases import Leases
from genesys_ad_sync.journal.opening import open_database
from genesys_ad_sync.journal.pairs import Ownership
from genesys_ad_sync.journal.pins import Pins
from genesys_ad_sync.journal.questions import Questions
from genesys_ad_sync.journal.records import Link, Outcome, RunKey, RunRecord, StoredCursor
from genesys_ad_sync.journal.runs import Runs
from genesys_ad_sync.journal.secrets import Shared
from genesys_ad_sync.journal.views import Views

__all__ = ["Journal", "Link", "Outcome", "RunKey", "RunRecord", "StoredCursor"]


class Journal(Views, Changes, Ownership, Questions, Pins, Runs, Leases, Shared):
    """See the bases for its methods. A context manager: leaving it closes the connections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str | URL) -> Journal:
        """Opens the journal at an SQLAlchemy URL (SQLite file or PostgreSQL); makes or upgrades its tables first.

        :raises JournalError: it cannot be opened; the text says why and what to do, without the password.
        """
        return cls(open_database(url))

    def close(self) -> None:
        self._database.engine.dispose()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def together(self) -> AbstractContextManager[None]:
        """Makes one transaction of all that this thread asks of the journal within the block."""
        return self._database.together()

    def identity(self) -> tuple[str, int]:
        """(the journal's id, how many attempts of runs it has seen). Reports keep both: another id, or a smaller number
        than a report has, means that the journal was lost or restored."""
        with self._database.reading() as connection:
            row = connection.execute(select(tables.meta.c.journal_id, tables.meta.c.run_counter)).one()
            return row.journal_id, row.run_counter
