"""Store the grants: the memberships in Genesys groups that AD owns."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, insert_new, upsert, values_once
from genesys_ad_sync.model import Grant, Guid, ManyGrants

_GRANT = tables.grant.c
_COLUMNS = (
    _GRANT.genesys_group_id,
    _GRANT.genesys_user_id,
    _GRANT.user_guid,
    _GRANT.group_guid,
    _GRANT.by_dry_run,
    _GRANT.was_manual,
)
GROUPS_AT_A_TIME = 50
"""Groups whose grants one statement reads: each may have hundreds."""


class Grants(DefinitionStore):
    """The memberships that AD owns."""

    def of_groups(self, genesys_group_ids: Collection[str]) -> list[Grant]:
        """Return the grants in these Genesys groups that are awake."""
        return self._of_groups(genesys_group_ids, _GRANT.asleep_since.is_(None))

    def by_group(self, genesys_group_ids: Collection[str]) -> dict[str, ManyGrants]:
        """Return the grants that are awake, for each of these Genesys groups."""
        found = {group_id: ManyGrants() for group_id in genesys_group_ids}
        same: dict[str, str] = {}
        which = select(*_COLUMNS).where(_GRANT.definition == self._definition, _GRANT.asleep_since.is_(None))
        with self._database.reading() as connection:
            for chunk in chunks(genesys_group_ids, GROUPS_AT_A_TIME):
                for row in connection.execute(which.where(_GRANT.genesys_group_id.in_(chunk))):
                    group_id, user_id, user_guid, group_guid, by_dry_run, was_manual = row
                    found[group_id].add(
                        same.setdefault(group_id, group_id),
                        same.setdefault(user_id, user_id),
                        same.setdefault(user_guid, user_guid),
                        same.setdefault(group_guid, group_guid),
                        by_dry_run=by_dry_run,
                        was_manual=was_manual,
                    )
        return found

    def asleep_in(self, genesys_group_ids: Collection[str]) -> list[Grant]:
        """Return the sleeping grants in these Genesys groups: see `sleep`."""
        return self._of_groups(genesys_group_ids, _GRANT.asleep_since.is_not(None))

    def _of_groups(self, genesys_group_ids: Collection[str], which: ColumnElement[bool]) -> list[Grant]:
        statement = select(*_COLUMNS).where(_GRANT.definition == self._definition, which)
        same: dict[str, str] = {}  # one string for each id, in however many grants
        with self._database.reading() as connection:
            return [
                _as_grant(row, same)
                for chunk in chunks(genesys_group_ids, GROUPS_AT_A_TIME)
                for row in connection.execute(statement.where(_GRANT.genesys_group_id.in_(chunk)))
            ]

    def of_users(self, user_guids: Collection[Guid]) -> list[Grant]:
        """Return the grants of these AD users, in all groups."""
        statement = select(*_COLUMNS).where(_GRANT.definition == self._definition)
        same: dict[str, str] = {}
        with self._database.reading() as connection:
            return [
                _as_grant(row, same)
                for chunk in chunks(user_guids)
                for row in connection.execute(statement.where(_GRANT.user_guid.in_(chunk)))
            ]

    def add(self, grants: Collection[Grant], at: datetime) -> None:
        """Store grants.

        A grant that exists keeps its first time, is awake, and is as manual as the new one. A grant that only dry runs
        saw does not replace another.
        """
        with self._database.writing() as connection:
            insert_new(connection, tables.grant, (self._columns(grant, at) for grant in grants if grant.by_dry_run))
            live = (self._columns(grant, at) for grant in grants if not grant.by_dry_run)
            upsert(connection, tables.grant, live, ["by_dry_run", "asleep_since", "was_manual"])

    def _columns(self, grant: Grant, at: datetime) -> dict[str, Any]:
        return {
            "definition": self._definition,
            "genesys_group_id": grant.genesys_group_id,
            "genesys_user_id": grant.genesys_user_id,
            "user_guid": grant.user_guid,
            "group_guid": grant.group_guid,
            "since": at,
            "by_dry_run": grant.by_dry_run,
            "asleep_since": None,
            "was_manual": grant.was_manual,
        }

    def sleep(self, grants: Collection[Grant], at: datetime) -> None:
        """Let grants sleep whose removal is settled.

        Nobody can see whether the membership is gone.
        """
        self._set_asleep(grants, at)

    def wake(self, grants: Collection[Grant]) -> None:
        """Wake grants: Genesys shows the membership again."""
        self._set_asleep(grants, None)

    def _set_asleep(self, grants: Collection[Grant], since: datetime | None) -> None:
        with self._database.writing() as connection:
            for grant in grants:
                connection.execute(
                    update(tables.grant)
                    .where(
                        _GRANT.definition == self._definition,
                        _GRANT.genesys_group_id == grant.genesys_group_id,
                        _GRANT.genesys_user_id == grant.genesys_user_id,
                        _GRANT.user_guid == grant.user_guid,
                        _GRANT.group_guid == grant.group_guid,
                    )
                    .values(asleep_since=since)
                )

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

    def end_elsewhere(self, memberships: Collection[tuple[str, str]]) -> None:
        """Delete what other definitions remember of memberships that are over: (Genesys group, Genesys user).

        One definition feeds a Genesys group at a time. A former one may feed it again later.
        """
        by_group: dict[str, set[str]] = {}
        for genesys_group_id, genesys_user_id in memberships:
            by_group.setdefault(genesys_group_id, set()).add(genesys_user_id)
        with self._database.writing() as connection:
            others = [name for name in values_once(connection, _GRANT.definition) if name != self._definition]
            for genesys_group_id, users in by_group.items():
                for definition in others:
                    of_group = (_GRANT.definition == definition, _GRANT.genesys_group_id == genesys_group_id)
                    for chunk in chunks(users):
                        connection.execute(delete(tables.grant).where(*of_group, _GRANT.genesys_user_id.in_(chunk)))


def _as_grant(row: Any, same: dict[str, str]) -> Grant:
    genesys_group_id, genesys_user_id, user_guid, group_guid, by_dry_run, was_manual = row
    return Grant(
        same.setdefault(genesys_group_id, genesys_group_id),
        same.setdefault(genesys_user_id, genesys_user_id),
        same.setdefault(user_guid, user_guid),
        same.setdefault(group_guid, group_guid),
        by_dry_run,
        was_manual,
    )
