"""Store the changes that AD asks for, and read what became of them.

Outcomes are recorded by ``rows``, because they belong to a run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Row, and_, false, func, or_, select, update

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, insert_rows
from genesys_ad_sync.model import Action, Change, Doubt, Evidence, Guid, Outcome, Reason, RunKey, Status, Window

_CHANGE = tables.change.c
_DOUBT = TypeAdapter(Doubt)


class Changes(DefinitionStore):
    """The adds and removes of people in AD groups."""

    def unsettled(self, group_guids: Collection[Guid] | None = None, *, awake_in: RunKey | None = None) -> list[Change]:
        """Return the changes that no run has settled, oldest first.

        :param group_guids: default: of all AD groups.
        :param awake_in: without those that rest, see `Waiting`, unless this run was the first to list them.
        """
        statement = (
            select(tables.change)
            .where(_CHANGE.definition == self._definition, _CHANGE.settled == false())
            .order_by(_CHANGE.id)
        )
        if awake_in is not None:
            mine = and_(_CHANGE.first_seen_dag_id == awake_in.dag_id, _CHANGE.first_seen_run_id == awake_in.run_id)
            statement = statement.where(or_(_CHANGE.looked_at.is_(None), mine))
        with self._database.reading() as connection:
            if group_guids is None:
                return [as_change(row) for row in connection.execute(statement)]
            changes = [
                as_change(row)
                for chunk in chunks(group_guids)
                for row in connection.execute(statement.where(_CHANGE.group_guid.in_(chunk)))
            ]
            return sorted(changes, key=lambda change: change.id or 0)

    def in_window(self, window: Window) -> list[Change]:
        """Return the changes that ``window.contains``, settled ones included, oldest first."""
        known: list[ColumnElement[bool]] = [_CHANGE.changed_at.is_not(None)]
        compared = _CHANGE.origin == "comparison"
        unknown: list[ColumnElement[bool]] = [_CHANGE.changed_at.is_(None), ~compared]
        found_by_comparison: list[ColumnElement[bool]] = [compared]
        if window.start is not None:
            known.append(_CHANGE.changed_at >= window.start)
            unknown.append(_CHANGE.observed_at >= window.start)
            found_by_comparison.append(_CHANGE.observed_at >= window.start)
        if window.end is not None:
            known.append(_CHANGE.changed_at < window.end)
            unknown.append(or_(_CHANGE.observed_after.is_(None), _CHANGE.observed_after < window.end))
            found_by_comparison.append(_CHANGE.observed_at < window.end)
        in_window = or_(and_(*known), and_(*unknown), and_(*found_by_comparison))
        with self._database.reading() as connection:
            rows = connection.execute(
                select(tables.change).where(_CHANGE.definition == self._definition, in_window).order_by(_CHANGE.id)
            )
            return [as_change(row) for row in rows]

    def by_id(self, ids: Collection[int]) -> list[Change]:
        """Return these changes, oldest first.

        :raises JournalError: one of them is not in the journal.
        """
        with self._database.reading() as connection:
            rows = sorted(_rows(connection, ids), key=lambda row: row.id)
            if len(rows) < len(set(ids)):
                raise JournalError(
                    "Changes that this run works on are not in the journal. It was replaced meanwhile: "
                    "run again in mode full."
                )
            return [as_change(row) for row in rows]

    def newest_id(self) -> int:
        """Return the id of the journal's newest change; 0: it has none."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.max(_CHANGE.id))).scalar() or 0)

    def newest_told_ids(
        self, people: Iterable[tuple[Guid, Guid]], *, or_not_known: bool = False
    ) -> dict[tuple[Guid, Guid], int]:
        """Return the id of the newest change that AD reported, by (AD group, AD user).

        Those without such a change are missing.

        :param or_not_known: a polled change counts, too, if it is from before the journal kept its evidence.
        """
        counts = _CHANGE.evidence == Evidence.TOLD.value
        if or_not_known:
            counts = or_(counts, _CHANGE.evidence.is_(None))
        wanted = set(people)
        newest: dict[tuple[Guid, Guid], int] = {}
        with self._database.reading() as connection:
            for chunk in chunks({user for _, user in wanted}):
                statement = (
                    select(_CHANGE.group_guid, _CHANGE.user_guid, func.max(_CHANGE.id).label("id"))
                    .where(
                        _CHANGE.definition == self._definition,
                        _CHANGE.user_guid.in_(chunk),
                        _CHANGE.origin == "poll",
                        counts,
                    )
                    .group_by(_CHANGE.group_guid, _CHANGE.user_guid)
                )
                for row in connection.execute(statement):
                    if (row.group_guid, row.user_guid) in wanted:
                        newest[row.group_guid, row.user_guid] = row.id
        return newest

    def polled(self, people: Collection[tuple[Guid, Guid]]) -> dict[tuple[Guid, Guid], list[Change]]:
        """Return what polls found, by (AD group, AD user), oldest first."""
        found: dict[tuple[Guid, Guid], list[Change]] = {subject: [] for subject in people}
        with self._database.reading() as connection:
            for chunk in chunks({user for _, user in people}):
                statement = (
                    select(tables.change)
                    .where(
                        _CHANGE.definition == self._definition,
                        _CHANGE.user_guid.in_(chunk),
                        _CHANGE.origin == "poll",
                    )
                    .order_by(_CHANGE.id)
                )
                for row in connection.execute(statement):
                    if (row.group_guid, row.user_guid) in found:
                        found[row.group_guid, row.user_guid].append(as_change(row))
        return found

    def newest_adds(self, group_guids: Collection[Guid]) -> dict[Guid, int]:
        """Return the id of each AD group's newest polled add; others are missing."""
        statement = (
            select(_CHANGE.group_guid, func.max(_CHANGE.id).label("id"))
            .where(
                _CHANGE.definition == self._definition,
                _CHANGE.action == Action.ADD.value,
                _CHANGE.origin != "comparison",
            )
            .group_by(_CHANGE.group_guid)
        )
        with self._database.reading() as connection:
            return {
                row.group_guid: row.id
                for chunk in chunks(group_guids)
                for row in connection.execute(statement.where(_CHANGE.group_guid.in_(chunk)))
            }

    def add_compared(self, changes: Sequence[Change]) -> list[Change]:
        """Add the findings of a full comparison with Genesys; return them in order, with ids.

        An unsettled change of the same AD group, person and action is reused.
        """
        definition = self._definition
        with self._database.writing() as connection:
            known = _unsettled_by_subject(connection, definition, changes)
            new: dict[_Subject, Change] = {}
            for change in changes:
                if _subject(change) not in known:
                    new.setdefault(_subject(change), change)
            if new:
                insert_rows(connection, tables.change, (as_columns(definition, change) for change in new.values()))
                known |= _unsettled_by_subject(connection, definition, new.values())
            return [known[_subject(change)] for change in changes]

    def add_history(self, changes: Sequence[Change]) -> int:
        """Add changes from AD's metadata before the journal began; return how many are new.

        A change that is stored already (same AD group, person, action and time) is not added again.
        """
        definition = self._definition
        with self._database.writing() as connection:
            known = {
                (row.group_guid, row.user_guid, row.action, row.changed_at)
                for chunk in chunks({change.group_guid for change in changes})
                for row in connection.execute(
                    select(_CHANGE.group_guid, _CHANGE.user_guid, _CHANGE.action, _CHANGE.changed_at).where(
                        _CHANGE.definition == definition,
                        _CHANGE.changed_at.is_not(None),
                        _CHANGE.group_guid.in_(chunk),
                    )
                )
            }
            new = {
                (change.group_guid, change.user_guid, change.action.value, change.changed_at): change
                for change in changes
            }
            rows = [as_columns(definition, change) for key, change in new.items() if key not in known]
            insert_rows(connection, tables.change, rows)
            return len(rows)

    def last_outcomes(self, change_ids: Collection[int]) -> dict[int, Outcome]:
        """Return each change's last outcome; changes on which no run acted are missing."""
        outcome = tables.outcome.c
        outcomes: dict[int, Outcome] = {}
        with self._database.reading() as connection:
            for chunk in chunks(change_ids):
                last = select(func.max(outcome.id)).where(outcome.change_id.in_(chunk)).group_by(outcome.change_id)
                for row in connection.execute(select(tables.outcome).where(outcome.id.in_(last))):
                    outcomes[row.change_id] = _as_outcome(row)
        return outcomes

    def outcomes(self, change_ids: Collection[int]) -> dict[int, list[Outcome]]:
        """Return all outcomes of each change, oldest first.

        An outcome that says the same as the last was not stored.
        """
        outcome = tables.outcome.c
        found: dict[int, list[Outcome]] = {}
        with self._database.reading() as connection:
            for chunk in chunks(change_ids):
                for row in connection.execute(
                    select(tables.outcome).where(outcome.change_id.in_(chunk)).order_by(outcome.id)
                ):
                    found.setdefault(row.change_id, []).append(_as_outcome(row))
        return found

    def removed(self, people: Iterable[tuple[Guid, Guid]]) -> set[tuple[Guid, Guid]]:
        """Return those of these (AD group, AD user) whose newest change is a removal."""
        wanted = set(people)
        removed: set[tuple[Guid, Guid]] = set()
        with self._database.reading() as connection:
            for chunk in chunks({user for _, user in wanted}):
                newest = (
                    select(func.max(_CHANGE.id))
                    .where(_CHANGE.definition == self._definition, _CHANGE.user_guid.in_(chunk))
                    .group_by(_CHANGE.group_guid, _CHANGE.user_guid)
                )
                for row in connection.execute(select(tables.change).where(_CHANGE.id.in_(newest))):
                    if row.action == Action.REMOVE.value and (row.group_guid, row.user_guid) in wanted:
                        removed.add((row.group_guid, row.user_guid))
        return removed

    def clear_hold(self, change_ids: Collection[int]) -> None:
        """Delete the ``held_reason`` of these changes, because they are proven."""
        with self._database.writing() as connection:
            for chunk in chunks(change_ids):
                mine = update(tables.change).where(_CHANGE.id.in_(chunk))
                connection.execute(mine.values(held_reason=None, doubt=None))
                doubted = mine.where(_CHANGE.evidence == Evidence.DOUBTED.value)
                connection.execute(doubted.values(evidence=Evidence.SEEN.value))

    def hold(self, change_ids: Collection[int], reason: Reason) -> None:
        """Hold these changes again: what proved them has been taken back."""
        with self._database.writing() as connection:
            for chunk in chunks(change_ids):
                connection.execute(update(tables.change).where(_CHANGE.id.in_(chunk)).values(held_reason=reason.value))

    def set_doubts(self, doubts: Mapping[int, Doubt]) -> None:
        """Note what is known of held changes by now."""
        with self._database.writing() as connection:
            for change_id, doubt in doubts.items():
                connection.execute(
                    update(tables.change).where(_CHANGE.id == change_id).values(doubt=_doubt_as_json(doubt))
                )

    def set_over_limit(self, exceeded: Mapping[int, str | None]) -> None:
        """Note the exceeded limits of changes; None: approved by a person, or nothing exceeded."""
        by_text: dict[str | None, list[int]] = {}
        for change_id, text in exceeded.items():
            by_text.setdefault(text, []).append(change_id)
        with self._database.writing() as connection:
            for text, change_ids in by_text.items():
                for chunk in chunks(change_ids):
                    connection.execute(update(tables.change).where(_CHANGE.id.in_(chunk)).values(over_limit=text))

    def first_seen(self, change_ids: Collection[int]) -> dict[int, tuple[datetime, RunKey]]:
        """Return when and by which live run changes were first listed; others are missing."""
        with self._database.reading() as connection:
            return {
                row.id: (row.first_seen_at, RunKey(row.first_seen_dag_id, row.first_seen_run_id))
                for row in _rows(connection, change_ids)
                if row.first_seen_at is not None
            }


