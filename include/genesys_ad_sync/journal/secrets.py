"""Store the secrets that all tasks share: encrypted by the caller, never read here.

A secret has a lock, so that one task at a time renews it. The lock of an owner that died expires.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store, insert_new, upsert

_SECRET = tables.shared_secret.c


class Secrets(Store):
    """Encrypted secrets by key, and who may renew them."""

    def get(self, key: str) -> tuple[bytes, datetime] | None:
        """Return (the encrypted secret, when to renew it), or None if there is none."""
        with self._database.reading() as connection:
            row = connection.execute(select(_SECRET.value, _SECRET.renew_at).where(_SECRET.key == key)).first()
        return None if row is None or row.value is None else (bytes(row.value), row.renew_at)

    def put(self, key: str, value: bytes, renew_at: datetime) -> None:
        """Store a secret in place of the former one.

        :param value: encrypted.
        """
        with self._database.writing() as connection:
            upsert(connection, tables.shared_secret, [{"key": key, "value": value, "renew_at": renew_at}])

    def forget(self, key: str, value: bytes) -> None:
        """Delete a secret if it still has this value: another task may have renewed it."""
        with self._database.writing() as connection:
            connection.execute(
                update(tables.shared_secret)
                .where(_SECRET.key == key, _SECRET.value == value)
                .values(value=None, renew_at=None)
            )

    def lock(self, key: str, owner: str, *, now: datetime, until: datetime) -> bool:
        """Let ``owner`` renew a secret until then; return False if another task is renewing it."""
        with self._database.writing() as connection:
            insert_new(connection, tables.shared_secret, [{"key": key}])
            free = or_(_SECRET.locked_by.is_(None), _SECRET.locked_by == owner, _SECRET.locked_until <= now)
            taken = connection.execute(
                update(tables.shared_secret).where(_SECRET.key == key, free).values(locked_by=owner, locked_until=until)
            )
            return taken.rowcount == 1

    def unlock(self, key: str, owner: str) -> None:
        """End the lock of ``owner``, if it has it."""
        with self._database.writing() as connection:
            connection.execute(
                update(tables.shared_secret)
                .where(_SECRET.key == key, _SECRET.locked_by == owner)
                .values(locked_by=None, locked_until=None)
            )
