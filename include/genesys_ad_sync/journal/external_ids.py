"""Store which Genesys group carries a SCIM externalId, so that runs need not ask again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store, chunks, upsert

_EXTERNAL = tables.external_id.c


class ExternalIds(Store):
    """Genesys groups by SCIM externalId, as last read."""

    def get(self, organisation: str, external_ids: Collection[str]) -> dict[str, tuple[str | None, datetime]]:
        """Return externalId -> (Genesys group id, when it was read).

        The group id is None if no group carried the externalId then.

        :param organisation: a name that no two organisations share; an API address is not sufficient.
        """
        groups: dict[str, tuple[str | None, datetime]] = {}
        with self._database.reading() as connection:
            for chunk in chunks(external_ids):
                for row in connection.execute(
                    select(tables.external_id).where(
                        _EXTERNAL.organisation == organisation, _EXTERNAL.external_id.in_(chunk)
                    )
                ):
                    groups[row.external_id] = (row.genesys_group_id, row.read_at)
        return groups

    def save(self, organisation: str, groups: Mapping[str, str | None], at: datetime) -> None:
        """Store what Genesys answered: externalId -> Genesys group id, or None."""
        rows = [
            {"organisation": organisation, "external_id": key, "genesys_group_id": group_id, "read_at": at}
            for key, group_id in groups.items()
        ]
        with self._database.writing() as connection:
            upsert(connection, tables.external_id, rows)
