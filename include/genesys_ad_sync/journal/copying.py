"""Move the journal to another database: copy all of it, mark the source as moved.

At no moment are there two journals that tasks can open. The copy is complete before the source is marked, and can be
opened only after that. A copy that was broken off in between is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import URL, ColumnElement, Connection, Table, delete, func, insert, select, text, update
from sqlalchemy import Row as Record

from genesys_ad_sync.errors import JournalError, JournalMissing
from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Database
from genesys_ad_sync.journal.leases import held_leases
from genesys_ad_sync.journal.opening import open_database
from genesys_ad_sync.journal.runs import open_runs
from genesys_ad_sync.model import RunKey

_META = tables.meta.c
_ROWS_AT_A_TIME = 5000
_NOT_COPIED = (tables.meta, tables.lease, tables.lease_holder)
"""The lease stays behind: a task that held it can record nothing in the copy."""


@dataclass(frozen=True)
class Copied:
    """What was copied. ``rows``: by table, those with any."""

    source: str
    target: str
    rows: dict[str, int]


def copy_journal(source: Database, to: str | URL, *, at: datetime, gone: Collection[RunKey] = ()) -> Copied:
    """Copy the journal into an empty database, and mark the source as moved there.

    A copy that is refused makes nothing there.

    :param source: opened with ``moved_too``.
    :param gone: runs that count as ended although the journal has not seen their end.
    :raises JournalError: a run is open, somebody is writing, or the database holds something else.
    """
    before = _meta(source)
    if before.moved_to is not None:
        return _finish_broken_off(source, to, before)
    with source.writing() as reading:
        _refuse_unless_quiet(source, reading, at, gone)
        with _opened(to) as target:
            _refuse_same(target, before, _meta(target))
            with target.writing() as writing:
                _refuse_unless_empty(target, writing)
                rows = {table.name: copy_table(reading, writing, table) for table in _copied_tables()}
                writing.execute(update(tables.meta).values(**_identity_of_copy(reading, source.name)))
            name = target.name
        # Between these two commits, nobody can open the copy, and nobody can write to the source.
        reading.execute(update(tables.meta).values(moved_to=name, moved_at=at))
    with _opened(to) as target:
        _finish(target)
    return Copied(source.name, name, {name: number for name, number in rows.items() if number})


@contextmanager
def _opened(url: str | URL, *, create: bool = True) -> Iterator[Database]:
    """Open the database of a copy."""
    database = open_database(url, create=create, moved_too=True)
    try:
        yield database
    finally:
        database.engine.dispose()


def undo_copy(source: Database) -> str:
    """Make the source usable again; return the place of the copy.

    The copy must not be used from then on. The source gets a newer generation than the copy, so a run with the copy is
    noticed by the next report.

    :raises JournalError: it was not moved.
    """
    with source.writing() as connection:
        meta = connection.execute(select(tables.meta)).one()
        if meta.moved_to is None:
            raise JournalError(
                f"The journal ({source.name}) was not moved, so there is nothing to undo. Set the connection "
                "group_sync_journal to the place from which it was copied."
            )
        freed = {"moved_to": None, "moved_at": None, "generation": meta.generation + 2}
        connection.execute(update(tables.meta).values(**freed))
        return str(meta.moved_to)


# -- what is refused ----------------------------------------------------------------------------------


def _refuse_same(target: Database, before: Record[Any], there: Record[Any]) -> None:
    if (before.journal_id, before.generation) == (there.journal_id, there.generation):
        raise JournalError(f"{target.name} is the journal that would be copied. Name another, empty database.")
    if there.moved_to is not None:
        raise JournalError(
            f"{target.name} holds a journal that was moved to {there.moved_to}. Name another, empty database."
        )


def _refuse_unless_quiet(source: Database, connection: Connection, at: datetime, gone: Collection[RunKey]) -> None:
    """Refuse while a run is open or a task writes to Genesys.

    Neither can begin within this transaction.
    """
    if running := {key: since for key, since in open_runs(connection).items() if key not in gone}:
        listed = "; ".join(f"{key} (since {since.isoformat(timespec='seconds')})" for key, since in running.items())
        raise JournalError(
            f"The journal ({source.name}) cannot be copied while runs are open: {listed}. Pause the DAGs, let these "
            "runs end or answer their questions, and copy again. Name a run that Airflow no longer has with "
            "`--gone DAG_ID/RUN_ID`."
        )
    if held := held_leases(connection, at):
        organisation, (key, until) = next(iter(held.items()))
        raise JournalError(
            f"The journal ({source.name}) cannot be copied: run {key} is writing to {organisation} until "
            f"{until.isoformat(timespec='seconds')} at most. Copy again when it has ended."
        )


def _refuse_unless_empty(target: Database, connection: Connection) -> None:
    """Refuse a database with its own journal; empty one with an unfinished copy."""
    if connection.execute(select(_META.unfinished_copy_of)).scalar_one() is not None:
        for table in reversed(tables.metadata.sorted_tables):
            if table is not tables.meta:
                connection.execute(delete(table))
        return
    for table in _copied_tables():
        if connection.execute(select(table).limit(1)).first() is not None:
            raise JournalError(
                f"{target.name} already holds a journal ({table.name} is not empty). Name an empty database."
            )


# -- the copy -----------------------------------------------------------------------------------------


def _copied_tables() -> list[Table]:
    """Return the tables to copy, referenced ones first."""
    return [table for table in tables.metadata.sorted_tables if table not in _NOT_COPIED]


def copy_table(reading: Connection, writing: Connection, table: Table, *which: ColumnElement[bool]) -> int:
    """Copy the rows of a table; return their number.

    The next id to give out is copied, too.

    :param which: only rows for which this holds.
    """
    number = 0
    found = reading.execute(select(table).where(*which).execution_options(yield_per=_ROWS_AT_A_TIME))
    for rows in found.mappings().partitions():
        writing.execute(insert(table), [dict(row) for row in rows])
        number += len(rows)
    if table.c.keys()[0] == "id":
        _set_next_id(writing, table, _last_id(reading, table))
    return number


def _last_id(connection: Connection, table: Table) -> int:
    """Return the highest id that was ever given out.

    The ids of deleted rows are not used again.
    """
    present = connection.execute(select(func.max(table.c.id))).scalar() or 0
    if connection.dialect.name == "sqlite":
        given = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        return max(present, given.scalar() or 0)
    sequence = _sequence(connection, table)
    given = connection.execute(text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"))  # noqa: S608  the database's own name
    return max(present, given.scalar() or 0)


def _set_next_id(connection: Connection, table: Table, last: int) -> None:
    if not last:
        return
    if connection.dialect.name == "sqlite":
        parameters = {"name": table.name, "last": last}
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), parameters)
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), parameters)
    else:
        connection.execute(text("SELECT setval(:name, :last)"), {"name": _sequence(connection, table), "last": last})


def _sequence(connection: Connection, table: Table) -> str:
    return str(connection.execute(func.pg_get_serial_sequence(table.name, "id").select()).scalar_one())


def _identity_of_copy(reading: Connection, source: str) -> dict[str, Any]:
    meta = reading.execute(select(tables.meta)).one()
    return {
        "journal_id": meta.journal_id,
        "run_counter": meta.run_counter,
        "fence_counter": meta.fence_counter + 1,
        "generation": meta.generation + 1,
        "unfinished_copy_of": source,
    }


def _finish_broken_off(source: Database, to: str | URL, before: Record[Any]) -> Copied:
    """Open the copy of a source that was marked in an earlier, broken-off copy.

    The earlier copy could not open it any more.
    """
    moved = JournalError(
        f"The journal ({source.name}) was moved to {before.moved_to} already. Copy it from there, or free it with "
        "`genesys-ad-sync journal copy --undo`."
    )
    try:
        with _opened(to, create=False) as target:
            there = _meta(target)
            if (there.journal_id, there.generation) != (before.journal_id, before.generation + 1):
                raise moved
            _finish(target)
            with target.reading() as connection:
                rows = {
                    table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                    for table in _copied_tables()
                }
    except JournalMissing:
        raise moved from None
    return Copied(source.name, target.name, {name: number for name, number in rows.items() if number})


def _finish(target: Database) -> None:
    with target.writing() as connection:
        connection.execute(update(tables.meta).values(unfinished_copy_of=None))


def _meta(database: Database) -> Record[Any]:
    with database.reading() as connection:
        return connection.execute(select(tables.meta)).one()
