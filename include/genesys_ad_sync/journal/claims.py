"""Store the claims: which sync definition feeds a Genesys group."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, delete, distinct, false, func, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, Store, chunks, insert_new

_CLAIM = tables.claim.c
_PAIR = tables.pair.c


@dataclass(frozen=True)
class Claim:
    """A sync definition feeds a Genesys group. ``genesys_group_name``: as last listed; None: not known."""

    organisation: str
    genesys_group_id: str
    genesys_group_name: str | None
    definition: str
    since: datetime


class AllClaims(Store):
    """The claims of all sync definitions."""

    def list(self) -> list[Claim]:
        """Return all claims, by organisation, definition and name of the group."""
        name = (
            select(func.max(_PAIR.genesys_group_name))
            .where(_PAIR.definition == _CLAIM.definition, _PAIR.genesys_group_id == _CLAIM.genesys_group_id)
            .scalar_subquery()
        )
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.claim, name.label("name"))).all()
        claims = [Claim(row.organisation, row.genesys_group_id, row.name, row.definition, row.since) for row in rows]
        return sorted(
            claims,
            key=lambda claim: (
                claim.organisation,
                claim.definition,
                claim.genesys_group_name or "",
                claim.genesys_group_id,
            ),
        )


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
        mine = select(_CLAIM.genesys_group_id).where(
            _CLAIM.organisation == organisation, _CLAIM.definition == self._definition
        )
        with self._database.writing() as connection:
            known = set(connection.scalars(mine))
            insert_new(connection, tables.claim, (row for row in rows if row["genesys_group_id"] not in known))
            return self._of_others(connection, organisation, genesys_group_ids)

    def release_except(
        self, organisation: str, genesys_group_ids: Collection[str], *, before: datetime | None = None
    ) -> None:
        """Release every claim of the definition but those on these Genesys groups.

        Those in other organisations, too: a definition writes to one.

        :param before: only claims that were taken before then.
        """
        keep = {(organisation, genesys_group_id) for genesys_group_id in genesys_group_ids}
        own = [_CLAIM.definition == self._definition]
        if before is not None:
            own.append(_CLAIM.since < before)
        with self._database.writing() as connection:
            ended: dict[str, list[str]] = {}
            claimed = connection.execute(select(_CLAIM.organisation, _CLAIM.genesys_group_id).where(*own)).all()
            for its_organisation, group_id in claimed:
                if (its_organisation, group_id) not in keep:
                    ended.setdefault(its_organisation, []).append(group_id)
            for its_organisation, group_ids in ended.items():
                self._release(connection, its_organisation, group_ids, *own)

    def are_as_mapped(self, organisation: str) -> bool:
        """Return True if the claims are those that the stored pairs lead to.

        Then there is nothing to take or to release, and no other definition feeds a mapped group. Nothing is read for
        each group.
        """
        is_mine = func.coalesce(_CLAIM.definition == self._definition, false())
        is_claimed = _CLAIM.definition.is_not(None)
        may_keep = _PAIR.rejected_at.is_(None)
        is_fed = may_keep & _PAIR.confirmed_at.is_not(None)
        same_group = (_CLAIM.organisation == organisation) & (_CLAIM.genesys_group_id == _PAIR.genesys_group_id)
        pairs = (
            select(
                func.count(case((~is_mine & (is_claimed | is_fed), 1))).label("wrong"),
                func.count(distinct(case((is_mine & may_keep, _PAIR.genesys_group_id)))).label("kept"),
            )
            .join_from(tables.pair, tables.claim, same_group, isouter=True)
            .where(_PAIR.definition == self._definition, _PAIR.active)
        )
        mine = select(func.count()).where(_CLAIM.definition == self._definition)
        with self._database.reading() as connection:
            wrong, kept = connection.execute(pairs).one()
            return bool(wrong == 0 and kept == connection.scalar(mine))

    def holders(self, organisation: str, genesys_group_ids: Collection[str]) -> dict[str, str]:
        """Return the definitions that have a claim on these Genesys groups.

        Groups without a claim are missing.
        """
        with self._database.reading() as connection:
            return {
                row.genesys_group_id: row.definition
                for chunk in chunks(genesys_group_ids)
                for row in connection.execute(
                    select(tables.claim).where(_CLAIM.organisation == organisation, _CLAIM.genesys_group_id.in_(chunk))
                )
            }

    def release(self, organisation: str, genesys_group_ids: Collection[str]) -> None:
        """Release the claims on these Genesys groups, whichever definition has them."""
        with self._database.writing() as connection:
            self._release(connection, organisation, genesys_group_ids)

    @staticmethod
    def _release(
        connection: Connection, organisation: str, genesys_group_ids: Collection[str], *which: ColumnElement[bool]
    ) -> None:
        for chunk in chunks(genesys_group_ids):
            connection.execute(
                delete(tables.claim).where(
                    _CLAIM.organisation == organisation, _CLAIM.genesys_group_id.in_(chunk), *which
                )
            )

    def _of_others(
        self, connection: Connection, organisation: str, genesys_group_ids: Collection[str]
    ) -> dict[str, str]:
        of_others = select(_CLAIM.genesys_group_id, _CLAIM.definition).where(
            _CLAIM.organisation == organisation, _CLAIM.definition != self._definition
        )
        if connection.execute(of_others.limit(1)).first() is None:
            return {}  # as with a single definition: thousands of ids need not be asked for
        return {
            group_id: definition
            for chunk in chunks(genesys_group_ids)
            for group_id, definition in connection.execute(of_others.where(_CLAIM.genesys_group_id.in_(chunk)))
        }
