"""Answer questions of people about all sync definitions: searches, runs, what waits.

Every query is bounded by an index or by a small table, so that it stays fast in a large journal. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, false, func, or_, select, true
from sqlalchemy import Row as Record

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store, chunks
from genesys_ad_sync.journal.lookup_answers import FoundUser, NamedPair, StoredPair, Waiting
from genesys_ad_sync.journal.lookup_columns import CHANGE, LINK, OUTCOME, PAIR, QUESTION, ROW, RUN, USER
from genesys_ad_sync.journal.runs import as_run
from genesys_ad_sync.model import Guid, RunKey, RunRecord, Status


class Lookups(Store):
    """Questions that concern all sync definitions."""

    def definitions(self) -> list[str]:
        """Return the sync definitions that have polled or run, sorted."""
        with self._database.reading() as connection:
            names = set(connection.scalars(select(tables.cursor.c.definition)))
            names |= set(connection.scalars(select(RUN.definition).distinct()))
        return sorted(names)

    # -- search ---------------------------------------------------------------------------------------

    def users_with(
        self, parts: Collection[str], definitions: Collection[str], limit: int | None = None
    ) -> list[FoundUser]:
        """Return accounts with each of these parts in the name or a value.

        :param parts: ASCII in lower case; none: all accounts.
        :param limit: so many at most; those of which a name equals the first part come first.
        """
        patterns = [f"%{_escaped(part)}%" for part in parts]
        columns = (USER.name, USER.sam_account_name, cast(USER.attributes, String))
        statement = select(tables.user).where(USER.definition.in_(list(definitions)))
        for pattern in patterns:
            statement = statement.where(or_(*(self._is_like(column, pattern) for column in columns)))
        with self._database.reading() as connection:
            found = [_found_user(row) for row in connection.execute(statement.limit(limit))]
            if limit is None or len(found) < limit or not patterns:
                return found
            equal = (
                *(func.lower(column) == next(iter(parts)) for column in columns[:2]),
                self._is_like(columns[2], f'%"{patterns[0][1:-1]}"%'),
            )
            first = [_found_user(row) for row in connection.execute(statement.where(or_(*equal)).limit(limit))]
        known = {(user.definition, user.guid) for user in first}
        return (first + [user for user in found if (user.definition, user.guid) not in known])[:limit]

    def _is_like(self, column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
        """Return whether a column is like a pattern, whatever the case of ASCII letters.

        ``pattern``: in small letters.
        """
        if self._database.engine.dialect.name == "sqlite":
            return column.like(pattern, escape="\\")  # SQLite's own LIKE, without a second text in small letters
        return func.lower(column).like(pattern, escape="\\")

    def users(self, guids: Collection[Guid], definitions: Collection[str]) -> list[FoundUser]:
        """Return these accounts, as each of these definitions knows them."""
        with self._database.reading() as connection:
            return [
                _found_user(row)
                for chunk in chunks(guids)
                for row in connection.execute(
                    select(tables.user).where(USER.definition.in_(list(definitions)), USER.guid.in_(chunk))
                )
            ]

    def accounts_of(self, genesys_user_id: str, definitions: Collection[str]) -> set[Guid]:
        """Return the AD accounts that are, or were, linked to a Genesys user."""
        with self._database.reading() as connection:
            found: set[Guid] = set()
            for columns in (LINK, tables.former_link.c):
                these = (columns.definition.in_(list(definitions)), columns.genesys_user_id == genesys_user_id)
                found.update(connection.scalars(select(columns.user_guid).where(*these)))
            return found

    def all_pairs(self) -> list[StoredPair]:
        """Return all pairs, former ones included, by name of the Genesys group."""
        return self._pairs(select(tables.pair).order_by(PAIR.genesys_group_name, PAIR.rule))

    def group_names(self, definitions: Collection[str] | None = None) -> list[NamedPair]:
        """Return the names of all pairs, former ones included, by name.

        ``definitions`` None: of all definitions.
        """
        columns = (PAIR.definition, PAIR.group_guid, PAIR.genesys_group_id, PAIR.genesys_group_name, PAIR.active)
        statement = select(*columns).order_by(PAIR.genesys_group_name, PAIR.rule)
        if definitions is not None:
            statement = statement.where(PAIR.definition.in_(list(definitions)))
        with self._database.reading() as connection:
            return [NamedPair(*row) for row in connection.execute(statement)]

    def directory_names(self, definition: str) -> list[tuple[Guid, str, str, str | None]]:
        """Return (objectGUID, DN, name, sAMAccountName) of every AD group that the definition has ever seen."""
        group = tables.group.c
        statement = select(group.guid, group.dn, group.name, group.sam_account_name)
        with self._database.reading() as connection:
            return [
                (guid, dn, name, sam)
                for guid, dn, name, sam in connection.execute(statement.where(group.definition == definition))
            ]

    def count_targets(self, definition: str) -> int:
        """Count the Genesys groups that AD groups are mapped to now."""
        mapped = (PAIR.definition == definition, PAIR.active == true())
        with self._database.reading() as connection:
            return int(connection.scalar(select(func.count(PAIR.genesys_group_id.distinct())).where(*mapped)) or 0)

    def targets_of(self, definition: str, group_guids: Collection[Guid]) -> set[str]:
        """Return the Genesys groups that these AD groups feed, or once fed."""
        with self._database.reading() as connection:
            return {
                target
                for chunk in chunks(group_guids)
                for target in connection.scalars(
                    select(PAIR.genesys_group_id).where(PAIR.definition == definition, PAIR.group_guid.in_(chunk))
                )
            }

    def pairs_of(self, definition: str, genesys_group_ids: Collection[str]) -> list[StoredPair]:
        """Return the pairs of these Genesys groups, former ones included, by name."""
        mine = PAIR.definition == definition
        statements = [
            select(tables.pair).where(mine, PAIR.genesys_group_id.in_(chunk)) for chunk in chunks(genesys_group_ids)
        ]
        found = [pair for statement in statements for pair in self._pairs(statement)]
        return sorted(found, key=lambda pair: (pair.genesys_group_name, pair.rule))

    def _pairs(self, statement: Select[Any]) -> list[StoredPair]:
        with self._database.reading() as connection:
            rows = connection.execute(statement)
            return [
                StoredPair(
                    row.definition,
                    row.group_guid,
                    row.genesys_group_id,
                    row.genesys_group_name,
                    row.rule,
                    row.active,
                    row.since,
                    row.until,
                    row.baseline_at,
                    None if row.baseline_run_id is None else str(RunKey(row.baseline_dag_id, row.baseline_run_id)),
                )
                for row in rows
            ]

    # -- runs -----------------------------------------------------------------------------------------

    def last_runs(
        self,
        limit: int,
        definition: str | None = None,
        *,
        dag_id: str | None = None,
        finished: bool = False,
        dry_run: bool | None = None,
    ) -> list[RunRecord]:
        """Return the newest attempts of runs, the newest first. None: whatever it is."""
        statement = select(tables.run).order_by(RUN.id.desc()).limit(limit)
        if definition is not None:
            statement = statement.where(RUN.definition == definition)
        if dag_id is not None:
            statement = statement.where(RUN.dag_id == dag_id)
        if finished:
            statement = statement.where(RUN.finished_at.is_not(None))
        if dry_run is not None:
            statement = statement.where(RUN.dry_run == dry_run)
        with self._database.reading() as connection:
            return [as_run(row) for row in connection.execute(statement)]

    def runs_called(self, run_id: str) -> list[RunRecord]:
        """Return the last attempt of each run of that id, in whatever DAG."""
        last = select(func.max(RUN.id)).where(RUN.run_id == run_id).group_by(RUN.dag_id)
        with self._database.reading() as connection:
            return [as_run(row) for row in connection.execute(select(tables.run).where(RUN.id.in_(last)))]

    def counts_of(self, runs: Collection[RunRecord]) -> dict[int, dict[Status, int]]:
        """Return the number of rows by status, by attempt (`RunRecord.id`)."""
        counts: dict[int, dict[Status, int]] = {run.id: {} for run in runs}
        with self._database.reading() as connection:
            for chunk in chunks(counts):
                statement = (
                    select(ROW.run, ROW.status, func.count())
                    .where(ROW.run.in_(chunk), ROW.replaced == 0)
                    .group_by(ROW.run, ROW.status)
                )
                for run, status, count in connection.execute(statement):
                    counts[run][Status(status)] = count
        return counts

    # -- what waits -----------------------------------------------------------------------------------

    def waiting(self, definition: str, group_guids: Collection[Guid] | None = None) -> list[Waiting]:
        """Return what no run has settled, by status and reason, the oldest first.

        :param group_guids: only changes of these AD groups; default: all.
        """
        unsettled: list[ColumnElement[bool]] = [CHANGE.definition == definition, CHANGE.settled == false()]
        if group_guids is not None:
            unsettled.append(CHANGE.group_guid.in_(list(group_guids)))
        newest = (
            select(func.max(OUTCOME.id)).where(OUTCOME.change_id == CHANGE.id).correlate(tables.change)
        ).scalar_subquery()
        since = func.min(func.coalesce(CHANGE.first_seen_at, CHANGE.observed_at), type_=tables.UtcDateTime())
        statement = (
            select(CHANGE.status, OUTCOME.reason, func.count(), since)
            .select_from(tables.change.outerjoin(tables.outcome, OUTCOME.id == newest))
            .where(*unsettled)
            .group_by(CHANGE.status, OUTCOME.reason)
        )
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        found = [Waiting(definition, status, reason, count, oldest) for status, reason, count, oldest in rows]
        return sorted(found, key=lambda waiting: waiting.since)

    def open_questions(self, now: datetime) -> list[tuple[str, RunKey, datetime, datetime, int]]:
        """Return the open questions of runs, the oldest first.

        Each is (definition, run, asked at, expires at, number of rows).
        """
        columns = (QUESTION.definition, QUESTION.dag_id, QUESTION.run_id)
        asked = func.min(QUESTION.asked_at, type_=tables.UtcDateTime())
        expires = func.max(QUESTION.expires_at, type_=tables.UtcDateTime())
        statement = (
            select(*columns, asked, expires, func.count())
            .where(QUESTION.closed_at.is_(None), QUESTION.expires_at > now)
            .group_by(*columns)
            .order_by(asked)
        )
        with self._database.reading() as connection:
            return [
                (definition, RunKey(dag_id, run_id), asked_at, expires_at, count)
                for definition, dag_id, run_id, asked_at, expires_at, count in connection.execute(statement)
            ]


def _found_user(row: Record[Any]) -> FoundUser:
    attributes = row.attributes
    return FoundUser(
        row.definition,
        row.guid,
        row.name,
        row.sam_account_name,
        tuple(str(value) for value in attributes.values()),
        attributes.get("mail"),
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
