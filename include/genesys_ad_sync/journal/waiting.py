"""Let known orphans rest.

Their changes are taken up by no run until something has changed, or their turn has come. A person that Genesys refuses
to look up rests, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, false, func, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, upsert
from genesys_ad_sync.model import Guid, OpenCount, RunKey, Status

_CHANGE = tables.change.c
_WAITING = tables.waiting.c
MANY = 400
"""Ids that one statement may leave out. Old SQLite allows 999 variables."""


@dataclass(frozen=True)
class RestingChange:
    """An addition that waits for a Genesys user.

    ``status``: its last outcome's. ``looked_at`` None: it is awake.
    """

    id: int
    user_guid: Guid
    status: Status
    looked_at: datetime | None


class Waiting(DefinitionStore):
    """The changes that rest, and what wakes them."""

    def people_to_look_at(self, limit: int, refused_before: datetime) -> list[Guid]:
        """Return the AD users next in turn: the longest without a look-up.

        The turn goes in a circle. At most one of them is a person that Genesys refuses to look up, and only if that was
        before ``refused_before``: each such value costs several requests.
        """
        person, is_orphan = _CHANGE.user_guid, _CHANGE.status == Status.ORPHANED.value
        orphans = select(person).where(self._resting, is_orphan).distinct().order_by(person)
        refused = select(person).where(self._resting, ~is_orphan, _CHANGE.looked_at < refused_before).limit(1)
        with self._database.reading() as connection:
            row = self._row(connection)
            last = row.looked_up_to if row and row.looked_up_to else ""
            found = [*connection.scalars(refused)]
            for turn in (person > last, person <= last):
                found += connection.scalars(orphans.where(turn).limit(limit - len(found)))
        return found

    def note_looked_up_to(self, user_guid: Guid) -> None:
        """Note the last AD user who was looked up in turn."""
        self._store(looked_up_to=user_guid)

    def of_people(self, user_guids: Collection[Guid]) -> list[RestingChange]:
        """Return the open additions of these AD users that wait for a Genesys user.

        An addition may be awake or not.
        """
        waits = _CHANGE.status.in_([Status.ORPHANED.value, Status.HELD.value])
        with self._database.reading() as connection:
            return [
                _as_resting(row)
                for chunk in chunks(user_guids)
                for row in connection.execute(
                    select(_CHANGE.id, _CHANGE.user_guid, _CHANGE.status, _CHANGE.looked_at).where(
                        _CHANGE.definition == self._definition,
                        _CHANGE.settled == false(),
                        _CHANGE.action == "add",
                        waits,
                        _CHANGE.user_guid.in_(chunk),
                    )
                )
            ]

    def has_any(self) -> bool:
        """Return whether any change rests."""
        with self._database.reading() as connection:
            return connection.execute(select(_CHANGE.id).where(self._resting).limit(1)).first() is not None

    def looked_at(self, change_ids: Collection[int], at: datetime) -> None:
        """Let these changes rest: nothing is new."""
        with self._database.writing() as connection:
            for chunk in chunks(change_ids):
                connection.execute(update(tables.change).where(_CHANGE.id.in_(chunk)).values(looked_at=at))

    def wake(self, user_guids: Collection[Guid]) -> None:
        """Let the next run, or this one, take up what rests for these AD users."""
        with self._database.writing() as connection:
            wake_changes(connection, self._definition, people=user_guids)

    def open_counts(self, without: Collection[int]) -> dict[Status, OpenCount]:
        """Return how many changes rest, by status.

        :param without: ids of changes that are not counted.
        """
        status, count, oldest = _CHANGE.status, func.count(), func.min(_CHANGE.first_seen_at)
        with self._database.reading() as connection:
            left_out = [
                id_
                for chunk in chunks(without)
                for id_ in connection.scalars(select(_CHANGE.id).where(self._resting, _CHANGE.id.in_(chunk)))
            ]
            if len(left_out) > MANY:
                return _counted(connection.execute(select(tables.change).where(self._resting)), set(left_out))
            rest = select(status, count, oldest).where(self._resting, _CHANGE.id.not_in(left_out)).group_by(status)
            return {Status(row[0]): OpenCount(row[1], row[2]) for row in connection.execute(rest) if row[0]}

    def note_users_total(self, total: int) -> bool:
        """Note the number of active Genesys users.

        If that has moved, wake everything, and return True.
        """
        return self._note("users_total", total)

    def note_rules(self, digest: str) -> bool:
        """Note what the definition says. If that has changed, wake everything, and return True."""
        with self._database.together():
            changed = self._note("rules", digest)
            if changed:
                with self._database.writing() as connection:
                    mine = tables.refusal.c.definition == self._definition
                    connection.execute(update(tables.refusal).where(mine).values(lifted=True))
        return changed

    def listed_in(self) -> RunKey | None:
        """Return the last run that listed everything that waits."""
        with self._database.reading() as connection:
            row = self._row(connection)
        return RunKey(row.listed_dag_id, row.listed_run_id) if row and row.listed_run_id else None

    def note_listed(self, run: RunKey) -> None:
        """Note that this run lists everything that waits."""
        self._store(listed_dag_id=run.dag_id, listed_run_id=run.run_id)

    # -- parts --------------------------------------------------------------------------------------------

    @property
    def _resting(self) -> Any:
        return and_(_CHANGE.definition == self._definition, _CHANGE.looked_at.is_not(None), _CHANGE.settled == false())

    def _note(self, column: str, value: object) -> bool:
        with self._database.together():
            with self._database.reading() as connection:
                row = self._row(connection)
            known = getattr(row, column) if row else None
            if known == value:
                return False
            self._store(**{column: value})
            if known is None:
                return False
            with self._database.writing() as connection:
                connection.execute(update(tables.change).where(self._resting).values(looked_at=None))
            return True

    def _row(self, connection: Connection) -> Row[Any] | None:
        return connection.execute(select(tables.waiting).where(_WAITING.definition == self._definition)).first()

    def _store(self, **values: object) -> None:
        with self._database.writing() as connection:
            upsert(connection, tables.waiting, [{"definition": self._definition, **values}], list(values))


def wake_changes(
    connection: Connection, definition: str, *, people: Collection[Guid] = (), groups: Collection[Guid] = ()
) -> None:
    """Let what rests for these people, and in these AD groups, be taken up."""
    resting = (_CHANGE.definition == definition, _CHANGE.looked_at.is_not(None))
    if not people and not groups:
        return
    if connection.execute(select(_CHANGE.id).where(*resting).limit(1)).first() is None:
        return
    for column, guids in ((_CHANGE.user_guid, people), (_CHANGE.group_guid, groups)):
        for chunk in chunks(guids):
            connection.execute(update(tables.change).where(*resting, column.in_(chunk)).values(looked_at=None))


def _counted(rows: Iterable[Row[Any]], without: Collection[int]) -> dict[Status, OpenCount]:
    """Return what `Waiting.open_counts` does, for more exceptions than a statement may have."""
    times: dict[Status, list[datetime]] = {}
    for row in rows:
        if row.id not in without:
            times.setdefault(Status(row.status), []).append(row.first_seen_at)
    return {
        status: OpenCount(len(seen), min((time for time in seen if time), default=None))
        for status, seen in times.items()
    }


def _as_resting(row: Any) -> RestingChange:
    return RestingChange(row.id, row.user_guid, Status(row.status), row.looked_at)
