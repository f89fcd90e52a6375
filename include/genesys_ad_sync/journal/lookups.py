"""Answer questions of people about all sync definitions: searches, runs, what waits.

Every query is bounded by an index or by a small table, so that it stays fast in a large journal. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, false, func, select, true

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store, chunks, values_once
from genesys_ad_sync.journal.lookup_answers import FoundUser, StoredPair, Waiting
from genesys_ad_sync.journal.lookup_columns import CHANGE, LINK, NEWEST_REASON, PAIR, QUESTION, ROW, RUN, USER
from genesys_ad_sync.journal.runs import as_run
from genesys_ad_sync.journal.searches import found_user, that_have_read
from genesys_ad_sync.model import Guid, RunKey, RunRecord, Status


class Lookups(Store):
    """Questions that concern all sync definitions."""

    def definitions(self) -> list[str]:
        """Return the sync definitions that have polled or run, sorted."""
        with self._database.reading() as connection:
            names = set(connection.scalars(select(tables.cursor.c.definition)))
            names |= set(values_once(connection, RUN.definition))
        return sorted(names)

    # -- search ---------------------------------------------------------------------------------------

    def users(self, guids: Collection[Guid], definitions: Collection[str]) -> list[FoundUser]:
        """Return these accounts, as each of these definitions knows them.

        A definition whose first view of AD is still being written knows none yet.
        """
        with self._database.reading() as connection:
            return [
                found_user(row)
                for chunk in chunks(guids)
                for row in connection.execute(
                    select(tables.user).where(USER.definition.in_(that_have_read(definitions)), USER.guid.in_(chunk))
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
        return self._pairs_with(definition, PAIR.genesys_group_id, genesys_group_ids)

    def pairs_from(self, definition: str, group_guids: Collection[Guid]) -> list[StoredPair]:
        """Return the pairs of these AD groups, former ones included.

        They come by name of the Genesys group.
        """
        return self._pairs_with(definition, PAIR.group_guid, group_guids)

    def _pairs_with(self, definition: str, column: ColumnElement[str], values: Collection[str]) -> list[StoredPair]:
        mine = PAIR.definition == definition
        statements = [select(tables.pair).where(mine, column.in_(chunk)) for chunk in chunks(values)]
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
        seen = func.coalesce(CHANGE.first_seen_at, CHANGE.observed_at)
        those = select(CHANGE.status, NEWEST_REASON.label("reason"), seen.label("seen")).where(*unsettled).subquery().c
        oldest = func.min(those.seen, type_=tables.UtcDateTime())
        statement = select(those.status, those.reason, func.count(), oldest).group_by(those.status, those.reason)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        found = [Waiting(definition, status, reason, count, since) for status, reason, count, since in rows]
        return sorted(found, key=lambda waiting: waiting.since)

    def open_questions(
        self, now: datetime, definition: str | None = None
    ) -> list[tuple[str, RunKey, datetime, datetime, int]]:
        """Return the open questions of runs, the oldest first.

        Each is (definition, run, asked at, expires at, number of rows). ``definition`` None: of all definitions.
        """
        columns = (QUESTION.definition, QUESTION.dag_id, QUESTION.run_id)
        asked = func.min(QUESTION.asked_at, type_=tables.UtcDateTime())
        expires = func.max(QUESTION.expires_at, type_=tables.UtcDateTime())
        of = () if definition is None else (QUESTION.definition == definition,)
        statement = (
            select(*columns, asked, expires, func.count())
            .where(QUESTION.closed_at.is_(None), QUESTION.expires_at > now, *of)
            .group_by(*columns)
            .order_by(asked)
        )
        with self._database.reading() as connection:
            return [
                (definition, RunKey(dag_id, run_id), asked_at, expires_at, count)
                for definition, dag_id, run_id, asked_at, expires_at, count in connection.execute(statement)
            ]
