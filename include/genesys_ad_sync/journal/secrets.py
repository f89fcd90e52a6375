"""What all tasks share about Genesys Cloud: secrets (encrypted by the caller, never read here), and external ids.

A secret has a lock of its own, so that one task at a time renews it; a lock whose owner died ends by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import or_, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Database, chunks, insert_new, upsert

_SECRET = tables.shared_secret.c
_EXTERNAL = tables.external_id.c


class Shared:
    """Part of ``Journal``."""

    _database: Database

    # -- secrets --

    def secret(self, key: str) -> tuple[bytes, datetime] | None:
        """(the encrypted secret, when it is to be renewed); None: there is none."""
        with self._database.reading() as connection:
            row = connection.execute(select(_SECRET.value, _SECRET.renew_at).where(_SECRET.key == key)).first()
        return None if row is None or row.value is None else (bytes(row.value), row.renew_at)

    def put_secret(self, key: str, value: bytes, renew_at: datetime) -> None:
        """``value``: encrypted. Replaces the one that was there."""
        with self._database.writing() as connection:
            upsert(connection, tables.shared_secret, [{"key": key, "value": value, "renew_at": renew_at}])

    def forget_secret(self, key: str, value: bytes) -> None:
        """Only if it still is this very one: another task may have renewed it meanwhile."""
        with self._database.writing() as connection:
            connection.execute(
                update(tables.shared_secret)
                .where(_SECRET.key == key, _SECRET.value == value)
                .values(value=None, renew_at=None)
            )

    def lock_secret(self, key: str, owner: str, *, now: datetime, until: datetime) -> bool:
        """True: ``owner`` may renew it until then. False: somebody else is at it."""
        with self._database.writing() as connection:
            insert_new(connection, tables.shared_secret, [{"key": key}])
            free = or_(_SECRET.locked_by.is_(None), _SECRET.locked_by == owner, _SECRET.locked_until <= now)
            taken = connection.execute(
                update(tables.shared_secret).where(_SECRET.key == key, free).values(locked_by=owner, locked_until=until)
            )
            return taken.rowcount == 1

    def unlock_secret(self, key: str, owner: str) -> None:
        with self._database.writing() as connection:
            connection.execute(
                update(tables.shared_secret)
                .where(_SECRET.key == key, _SECRET.locked_by == owner)
                .values(locked_by=None, locked_until=None)
            )

    # -- external ids --

    def external_ids(self, organisation: str, external_ids: Collection[str]) -> dict[str, tuple[str | None, datetime]]:
        """SCIM externalId -> (Genesys group id, when that was read); the id None: no group carried it then.

        :param organisation: by a name that no two organisations share; an API address is not one.
        """
        found: dict[str, tuple[str | None, datetime]] = {}
        with self._database.reading() as connection:
            for chunk in chunks(external_ids):
                for row in connection.execute(
                    select(tables.external_id).where(
                        _EXTERNAL.organisation == organisation, _EXTERNAL.external_id.in_(chunk)
                    )
                ):
                    found[row.external_id] = (row.genesys_group_id, row.read_at)
        return found

    def save_external_ids(self, organisation: str, found: Mapping[str, str | None], at: datetime) -> None:
        """What Genesys said of these external ids."""
        rows = [
            {"organisation": organisation, "external_id": key, "genesys_group_id": group_id, "read_at": at}
            for key, group_id in found.items()
        ]
        with self._database.writing() as connection:
            upsert(connection, tables.external_id, rows)
