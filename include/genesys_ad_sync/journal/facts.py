"""Store the facts of an attempt.

A fact is a small JSON value that a task leaves for later tasks of its attempt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store, chunks, insert_new, upsert
from genesys_ad_sync.model import RunRecord

_FACT = tables.fact.c
_REQUIRED = object()

LARGE = 2000
"""Characters of JSON from which on a value is kept once for all runs that have the same, as the mapping."""


class Facts(Store):
    """What the tasks of an attempt left for each other."""

    def put(self, run: RunRecord, key: str, value: Any) -> None:
        """Store a small JSON value, in place of an earlier one."""
        with self._database.writing() as connection:
            put_fact(connection, run.id, key, value)

    def get(self, run: RunRecord, key: str, *, default: Any = _REQUIRED) -> Any:
        """Return the value that ``put`` stored.

        :raises JournalError: none was stored, and no ``default`` is given.
        """
        with self._database.reading() as connection:
            value = find_fact(connection, run.id, key, _REQUIRED)
        if value is not _REQUIRED:
            return value
        if default is _REQUIRED:
            raise JournalError(
                f"The task before this one left no {key!r} in the journal for run {run.key.run_id}, attempt "
                f"{run.attempt}: it has not finished. Clear it with everything downstream."
            )
        return default

    def put_derived(self, run: RunRecord, values: Mapping[str, Any], follows_from: str) -> None:
        """Store values for all attempts in which they follow from the same.

        :param follows_from: a digest of all that decides the values.
        """
        with self._database.writing() as connection:
            contents = [{"digest": _derived(follows_from, key), "value": value} for key, value in values.items()]
            insert_new(connection, tables.content, contents)
            _refer(connection, run.id, follows_from, values)

    def take_derived(self, run: RunRecord, keys: Collection[str], follows_from: str) -> bool:
        """Give the attempt what `put_derived` stored in an earlier one.

        Return False if there is nothing.
        """
        with self._database.writing() as connection:
            known = all(_is_known(connection, _derived(follows_from, key)) for key in keys)
            if known:
                _refer(connection, run.id, follows_from, keys)
            return known

    def of_attempts(self, attempt_ids: Collection[int], key: str) -> dict[int, Any]:
        """Return the values under ``key`` by attempt (`RunRecord.id`); attempts without one are missing."""
        with self._database.reading() as connection:
            return {
                row.run: _value(connection, row)
                for chunk in chunks(attempt_ids)
                for row in connection.execute(select(tables.fact).where(_FACT.run.in_(chunk), _FACT.key == key)).all()
            }


def put_fact(connection: Connection, attempt_id: int, key: str, value: Any) -> None:
    """Store a fact within a transaction."""
    text = json.dumps(value, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest() if len(text) > LARGE else None
    if digest is not None and not _is_known(connection, digest):
        insert_new(connection, tables.content, [{"digest": digest, "value": value}])
    kept = value if digest is None else None
    upsert(connection, tables.fact, [{"run": attempt_id, "key": key, "value": kept, "content": digest}])


def _derived(follows_from: str, key: str) -> str:
    """Return the digest under which a value is kept that follows from something."""
    return hashlib.sha256(f"{key} from {follows_from}".encode()).hexdigest()


def _refer(connection: Connection, attempt_id: int, follows_from: str, keys: Iterable[str]) -> None:
    facts = [{"run": attempt_id, "key": key, "value": None, "content": _derived(follows_from, key)} for key in keys]
    upsert(connection, tables.fact, facts)


def _is_known(connection: Connection, digest: str) -> bool:
    """Return whether the value is stored, so that megabytes of it need not be sent."""
    content = tables.content.c.digest
    return connection.execute(select(content).where(content == digest)).first() is not None


def forget_contents(connection: Connection) -> None:
    """Delete the large values that no run has any more."""
    used = select(_FACT.content).where(_FACT.content.is_not(None))
    connection.execute(delete(tables.content).where(tables.content.c.digest.not_in(used)))


def find_fact(connection: Connection, attempt_id: int, key: str, default: Any = None) -> Any:
    """Return a fact within a transaction, or ``default``."""
    row = connection.execute(select(tables.fact).where(_FACT.run == attempt_id, _FACT.key == key)).first()
    return default if row is None else _value(connection, row)


def _value(connection: Connection, row: Row[Any]) -> Any:
    if row.content is None:
        return row.value
    return connection.execute(select(tables.content.c.value).where(tables.content.c.digest == row.content)).scalar_one()
