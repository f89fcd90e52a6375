"""Store the rows of a run: its plan, possible requests, and results.

A possible request is one that may have been sent. Knows the lease by its fence.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, false, func, or_, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store, chunks, insert_rows, upsert
from genesys_ad_sync.journal.leases import check_fence
from genesys_ad_sync.journal.settling import Settled, note_first_seen, settled_before, write_outcomes
from genesys_ad_sync.journal.stored_row import row_from_json, row_to_json
from genesys_ad_sync.model import Reason, Row, RunKey, RunRecord, Status

_RUN = tables.run.c
_ROW = tables.row.c
ROWS_AHEAD_AT_A_TIME = 2_000
"""Rows that are stored in one transaction ahead of their plan: a fifth of a second."""
_TRIES = 2**40


@dataclass(frozen=True)
class RowsAhead:
    """Rows of a plan that are stored ahead of it.

    ``mark``: their `replaced` until then. Each try of a task has one of its own, since two may overlap.
    """

    rows: Sequence[Row]
    mark: int


class Rows(Store):
    """The rows of each attempt."""

    def store_ahead(self, run: RunRecord, rows: Sequence[Row]) -> RowsAhead:
        """Store the rows of a plan to come, in parts between which others may write.

        `replace` makes them rows of the attempt. Nothing reads them before.
        """
        ahead = RowsAhead(rows, -1 - secrets.randbelow(_TRIES))
        for number, chunk in enumerate(chunks(rows, ROWS_AHEAD_AT_A_TIME)):
            if number:
                self._database.let_others_write()
            with self._database.writing() as connection:
                insert_rows(connection, tables.row, (_as_columns(run, row, replaced=ahead.mark) for row in chunk))
        return ahead

    def replace(self, run: RunRecord, rows: Sequence[Row], ahead: RowsAhead | None = None) -> None:
        """Replace the attempt's rows by those of a new plan; settle nothing.

        Rows of an earlier plan that were settled are kept for ``settled_earlier``. Rows that other tries stored ahead
        are deleted.

        :param ahead: the same rows in the same order, as `store_ahead` stored them. A row that is another object since
            is written again.
        """
        present = (_ROW.run == run.id, _ROW.replaced <= 0)
        with self._database.writing() as connection:
            connection.execute(
                update(tables.row).where(*present, _ROW.replaced == 0, _ROW.settled).values(replaced=_ROW.id)
            )
            kept = [] if ahead is None else [ahead.mark]
            connection.execute(delete(tables.row).where(*present, _ROW.replaced.not_in(kept)))
            if ahead is not None:
                mine = update(tables.row).where(*present, _ROW.replaced == ahead.mark)
                if connection.execute(mine.values(replaced=0)).rowcount == len(rows):
                    changed = (row for row, stored in zip(rows, ahead.rows, strict=True) if row is not stored)
                    written = (_as_columns(run, row) for row in changed)
                    upsert(connection, tables.row, written, keys=["run", "key", "replaced"])
                    return
                connection.execute(delete(tables.row).where(*present))  # another try has deleted some of them
            insert_rows(connection, tables.row, (_as_columns(run, row) for row in rows))

    def of_run(self, run: RunRecord, lane: int | None = None) -> list[Row]:
        """Return the attempt's rows in the order of the plan.

        :param lane: only the rows that this patch instance writes.
        """
        statement = select(_ROW.data).where(_ROW.run == run.id, _ROW.replaced == 0).order_by(_ROW.id)
        if lane is not None:
            statement = statement.where(_ROW.lane == lane)
        with self._database.reading() as connection:
            return [row_from_json(data) for data in connection.scalars(statement)]

    def lanes(self, run: RunRecord) -> set[int]:
        """Return the patch instances among which the attempt's plan is divided."""
        statement = select(_ROW.lane).where(_ROW.run == run.id, _ROW.replaced == 0, _ROW.lane.is_not(None)).distinct()
        with self._database.reading() as connection:
            return {int(lane) for lane in connection.scalars(statement) if lane is not None}

    def groups_that_failed_before(self, run: RunRecord) -> set[str]:
        """Return the Genesys groups with a failed row in the definition's last live run.

        That is the live run before this one. Rows that were never sent, and have no answer, say nothing about their
        group.
        """
        before = (
            select(func.max(_RUN.id))
            .where(_RUN.definition == run.definition, _RUN.id < run.id, _RUN.dry_run == false())
            .scalar_subquery()
        )
        statement = select(_ROW.data["genesys_group_id"].as_string()).where(
            _ROW.run == before,
            _ROW.replaced == 0,
            _ROW.status == Status.FAILED.value,
            or_(
                _ROW.data["reason"].as_string().not_in([Reason.NOT_ATTEMPTED.value, Reason.REFUSED_CLIENT.value]),
                _ROW.data["http_code"].as_integer().is_not(None),
            ),
        )
        with self._database.reading() as connection:
            return {group_id for group_id in connection.scalars(statement.distinct()) if group_id}

    def held_before(self, run: RunRecord) -> set[str]:
        """Return the keys of the rows that the DAG's live run before this one held."""
        before = (
            select(func.max(_RUN.id))
            .where(
                _RUN.definition == run.definition,
                _RUN.dag_id == run.key.dag_id,
                _RUN.run_id != run.key.run_id,
                _RUN.id < run.id,
                _RUN.dry_run == false(),
                _RUN.bounded == false(),
            )
            .scalar_subquery()
        )
        held = (_ROW.run == before, _ROW.replaced == 0, _ROW.status == Status.HELD.value)
        with self._database.reading() as connection:
            return set(connection.scalars(select(_ROW.key).where(*held)))

    def settled_earlier(self, run: RunRecord) -> list[Row]:
        """Return the rows settled by earlier attempts and plans of the run, oldest first.

        The report of a re-run keeps these rows. A key may occur several times among them, and again in ``of_run``,
        with other changes.
        """
        statement = (
            select(_ROW.data)
            .join(tables.run, _RUN.id == _ROW.run)
            .where(
                _RUN.dag_id == run.key.dag_id,
                _RUN.run_id == run.key.run_id,
                _ROW.settled,
                or_(_RUN.attempt < run.attempt, (_RUN.attempt == run.attempt) & (_ROW.replaced != 0)),
            )
            .order_by(_RUN.attempt, _ROW.id)
        )
        with self._database.reading() as connection:
            return [row_from_json(data) for data in connection.scalars(statement)]

    def mark_sending(
        self, run: RunRecord, row_keys: Collection[str], fence: int, at: datetime, *, organisation: str | None = None
    ) -> None:
        """Note, before the request, that Genesys may be asked for these rows.

        :raises LeaseLost: see ``record_outcomes``. Nothing was written, so nothing may be sent.
        """
        with self._database.writing() as connection:
            check_fence(connection, fence, organisation)
            for chunk in chunks(row_keys):
                connection.execute(
                    update(tables.row)
                    .where(_ROW.run == run.id, _ROW.replaced == 0, _ROW.key.in_(chunk))
                    .values(sending_fence=fence, sending_at=at)
                )

    def maybe_sent(self, run: RunRecord, row_keys: Collection[str]) -> set[str]:
        """Return the keys of the rows for which a request may have left.

        The request may be recorded or not.
        """
        may_have_left = (_ROW.run == run.id, _ROW.replaced == 0, _ROW.sending_at.is_not(None))
        with self._database.reading() as connection:
            return {
                key
                for chunk in chunks(row_keys)
                for key in connection.scalars(select(_ROW.key).where(*may_have_left, _ROW.key.in_(chunk)))
            }

    def record_outcomes(
        self,
        run: RunRecord,
        rows: Sequence[Row],
        *,
        at: datetime,
        fence: int | None = None,
        organisation: str | None = None,
    ) -> dict[int, RunKey]:
        """Record the results of rows in one transaction; return changes settled by another run.

        The transaction stores the rows' new state, an outcome for each of their changes, and settles the changes of
        rows in ``SETTLED``. A dry run only updates its rows, and notes that their changes were listed.

        A change is settled once. One that another run has settled stays as it is and is returned: change id -> run.
        A row all of whose changes are such gets that run as ``settled_by``. The attempt that settled a change may
        decide again (as when a read-back fails); a later attempt of the same run may not.

        :param fence: of the lease under which Genesys was written; None: nothing was written there.
        :raises LeaseLost: the lease has another fence by now. Nothing was recorded.
        """
        with self._database.writing() as connection:
            if fence is not None:
                check_fence(connection, fence, organisation)
            settled = Settled()
            if run.dry_run:
                note_first_seen(connection, run, {id_ for row in rows for id_ in row.change_ids}, at)
            else:
                settled = settled_before(connection, run, rows)
                write_outcomes(connection, run, rows, settled, at)
            written = (
                {
                    **_as_columns(run, settled.with_settler(row)),
                    "organisation": organisation,
                    "recorded_at": at,
                    "settled": not run.dry_run and settled.is_own_work(row),
                }
                for row in rows
            )
            upsert(connection, tables.row, written, keys=["run", "key", "replaced"])
            return settled.elsewhere


def _as_columns(run: RunRecord, row: Row, *, replaced: int = 0) -> dict[str, Any]:
    return {
        "run": run.id,
        "key": row.key,
        "replaced": replaced,
        "lane": row.lane,
        "action": row.action.value,
        "status": row.status.value,
        "settled": False,
        "data": row_to_json(row),
    }
