"""What runs did: attempts, their plan row by row, outcomes as they happen, figures for the report.

The only room that settles changes. Knows the lease by its fence; knows nothing of Genesys' API.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, and_, delete, exists, false, func, insert, or_, select, update
from sqlalchemy import Row as Record

from genesys_ad_sync.errors import JournalError, RunUnknown
from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Database, chunks, upsert
from genesys_ad_sync.journal.leases import check_fence
from genesys_ad_sync.model import SETTLED, Action, GroupResult, Mode, Reason, Row, RunKey, RunRecord, Status, Window

_RUN = tables.run.c
_ROW = tables.row.c
_CHANGE = tables.change.c

_ROWS = TypeAdapter(Row)
_GROUP_RESULTS = TypeAdapter(GroupResult)
_REQUIRED = object()


class Runs:
    """Part of ``Journal``."""

    _database: Database

    def begin_run(
        self,
        key: RunKey,
        definition: str,
        *,
        clear_number: int,
        run_type: str,
        mode: Mode,
        dry_run: bool,
        window: Window | None,
        groups: Sequence[str],
        started_at: datetime,
        undo_run: str | None = None,
        release_run: str | None = None,
    ) -> RunRecord:
        """Begins an attempt, or resumes it: the same ``clear_number`` as the last attempt's, which has not finished,
        means a retried task, and gives the attempt as its first try began it. (A finished one with that number, or one
        of which something else was asked: the DAG run was deleted and made again under its old name.)

        :param window: of a bounded run; None makes it a live one.
        """
        asked = {
            "clear_number": clear_number,
            "run_type": run_type,
            "mode": mode.value,
            "dry_run": dry_run,
            "bounded": window is not None,
            "window_start": None if window is None else window.start,
            "window_end": None if window is None else window.end,
            "groups": list(groups),
        }
        asked_back = {"undo_run": undo_run, "release_run": release_run}
        with self._database.writing() as connection:
            last = _last_attempt(connection, key)
            if (
                last is not None
                and last.finished_at is None
                and all(getattr(last, column) == value for column, value in asked.items())
                and _fact(connection, last.id, "asked_back") == asked_back
            ):
                return _as_run(last, resumed=True)
            row = {
                **asked,
                "dag_id": key.dag_id,
                "run_id": key.run_id,
                "attempt": 1 if last is None else last.attempt + 1,
                "definition": definition,
                "started_at": started_at,
            }
            connection.execute(insert(tables.run), [row])
            connection.execute(update(tables.meta).values(run_counter=tables.meta.c.run_counter + 1))
            begun = _last_attempt(connection, key)
            assert begun is not None
            upsert(connection, tables.fact, [{"run": begun.id, "key": "asked_back", "value": asked_back}])
            return _as_run(begun)

    def run(self, key: RunKey) -> RunRecord:
        """The latest attempt.

        :raises RunUnknown: the journal knows no such run.
        """
        with self._database.reading() as connection:
            last = _last_attempt(connection, key)
        if last is None:
            raise RunUnknown(
                f"The journal ({self._database.name}) knows no run {key.run_id} of {key.dag_id}: it was replaced, "
                "or task 'poll' has not run. Clear the task 'poll' with everything downstream."
            )
        return _as_run(last)

    def has_attempt(self, key: RunKey, attempt: int, started_at: datetime | None = None) -> bool:
        """It knows that attempt. ``started_at``: that very one, not another of the same name."""
        it = [_RUN.dag_id == key.dag_id, _RUN.run_id == key.run_id, _RUN.attempt == attempt]
        if started_at is not None:
            it.append(_RUN.started_at == started_at)
        with self._database.reading() as connection:
            return connection.execute(select(_RUN.id).where(*it)).first() is not None

    def set_polled(self, run: RunRecord, poll: int, polled_at: datetime) -> None:
        """The run has brought the journal up to that poll."""
        with self._database.writing() as connection:
            connection.execute(update(tables.run).where(_RUN.id == run.id).values(poll=poll, polled_at=polled_at))

    def previous_live_poll(self, definition: str, before: RunRecord) -> datetime | None:
        """When the last live run before this one polled: neither bounded nor dry, any mode, any outcome. Attempts of
        the same run do not count. None: there was none."""
        statement = (
            select(_RUN.polled_at)
            .where(
                _RUN.definition == definition,
                _RUN.poll.is_not(None),
                _RUN.bounded == false(),
                _RUN.dry_run == false(),
                or_(_RUN.dag_id != before.key.dag_id, _RUN.run_id != before.key.run_id),
            )
            .order_by(_RUN.poll.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            poll = connection.execute(select(_RUN.poll).where(_RUN.id == before.id)).scalar()
            if poll is not None:
                statement = statement.where(_RUN.poll < poll)
            return connection.execute(statement).scalar()

    def finish_run(self, run: RunRecord, state: str, at: datetime) -> None:
        """Its report is written."""
        with self._database.writing() as connection:
            connection.execute(update(tables.run).where(_RUN.id == run.id).values(state=state, finished_at=at))

    # -- facts --

    def put_fact(self, run: RunRecord, key: str, value: Any) -> None:
        """Remembers a small JSON value for the later tasks of this attempt; replaces an earlier one."""
        with self._database.writing() as connection:
            upsert(connection, tables.fact, [{"run": run.id, "key": key, "value": value}])

    def fact(self, run: RunRecord, key: str, *, default: Any = _REQUIRED) -> Any:
        """What ``put_fact`` remembered.

        :raises JournalError: nothing was, and no ``default`` is given.
        """
        with self._database.reading() as connection:
            found = _fact(connection, run.id, key, _REQUIRED)
        if found is not _REQUIRED:
            return found
        if default is _REQUIRED:
            raise JournalError(
                f"The task before this one left no {key!r} in the journal for run {run.key.run_id}, attempt "
                f"{run.attempt}: it has not finished. Clear it with everything downstream."
            )
        return default

    # -- rows --

    def save_rows(self, run: RunRecord, rows: Sequence[Row]) -> None:
        """Replaces the attempt's rows by those of a new plan. Settles nothing: ``record`` does.

        Rows of an earlier plan that were settled are kept for ``rows_settled_before``.
        """
        with self._database.writing() as connection:
            present = (_ROW.run == run.id, _ROW.replaced == 0)
            connection.execute(update(tables.row).where(*present, _ROW.settled).values(replaced=_ROW.id))
            connection.execute(delete(tables.row).where(*present))
            if rows:
                connection.execute(insert(tables.row), [_as_columns(run, row) for row in rows])

    def rows(self, run: RunRecord, lane: int | None = None) -> list[Row]:
        """The attempt's rows in the order of the plan; with ``lane`` only what that patch instance writes."""
        statement = select(_ROW.data).where(_ROW.run == run.id, _ROW.replaced == 0).order_by(_ROW.id)
        if lane is not None:
            statement = statement.where(_ROW.lane == lane)
        with self._database.reading() as connection:
            return [_ROWS.validate_python(data) for data in connection.scalars(statement)]

    def lanes(self, run: RunRecord) -> set[int]:
        """The patch instances among which the attempt's plan is divided."""
        with self._database.reading() as connection:
            found = connection.scalars(
                select(_ROW.lane).where(_ROW.run == run.id, _ROW.replaced == 0, _ROW.lane.is_not(None)).distinct()
            )
            return {int(lane) for lane in found if lane is not None}

    def rows_settled_before(self, run: RunRecord) -> list[Row]:
        """What the same run settled in earlier attempts, and in earlier plans of this one; oldest first. The report
        of a re-run keeps them. A key may occur again among them, and among ``rows``, with other changes."""
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
            return [_ROWS.validate_python(data) for data in connection.scalars(statement)]

    def mark_sending(
        self,
        run: RunRecord,
        row_keys: Collection[str],
        fence: int,
        at: datetime,
        *,
        organisation: str | None = None,
    ) -> None:
        """The intent, before the request: from now on Genesys may have been asked for these rows.

        :raises LeaseLost: see ``record``. Nothing was written, so nothing may be sent.
        """
        with self._database.writing() as connection:
            check_fence(connection, fence, organisation)
            for chunk in chunks(row_keys):
                connection.execute(
                    update(tables.row)
                    .where(_ROW.run == run.id, _ROW.replaced == 0, _ROW.key.in_(chunk))
                    .values(sending_fence=fence, sending_at=at)
                )

    def sending(self, run: RunRecord, row_keys: Collection[str]) -> set[str]:
        """Those of the rows for which a request may have left, whether or not its outcome was recorded."""
        with self._database.reading() as connection:
            return {
                key
                for chunk in chunks(row_keys)
                for key in connection.scalars(
                    select(_ROW.key).where(
                        _ROW.run == run.id, _ROW.replaced == 0, _ROW.key.in_(chunk), _ROW.sending_at.is_not(None)
                    )
                )
            }

    def record(
        self,
        run: RunRecord,
        rows: Sequence[Row],
        *,
        at: datetime,
        fence: int | None = None,
        organisation: str | None = None,
    ) -> dict[int, RunKey]:
        """What became of these rows: their new state, an outcome for each of their changes, and those whose row is in
        ``SETTLED`` are settled; in one transaction.

        A change is settled once. One that another run has settled is left as it is and given back:
        change id -> run; a row all of whose changes are such gets that run as ``settled_by``. The attempt
        that settled a change may think again (as when a read-back fails); a later attempt of the same run may not.
        A dry run only updates its rows.

        :param fence: of the lease under which it was written; None: nothing was written to Genesys.
        :raises LeaseLost: that is no longer the lease's fence. Nothing was recorded.
        """
        with self._database.writing() as connection:
            if fence is not None:
                check_fence(connection, fence, organisation)
            elsewhere: dict[int, RunKey] = {}
            kept: set[int] = set()
            done: set[int] = set()
            if not run.dry_run:
                elsewhere, kept, done = _settled_otherwise(connection, run, rows)
                _write_outcomes(connection, run, rows, elsewhere.keys() | kept, at)
            written = [
                {
                    **_as_columns(run, _with_settler(row, elsewhere, done)),
                    "organisation": organisation,
                    "recorded_at": at,
                    "settled": not run.dry_run and _is_own_work(row, elsewhere.keys(), done),
                }
                for row in rows
            ]
            upsert(connection, tables.row, written, keys=["run", "key", "replaced"])
            return elsewhere

    def removals_since(self, organisation_or_definition: str, since: datetime) -> int:
        """How many memberships were taken away from then on, or may have been (sent, and not read back); in a Genesys
        organisation or by a sync definition."""
        done = and_(_ROW.status == Status.SUCCESS.value, _ROW.settled)
        unknown = and_(
            _ROW.status == Status.FAILED.value,
            _ROW.sending_at.is_not(None),
            _ROW.data["reason"].as_string() == Reason.UNVERIFIED.value,
        )
        statement = (
            select(func.count())
            .select_from(tables.row)
            .join(tables.run, _RUN.id == _ROW.run)
            .where(
                _ROW.recorded_at >= since,
                _ROW.action == Action.REMOVE.value,
                or_(done, unknown),
                or_(_ROW.organisation == organisation_or_definition, _RUN.definition == organisation_or_definition),
            )
        )
        with self._database.reading() as connection:
            return int(connection.execute(statement).scalar_one())

    def about_to_be_removed(self, definition: str, *, since: datetime, but_not_by: RunKey) -> frozenset[str]:
        """The keys of removals that other runs, begun since then, have planned and not carried out yet."""
        statement = (
            select(_ROW.key)
            .join(tables.run, _RUN.id == _ROW.run)
            .where(
                _RUN.definition == definition,
                _RUN.dry_run == false(),
                _RUN.finished_at.is_(None),
                _RUN.started_at >= since,
                or_(_RUN.dag_id != but_not_by.dag_id, _RUN.run_id != but_not_by.run_id),
                _ROW.replaced == 0,
                _ROW.lane.is_not(None),
                _ROW.action == Action.REMOVE.value,
                _ROW.status == Status.PLANNED.value,
            )
        )
        with self._database.reading() as connection:
            return frozenset(connection.scalars(statement))

    # -- figures for the report --

    def save_group_results(self, run: RunRecord, results: Collection[GroupResult]) -> None:
        """One per Genesys group; a later one replaces an earlier one."""
        rows = [
            {
                "run": run.id,
                "genesys_group_id": result.genesys_group_id,
                "data": _GROUP_RESULTS.dump_python(result, mode="json"),
            }
            for result in results
        ]
        with self._database.writing() as connection:
            upsert(connection, tables.group_result, rows)

    def group_results(self, run: RunRecord, genesys_group_id: str | None = None) -> list[GroupResult]:
        """By name of the Genesys group; of all, or of that one."""
        result = tables.group_result.c
        statement = select(result.data).where(result.run == run.id)
        if genesys_group_id is not None:
            statement = statement.where(result.genesys_group_id == genesys_group_id)
        with self._database.reading() as connection:
            stored = connection.scalars(statement)
            found = [_GROUP_RESULTS.validate_python(data) for data in stored]
        return sorted(found, key=lambda result: (result.genesys_group_name, result.genesys_group_id))

    def add_requests(self, run: RunRecord, task_key: str, counts: Mapping[str, Any]) -> None:
        """The requests that a task sent: ``total``, ``retried``, ``throttled``, ``by_endpoint`` {endpoint: number}.
        The same task again replaces its counts."""
        with self._database.writing() as connection:
            row = {"run": run.id, "task_key": task_key, "counts": dict(counts)}
            upsert(connection, tables.request, [row])

    def requests(self, run: RunRecord) -> dict[str, Any]:
        """The sum over all tasks, in the shape of the report's ``requests``."""
        request = tables.request.c
        total: dict[str, Any] = {"total": 0, "retried": 0, "throttled": 0, "by_endpoint": {}}
        by_endpoint: dict[str, int] = total["by_endpoint"]
        with self._database.reading() as connection:
            for counts in connection.scalars(
                select(request.counts).where(request.run == run.id).order_by(request.task_key)
            ):
                for name in ("total", "retried", "throttled"):
                    total[name] += counts.get(name, 0)
                for endpoint, number in counts.get("by_endpoint", {}).items():
                    by_endpoint[endpoint] = by_endpoint.get(endpoint, 0) + number
        return total

    # -- keeping it small --

    def forget_runs(self, definition: str, before: datetime) -> int:
        """Deletes the rows and figures of that definition's runs that ended before then, and the outcomes from before
        that newer ones have replaced. Changes, and the last outcome of each, stay. Gives the number of attempts
        deleted."""
        outcome, newer = tables.outcome, tables.outcome.alias()
        with self._database.writing() as connection:
            replaced = exists().where(newer.c.change_id == outcome.c.change_id, newer.c.id > outcome.c.id)
            its_own = exists().where(_CHANGE.id == outcome.c.change_id, _CHANGE.definition == definition)
            connection.execute(delete(outcome).where(outcome.c.at < before, replaced, its_own))
            over = delete(tables.run).where(_RUN.definition == definition, _RUN.finished_at < before)
            return connection.execute(over).rowcount


