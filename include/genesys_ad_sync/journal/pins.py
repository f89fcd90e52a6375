"""What an undo needs: what a run really changed, what happened to those pairs since, and the pairs that stay undone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, and_, delete, func, or_, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Database, chunks, upsert
from genesys_ad_sync.model import Action, Done, Guid, Row, RunKey, Status

_ROW = tables.row.c
_RUN = tables.run.c
_CHANGE = tables.change.c
_PIN = tables.pin.c

_ROWS = TypeAdapter(Row)


class Pins:
    """Part of ``Journal``."""

    _database: Database

    def last_change(self) -> int:
        """The id of the newest change of the journal; 0: there is none."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.max(_CHANGE.id))).scalar() or 0)

    def done_by(self, key: RunKey) -> list[Done]:
        """The rows that a run, in any attempt, wrote to Genesys with success, oldest first."""
        statement = (
            select(_ROW.id, _ROW.run, _ROW.data)
            .join(tables.run, _RUN.id == _ROW.run)
            .where(
                _RUN.dag_id == key.dag_id,
                _RUN.run_id == key.run_id,
                _ROW.settled,
                _ROW.status == Status.SUCCESS.value,
            )
            .order_by(_ROW.id)
        )
        with self._database.reading() as connection:
            return [
                Done(row_id=row.id, attempt_id=row.run, row=_ROWS.validate_python(row.data))
                for row in connection.execute(statement)
            ]

    def written_since(self, done: Collection[Done], but_not_by: RunKey) -> set[str]:
        """Of those rows the keys of the ones whose pair another run has written to since."""
        after = {}
        for one in done:
            for action in Action:
                after[str(replace(one.row.row_key, action=action))] = one
        newer: set[str] = set()
        with self._database.reading() as connection:
            for chunk in chunks(after):
                found = connection.execute(
                    select(_ROW.key, _ROW.id)
                    .join(tables.run, _RUN.id == _ROW.run)
                    .where(
                        _ROW.key.in_(chunk),
                        _ROW.settled,
                        _ROW.status == Status.SUCCESS.value,
                        or_(_RUN.dag_id != but_not_by.dag_id, _RUN.run_id != but_not_by.run_id),
                    )
                )
                newer |= {after[row.key].row.key for row in found if row.id > after[row.key].row_id}
        return newer

    def newest_told(self, definition: str, pairs: Iterable[tuple[Guid, Guid]]) -> dict[tuple[Guid, Guid], int]:
        """The id of the newest change that AD told of each (AD group, AD user). Missing: none."""
        wanted = set(pairs)
        found: dict[tuple[Guid, Guid], int] = {}
        with self._database.reading() as connection:
            for chunk in chunks({user for _, user in wanted}):
                newest = (
                    select(_CHANGE.group_guid, _CHANGE.user_guid, func.max(_CHANGE.id).label("id"))
                    .where(_CHANGE.definition == definition, _CHANGE.user_guid.in_(chunk), _CHANGE.origin == "poll")
                    .group_by(_CHANGE.group_guid, _CHANGE.user_guid)
                )
                for row in connection.execute(newest):
                    if (row.group_guid, row.user_guid) in wanted:
                        found[row.group_guid, row.user_guid] = row.id
        return found

    def facts_of_attempts(self, attempt_ids: Collection[int], key: str) -> dict[int, Any]:
        """What those attempts (`RunRecord.id`) remembered under ``key``. Missing: nothing."""
        fact = tables.fact.c
        with self._database.reading() as connection:
            return {
                row.run: row.value
                for chunk in chunks(attempt_ids)
                for row in connection.execute(select(fact.run, fact.value).where(fact.run.in_(chunk), fact.key == key))
            }

    # -- pairs that stay undone --

    def pin(
        self,
        definition: str,
        pairs: Collection[tuple[str, str]],
        *,
        key: RunKey,
        undoes: RunKey,
        last_change: int,
        at: datetime,
    ) -> None:
        """These pairs (Genesys group, `Row.person`) stay as the run left them, until AD tells of a change that is newer
        than ``last_change``, the newest one that the run has considered."""
        with self._database.writing() as connection:
            upsert(
                connection,
                tables.pin,
                [
                    {
                        "definition": definition,
                        "genesys_group_id": group_id,
                        "user_guid": person,
                        "dag_id": key.dag_id,
                        "run_id": key.run_id,
                        "undoes": str(undoes),
                        "last_change": last_change,
                        "at": at,
                    }
                    for group_id, person in pairs
                ],
            )

    def pins(
        self, definition: str, genesys_group_ids: Collection[str], *, since: datetime | None = None
    ) -> dict[tuple[str, str], int]:
        """(Genesys group, `Row.person`) -> the last change that the journal knew when it was pinned.

        :param since: only those that were pinned after that.
        """
        found: dict[tuple[str, str], int] = {}
        with self._database.reading() as connection:
            for chunk in chunks(genesys_group_ids):
                for row in connection.execute(
                    select(tables.pin).where(_PIN.definition == definition, _PIN.genesys_group_id.in_(chunk))
                ):
                    if since is None or row.at > since:
                        found[row.genesys_group_id, row.user_guid] = row.last_change
        return found

    def unpin(self, definition: str, pairs: Mapping[tuple[str, str], int]) -> None:
        """AD has told something new about these pairs: it rules them again."""
        with self._database.writing() as connection:
            for group_id, person in pairs:
                connection.execute(
                    delete(tables.pin).where(
                        _PIN.definition == definition,
                        _PIN.genesys_group_id == group_id,
                        _PIN.user_guid == person,
                    )
                )

    def has_pins(self, definition: str, key: RunKey) -> bool:
        """There is something for ``release_pins``."""
        with self._database.reading() as connection:
            return connection.execute(select(tables.pin).where(*_of_run(definition, key))).first() is not None

    def release_pins(self, definition: str, key: RunKey) -> int:
        """Frees what that run undid, or what of that run was undone. Gives the number of pairs."""
        with self._database.writing() as connection:
            return connection.execute(delete(tables.pin).where(*_of_run(definition, key))).rowcount


def _of_run(definition: str, key: RunKey) -> tuple[ColumnElement[bool], ...]:
    pinned_by = and_(_PIN.dag_id == key.dag_id, _PIN.run_id == key.run_id)
    return _PIN.definition == definition, or_(pinned_by, _PIN.undoes == str(key))
