"""Store what each domain controller can do, as the report last said."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore

_DC = tables.known_dc.c


class Abilities(DefinitionStore):
    """Abilities of domain controllers, by their names."""

    def of(self, domain_controller: str) -> dict[str, Any] | None:
        """Return what was reported of a domain controller; None: nothing."""
        statement = select(_DC.abilities).where(
            _DC.definition == self._definition, _DC.domain_controller == domain_controller
        )
        with self._database.reading() as connection:
            found = connection.scalar(statement)
            return None if found is None else dict(found)

    def put(self, domain_controller: str, abilities: dict[str, Any]) -> None:
        """Store what is reported of a domain controller that a poll has read."""
        with self._database.writing() as connection:
            connection.execute(
                update(tables.known_dc)
                .where(_DC.definition == self._definition, _DC.domain_controller == domain_controller)
                .values(abilities=abilities)
            )
