"""Store runs: the attempts of each DAG run, their requests, and their ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, exists, false, func, insert, or_, select, update
from sqlalchemy import Row as Record

from genesys_ad_sync.errors import RunUnknown
from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store
from genesys_ad_sync.journal.facts import find_fact, forget_contents, put_fact
from genesys_ad_sync.model import Mode, RunKey, RunRecord, RunRequest, Window
from genesys_ad_sync.this_machine import Host

_RUN = tables.run.c
_CHANGE = tables.change.c
_ASKED_BACK = "asked_back"
"""Fact of an attempt: which runs it was to undo or to release, and which claims."""


class Runs(Store):
    """The attempts of runs."""

    def begin(
        self, key: RunKey, definition: str, request: RunRequest, at: datetime, *, host: Host | None = None
    ) -> RunRecord:
        """Begin an attempt, or resume it.

        A retried task resumes the last attempt: it has the same ``clear_number`` and request, and the attempt has
        not finished. Otherwise the DAG run was cleared, or deleted and created again with the same id.

        :param host: of the task; that of the last try counts.
        """
        window = request.window
        asked = {
            "clear_number": request.clear_number,
            "run_type": request.run_type,
            "mode": request.mode.value,
            "dry_run": request.dry_run,
            "bounded": window is not None,
            "window_start": None if window is None else window.start,
            "window_end": None if window is None else window.end,
            "groups": list(request.groups),
        }
        asked_back: dict[str, Any] = {"undo_run": request.undo_run, "release_run": request.release_run}
        if request.release_claim:  # absent in what an earlier version stored
            asked_back["release_claim"] = list(request.release_claim)
        if request.mirror_once:  # likewise
            asked_back["mirror_once"] = "true"
        with self._database.writing() as connection:
            last = _last_attempt(connection, key)
            if (
                last is not None
                and last.finished_at is None
                and all(getattr(last, column) == value for column, value in asked.items())
                and find_fact(connection, last.id, _ASKED_BACK) == asked_back
            ):
                connection.execute(update(tables.run).where(_RUN.id == last.id).values(**_columns_of(host)))
                return replace(as_run(last, resumed=True), host=host)
            row = {
                **asked,
                "dag_id": key.dag_id,
                "run_id": key.run_id,
                "attempt": 1 if last is None else last.attempt + 1,
                "definition": definition,
                "started_at": at,
                **_columns_of(host),
            }
            connection.execute(insert(tables.run), [row])
            connection.execute(update(tables.meta).values(run_counter=tables.meta.c.run_counter + 1))
            begun = _last_attempt(connection, key)
            assert begun is not None  # noqa: S101  for mypy
            put_fact(connection, begun.id, _ASKED_BACK, asked_back)
            return as_run(begun)

    def get(self, key: RunKey) -> RunRecord:
        """Return the latest attempt of a run.

        :raises RunUnknown: the journal does not have the run.
        """
        run = self.find(key)
        if run is None:
            raise RunUnknown(
                f"The journal ({self._database.name}) knows no run {key.run_id} of {key.dag_id}: it was replaced, "
                "or task 'poll' has not run. Clear the task 'poll' with everything downstream."
            )
        return run

    def find(self, key: RunKey) -> RunRecord | None:
        """Return the latest attempt of a run; None: the journal does not have it."""
        with self._database.reading() as connection:
            last = _last_attempt(connection, key)
        return None if last is None else as_run(last)

    def exists(self, key: RunKey, attempt: int, started_at: datetime | None = None) -> bool:
        """Return whether the journal has that attempt.

        :param started_at: tells it from another attempt of the same name.
        """
        attempt_is = [_RUN.dag_id == key.dag_id, _RUN.run_id == key.run_id, _RUN.attempt == attempt]
        if started_at is not None:
            attempt_is.append(_RUN.started_at == started_at)
        with self._database.reading() as connection:
            return connection.execute(select(_RUN.id).where(*attempt_is)).first() is not None

    def dag_ids(self, definition: str) -> set[str]:
        """Return the DAGs whose runs belong to a definition, those of a former name included."""
        of_it = select(_RUN.dag_id).where(_RUN.definition == definition).distinct()
        with self._database.reading() as connection:
            return set(connection.scalars(of_it))

    def earlier_attempts(self, run: RunRecord) -> list[int]:
        """Return the ids of the attempts of the same run before this one."""
        same = (_RUN.dag_id == run.key.dag_id, _RUN.run_id == run.key.run_id, _RUN.attempt < run.attempt)
        with self._database.reading() as connection:
            return list(connection.scalars(select(_RUN.id).where(*same)))

    def set_polled(self, run: RunRecord, poll: int, polled_at: datetime) -> None:
        """Note up to which poll the run has brought the journal."""
        with self._database.writing() as connection:
            connection.execute(update(tables.run).where(_RUN.id == run.id).values(poll=poll, polled_at=polled_at))

    def previous_live_poll(self, definition: str, before: RunRecord) -> datetime | None:
        """Return when the last live run before this one polled; None: there was none.

        Live means neither bounded nor dry, in any mode and with any outcome. Other attempts of the same run do not
        count.
        """
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

    def finish(self, run: RunRecord, state: str, at: datetime) -> None:
        """Note that the attempt's report is written."""
        with self._database.writing() as connection:
            connection.execute(update(tables.run).where(_RUN.id == run.id).values(state=state, finished_at=at))

    def forget(self, definition: str, before: datetime) -> int:
        """Delete the attempts of a definition that ended before then; return their number.

        Their rows, facts and figures are deleted, too, and the outcomes from before then that newer ones replaced.
        Changes stay, with the last outcome of each; of a settled one without the text of its error, which may name
        people.
        """
        outcome, newer = tables.outcome, tables.outcome.alias()
        with self._database.writing() as connection:
            replaced = exists().where(newer.c.change_id == outcome.c.change_id, newer.c.id > outcome.c.id)
            its_own = exists().where(_CHANGE.id == outcome.c.change_id, _CHANGE.definition == definition)
            connection.execute(delete(outcome).where(outcome.c.at < before, replaced, its_own))
            settled = exists().where(_CHANGE.id == outcome.c.change_id, _CHANGE.settled)
            connection.execute(
                update(outcome)
                .where(outcome.c.at < before, outcome.c.error.is_not(None), settled, its_own)
                .values(error=None)
            )
            over = delete(tables.run).where(_RUN.definition == definition, _RUN.finished_at < before)
            forgotten = connection.execute(over).rowcount
            if forgotten:
                forget_contents(connection)
            return forgotten


def open_runs(connection: Connection) -> dict[RunKey, datetime]:
    """Return the runs whose last attempt has not ended, with its beginning, oldest first."""
    last = select(func.max(_RUN.id)).group_by(_RUN.dag_id, _RUN.run_id)
    rows = connection.execute(
        select(_RUN.dag_id, _RUN.run_id, _RUN.started_at)
        .where(_RUN.id.in_(last), _RUN.finished_at.is_(None))
        .order_by(_RUN.id)
    )
    return {RunKey(row.dag_id, row.run_id): row.started_at for row in rows}


def _last_attempt(connection: Connection, key: RunKey) -> Record[Any] | None:
    return connection.execute(
        select(tables.run)
        .where(_RUN.dag_id == key.dag_id, _RUN.run_id == key.run_id)
        .order_by(_RUN.attempt.desc())
        .limit(1)
    ).first()


def _columns_of(host: Host | None) -> dict[str, str | None]:
    return {"host": None if host is None else host.name, "host_boot": None if host is None else host.boot}


def as_run(row: Record[Any], *, resumed: bool = False) -> RunRecord:
    """Return the attempt of a row of the table."""
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
        host=None if row.host is None else Host(row.host, row.host_boot or ""),
    )