def _last_attempt(connection: Connection, key: RunKey) -> Record[Any] | None:
    return connection.execute(
        select(tables.run)
        .where(_RUN.dag_id == key.dag_id, _RUN.run_id == key.run_id)
        .order_by(_RUN.attempt.desc())
        .limit(1)
    ).first()


def _fact(connection: Connection, attempt_id: int, key: str, default: Any = None) -> Any:
    fact = tables.fact.c
    found = connection.execute(select(fact.value).where(fact.run == attempt_id, fact.key == key)).first()
    return default if found is None else found.value


def _as_run(row: Record[Any], *, resumed: bool = False) -> RunRecord:
    return RunRecord(
        id=row.id,
        key=RunKey(row.dag_id, row.run_id),
        definition=row.definition,
        attempt=row.attempt,
        clear_number=row.clear_number,
        run_type=row.run_type,
        mode=Mode(row.mode),
        dry_run=row.dry_run,
        window=Window(row.window_start, row.window_end) if row.bounded else None,
        groups=tuple(row.groups),
        started_at=row.started_at,
        poll=row.poll,
        polled_at=row.polled_at,
        state=row.state,
        finished_at=row.finished_at,
        resumed=resumed,
    )


def _as_columns(run: RunRecord, row: Row) -> dict[str, Any]:
    return {
        "run": run.id,
        "key": row.key,
        "replaced": 0,
        "lane": row.lane,
        "action": row.action.value,
        "status": row.status.value,
        "settled": False,
        "data": _ROWS.dump_python(row, mode="json"),
    }


