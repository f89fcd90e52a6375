"""Store the facts: small JSON values that a task leaves for later tasks of its attempt."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, select

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store, chunks, upsert
from genesys_ad_sync.model import RunRecord

_FACT = tables.fact.c
_REQUIRED = object()


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

    def of_attempts(self, attempt_ids: Collection[int], key: str) -> dict[int, Any]:
        """Return the values under ``key`` by attempt (`RunRecord.id`); attempts without one are missing."""
        with self._database.reading() as connection:
            return {
                row.run: row.value
                for chunk in chunks(attempt_ids)
                for row in connection.execute(
                    select(_FACT.run, _FACT.value).where(_FACT.run.in_(chunk), _FACT.key == key)
                )
            }


def put_fact(connection: Connection, attempt_id: int, key: str, value: Any) -> None:
    """Store a fact within a transaction."""
    upsert(connection, tables.fact, [{"run": attempt_id, "key": key, "value": value}])


def find_fact(connection: Connection, attempt_id: int, key: str, default: Any = None) -> Any:
    """Return a fact within a transaction, or ``default``."""
    row = connection.execute(select(_FACT.value).where(_FACT.run == attempt_id, _FACT.key == key)).first()
    return default if row is None else row.value
