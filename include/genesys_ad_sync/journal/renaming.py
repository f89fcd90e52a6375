"""Store what a sync definition has under the name before its file was renamed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Table, and_, delete, exists, func, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, upsert
from genesys_ad_sync.journal.pairs import void_baselines
from genesys_ad_sync.model import Decision, RunKey

_VIEW = (tables.cursor, tables.known_dc, tables.group, tables.user, tables.membership)
_GRANT = tables.grant.c
_CHANGE = tables.change.c
_QUESTION = tables.question.c


@dataclass(frozen=True)
class Holdings:
    """The holdings of a definition: memberships that AD owns through it, and unsettled changes.

    No run has settled these changes.
    """

    memberships: int = 0
    open_changes: int = 0


class Renaming(DefinitionStore):
    """What the definition can take over from a former name, and what others left behind."""

    def holdings(self, former: str) -> Holdings | None:
        """Return the holdings under another name.

        None: the journal has nothing at all under that name, not even a run.
        """
        with self._database.reading() as connection:
            if not any(_has(connection, table, former) for table in _tables() if table is not tables.definition):
                return None
            return Holdings(
                connection.execute(
                    select(func.count()).select_from(tables.grant).where(_GRANT.definition == former)
                ).scalar_one(),
                _open_changes(connection, former),
            )

    def left_by(self, gone: Collection[str], genesys_group_ids: Collection[str]) -> dict[str, Holdings]:
        """Return which definitions among ``gone`` own memberships in these Genesys groups, and how many."""
        counts: dict[str, int] = {}
        if not gone:
            return {}
        with self._database.reading() as connection:
            for chunk in chunks(genesys_group_ids):
                rows = connection.execute(
                    select(_GRANT.definition, func.count().label("number"))
                    .where(_GRANT.genesys_group_id.in_(chunk), _GRANT.definition.in_(gone))
                    .group_by(_GRANT.definition)
                )
                for row in rows:
                    counts[row.definition] = counts.get(row.definition, 0) + row.number
            return {name: Holdings(number, _open_changes(connection, name)) for name, number in sorted(counts.items())}

    def names(self) -> set[str]:
        """Return the definitions that have read AD."""
        with self._database.reading() as connection:
            return set(connection.scalars(select(tables.cursor.c.definition)))

    def take_over(self, former: str, *, run: RunKey, at: datetime) -> None:
        """Give this definition everything that another name has, and stop the other's tasks.

        If this definition has only made dry runs, what these left is replaced. Otherwise its own view and rows win, and
        all its groups are compared in full again: nobody has followed the former view since.
        """
        with self._database.writing(former, self._definition) as connection:
            has_lived = _has(connection, tables.pair, self._definition)  # a dry run stores none
            connection.execute(
                update(tables.question)
                .where(_QUESTION.definition == former, _QUESTION.closed_at.is_(None))
                .values(closed_at=at, decision=Decision.UNANSWERED.value)
            )
            if has_lived:
                self._renumber_polls(connection, former)
            for table in _tables():
                self._move(connection, table, former, has_lived=has_lived)
            if has_lived:
                void_baselines(connection, [self._definition])
            stop = {"dry_run": True, "due_at": at, "dag_id": run.dag_id, "run_id": run.run_id, "noted_at": at}
            upsert(connection, tables.definition, [{"definition": former, **stop}])

    def _renumber_polls(self, connection: Connection, former: str) -> None:
        """Give open changes of the former name to this definition's next poll.

        Only that poll can prove them. Each definition numbers its polls. A higher number of the former name would leave
        them unproven for ever.
        """
        poll = tables.cursor.c.poll
        last = connection.execute(select(poll).where(tables.cursor.c.definition == self._definition)).scalar()
        of_former = (_CHANGE.definition == former, ~_CHANGE.settled)
        connection.execute(update(tables.change).where(*of_former).values(poll=(last or 0) + 1))

    def _move(self, connection: Connection, table: Table, former: str, *, has_lived: bool) -> None:
        if table is tables.definition:  # what a file says does not move with it
            return
        if table in _VIEW and has_lived:
            connection.execute(delete(table).where(table.c.definition == former))
            return
        if has_lived:
            self._delete_doubles(connection, table, former)
        elif table is not tables.run:
            connection.execute(delete(table).where(table.c.definition == self._definition))
        connection.execute(update(table).where(table.c.definition == former).values(definition=self._definition))

    def _delete_doubles(self, connection: Connection, table: Table, former: str) -> None:
        """Delete rows of the former name whose key this definition has, too."""
        if "definition" not in table.primary_key.columns:
            return
        mine = table.alias()
        same = [mine.c[column.name] == column for column in table.primary_key if column.name != "definition"]
        double = exists().where(and_(mine.c.definition == self._definition, *same))
        connection.execute(delete(table).where(table.c.definition == former, double))


def _tables() -> list[Table]:
    """Return the tables with a definition, those that refer to others first."""
    return [table for table in reversed(tables.metadata.sorted_tables) if "definition" in table.c]


def _has(connection: Connection, table: Table, definition: str) -> bool:
    return connection.execute(select(table.c.definition).where(table.c.definition == definition)).first() is not None


def _open_changes(connection: Connection, definition: str) -> int:
    return int(
        connection.execute(
            select(func.count()).select_from(tables.change).where(_CHANGE.definition == definition, ~_CHANGE.settled)
        ).scalar_one()
    )
