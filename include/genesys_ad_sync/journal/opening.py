"""Open the journal's database and bring its tables up to date, safely with other openers.

Whatever can be wrong with the place of a journal is checked here, and reported with the remedy but no password.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from tenacity import retry, retry_if_exception_message, stop_after_delay, wait_random

from genesys_ad_sync.errors import JournalError, JournalMissing, JournalOutdated
from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import WRITES, Database, wait_for_writers
from genesys_ad_sync.journal.database_errors import BUSY_TIMEOUT_SECONDS, explain
from genesys_ad_sync.journal.exposure import warnings_of
from genesys_ad_sync.journal.place import refuse_other_place
from genesys_ad_sync.this_machine import make_private_file

if TYPE_CHECKING:  # opening a current journal loads no migrations
    from alembic.config import Config

CONNECT_TIMEOUT_SECONDS = 10
_LIBPQ = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "tcp_user_timeout": 60_000,  # milliseconds until the server must have received a request; Linux's own: 15 minutes
    "keepalives_idle": 30,  # seconds of silence until the server is asked for a sign; Linux's own: two hours
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""When a server is given up that a network has lost without a word. The connection's own values go first.

Names and units are libpq's (PostgreSQL's manual, "Parameter Key Words").
"""
_NO_JOURNAL = (
    "There is no journal in {name}. Set the connection group_sync_journal to the place of the journal, as Airflow's "
    "tasks have it."
)
_SUPPORTED = "Use a file (sqlite:////absolute/path.db) or PostgreSQL (postgresql://login:password@host/database)."


def open_database(url: str | URL, *, create: bool = True, moved_too: bool = False, upgrade: bool = True) -> Database:
    """Return the database at that URL, with the tables of this version.

    Cheap if the tables are current.

    :param create: make a journal where there is none.
    :param upgrade: bring older tables up to date; else they are refused.
    :param moved_too: open a journal also if it was moved, or is an unfinished copy.
    :raises JournalMoved: it was moved.
    :raises JournalOutdated: older tables, without ``upgrade``.
    :raises JournalError: it cannot be opened; the text says why and what to do.
    """
    address = _address(url)
    name = _name(address)
    if address.get_backend_name() == "sqlite":
        path = Path(str(address.database))
        if not create and not path.exists():
            raise JournalMissing(_NO_JOURNAL.format(name=name))
        _check_file(path)
        make_private_file(path)  # SQLite gives the rights of this file to those that it puts beside it
    try:
        engine = _engine(address)
    except (SQLAlchemyError, ImportError) as error:
        raise JournalError(f"The journal ({name}) cannot be opened: {error}. {_SUPPORTED}") from error
    try:
        version = _usable_version(engine, name, moved_too=moved_too)
        if version is None and not create:
            raise JournalMissing(_NO_JOURNAL.format(name=name))
        if version != tables.HEAD:
            if not upgrade:
                _refuse_newer(version, name)
                raise JournalOutdated(
                    f"The journal ({name}) has the tables of an older version of genesys-ad-sync, and nothing is "
                    "upgraded only to look at it. The next run of the DAG upgrades it: make a backup, trigger the DAG "
                    "(a dry run is enough), and ask again."
                )
            _migrate(engine, name)
            version = _usable_version(engine, name, moved_too=moved_too)
    except (DBAPIError, sqlite3.Error) as error:
        engine.dispose()
        raise JournalError(explain(error, name)) from None  # its own text may hold the password
    except JournalError:
        engine.dispose()
        raise
    check_place = version == tables.HEAD and not moved_too
    return Database(engine, name, refuse_other_place if check_place else None, warnings=warnings_of(address, name))


def engine_of(url: str | URL) -> tuple[Engine | None, str]:
    """Return an engine for the database, and its name for messages.

    Nothing is made or changed. The engine is None for a file that does not exist yet, and could be made. Raises
    JournalError.
    """
    address = _address(url)
    name = _name(address)
    if address.get_backend_name() == "sqlite":
        path = Path(str(address.database))
        _check_file(path)
        if not path.exists():
            return None, name
    try:
        return _engine(address), name
    except (SQLAlchemyError, ImportError) as error:
        raise JournalError(f"The journal ({name}) cannot be opened: {error}. {_SUPPORTED}") from error


# -- the place ----------------------------------------------------------------------------------------


def _address(url: str | URL) -> URL:
    try:
        address = make_url(url)
        if address.drivername == "postgres":  # as Airflow writes the URL of a connection
            address = address.set(drivername="postgresql")
        if address.drivername == "postgresql":  # SQLAlchemy 2.1 means another driver by it than 2.0
            address = address.set(drivername="postgresql+psycopg2")
        backend = address.get_backend_name()
    except (SQLAlchemyError, ValueError):
        # `from None`: the parser's message may quote the URL, and the URL carries a password
        raise JournalError(f"The URL of the journal cannot be understood. {_SUPPORTED}") from None
    if backend not in {"sqlite", "postgresql"}:
        raise JournalError(f"The journal cannot be kept in {backend!r}. {_SUPPORTED}")
    if backend == "sqlite" and (not address.database or address.database == ":memory:"):
        raise JournalError(f"The journal cannot be kept in memory: it would be lost. {_SUPPORTED}")
    if backend == "sqlite" and address.database and address.database.startswith("file:"):
        raise JournalError(f"The journal's file must be given as a path. {_SUPPORTED}")
    return address


