"""Answer questions of people about all sync definitions: searches, runs, what waits.

Every query is bounded by an index or by a small table, so that it stays fast in a large journal. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, cast, false, func, or_, select
from sqlalchemy import Row as Record

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store, chunks
from genesys_ad_sync.journal.lookup_answers import FoundUser, StoredPair, Waiting
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

    def users_with(self, parts: Collection[str]) -> list[FoundUser]:
        """Return accounts with each of these parts in the name or a value.

        ``parts``: ASCII in lower case; none: all accounts.
        """
        columns = (USER.name, USER.sam_account_name, cast(USER.attributes, String))
        statement = select(tables.user)
        for part in parts:
            pattern = f"%{_escaped(part)}%"
            statement = statement.where(or_(*(func.lower(column).like(pattern, escape="\\") for column in columns)))
        with self._database.reading() as connection:
            return [_found_user(row) for row in connection.execute(statement)]

    def users(self, guids: Collection[Guid]) -> list[FoundUser]:
        """Return these accounts, as each definition knows them."""
        with self._database.reading() as connection:
            return [
                _found_user(row)
                for chunk in chunks(guids)
                for row in connection.execute(select(tables.user).where(USER.guid.in_(chunk)))
            ]

    def accounts_of(self, genesys_user_id: str) -> set[Guid]:
        """Return the AD accounts that are, or were, linked to a Genesys user."""
        with self._database.reading() as connection:
            now = connection.scalars(select(LINK.user_guid).where(LINK.genesys_user_id == genesys_user_id))
            former = tables.former_link.c
            then = connection.scalars(select(former.user_guid).where(former.genesys_user_id == genesys_user_id))
            return {*now, *then}

    def all_pairs(self) -> list[StoredPair]:
        """Return all pairs, former ones included, by name of the Genesys group."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.pair).order_by(PAIR.genesys_group_name, PAIR.rule))
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
