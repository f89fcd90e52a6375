"""Store the links: which Genesys user an AD user is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, delete, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, upsert
from genesys_ad_sync.model import Guid, Link

_LINK = tables.link.c


class Links(DefinitionStore):
    """The AD users that are known in Genesys Cloud."""

    def all(self) -> dict[Guid, Link]:
        """Return every link, by AD user."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.link).where(_LINK.definition == self._definition))
            return {row.user_guid: _as_link(row) for row in rows}

    def save(self, links: Collection[Link]) -> None:
        """Store links; one to the same Genesys user as before keeps its first ``matched_by``."""
        with self._database.writing() as connection:
            stored = self._stored(connection, [link.user_guid for link in links])
            new = [link for link in links if stored.get(link.user_guid) != link.genesys_user_id]
            upsert(
                connection,
                tables.link,
                [
                    {
                        "definition": self._definition,
                        "user_guid": link.user_guid,
                        "genesys_user_id": link.genesys_user_id,
                        "matched_by": link.matched_by,
                        "since": link.since,
                    }
                    for link in new
                ],
            )

    def remove(self, user_guids: Collection[Guid]) -> None:
        """Delete the links of these AD users, so that they are looked up again."""
        with self._database.writing() as connection:
            for chunk in chunks(user_guids):
                connection.execute(
                    delete(tables.link).where(_LINK.definition == self._definition, _LINK.user_guid.in_(chunk))
                )

    def _stored(self, connection: Connection, user_guids: Collection[Guid]) -> dict[Guid, str]:
        """Return the stored Genesys user of each of these AD users."""
        return {
            row.user_guid: row.genesys_user_id
            for chunk in chunks(user_guids)
            for row in connection.execute(
                select(tables.link).where(_LINK.definition == self._definition, _LINK.user_guid.in_(chunk))
            )
        }


def _as_link(row: Any) -> Link:
    return Link(row.user_guid, row.genesys_user_id, row.matched_by, row.since)
