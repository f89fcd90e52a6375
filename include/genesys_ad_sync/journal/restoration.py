"""Store which definitions are distrusted because the journal was lost or restored from a backup."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, upsert
from genesys_ad_sync.journal.pairs import void_baselines

_RESTORED = tables.restored.c


class Restoration(DefinitionStore):
    """The distrust that follows the loss or restoration of the journal."""

    def take_new_id(self, at: datetime) -> None:
        """Give this journal a new id; distrust every definition.

        The journal is older than the reports.
        """
        with self._database.writing() as connection:
            connection.execute(update(tables.meta).values(journal_id=tables.new_id()))
            definitions = {
                *connection.scalars(select(tables.cursor.c.definition)),
                *connection.scalars(select(tables.pair.c.definition)),
            }
            _distrust(connection, definitions, at)

    def begin(self, at: datetime) -> None:
        """Distrust the definition: this journal is not the one that wrote its reports.

        Its baselines are void, and its removals need approval until ``end``.
        """
        with self._database.writing() as connection:
            _distrust(connection, {self._definition}, at)

    def is_active(self) -> bool:
        """Return whether removals of the definition need approval because of the distrust."""
        statement = select(_RESTORED.since).where(_RESTORED.definition == self._definition)
        with self._database.reading() as connection:
            return connection.execute(statement).first() is not None

    def end(self) -> None:
        """Trust the definition again.

        Call it when every group was compared completely and no removal waits for approval because of the distrust.
        """
        with self._database.writing() as connection:
            connection.execute(delete(tables.restored).where(_RESTORED.definition == self._definition))


def _distrust(connection: Connection, definitions: Collection[str], at: datetime) -> None:
    void_baselines(connection, definitions)
    upsert(connection, tables.restored, [{"definition": name, "since": at} for name in sorted(definitions)])
