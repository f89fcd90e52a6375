"""Look at the journal's database without making, upgrading or changing anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import URL, Connection, Engine, func, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import WRITES
from genesys_ad_sync.journal.database_errors import explain
from genesys_ad_sync.journal.opening import engine_of, tables_version
from genesys_ad_sync.journal.place import refuse_other_place

_PROBE = "genesys_ad_sync_check"


@dataclass(frozen=True)
class Examined:
    """What was found.

    - ``version``: of the tables; None: no journal there yet.
    - ``size``: in bytes; None: not known.
    - ``encrypted``: whether the connection is; None: there is none to encrypt.
    """

    name: str
    engine: str  # sqlite | postgresql
    version: str | None
    size: int | None = None
    encrypted: bool | None = None

    @property
    def is_current(self) -> bool:
        """Tell whether the tables are those of this version."""
        return self.version == tables.HEAD

    @property
    def is_newer(self) -> bool:
        """Tell whether a newer version of the product wrote the tables."""
        return self.version is not None and self.version > tables.HEAD


def examine(url: str | URL) -> Examined:
    """Look at the database.

    :raises JournalMoved: the journal is in another place now.
    :raises JournalError: it cannot be reached or used; the text says why and what to do.
    """
    engine, name = engine_of(url)
    if engine is None:
        return Examined(name, "sqlite", None)
    with _explained(engine, name), engine.connect() as connection, connection.begin():
        version = tables_version(connection)
        if version == tables.HEAD:
            refuse_other_place(connection, name)
        return Examined(name, engine.dialect.name, version, _size(connection), _encrypted(connection, engine))


def try_to_write(url: str | URL) -> bool:
    """Try to make a table, and roll it back.

    Returns False if there is no database to write to yet.

    :raises JournalError: the database refuses.
    """
    engine, name = engine_of(url)
    if engine is None:
        return False
    with _explained(engine, name), engine.connect() as connection:
        connection.execution_options(**{WRITES: True})
        with connection.begin() as transaction:
            connection.execute(text(f"CREATE TABLE {_PROBE} (number INTEGER)"))
            if tables_version(connection) == tables.HEAD:
                connection.execute(update(tables.meta).values(run_counter=tables.meta.c.run_counter))
            transaction.rollback()
    return True


@contextmanager
def _explained(engine: Engine, name: str) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise JournalError(explain(error, name)) from error
    finally:
        engine.dispose()


def _size(connection: Connection) -> int | None:
    if connection.dialect.name == "sqlite":
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        return int(pages) * int(connection.execute(text("PRAGMA page_size")).scalar_one())
    # of our tables with their indexes: the database may hold others, too
    names = [tables.VERSION_TABLE, *tables.metadata.tables]
    there = set(inspect(connection).get_table_names())
    sizes = [func.pg_total_relation_size(name) for name in names if name in there]
    return sum(connection.execute(select(*sizes)).one()) if sizes else 0


def _encrypted(connection: Connection, engine: Engine) -> bool | None:
    host = engine.url.host or str(engine.url.query.get("host") or "")
    if connection.dialect.name == "sqlite" or host in ("", "localhost", "127.0.0.1", "::1") or host.startswith("/"):
        return None
    return bool(connection.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).scalar())