def _with_settler(row: Row, elsewhere: Mapping[int, RunKey], done: AbstractSet[int]) -> Row:
    """The row with the run that settled all its changes before this one could. What this run is to write is its own;
    so is what it wrote, unless the other one carried out the same."""
    others = done if row.status is Status.SUCCESS else elsewhere.keys()
    if row.status is Status.PLANNED or row.settled_by is not None or not row.change_ids:
        return row
    if not others >= set(row.change_ids):
        return row
    return dataclasses.replace(row, settled_by=str(elsewhere[row.change_ids[-1]]))


def _is_own_work(row: Row, elsewhere: AbstractSet[int], done: AbstractSet[int]) -> bool:
    """What this run wrote is its work (it counts in the limits, and can be undone), even if another run called the
    change superseded in the meantime."""
    if row.status not in SETTLED or row.settled_by is not None:
        return row.status in SETTLED
    others = done if row.status is Status.SUCCESS else elsewhere
    return not (row.change_ids and others >= set(row.change_ids))


def _settled_otherwise(
    connection: Connection, run: RunRecord, rows: Iterable[Row]
) -> tuple[dict[int, RunKey], set[int], set[int]]:
    """Changes of these rows that another run has settled, with that run; those that an earlier attempt of this run
    has; and those which another run has carried out."""
    ids = {change_id for row in rows for change_id in row.change_ids}
    elsewhere: dict[int, RunKey] = {}
    earlier: set[int] = set()
    done: set[int] = set()
    known: set[int] = set()
    settler_columns = (_CHANGE.settled_dag_id, _CHANGE.settled_run_id, _CHANGE.settled_attempt)
    for chunk in chunks(ids):
        for found in connection.execute(
            select(_CHANGE.id, _CHANGE.status, _CHANGE.settled, *settler_columns).where(_CHANGE.id.in_(chunk))
        ):
            known.add(found.id)
            if not found.settled:
                continue
            settler = RunKey(found.settled_dag_id, found.settled_run_id)
            if settler != run.key:
                elsewhere[found.id] = settler
                if found.status == Status.SUCCESS.value:
                    done.add(found.id)
            elif found.settled_attempt != run.attempt:
                earlier.add(found.id)
    if known != ids:
        raise JournalError(
            f"{len(ids - known)} changes that run {run.key.run_id} worked on are not in the journal. It was replaced "
            "meanwhile: run again in mode full."
        )
    return elsewhere, earlier, done


