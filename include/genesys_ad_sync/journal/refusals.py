"""Store what Genesys refuses for now.

A refusal is for the client, a group, or a person in a group, or exists because a group fails.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, false, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, upsert
from genesys_ad_sync.model import Action, Guid, Reason, Refusal, RefusalKind, RunKey

_REFUSAL = tables.refusal.c


class Refusals(DefinitionStore):
    """Refusals of Genesys for now: one fact per client, group or person in a group."""

    def all(self) -> list[Refusal]:
        """Return all that is known."""
        with self._database.reading() as connection:
            return [
                _as_refusal(row)
                for row in connection.execute(select(tables.refusal).where(_REFUSAL.definition == self._definition))
            ]

    def not_of_people(self, limit: int) -> list[Refusal]:
        """Return the refusals of groups and of the client that still hold.

        They come by kind and group.

        :param limit: so many at most.
        """
        statement = (
            select(tables.refusal)
            .where(_REFUSAL.definition == self._definition, _REFUSAL.person == "", _REFUSAL.lifted == false())
            .order_by(_REFUSAL.kind, _REFUSAL.genesys_group_id, _REFUSAL.action)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_as_refusal(row) for row in connection.execute(statement)]

    def record(self, met: Collection[Refusal], run: RunKey, at: datetime) -> list[Refusal]:
        """Store what a run met; return it with its history.

        The same cause in another run counts once more. Another cause starts a new count.
        """
        with self._database.writing() as connection:
            known = {refusal.subject: refusal for refusal in self._of(connection, met)}
            stored = [_following(known.get(refusal.subject), refusal, str(run), at) for refusal in met]
            upsert(connection, tables.refusal, [_as_columns(self._definition, refusal) for refusal in stored])
        return stored

    def forget(self, refusals: Iterable[Refusal]) -> None:
        """Delete what holds no more."""
        with self._database.writing() as connection:
            for refusal in refusals:
                connection.execute(delete(tables.refusal).where(self._is(refusal)))

    def lift(self, refusals: Iterable[Refusal]) -> None:
        """Let these be tried at once. How often each was met is kept."""
        with self._database.writing() as connection:
            for refusal in refusals:
                connection.execute(update(tables.refusal).where(self._is(refusal)).values(lifted=True))

    def set_listing(self, refusal: Refusal, listing: str) -> None:
        """Note the entry of the Genesys group in the listing."""
        with self._database.writing() as connection:
            connection.execute(update(tables.refusal).where(self._is(refusal)).values(listing=listing))

    def _of(self, connection: Connection, met: Iterable[Refusal]) -> Iterable[Refusal]:
        for chunk in chunks({refusal.genesys_group_id for refusal in met}):
            mine = (_REFUSAL.definition == self._definition, _REFUSAL.genesys_group_id.in_(chunk))
            for row in connection.execute(select(tables.refusal).where(*mine)):
                yield _as_refusal(row)

    def _is(self, refusal: Refusal) -> Any:
        columns = _as_columns(self._definition, refusal)
        return and_(*(_REFUSAL[column.name] == columns[column.name] for column in tables.refusal.primary_key))


def lift_for_people(connection: Connection, definition: str, people: Collection[Guid]) -> None:
    """Let what is refused for these people be tried at once.

    Active Directory has changed these people.
    """
    of_people = (_REFUSAL.definition == definition, _REFUSAL.person != "")
    if not people or connection.execute(select(_REFUSAL.kind).where(*of_people).limit(1)).first() is None:
        return
    for chunk in chunks(people):
        connection.execute(
            update(tables.refusal)
            .where(_REFUSAL.definition == definition, _REFUSAL.person.in_(chunk))
            .values(lifted=True)
        )


def _following(known: Refusal | None, met: Refusal, run: str, at: datetime) -> Refusal:
    """Return the refusal that a run met, with what is known of it from before."""
    if known is None or known.cause != met.cause:
        return replace(met, times=1, first_at=at, last_at=at, run=run, lifted=False)
    times = known.times if known.run == run else known.times + 1
    return replace(met, times=times, first_at=known.first_at, last_at=at, run=run, lifted=False)


def _as_columns(definition: str, refusal: Refusal) -> dict[str, Any]:
    return {
        "definition": definition,
        "kind": refusal.kind.value,
        "genesys_group_id": refusal.genesys_group_id,
        "person": refusal.person,
        "action": refusal.action.value if refusal.action else "",
        "reason": refusal.reason.value,
        "http_code": refusal.http_code,
        "words": refusal.words,
        "correlation_id": refusal.correlation_id,
        "error": refusal.error,
        "times": refusal.times,
        "first_at": refusal.first_at,
        "last_at": refusal.last_at,
        "run": refusal.run,
        "lifted": refusal.lifted,
        "listing": refusal.listing,
        "tried": list(refusal.tried) or None,
    }


def _as_refusal(row: Row[Any]) -> Refusal:
    return Refusal(
        kind=RefusalKind(row.kind),
        reason=Reason(row.reason),
        genesys_group_id=row.genesys_group_id,
        person=row.person,
        action=Action(row.action) if row.action else None,
        http_code=row.http_code,
        words=row.words,
        correlation_id=row.correlation_id,
        error=row.error,
        times=row.times,
        first_at=row.first_at,
        last_at=row.last_at,
        run=row.run,
        lifted=row.lifted,
        listing=row.listing,
        tried=tuple(row.tried or ()),
    )
