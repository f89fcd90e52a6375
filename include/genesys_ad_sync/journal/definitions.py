"""Store the content of the newest version of a sync definition.

Tasks that run from an older version of its file need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, upsert
from genesys_ad_sync.model import RunKey

_DEFINITION = tables.definition.c


@dataclass(frozen=True)
class NotedDefinition:
    """What a run's poll noted of the definition. ``due_at``: when that run was due."""

    dry_run: bool
    due_at: datetime
    run: RunKey
    noted_at: datetime


class Definitions(DefinitionStore):
    """What the newest version of the definition says."""

    def note(self, *, dry_run: bool, due_at: datetime, run: RunKey, at: datetime) -> None:
        """Note what the definition of a run says.

        ``dry_run: true`` counts whoever notes it. A run that was due before that note cannot lift it: a cleared run
        has the version of the file that it began with.
        """
        with self._database.writing() as connection:
            row = connection.execute(
                select(tables.definition).where(_DEFINITION.definition == self._definition)
            ).first()
            newest = due_at if row is None else max(due_at, row.due_at)
            if row is not None and due_at < row.due_at and (row.dry_run or not dry_run):
                return
            noted = {"dry_run": dry_run, "due_at": newest, "dag_id": run.dag_id, "run_id": run.run_id, "noted_at": at}
            upsert(connection, tables.definition, [{"definition": self._definition, **noted}])

    def noted(self) -> NotedDefinition | None:
        """Return what was noted last; None: no run has."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(tables.definition).where(_DEFINITION.definition == self._definition)
            ).first()
        if row is None:
            return None
        return NotedDefinition(row.dry_run, row.due_at, RunKey(row.dag_id, row.run_id), row.noted_at)
