"""Copy a journal to a temporary file, to try out a run.

The source is only read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Table, func, or_, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.copying import copy_table
from genesys_ad_sync.journal.database import Database
from genesys_ad_sync.journal.full_looks import OF_A_LOOK, last_complete_look
from genesys_ad_sync.journal.opening import open_database
from genesys_ad_sync.journal.store import Journal

_RUN = tables.run.c
_RECENT = timedelta(days=3)
_LAST_RUNS = 100


@contextmanager
def scratch_journal(source: Journal, folder: Path, *, now: datetime) -> Iterator[Journal]:
    """Open a copy of a journal in a folder.

    The source never sees what is written there. Of old runs, the copy of a PostgreSQL database has rows only where a
    plan may depend on them.
    """
    path = folder / "journal.db"
    database = source.database
    if database.engine.dialect.name == "sqlite":
        _back_up(database, path)
    else:
        _copy(database, path, now)
    with Journal.open(f"sqlite:///{path}", create=False) as copy:
        yield copy


def _back_up(source: Database, path: Path) -> None:
    with closing(source.engine.raw_connection()) as pooled, closing(sqlite3.connect(path)) as target:
        connection = pooled.driver_connection
        assert isinstance(connection, sqlite3.Connection)  # noqa: S101  for mypy
        connection.backup(target)


def _copy(source: Database, path: Path, now: datetime) -> None:
    target = open_database(f"sqlite:///{path}", moved_too=True)
    try:
        with source.reading() as reading, target.writing() as writing:
            for table in tables.metadata.sorted_tables:
                if table is not tables.meta:
                    copy_table(reading, writing, table, *_which(reading, table, now))
            meta = reading.execute(select(tables.meta)).mappings().one()
            writing.execute(update(tables.meta).values(**{key: value for key, value in meta.items() if key != "id"}))
    finally:
        target.engine.dispose()


def _which(connection: Connection, table: Table, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the condition under which a row of a table is copied; none: all are."""
    if table is tables.outcome:
        change = tables.change.c
        unsettled = select(change.id).where(change.settled.is_(False))
        return (or_(table.c.at >= now - _RECENT, table.c.change_id.in_(unsettled)),)
    if table in {tables.row, tables.group_result, tables.fact, tables.request}:
        oldest = connection.scalar(
            select(func.min(_RUN.id)).where(or_(_RUN.started_at >= now - _RECENT, _RUN.finished_at.is_(None)))
        )
        live = select(_RUN.id).where(_RUN.dry_run.is_(False)).order_by(_RUN.id.desc()).limit(_LAST_RUNS)
        last = list(connection.scalars(live))
        looks = _last_complete_looks(connection)
        some: list[ColumnElement[bool]] = [table.c.run.in_([*last, *looks])]
        some += [table.c.run >= oldest] if oldest else []
        if looks and table is tables.fact:  # what later runs have seen since
            some.append((table.c.run >= min(looks)) & table.c.key.in_(OF_A_LOOK))
        return (or_(*some),)
    return ()


def _last_complete_looks(connection: Connection) -> list[int]:
    """Return the ids of the runs by which a plan without network goes.

    There is one for each definition at most.
    """
    found = (last_complete_look(connection, name) for name in connection.scalars(select(_RUN.definition).distinct()))
    return [row.id for row in found if row is not None]