_Subject = tuple[str, str | None, str | None, str]


def _subject(change: Change) -> _Subject:
    """Return what two changes must share to be the same wish.

    A person that AD knows is identified by the guid, whatever the Genesys id.
    """
    user = (change.user_guid, None) if change.user_guid is not None else (None, change.genesys_user_id)
    return change.group_guid, *user, change.action.value


def _unsettled_by_subject(connection: Connection, definition: str, changes: Iterable[Change]) -> dict[_Subject, Change]:
    """Return the oldest unsettled change of each subject in the AD groups of these changes."""
    known: dict[_Subject, Change] = {}
    for chunk in chunks({change.group_guid for change in changes}):
        rows = connection.execute(
            select(tables.change)
            .where(_CHANGE.definition == definition, _CHANGE.settled == false(), _CHANGE.group_guid.in_(chunk))
            .order_by(_CHANGE.id)
        )
        for row in rows:
            change = as_change(row)
            known.setdefault(_subject(change), change)
    return known


def _rows(connection: Connection, ids: Collection[int]) -> Iterable[Row[Any]]:
    for chunk in chunks(set(ids)):
        yield from connection.execute(select(tables.change).where(_CHANGE.id.in_(chunk)))


def believe_doubted(connection: Connection, definition: str) -> None:
    """Take what only a doubted domain controller showed for seen, because the doubt is over.

    What is held keeps its doubt until the hold ends, see `Changes.clear_hold`.
    """
    connection.execute(
        update(tables.change)
        .where(
            _CHANGE.definition == definition,
            _CHANGE.evidence == Evidence.DOUBTED.value,
            _CHANGE.held_reason.is_(None),
        )
        .values(evidence=Evidence.SEEN.value)
    )


