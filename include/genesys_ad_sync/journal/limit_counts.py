"""Count what runs wrote, and are about to write: what limits compare with.

An approved row is known by its lane, see `planning.lanes`: the caller says from which lane on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks
from genesys_ad_sync.model import Action, Reason, RowKey, RunKey, Status

_RUN = tables.run.c
_ROW = tables.row.c


@dataclass(frozen=True)
class Written:
    """A membership that a run added to a Genesys group, or removed."""

    genesys_group_id: str
    action: Action
    at: datetime


class LimitCounts(DefinitionStore):
    """What the limits of the definition count."""

    def written_since(self, action: Action, since: datetime, *, approved_from: int) -> Counter[str]:
        """Count by Genesys group what runs wrote from then on and no person approved."""
        done = and_(_ROW.status == Status.SUCCESS.value, _ROW.settled)
        runs = select(_RUN.id).where(_RUN.definition == self._definition)
        # `+ 0`: else SQLite reads all rows by their run instead of the newest ones by their time
        of_definition = (_ROW.run + 0).in_(runs)
        statement = select(_ROW.key).where(
            _not_approved(approved_from), _ROW.recorded_at >= since, _ROW.action == action.value, done, of_definition
        )
        with self._database.reading() as connection:
            return Counter(RowKey.parse(key).target for key in connection.scalars(statement))

    def unverified_since(self, since: datetime, *, approved_from: int) -> frozenset[str]:
        """Return the keys of removals that were sent, but could not be read back.

        Only removals that were sent from ``since`` on are among them.
        """
        unknown = and_(
            _ROW.status == Status.FAILED.value,
            _ROW.sending_at.is_not(None),
            _ROW.data["reason"].as_string() == Reason.UNVERIFIED.value,
        )
        removals = _ROW.action == Action.REMOVE.value
        return frozenset(self._keys(_not_approved(approved_from), _ROW.recorded_at >= since, removals, unknown))

    def history(self, genesys_group_ids: Collection[str], since: datetime) -> list[Written]:
        """Return the rows that runs wrote to these groups, the newest first.

        Only rows from ``since`` on are among them. Approved rows are, too.
        """
        statement = self._of_definition(select(_ROW.id, _ROW.key, _ROW.recorded_at)).where(
            _ROW.recorded_at >= since, _ROW.status == Status.SUCCESS.value, _ROW.settled
        )
        with self._database.reading() as connection:
            rows = [
                row
                for chunk in chunks(genesys_group_ids)
                for row in connection.execute(
                    statement.where(or_(*(_ROW.key.startswith(f"{id_}:", autoescape=True) for id_ in chunk)))
                )
            ]
        rows.sort(key=lambda row: (row.recorded_at, row.id), reverse=True)
        parsed = [(RowKey.parse(row.key), row.recorded_at) for row in rows]
        return [Written(key.target, key.action, at) for key, at in parsed]

    def about_to_be_written(self, *, since: datetime, exclude: RunKey, approved_from: int) -> frozenset[str]:
        """Return the keys of rows that other runs plan without approval.

        Rows that are carried out already are left out.

        :param since: only runs that began from then on.
        :param exclude: the run whose rows are left out.
        """
        waiting = (*_planned(exclude), _RUN.started_at >= since, _ROW.lane < approved_from)
        return frozenset(self._keys(*waiting))

    def held_for(self, reason: Reason, *, exclude: RunKey) -> frozenset[str]:
        """Return the keys of rows that other unfinished live runs hold for this reason."""
        is_held = (_ROW.status == Status.HELD.value, _ROW.data["reason"].as_string() == reason.value)
        return frozenset(self._keys(*_unfinished(exclude), *is_held))

    def newest_sent(self, keys: Collection[str]) -> dict[str, datetime]:
        """Return when a run last sent the change of each row, by key.

        Rows that no run sent are missing.
        """
        statement = self._of_definition(select(_ROW.key, func.max(_ROW.sending_at).label("at")))
        with self._database.reading() as connection:
            return {
                row.key: row.at
                for chunk in chunks(keys)
                for row in connection.execute(
                    statement.where(_ROW.key.in_(chunk), _ROW.sending_at.is_not(None)).group_by(_ROW.key)
                )
            }

    def approved(self, *, since: datetime, exclude: RunKey, approved_from: int) -> dict[str, RunKey]:
        """Return the keys of rows that a person approved, with the run of each.

        Only approvals from ``since`` on count. That run must write the row.
        """
        statement = self._of_definition(select(_ROW.key, _RUN.dag_id, _RUN.run_id)).where(
            *_planned(exclude), _ROW.lane >= approved_from, _ROW.recorded_at >= since
        )
        with self._database.reading() as connection:
            return {row.key: RunKey(row.dag_id, row.run_id) for row in connection.execute(statement)}

    def _keys(self, *conditions: ColumnElement[bool]) -> list[str]:
        with self._database.reading() as connection:
            return list(connection.scalars(self._of_definition(select(_ROW.key)).where(*conditions)))

    def _of_definition(self, columns: Select[Any]) -> Select[Any]:
        both = tables.row.join(tables.run, _RUN.id == _ROW.run)
        return columns.select_from(both).where(_RUN.definition == self._definition)


def _not_approved(approved_from: int) -> ColumnElement[bool]:
    return or_(_ROW.lane.is_(None), _ROW.lane < approved_from)


def _planned(exclude: RunKey) -> tuple[ColumnElement[bool], ...]:
    """Select the rows that unfinished live runs are to write."""
    return (*_unfinished(exclude), _ROW.lane.is_not(None), _ROW.status == Status.PLANNED.value)


def _unfinished(exclude: RunKey) -> tuple[ColumnElement[bool], ...]:
    """Select the rows of other live runs that have not ended."""
    return (
        _RUN.dry_run == false(),
        _RUN.finished_at.is_(None),
        or_(_RUN.dag_id != exclude.dag_id, _RUN.run_id != exclude.run_id),
        _ROW.replaced == 0,
    )
