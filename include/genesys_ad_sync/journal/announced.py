"""Store what Active Directory announces: ends of memberships and of dynamic objects. `view_writer` writes them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore
from genesys_ad_sync.model import Guid

_GROUP = tables.group.c
_USER = tables.user.c
_MEMBERSHIP = tables.membership.c


class AnnouncedEnds(DefinitionStore):
    """Ends that have come, of what the view still has."""

    def links(self, at: datetime) -> dict[Guid, frozenset[Guid]]:
        """Return the announced losses of groups: group -> members in the view.

        AD announced to take these members out up to ``at``.
        """
        statement = (
            select(_MEMBERSHIP.group_guid, _MEMBERSHIP.member_guid)
            .join(tables.group, (_GROUP.definition == _MEMBERSHIP.definition) & (_GROUP.guid == _MEMBERSHIP.group_guid))
            .where(_MEMBERSHIP.definition == self._definition, _MEMBERSHIP.ends_at <= at, _GROUP.gone_at.is_(None))
        )
        found: dict[Guid, set[Guid]] = {}
        with self._database.reading() as connection:
            for group, member in connection.execute(statement):
                found.setdefault(group, set()).add(member)
        return {group: frozenset(members) for group, members in found.items()}

    def objects(self, at: datetime) -> frozenset[Guid]:
        """Return the dynamic groups and users of the view with a deletion announced.

        AD announced to delete them up to ``at``.
        """
        with self._database.reading() as connection:
            return frozenset(
                guid
                for c in (_GROUP, _USER)
                for guid in connection.scalars(
                    select(c.guid).where(c.definition == self._definition, c.gone_at.is_(None), c.ends_at <= at)
                )
            )
