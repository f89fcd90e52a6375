"""Store the claims: which sync definition feeds a Genesys group."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, insert_new

_CLAIM = tables.claim.c


class Claims(DefinitionStore):
    """The Genesys groups that the definition feeds."""

    def take(
        self, organisation: str, genesys_group_ids: Collection[str], at: datetime, *, dry_run: bool = False
    ) -> dict[str, str]:
        """Claim the Genesys groups that no definition feeds yet.

        Return the groups that another definition feeds: id -> definition. A dry run claims nothing.
        """
        if dry_run:
            with self._database.reading() as connection:
                return self._of_others(connection, organisation, genesys_group_ids)
        rows = [
            {
                "organisation": organisation,
                "genesys_group_id": genesys_group_id,
                "definition": self._definition,
                "since": at,
            }
            for genesys_group_id in genesys_group_ids
        ]
        with self._database.writing() as connection:
            insert_new(connection, tables.claim, rows)
            return self._of_others(connection, organisation, genesys_group_ids)

    def release_except(self, organisation: str, genesys_group_ids: Collection[str]) -> None:
        """Release every claim of the definition but those on these Genesys groups."""
        keep = set(genesys_group_ids)
        with self._database.writing() as connection:
            held = connection.scalars(
                select(_CLAIM.genesys_group_id).where(
                    _CLAIM.organisation == organisation, _CLAIM.definition == self._definition
                )
            ).all()
            for chunk in chunks(set(held) - keep):
                connection.execute(
                    delete(tables.claim).where(
                        _CLAIM.organisation == organisation,
                        _CLAIM.definition == self._definition,
                        _CLAIM.genesys_group_id.in_(chunk),
                    )
                )

    def _of_others(
        self, connection: Connection, organisation: str, genesys_group_ids: Collection[str]
    ) -> dict[str, str]:
        return {
            row.genesys_group_id: row.definition
            for chunk in chunks(genesys_group_ids)
            for row in connection.execute(
                select(tables.claim).where(
                    _CLAIM.organisation == organisation,
                    _CLAIM.genesys_group_id.in_(chunk),
                    _CLAIM.definition != self._definition,
                )
            )
        }
