"""Store the links: which Genesys user an AD user is, and which one it was."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator
from typing import Any

from sqlalchemy import Connection, delete, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, rows_with, upsert
from genesys_ad_sync.model import FormerLink, Guid, Link

_LINK = tables.link.c
_FORMER = tables.former_link.c


class Links(DefinitionStore):
    """The AD users that are known in Genesys Cloud."""

    def all(self) -> dict[Guid, Link]:
        """Return every link, by AD user."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.link).where(_LINK.definition == self._definition))
            return {row.user_guid: _as_link(row) for row in rows}

    def of(self, user_guids: Collection[Guid]) -> dict[Guid, Link]:
        """Return the links of these AD users."""
        with self._database.reading() as connection:
            return {link.user_guid: link for link in self._of(connection, user_guids)}

    def to_users(self, genesys_user_ids: Collection[str], besides: Container[Guid] = ()) -> dict[Guid, Link]:
        """Return the links to these Genesys users, by AD user.

        ``besides``: AD users whose links are left out.
        """
        statement = select(_LINK.user_guid).where(_LINK.definition == self._definition)
        with self._database.reading() as connection:
            linked = rows_with(connection, statement, _LINK.genesys_user_id, genesys_user_ids)
            guids = [row.user_guid for row in linked if row.user_guid not in besides]
            return {link.user_guid: link for link in self._of(connection, guids)}

    def save(self, links: Collection[Link]) -> None:
        """Save links that the rules found.

        A link to the same Genesys user as before stays as it is.
        """
        with self._database.writing() as connection:
            known = self._of(connection, [link.user_guid for link in links])
            stored = {link.user_guid: link.genesys_user_id for link in known}
            self._write(connection, [link for link in links if stored.get(link.user_guid) != link.genesys_user_id])

    def replace(self, links: Collection[Link]) -> None:
        """Store links with all that is known of them, whatever was stored before."""
        with self._database.writing() as connection:
            self._write(connection, links)

    def remove(self, user_guids: Collection[Guid]) -> None:
        """Delete the links of these AD users, so that they are looked up again."""
        with self._database.writing() as connection:
            for chunk in chunks(user_guids):
                connection.execute(
                    delete(tables.link).where(_LINK.definition == self._definition, _LINK.user_guid.in_(chunk))
                )

    # -- links that moved ---------------------------------------------------------------------------------

    def former(self, user_guid: Guid | None = None) -> list[FormerLink]:
        """Return the links that moved to another Genesys user or ended.

        ``user_guid``: only those of this AD account; default: of all.
        """
        statement = select(tables.former_link).where(_FORMER.definition == self._definition)
        if user_guid is not None:
            statement = statement.where(_FORMER.user_guid == user_guid)
        with self._database.reading() as connection:
            rows = connection.execute(statement)
            return [
                FormerLink(row.user_guid, row.genesys_user_id, row.deleted, row.at, row.run, row.decided_by)
                for row in rows
            ]

    def add_former(self, links: Collection[FormerLink]) -> None:
        """Note that these links are no more."""
        rows = [
            {
                "definition": self._definition,
                "user_guid": link.user_guid,
                "genesys_user_id": link.genesys_user_id,
                "deleted": link.deleted,
                "at": link.at,
                "run": link.run,
                "decided_by": link.by,
            }
            for link in links
        ]
        with self._database.writing() as connection:
            upsert(connection, tables.former_link, rows)

    # -- parts --------------------------------------------------------------------------------------------

    def _write(self, connection: Connection, links: Collection[Link]) -> None:
        """Store links; what is a link again is no former one."""
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
                    "confirmed_values": link.values,
                    "contradicted_since": link.contradicted_since,
                    "others": list(link.others) or None,
                }
                for link in links
            ],
        )
        known = {link.user_guid: link.genesys_user_id for link in links}
        for chunk in chunks(known):
            again = (_FORMER.definition == self._definition, _FORMER.user_guid.in_(chunk))
            for row in connection.execute(select(tables.former_link).where(*again)).all():
                if row.genesys_user_id == known[row.user_guid]:
                    connection.execute(
                        delete(tables.former_link).where(
                            _FORMER.definition == self._definition,
                            _FORMER.user_guid == row.user_guid,
                            _FORMER.genesys_user_id == row.genesys_user_id,
                        )
                    )

    def _of(self, connection: Connection, user_guids: Collection[Guid]) -> Iterator[Link]:
        """Return the links of these AD users."""
        statement = select(tables.link).where(_LINK.definition == self._definition)
        return map(_as_link, rows_with(connection, statement, _LINK.user_guid, user_guids))


def _as_link(row: Any) -> Link:
    return Link(
        row.user_guid,
        row.genesys_user_id,
        row.matched_by,
        row.since,
        row.confirmed_values,
        row.contradicted_since,
        tuple(row.others or ()),
    )
