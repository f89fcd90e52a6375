"""Who feeds what and who is who: pairs with their baselines, grants, links, claims. Knows no runs and no changes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Database, chunks, insert_new, upsert
from genesys_ad_sync.journal.records import Link
from genesys_ad_sync.model import Grant, Guid, Pair

_PAIR = tables.pair.c
_GRANT = tables.grant.c
_LINK = tables.link.c
_CLAIM = tables.claim.c


class Ownership:
    """Part of ``Journal``."""

    _database: Database

    # -- pairs --

    def pairs(self, definition: str) -> list[Pair]:
        """AD group -> Genesys group, as last mapped."""
        with self._database.reading() as connection:
            return _pairs(connection, definition, active=True)

    def inactive_pairs(self, definition: str) -> list[Pair]:
        """Those that no rule gives any more. ``has_baseline``: it had one when it was mapped last."""
        with self._database.reading() as connection:
            return _pairs(connection, definition, active=False)

    def save_pairs(self, definition: str, pairs: Sequence[Pair], at: datetime) -> list[Pair]:
        """Replaces the mapping. Gives ``pairs`` in the same order with ``has_baseline`` as the journal knows it.

        What is not in the list becomes inactive; if it comes back, it has lost its baseline.
        """
        with self._database.writing() as connection:
            mapped = {(pair.group_guid, pair.genesys_group_id): pair for pair in pairs}
            stored = {
                (pair.group_guid, pair.genesys_group_id): pair for pair in _pairs(connection, definition, active=True)
            }
            for group_guid, genesys_group_id in stored.keys() - mapped.keys():
                connection.execute(
                    update(tables.pair)
                    .where(
                        _PAIR.definition == definition,
                        _PAIR.group_guid == group_guid,
                        _PAIR.genesys_group_id == genesys_group_id,
                    )
                    .values(active=False, until=at)
                )
            new = [_as_columns(definition, pair, at) for key, pair in mapped.items() if key not in stored]
            upsert(connection, tables.pair, new)
            edited = [
                _as_columns(definition, pair, at)
                for key, pair in mapped.items()
                if key in stored
                and (stored[key].rule, stored[key].genesys_group_name) != (pair.rule, pair.genesys_group_name)
            ]
            upsert(connection, tables.pair, edited, ["rule", "genesys_group_name"])
            now = {
                (pair.group_guid, pair.genesys_group_id): pair for pair in _pairs(connection, definition, active=True)
            }
            return [now[pair.group_guid, pair.genesys_group_id] for pair in pairs]

    def set_baselines(
        self, definition: str, pairs: Collection[tuple[Guid, str]], dag_id: str, run_id: str, at: datetime
    ) -> None:
        """These pairs (AD group, Genesys group) have been compared as a whole by that run. The first one counts."""
        with self._database.writing() as connection:
            for group_guid, genesys_group_id in pairs:
                connection.execute(
                    update(tables.pair)
                    .where(
                        _PAIR.definition == definition,
                        _PAIR.group_guid == group_guid,
                        _PAIR.genesys_group_id == genesys_group_id,
                        _PAIR.active,
                        _PAIR.baseline_at.is_(None),
                    )
                    .values(baseline_dag_id=dag_id, baseline_run_id=run_id, baseline_at=at)
                )

    # -- grants --

    def grants(self, definition: str, genesys_group_ids: Collection[str]) -> list[Grant]:
        """The memberships of these Genesys groups that AD owns."""
        with self._database.reading() as connection:
            return [
                Grant(row.genesys_group_id, row.genesys_user_id, row.user_guid, row.group_guid)
                for chunk in chunks(genesys_group_ids)
                for row in connection.execute(
                    select(tables.grant).where(_GRANT.definition == definition, _GRANT.genesys_group_id.in_(chunk))
                )
            ]

    def add_grants(self, definition: str, grants: Collection[Grant], at: datetime) -> None:
        """AD owns these memberships from now on; of those it owned already nothing changes."""
        with self._database.writing() as connection:
            insert_new(
                connection,
                tables.grant,
                [
                    {
                        "definition": definition,
                        "genesys_group_id": grant.genesys_group_id,
                        "genesys_user_id": grant.genesys_user_id,
                        "user_guid": grant.user_guid,
                        "group_guid": grant.group_guid,
                        "since": at,
                    }
                    for grant in grants
                ],
            )

    def remove_grants(self, definition: str, grants: Collection[Grant]) -> None:
        """AD no longer owns these memberships."""
        by_source: dict[tuple[str, Guid], dict[str, set[Guid]]] = {}
        for grant in grants:
            users = by_source.setdefault((grant.genesys_group_id, grant.group_guid), {})
            users.setdefault(grant.genesys_user_id, set()).add(grant.user_guid)
        with self._database.writing() as connection:
            for (genesys_group_id, group_guid), users in by_source.items():
                for genesys_user_id, user_guids in users.items():
                    connection.execute(
                        delete(tables.grant).where(
                            _GRANT.definition == definition,
                            _GRANT.genesys_group_id == genesys_group_id,
                            _GRANT.group_guid == group_guid,
                            _GRANT.genesys_user_id == genesys_user_id,
                            _GRANT.user_guid.in_(user_guids),
                        )
                    )

    def drop_grants_of(self, definition: str, people: Collection[tuple[Guid, str]]) -> None:
        """AD owns nothing any more through these (AD user, Genesys user), whatever the group."""
        with self._database.writing() as connection:
            for user_guid, genesys_user_id in people:
                connection.execute(
                    delete(tables.grant).where(
                        _GRANT.definition == definition,
                        _GRANT.user_guid == user_guid,
                        _GRANT.genesys_user_id == genesys_user_id,
                    )
                )

    # -- links --

    def all_links(self, definition: str) -> dict[Guid, Link]:
        """Everybody who is known, by AD user."""
        with self._database.reading() as connection:
            found = connection.execute(select(tables.link).where(_LINK.definition == definition))
            return {row.user_guid: Link(row.user_guid, row.genesys_user_id, row.matched_by, row.since) for row in found}

    def save_links(self, definition: str, links: Collection[Link]) -> None:
        """A link to the Genesys user that the journal has already stays as it is, with its first ``matched_by``."""
        with self._database.writing() as connection:
            rows = [
                {
                    "definition": definition,
                    "user_guid": link.user_guid,
                    "genesys_user_id": link.genesys_user_id,
                    "matched_by": link.matched_by,
                    "since": link.since,
                }
                for link in links
            ]
            stored = {
                link.user_guid: link
                for link in _links(connection, definition, _LINK.user_guid, [link.user_guid for link in links])
            }
            news = [
                row
                for row in rows
                if row["user_guid"] not in stored or stored[row["user_guid"]].genesys_user_id != row["genesys_user_id"]
            ]
            upsert(connection, tables.link, news)

    def drop_links(self, definition: str, user_guids: Collection[Guid]) -> None:
        """These AD users are to be looked up again."""
        with self._database.writing() as connection:
            for chunk in chunks(user_guids):
                connection.execute(
                    delete(tables.link).where(_LINK.definition == definition, _LINK.user_guid.in_(chunk))
                )

    # -- claims --

    def claim(
        self,
        organisation: str,
        definition: str,
        genesys_group_ids: Collection[str],
        at: datetime,
        *,
        dry_run: bool = False,
    ) -> dict[str, str]:
        """Takes the Genesys groups that no definition feeds yet; a dry run takes nothing. Gives those that another one
        feeds: id -> definition."""
        if dry_run:
            with self._database.reading() as connection:
                return _claimed_by_others(connection, organisation, definition, genesys_group_ids)
        with self._database.writing() as connection:
            insert_new(
                connection,
                tables.claim,
                [
                    {
                        "organisation": organisation,
                        "genesys_group_id": genesys_group_id,
                        "definition": definition,
                        "since": at,
                    }
                    for genesys_group_id in genesys_group_ids
                ],
            )
            return _claimed_by_others(connection, organisation, definition, genesys_group_ids)

    def release_claims(self, organisation: str, definition: str, except_ids: Collection[str]) -> None:
        """Gives back what this definition feeds no longer: all its claims but these."""
        keep = set(except_ids)
        with self._database.writing() as connection:
            held = connection.scalars(
                select(_CLAIM.genesys_group_id).where(
                    _CLAIM.organisation == organisation, _CLAIM.definition == definition
                )
            ).all()
            for chunk in chunks(set(held) - keep):
                connection.execute(
                    delete(tables.claim).where(
                        _CLAIM.organisation == organisation,
                        _CLAIM.definition == definition,
                        _CLAIM.genesys_group_id.in_(chunk),
                    )
                )


def _pairs(connection: Connection, definition: str, *, active: bool) -> list[Pair]:
    found = connection.execute(
        select(tables.pair)
        .where(_PAIR.definition == definition, _PAIR.active == active)
        .order_by(_PAIR.rule, _PAIR.group_guid, _PAIR.genesys_group_id)
    )
    return [
        Pair(
            group_guid=row.group_guid,
            genesys_group_id=row.genesys_group_id,
            genesys_group_name=row.genesys_group_name,
            rule=row.rule,
            has_baseline=row.baseline_at is not None,
        )
        for row in found
    ]


def _as_columns(definition: str, pair: Pair, at: datetime) -> dict[str, Any]:
    """A pair that is new or comes back: without a baseline."""
    return {
        "definition": definition,
        "group_guid": pair.group_guid,
        "genesys_group_id": pair.genesys_group_id,
        "genesys_group_name": pair.genesys_group_name,
        "rule": pair.rule,
        "active": True,
        "since": at,
        "until": None,
        "baseline_dag_id": None,
        "baseline_run_id": None,
        "baseline_at": None,
    }


def _claimed_by_others(
    connection: Connection, organisation: str, definition: str, genesys_group_ids: Collection[str]
) -> dict[str, str]:
    return {
        row.genesys_group_id: row.definition
        for chunk in chunks(genesys_group_ids)
        for row in connection.execute(
            select(tables.claim).where(
                _CLAIM.organisation == organisation,
                _CLAIM.genesys_group_id.in_(chunk),
                _CLAIM.definition != definition,
            )
        )
    }


def _links(connection: Connection, definition: str, column: Any, values: Collection[str]) -> list[Link]:
    return [
        Link(row.user_guid, row.genesys_user_id, row.matched_by, row.since)
        for chunk in chunks(values)
        for row in connection.execute(
            select(tables.link).where(_LINK.definition == definition, column.in_(chunk)).order_by(_LINK.user_guid)
        )
    ]