def as_columns(definition: str, change: Change) -> dict[str, Any]:
    """Return the columns of a new change, unsettled."""
    return {
        "definition": definition,
        "group_guid": change.group_guid,
        "user_guid": change.user_guid,
        "genesys_user_id": change.genesys_user_id,
        "action": change.action.value,
        "observed_at": change.observed_at,
        "observed_after": change.observed_after,
        "changed_at": change.changed_at,
        "origin": change.origin,
        "path": list(change.path),
        "held_reason": None if change.held_reason is None else change.held_reason.value,
        "trusted_dc": change.trusted_dc,
        "doubt": _doubt_as_json(change.doubt),
        "poll": change.poll or None,
        "evidence": None if change.evidence is None else change.evidence.value,
        "settled": False,
    }


def as_change(row: Row[Any]) -> Change:
    """Return the change of a row of the table."""
    return Change(
        id=row.id,
        group_guid=row.group_guid,
        user_guid=row.user_guid,
        genesys_user_id=row.genesys_user_id,
        action=Action(row.action),
        observed_at=row.observed_at,
        observed_after=row.observed_after,
        changed_at=row.changed_at,
        origin=row.origin,
        path=tuple(row.path),
        status=None if row.status is None else Status(row.status),
        settled_by=None if row.settled_run_id is None else str(RunKey(row.settled_dag_id, row.settled_run_id)),
        held_reason=None if row.held_reason is None else Reason(row.held_reason),
        trusted_dc=row.trusted_dc,
        doubt=None if row.doubt is None else _DOUBT.validate_python(row.doubt),
        poll=row.poll or 0,
        evidence=None if row.evidence is None else Evidence(row.evidence),
        over_limit=row.over_limit,
    )


def _as_outcome(row: Row[Any]) -> Outcome:
    return Outcome(
        status=Status(row.status),
        reason=None if row.reason is None else Reason(row.reason),
        dag_id=row.dag_id,
        run_id=row.run_id,
        attempt=row.attempt,
        http_code=row.http_code,
        correlation_id=row.correlation_id,
        error=row.error,
        at=row.at,
        genesys_group_id=row.genesys_group_id,
    )


def _doubt_as_json(doubt: Doubt | None) -> dict[str, Any] | None:
    return None if doubt is None else _DOUBT.dump_python(doubt, mode="json")