def _write_outcomes(
    connection: Connection, run: RunRecord, rows: Iterable[Row], settled_otherwise: Collection[int], at: datetime
) -> None:
    by_status: dict[Status, list[int]] = {}
    outcomes = []
    for row in rows:
        for change_id in row.change_ids:
            if change_id in settled_otherwise:
                continue
            by_status.setdefault(row.status, []).append(change_id)
            outcomes.append(
                {
                    "change_id": change_id,
                    "dag_id": run.key.dag_id,
                    "run_id": run.key.run_id,
                    "attempt": run.attempt,
                    "status": row.status.value,
                    "reason": None if row.reason is None else row.reason.value,
                    "http_code": row.http_code,
                    "correlation_id": row.correlation_id,
                    "error": row.error,
                    "at": at,
                }
            )
    if outcomes:
        connection.execute(insert(tables.outcome), outcomes)
    for status, change_ids in by_status.items():
        settled = status in SETTLED
        for chunk in chunks(change_ids):
            connection.execute(
                update(tables.change)
                .where(_CHANGE.id.in_(chunk))
                .values(
                    status=status.value,
                    settled=settled,
                    settled_dag_id=run.key.dag_id if settled else None,
                    settled_run_id=run.key.run_id if settled else None,
                    settled_attempt=run.attempt if settled else None,
                )
            )
