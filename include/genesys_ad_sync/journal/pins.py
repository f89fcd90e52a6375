"""Store the pins: memberships that stay as an undo run left them.

Also answers what an undo needs to know: what a run wrote, and what happened to those memberships since.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from sqlalchemy import ColumnElement, and_, delete, or_, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, upsert
from genesys_ad_sync.journal.stored_row import row_from_json
from genesys_ad_sync.model import Action, Objection, Reason, RunKey, Status, WrittenRow

_ROW = tables.row.c
_RUN = tables.run.c
_PIN = tables.pin.c


class Pins(DefinitionStore):
    """The memberships that stay undone."""

    def add(self, memberships: Mapping[tuple[str, str], Objection], *, undoes: RunKey) -> None:
        """Pin memberships as an undo run left them, until AD reports a newer change.

        :param memberships: (Genesys group, `Row.person`) -> what holds it.
        :param undoes: the run whose work was taken back.
        """
        rows = [
            {
                "definition": self._definition,
                "genesys_group_id": group_id,
                "user_guid": person,
                "dag_id": pin.run.dag_id,
                "run_id": pin.run.run_id,
                "undoes": str(undoes),
                "last_change": pin.last_change,
                "at": pin.at,
                "action": None if pin.action is None else pin.action.value,
                "decided_by": pin.by,
            }
            for (group_id, person), pin in memberships.items()
        ]
        with self._database.writing() as connection:
            upsert(connection, tables.pin, rows)

    def all(self, person: str | None = None) -> dict[tuple[str, str], Objection]:
        """Return (Genesys group, `Row.person`) -> what holds it.

        ``person``: only the pins of this one; default: of all.
        """
        statement = select(tables.pin).where(_PIN.definition == self._definition)
        if person is not None:
            statement = statement.where(_PIN.user_guid == person)
        with self._database.reading() as connection:
            rows = connection.execute(statement)
            return {
                (row.genesys_group_id, row.user_guid): Objection(
                    reason=Reason.UNDONE,
                    run=RunKey(row.dag_id, row.run_id),
                    at=row.at,
                    last_change=row.last_change,
                    by=row.decided_by,
                    action=None if row.action is None else Action(row.action),
                )
                for row in rows
            }

    def remove(self, memberships: Collection[tuple[str, str]]) -> None:
        """Delete the pins of these memberships, because they have ended."""
        with self._database.writing() as connection:
            for group_id, person in memberships:
                connection.execute(
                    delete(tables.pin).where(
                        _PIN.definition == self._definition,
                        _PIN.genesys_group_id == group_id,
                        _PIN.user_guid == person,
                    )
                )

    def exist(self, key: RunKey) -> bool:
        """Return whether there are pins that ``release`` would delete."""
        with self._database.reading() as connection:
            return connection.execute(select(tables.pin).where(*self._of_run(key))).first() is not None

    def release(self, key: RunKey) -> int:
        """Delete the pins that a run added, or that undid it; return their number."""
        with self._database.writing() as connection:
            return connection.execute(delete(tables.pin).where(*self._of_run(key))).rowcount

    def _of_run(self, key: RunKey) -> tuple[ColumnElement[bool], ...]:
        added_by = and_(_PIN.dag_id == key.dag_id, _PIN.run_id == key.run_id)
        return _PIN.definition == self._definition, or_(added_by, _PIN.undoes == str(key))

    # -- what a run wrote --

    def writes_of(self, key: RunKey) -> list[WrittenRow]:
        """Return the rows that a run wrote to Genesys with success.

        Rows of any attempt are among them, oldest first.
        """
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
                WrittenRow(row_id=row.id, attempt_id=row.run, row=row_from_json(row.data))
                for row in connection.execute(statement)
            ]

    def written_since(self, writes: Collection[WrittenRow], exclude: RunKey) -> set[str]:
        """Return the keys of those rows whose membership another run has written since.

        :param exclude: the run whose writes do not count.
        """
        by_key = {str(replace(write.row.row_key, action=action)): write for write in writes for action in Action}
        newer: set[str] = set()
        with self._database.reading() as connection:
            for chunk in chunks(by_key):
                rows = connection.execute(
                    select(_ROW.key, _ROW.id)
                    .join(tables.run, _RUN.id == _ROW.run)
                    .where(
                        _ROW.key.in_(chunk),
                        _ROW.settled,
                        _ROW.status == Status.SUCCESS.value,
                        or_(_RUN.dag_id != exclude.dag_id, _RUN.run_id != exclude.run_id),
                    )
                )
                newer |= {by_key[row.key].row.key for row in rows if row.id > by_key[row.key].row_id}
        return newer
