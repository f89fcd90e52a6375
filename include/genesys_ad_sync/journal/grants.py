"""Store the grants: the memberships in Genesys groups that AD owns."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, insert_new
from genesys_ad_sync.model import Grant, Guid

_GRANT = tables.grant.c


class Grants(DefinitionStore):
    """The memberships that AD owns."""

    def of_groups(self, genesys_group_ids: Collection[str]) -> list[Grant]:
        """Return the grants in these Genesys groups."""
        with self._database.reading() as connection:
            return [
                Grant(row.genesys_group_id, row.genesys_user_id, row.user_guid, row.group_guid)
                for chunk in chunks(genesys_group_ids)
                for row in connection.execute(
                    select(tables.grant).where(
                        _GRANT.definition == self._definition, _GRANT.genesys_group_id.in_(chunk)
                    )
                )
            ]

    def of_users(self, user_guids: Collection[Guid]) -> list[Grant]:
        """Return the grants of these AD users, in all groups."""
        with self._database.reading() as connection:
            return [
                Grant(row.genesys_group_id, row.genesys_user_id, row.user_guid, row.group_guid)
                for chunk in chunks(user_guids)
                for row in connection.execute(
                    select(tables.grant).where(_GRANT.definition == self._definition, _GRANT.user_guid.in_(chunk))
                )
            ]

    def add(self, grants: Collection[Grant], at: datetime) -> None:
        """Store grants; one that exists keeps its first time."""
        rows = [
            {
                "definition": self._definition,
                "genesys_group_id": grant.genesys_group_id,
                "genesys_user_id": grant.genesys_user_id,
                "user_guid": grant.user_guid,
                "group_guid": grant.group_guid,
                "since": at,
            }
            for grant in grants
        ]
        with self._database.writing() as connection:
            insert_new(connection, tables.grant, rows)

    def remove(self, grants: Collection[Grant]) -> None:
        """Delete these grants: AD no longer owns the memberships."""
        by_source: dict[tuple[str, Guid], dict[str, set[Guid]]] = {}
        for grant in grants:
            users = by_source.setdefault((grant.genesys_group_id, grant.group_guid), {})
            users.setdefault(grant.genesys_user_id, set()).add(grant.user_guid)
        with self._database.writing() as connection:
            for (genesys_group_id, group_guid), users in by_source.items():
                for genesys_user_id, user_guids in users.items():
                    connection.execute(
                        delete(tables.grant).where(
                            _GRANT.definition == self._definition,
                            _GRANT.genesys_group_id == genesys_group_id,
                            _GRANT.group_guid == group_guid,
                            _GRANT.genesys_user_id == genesys_user_id,
                            _GRANT.user_guid.in_(user_guids),
                        )
                    )
