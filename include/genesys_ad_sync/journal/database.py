"""Open transactions on the journal's database: one kind reads, one writes.

Writers queue (SQLite: BEGIN IMMEDIATE; PostgreSQL: an advisory lock), so what a writing transaction reads stays
true until it commits. A reading transaction sees one state of the database throughout. No table is known here.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    Table,
    bindparam,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal.database_errors import BUSY_TIMEOUT_SECONDS, explain
from genesys_ad_sync.this_machine import make_private_file

WRITES = "journal_writes"
"""The execution option of a connection whose transactions write."""

ROWS_AT_A_TIME = 1000
"""Rows that one statement writes, or that are fetched together.

A hundred thousand would take hundreds of megabytes.
"""
TURN_SECONDS = 0.15
"""Between two parts of a long writing: who waits for a SQLite file looks every tenth of a second whether it is free."""
_LOCK_LOOKS_SECONDS = 0.05
_SURE_DIFFERENCE = timedelta(seconds=1)
WRITERS_LOCK = 0x6761_6473_0001  # any number that nobody else uses in that database

T = TypeVar("T")


class Database:
    """Hold the journal's engine; every statement goes through it."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        refuse: Callable[[Connection, str], None] | None = None,
        *,
        warnings: Sequence[str] = (),
    ) -> None:
        """Take the engine, and the name that messages use for it (without a password).

        :param refuse: raises if nothing may be written; called at the beginning of each writing transaction.
        :param warnings: what should be changed about its place.
        """
        self.warnings = tuple(warnings)
        self.engine = engine
        self.name = name
        self._refuse = refuse
        self._shared = threading.local()

    @contextmanager
    def together(self, *preparers: str) -> Iterator[None]:
        """Make one transaction of what this thread reads and writes within the block.

        :param preparers: names that it writes for as `preparing` does.
        """
        if self._connection_of_block() is not None:
            yield
            return
        with self.writing(*preparers) as connection:
            self._shared.connection = connection
            try:
                yield
            finally:
                self._shared.connection = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the database and writes nothing."""
        if (shared := self._connection_of_block()) is not None:
            yield shared
            return
        with self._explained(), self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self, *preparers: str) -> Iterator[Connection]:
        """Open a transaction that writes all of it or nothing.

        Until it ends, other writers wait, and so do those that prepare for one of ``preparers``.
        """
        if (shared := self._connection_of_block()) is not None:
            yield shared
            return
        with self._prepared(*preparers) as connection:
            self._take_turn(connection)
            yield connection

    @contextmanager
    def preparing(self, of: str) -> Iterator[tuple[Connection, Callable[[], None]]]:
        """Open a writing transaction that lets others write until its end is near.

        Yields the connection, and a function to call before anything is written that others write, too. What is
        written before is for one of ``of`` alone: preparers of the same name queue. In SQLite, which has one writer at
        a time, and in a block of `together`, it is an ordinary writing transaction.
        """
        if self._connection_of_block() is not None or self.engine.dialect.name != "postgresql":
            with self.writing() as connection:
                yield connection, _nothing
            return
        with self._prepared(of) as connection:
            yield connection, functools.partial(self._take_turn, connection)

    @property
    def writes_in_parts(self) -> bool:
        """Return True if a long writing must be several transactions.

        Others could not write to a SQLite file meanwhile. In a block of `together` everything is one transaction.
        """
        return self.engine.dialect.name == "sqlite" and self._connection_of_block() is None

    def let_others_write(self) -> None:
        """Wait until others that wait for a SQLite file have had their turn.

        PostgreSQL keeps a queue.
        """
        if self.writes_in_parts:
            time.sleep(TURN_SECONDS)

    @contextmanager
    def alone(self, of: str) -> Iterator[None]:
        """Be the only preparer of that name, over several transactions on a SQLite file.

        The operating system ends it with the process. The lock's file stays beside the journal: who removed it could
        remove one that another process has just locked.
        """
        path = Path(f"{self.engine.url.database}-{hashlib.sha256(of.encode()).hexdigest()[:8]}.lock")
        make_private_file(path)
        lock = os.open(path, os.O_RDWR)
        try:
            _wait_for_file(lock, self.name)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _prepared(self, *preparers: str) -> Iterator[Connection]:
        """Open a transaction with the turn of these preparers, not yet of the writers."""
        with self._explained(), ExitStack() as stack:
            if self.engine.dialect.name == "sqlite":
                for of in sorted(preparers):
                    stack.enter_context(self.alone(of))
            connection = stack.enter_context(self.engine.connect())
            connection.execution_options(**{WRITES: True})
            with connection.begin():
                for of in sorted(preparers):
                    wait_for_preparers(connection, of)
                yield connection

    def _take_turn(self, connection: Connection) -> None:
        """Wait for the other writers, and refuse a journal that is in another place."""
        wait_for_writers(connection)
        if self._refuse is not None:
            self._refuse(connection, self.name)

    def clock_difference(self, clock: Callable[[], datetime]) -> timedelta:
        """Return how far the server's clock is ahead of a clock of this machine.

        Zero for a file, and for less than a second: such a difference may be the time of the question.
        """
        if self.engine.dialect.name != "postgresql":
            return timedelta()
        with self.reading() as connection:
            before = clock()
            theirs: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
            after = clock()
        difference = theirs - (before + (after - before) / 2)
        return difference if abs(difference) > max(_SURE_DIFFERENCE, after - before) else timedelta()

    def _connection_of_block(self) -> Connection | None:
        """Return the connection of `together`, if this thread is within its block."""
        connection: Connection | None = getattr(self._shared, "connection", None)
        return connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeout) as error:
            # `from None`: the database's whole text may hold the values of a row, which are people's names
            raise JournalError(explain(error, self.name)) from None


class Store:
    """One concern of the journal, the same for all sync definitions."""

    def __init__(self, database: Database) -> None:
        self._database = database


class DefinitionStore(Store):
    """One concern of the journal, of one sync definition."""

    def __init__(self, database: Database, definition: str) -> None:
        super().__init__(database)
        self._definition = definition


def _wait_for_file(lock: int, name: str) -> None:
    """Lock an open file for this process, as soon as no other has. Raises JournalError."""
    waiting = Retrying(
        retry=retry_if_exception_type(BlockingIOError),
        stop=stop_after_delay(BUSY_TIMEOUT_SECONDS),
        wait=wait_fixed(_LOCK_LOOKS_SECONDS),
    )
    try:
        waiting(fcntl.flock, lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except RetryError:
        raise JournalError(
            f"The journal ({name}) cannot be used: another run is writing its first view of Active Directory. "
            "Let the task be retried."
        ) from None


def wait_for_writers(connection: Connection) -> None:
    """Wait for the turn to write, which lasts until the transaction ends.

    SQLite has already waited at BEGIN IMMEDIATE.
    """
    _wait_for_lock(connection, WRITERS_LOCK)


def wait_for_preparers(connection: Connection, of: str) -> None:
    """Wait for the turn to prepare, before the turn to write. SQLite needs none."""
    _wait_for_lock(connection, int.from_bytes(hashlib.sha256(of.encode()).digest()[:8], "big", signed=True))


def _wait_for_lock(connection: Connection, lock: int) -> None:
    """Hold PostgreSQL's advisory lock of that number until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": f"{BUSY_TIMEOUT_SECONDS}s"})
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})


