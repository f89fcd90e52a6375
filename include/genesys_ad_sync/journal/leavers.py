"""Forget the names of accounts that left and hold nothing.

The journal needs no more of them than their GUID.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, exists, or_, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks
from genesys_ad_sync.journal.view_rows import ACCOUNTS, as_user
from genesys_ad_sync.model import DirectoryUser, Guid

_USER = tables.user.c


class Leavers(DefinitionStore):
    """Accounts that are no longer in the view of the definition."""

    def nameable(self, before: datetime) -> list[DirectoryUser]:
        """Return the accounts that left before then, hold nothing, and still have a name here.

        An account holds something while it has a grant, evidence of a dry run, a pin, or a change that is not settled.
        """
        change, of_link = tables.change.c, tables.link.c
        held = [
            exists().where(table.c.definition == self._definition, table.c.user_guid == _USER.guid)
            for table in (tables.grant, tables.dry_evidence, tables.pin)
        ]
        unsettled = exists().where(
            change.definition == self._definition, change.user_guid == _USER.guid, change.settled.is_(False)
        )
        in_doubt = exists().where(
            of_link.definition == self._definition,
            of_link.user_guid == _USER.guid,
            of_link.contradicted_since.is_not(None),
        )
        named: ColumnElement[bool] = or_(_USER.name != "", _USER.dn != "", _USER.sam_account_name.is_not(None))
        with self._database.reading() as connection:
            rows = connection.execute(
                ACCOUNTS.where(
                    _USER.definition == self._definition,
                    _USER.gone_at < before,
                    named,
                    *(~holds for holds in (*held, unsettled, in_doubt)),
                )
            )
            return [as_user(row) for row in rows]

    def forget_names(self, guids: Collection[Guid]) -> None:
        """Delete names, DNs and attributes of accounts.

        The fact that they are gone, disabled or deleted stays known.
        """
        with self._database.preparing(self._definition) as (connection, take_turn):
            take_turn()
            for chunk in chunks(guids):
                connection.execute(
                    update(tables.user)
                    .where(_USER.definition == self._definition, _USER.guid.in_(chunk), _USER.gone_at.is_not(None))
                    .values(dn="", name="", sam_account_name=None, attributes={})
                )