def _name(address: URL) -> str:
    if address.get_backend_name() == "sqlite":
        return str(Path(str(address.database)).absolute())
    host = address.host or address.query.get("host") or "local socket"
    return f"PostgreSQL {host}:{address.port or 5432}/{address.database or address.username or ''}"


def _check_file(path: Path) -> None:
    """Check the file's place.

    SQLite reports "unable to open database file" for every fault of it.
    """
    folder = path.parent
    if not folder.is_dir():
        raise JournalError(f"The journal ({path}) cannot be opened: the folder {folder} does not exist. Create it.")
    if path.is_dir():
        raise JournalError(f"The journal ({path}) cannot be opened: that is a folder. Give the path of a file in it.")
    for place in (folder, path) if path.exists() else (folder,):
        if not os.access(place, os.R_OK | os.W_OK):
            raise JournalError(
                f"The journal ({path}) cannot be opened: {place} may not be written. "
                "Give the account that runs Airflow's tasks the right to write the file and its folder."
            )


def _engine(address: URL) -> Engine:
    # hide_parameters: the parameters of a statement are people's names and addresses, and errors are logged
    common: dict[str, Any] = {"hide_parameters": True}
    if address.get_backend_name() == "postgresql":
        connect_args = {key: value for key, value in _LIBPQ.items() if key not in address.query}
        if address.get_driver_name() == "psycopg2":
            # its executemany sends row by row: 200,000 round trips for a first view
            common |= {"executemany_mode": "values_plus_batch", "executemany_batch_page_size": 1000}
        return create_engine(
            address, isolation_level="READ COMMITTED", pool_pre_ping=True, connect_args=connect_args, **common
        )
    engine = create_engine(address, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}, **common)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # Python's driver begins no transactions of its own
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")  # an outcome that was recorded outlives a power cut
        connection.execute("PRAGMA cache_size = -32768")  # KiB at most: the first view fills tables in random order

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


# -- the tables ---------------------------------------------------------------------------------------


def _usable_version(engine: Engine, name: str, *, moved_too: bool) -> str | None:
    """Return the version of the tables. Refuse a journal that is in another place now."""
    with engine.connect() as connection, connection.begin():
        version = tables_version(connection)
        if version == tables.HEAD and not moved_too:  # older tables do not say it
            refuse_other_place(connection, name)
        return version


def tables_version(connection: Connection) -> str | None:
    """Return the version of the journal's tables; None if there are none."""
    if not inspect(connection).has_table(tables.VERSION_TABLE):
        return None
    version = connection.execute(text(f"SELECT version_num FROM {tables.VERSION_TABLE}")).scalar()  # noqa: S608 (a constant)
    return None if version is None else str(version)


def _migrate(engine: Engine, name: str) -> None:
    """Bring the tables up to date, in one transaction.

    It waits for other openers and then checks again: they may have done the same.
    """
    from alembic import command

    if engine.dialect.name == "sqlite":
        _write_ahead(engine)
    with engine.connect() as connection:
        connection.execution_options(**{WRITES: True})
        with connection.begin():
            wait_for_writers(connection)
            version = tables_version(connection)
            if version == tables.HEAD:
                return
            _refuse_newer(version, name)
            config = _migrations()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if connection.execute(select(tables.meta.c.id)).first() is None:
                first = {"id": 1, "journal_id": tables.new_id(), "run_counter": 0, "fence_counter": 0}
                connection.execute(insert(tables.meta), [first])


def _refuse_newer(version: str | None, name: str) -> None:
    """Refuse tables that this version does not know. Raises JournalError."""
    from alembic.script import ScriptDirectory

    if version is None:
        return
    if version not in {one.revision for one in ScriptDirectory.from_config(_migrations()).walk_revisions()}:
        raise JournalError(
            f"The journal ({name}) was written by a newer version of genesys-ad-sync (its tables are at {version}, "
            f"this version knows {tables.HEAD}). Install that version, or configure another journal."
        )


def _migrations() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


@retry(
    retry=retry_if_exception_message(match="database is locked"),
    stop=stop_after_delay(BUSY_TIMEOUT_SECONDS),
    wait=wait_random(0.01, 0.1),
    reraise=True,
)
def _write_ahead(engine: Engine) -> None:
    """Let readers and the writer work at the same time.

    The setting is kept in the file. The switch ignores the busy timeout and is refused in a transaction, so it bypasses
    SQLAlchemy.
    """
    with engine.connect() as connection:
        connection.connection.cursor().execute("PRAGMA journal_mode = WAL")