def values_once(connection: Connection, column: ColumnElement[str]) -> Iterator[str]:
    """Yield the values of a column that is the first of an index, each once.

    Each takes one step in the index. `DISTINCT` walks all rows.
    """
    value = connection.scalar(select(func.min(column)))
    while value is not None:
        yield value
        value = connection.scalar(select(func.min(column)).where(column > value))


def _nothing() -> None:
    """Do nothing: it is this transaction's turn already."""


# -- statements for many rows -------------------------------------------------------------------------


def chunks(items: Iterable[T], size: int = 500) -> Iterator[list[T]]:
    """Yield lists of at most ``size`` items.

    Databases limit the variables of one statement (old SQLite: 999).
    """
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def each_of(connection: Connection, array: ColumnElement[Any]) -> ColumnElement[str]:
    """Return the texts of a JSON array as a column, one text a row.

    The column can be selected from. For a hundred thousand rows, arrays as parameters take half the time of one
    parameter per value.
    """
    unpacked = func.json_each(array) if connection.dialect.name == "sqlite" else func.json_array_elements_text(array)
    return unpacked.table_valued("value").c.value


def rows_with(
    connection: Connection, statement: Select[Any], column: ColumnElement[str], values: Iterable[str]
) -> Iterator[Row[Any]]:
    """Yield the rows of a statement that have one of these values in a column."""
    asked = statement.where(column.in_(select(each_of(connection, bindparam("values", type_=JSON)))))
    for chunk in chunks(values):
        for part in connection.execute(asked, {"values": chunk}).partitions(ROWS_AT_A_TIME):
            yield from part


def insert_new(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows; leave a row whose primary key exists as it is."""
    statement = _insert(connection.dialect.name, table).on_conflict_do_nothing(index_elements=list(table.primary_key))
    for chunk in chunks(rows, ROWS_AT_A_TIME):
        connection.execute(statement, chunk)


def insert_rows(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert new rows."""
    for chunk in chunks(rows, ROWS_AT_A_TIME):
        connection.execute(insert(table), chunk)


def upsert(
    connection: Connection,
    table: Table,
    rows: Iterable[Mapping[str, Any]],
    update: Sequence[str] | None = None,
    *,
    keys: Sequence[str] | None = None,
) -> None:
    """Insert rows; where the key exists, write the columns of ``update``.

    The last of several rows with the same key wins.

    :param update: default: every column that the rows have.
    :param keys: default: the primary key.
    """
    names = tuple(keys or [column.name for column in table.primary_key])
    for chunk in chunks(rows, ROWS_AT_A_TIME):
        # PostgreSQL refuses a statement that writes the same row twice
        unique = list({tuple(row[name] for name in names): row for row in chunk}.values())
        written = update or [name for name in unique[0] if name not in names]
        connection.execute(_upsert(connection.dialect.name, table, names, tuple(written)), unique)


@functools.cache  # a statement takes longer to make than SQLite takes to run it
def _upsert(dialect: str, table: Table, names: tuple[str, ...], written: tuple[str, ...]) -> Any:
    statement = _insert(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=list(names), set_={name: statement.excluded[name] for name in written}
    )


def _insert(dialect: str, table: Table) -> Any:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
