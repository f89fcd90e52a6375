"""Store what a sync definition has under the name before its file was renamed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Table, and_, delete, exists, func, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, upsert
from genesys_ad_sync.journal.pairs import void_baselines
from genesys_ad_sync.model import Decision, RowKey, RunKey

_BOOKKEEPING = (tables.definition, tables.waiting, tables.housekeeping)
_VIEW = (tables.cursor, tables.known_dc, tables.group, tables.user, tables.membership)
_GRANT = tables.grant.c
_CHANGE = tables.change.c
_QUESTION = tables.question.c


@dataclass(frozen=True)
class Holdings:
    """The holdings of a definition: memberships that AD owns through it, and unsettled changes.

    No run has settled these changes. ``decisions``: undone memberships, rejected changes and rejected pairs, as far as
    they still hold.
    """

    memberships: int = 0
    open_changes: int = 0
    decisions: int = 0


class Renaming(DefinitionStore):
    """What the definition can take over from a former name, and what others left behind."""

    def holdings(self, former: str) -> Holdings | None:
        """Return the holdings under another name.

        None: the journal has nothing under that name, not even a run. What a last task under it noted for itself
        after it was taken over is nothing.
        """
        with self._database.reading() as connection:
            if not any(_has(connection, table, former) for table in _tables() if table not in _BOOKKEEPING):
                return None
            return Holdings(
                connection.execute(
                    select(func.count()).select_from(tables.grant).where(_GRANT.definition == former)
                ).scalar_one(),
                _open_changes(connection, former),
                sum(_decided_groups(connection, [former]).get(former, Counter()).values()),
            )

    def left_by(self, gone: Collection[str], genesys_group_ids: Collection[str]) -> dict[str, Holdings]:
        """Return what definitions among ``gone`` have in these Genesys groups.

        Those are listed that own memberships there, or have decisions of people.
        """
        counts: dict[str, int] = {}
        if not gone:
            return {}
        wanted = set(genesys_group_ids)
        with self._database.reading() as connection:
            decided = {
                name: sum(number for group_id, number in of_groups.items() if group_id in wanted)
                for name, of_groups in _decided_groups(connection, gone).items()
            }
            for chunk in chunks(genesys_group_ids):
                rows = connection.execute(
                    select(_GRANT.definition, func.count().label("number"))
                    .where(_GRANT.genesys_group_id.in_(chunk), _GRANT.definition.in_(gone))
                    .group_by(_GRANT.definition)
                )
                for row in rows:
                    counts[row.definition] = counts.get(row.definition, 0) + row.number
            found = sorted(counts.keys() | {name for name, number in decided.items() if number})
            return {
                name: Holdings(counts.get(name, 0), _open_changes(connection, name), decided.get(name, 0))
                for name in found
            }

    def decided_in_groups_given_up(self, others: Collection[str], genesys_group_ids: Collection[str]) -> dict[str, int]:
        """Return how many decisions of people other definitions left behind.

        They are about Genesys groups that these definitions feed no more.

        :param genesys_group_ids: only these Genesys groups count.
        """
        wanted = set(genesys_group_ids)
        pair = tables.pair.c
        with self._database.reading() as connection:
            found = {}
            for name, of_groups in sorted(_decided_groups(connection, others).items()):
                active = select(pair.genesys_group_id).where(pair.definition == name, pair.active)
                given_up = wanted - set(connection.scalars(active))
                if number := sum(of_groups[group_id] for group_id in of_groups.keys() & given_up):
                    found[name] = number
            return found

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


def _decided_groups(connection: Connection, definitions: Collection[str]) -> dict[str, Counter[str]]:
    """Count what people undid or rejected by definition and Genesys group."""
    pin, pair = tables.pin.c, tables.pair.c
    found: dict[str, Counter[str]] = {}
    for table, columns, holds in (
        (tables.pin, (pin.definition, pin.genesys_group_id), ()),
        (tables.pair, (pair.definition, pair.genesys_group_id), (pair.rejected_at.is_not(None),)),
    ):
        of_these = table.c.definition.in_(list(definitions))
        for name, group_id in connection.execute(select(*columns).where(of_these, *holds)):
            found.setdefault(name, Counter())[group_id] += 1
    rejected = (_QUESTION.definition.in_(list(definitions)), _QUESTION.decision == Decision.REJECTED.value)
    questions = select(_QUESTION.definition, _QUESTION.subject, _QUESTION.change_ids).where(*rejected)
    subjects = {(row.definition, row.subject) for row in connection.execute(questions) if row.change_ids}
    for name, subject in subjects:  # a row may have been rejected twice
        found.setdefault(name, Counter())[RowKey.parse(subject).target] += 1
    return found


def _open_changes(connection: Connection, definition: str) -> int:
    return int(
        connection.execute(
            select(func.count()).select_from(tables.change).where(_CHANGE.definition == definition, ~_CHANGE.settled)
        ).scalar_one()
    )
