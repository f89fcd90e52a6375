"""Write a large first view of AD in parts: others may write in between.

No run reads a view before there is a cursor, which comes with the last part. So an unfinished view is nothing: the next
first poll deletes it. Parts of two polls never mix: one waits for the other, and then finds its cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Database, chunks
from genesys_ad_sync.journal.view_writer import insert_members, write_objects
from genesys_ad_sync.model import DirectoryView, Guid

ROWS_OF_A_PART = 10_000
"""Rows that one transaction writes into a SQLite file, in a fraction of a second."""
_TABLES = (tables.membership, tables.user, tables.group)


def is_written_in_parts(database: Database, view: DirectoryView) -> bool:
    """Return True if a first view is too large for one transaction of this database."""
    rows = len(view.groups) + len(view.users) + sum(map(len, view.members.values()))
    return database.writes_in_parts and rows > ROWS_OF_A_PART


def write_in_parts(
    database: Database, definition: str, view: DirectoryView, at: datetime, check: Callable[[Connection], object]
) -> None:
    """Write the view and no cursor.

    Must be called within `Database.alone`. ``check``: raises if there is a cursor by now.
    """
    left = True
    while left:
        with database.writing() as connection:
            check(connection)
            left = _forget_part(connection, definition)
        if left:
            database.let_others_write()
    for part in _parts_of(view, ROWS_OF_A_PART):
        with database.writing() as connection:
            check(connection)
            _write_part(connection, definition, part, at)
        database.let_others_write()


def _parts_of(view: DirectoryView, size: int) -> Iterator[DirectoryView]:
    """Yield the view in parts of at most so many objects or memberships."""
    for group_guids in chunks(view.groups, size):
        yield DirectoryView(groups={guid: view.groups[guid] for guid in group_guids})
    for user_guids in chunks(view.users, size):
        yield DirectoryView(users={guid: view.users[guid] for guid in user_guids})
    links = ((group_guid, member) for group_guid, members in view.members.items() for member in members)
    for chunk in chunks(links, size):
        part: dict[Guid, set[Guid]] = {}
        for group_guid, member in chunk:
            part.setdefault(group_guid, set()).add(member)
        yield DirectoryView(members=part)


def _write_part(connection: Connection, definition: str, part: DirectoryView, at: datetime) -> None:
    """Write a part of a view of which nothing is stored."""
    write_objects(connection, definition, DirectoryView(), part)
    insert_members(connection, definition, part.members, at)


def forget_unfinished(connection: Connection, definition: str) -> None:
    """Delete all parts of an unfinished first view at once."""
    for table in _TABLES:
        connection.execute(delete(table).where(table.c.definition == definition))


def _forget_part(connection: Connection, definition: str) -> bool:
    """Delete a part of an unfinished first view; return False if there is none."""
    for table in _TABLES:
        key = list(table.primary_key)
        some = connection.execute(select(*key).where(table.c.definition == definition).limit(ROWS_OF_A_PART)).all()
        if some:
            which = [column == bindparam(f"key_{column.name}") for column in key]
            keys = [{f"key_{column.name}": value for column, value in zip(key, row, strict=True)} for row in some]
            connection.execute(delete(table).where(*which), keys)
            return True
    return False
