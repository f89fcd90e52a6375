"""Store the memberships that dry comparisons saw in both AD and Genesys.

No run is entitled by this evidence alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, insert_rows
from genesys_ad_sync.model import DryEvidence, Grant, Guid

_EVIDENCE = tables.dry_evidence.c

PairKey = tuple[Guid, str]
"""(AD group, Genesys group)."""


class DryEvidences(DefinitionStore):
    """The evidence of dry comparisons, by pair."""

    def has_any(self) -> bool:
        """Return True if the definition has any evidence."""
        first = select(_EVIDENCE.scope).where(_EVIDENCE.definition == self._definition).limit(1)
        with self._database.reading() as connection:
            return connection.execute(first).first() is not None

    def of_groups(self, genesys_group_ids: Collection[str]) -> list[DryEvidence]:
        """Return the evidence in these Genesys groups."""
        statement = select(tables.dry_evidence).where(_EVIDENCE.definition == self._definition)
        with self._database.reading() as connection:
            return [
                DryEvidence(
                    Grant(row.genesys_group_id, row.genesys_user_id, row.user_guid, row.group_guid, by_dry_run=True),
                    row.rule,
                    row.matched_by,
                    row.scope,
                )
                for chunk in chunks(genesys_group_ids)
                for row in connection.execute(statement.where(_EVIDENCE.genesys_group_id.in_(chunk)))
            ]

    def replace(self, genesys_group_ids: Collection[str], evidence: Collection[DryEvidence], at: datetime) -> None:
        """Replace all evidence in these Genesys groups: they were compared again."""
        rows: Iterator[dict[str, Any]] = (
            {
                "definition": self._definition,
                "genesys_group_id": one.grant.genesys_group_id,
                "genesys_user_id": one.grant.genesys_user_id,
                "user_guid": one.grant.user_guid,
                "group_guid": one.grant.group_guid,
                "rule": one.rule,
                "matched_by": one.matched_by,
                "scope": one.scope,
                "seen_at": at,
            }
            for one in evidence
        )
        with self._database.writing() as connection:
            for chunk in chunks(genesys_group_ids):
                connection.execute(
                    delete(tables.dry_evidence).where(
                        _EVIDENCE.definition == self._definition, _EVIDENCE.genesys_group_id.in_(chunk)
                    )
                )
            insert_rows(connection, tables.dry_evidence, rows)

    def keep_only(self, pairs: Collection[PairKey], scope: str) -> None:
        """Drop the evidence of pairs that are mapped no more, and that of another scope."""
        mapped = set(pairs)
        mine = _EVIDENCE.definition == self._definition
        with self._database.writing() as connection:
            connection.execute(delete(tables.dry_evidence).where(mine, _EVIDENCE.scope != scope))
            known = connection.execute(
                select(_EVIDENCE.group_guid, _EVIDENCE.genesys_group_id).where(mine).distinct()
            ).all()
            for group_guid, genesys_group_id in known:
                if (group_guid, genesys_group_id) not in mapped:
                    connection.execute(
                        delete(tables.dry_evidence).where(
                            mine, _EVIDENCE.group_guid == group_guid, _EVIDENCE.genesys_group_id == genesys_group_id
                        )
                    )
