"""Store what approvers are asked, their decisions, and what these mean for later runs.

A question is about a row of a plan, known by the row's key (Genesys group, person, action): two runs with the same
row ask once. Nothing here knows the form in which Airflow asks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks
from genesys_ad_sync.model import Decision, Reason, RunKey

_QUESTION = tables.question.c
_CHANGE = tables.change.c


class Questions(DefinitionStore):
    """The approval requests of the definition's runs."""

    def open(self, key: RunKey, subjects: Mapping[str, Sequence[int]], *, at: datetime, until: datetime) -> set[str]:
        """Open questions of a run about rows, and return the keys of the rows that it asks about now.

        Rows that another run is already asking about are left out. The run's own open questions are replaced.

        :param subjects: row key -> ids of the row's changes.
        :param until: from then on, an unanswered question may be asked again.
        """
        with self._database.writing() as connection:
            connection.execute(delete(tables.question).where(*_open_of_run(key)))
            elsewhere = self._open(connection, at)
            mine = {subject: ids for subject, ids in subjects.items() if subject not in elsewhere}
            if mine:
                connection.execute(
                    insert(tables.question),
                    [
                        {
                            "definition": self._definition,
                            "subject": subject,
                            "change_ids": list(change_ids),
                            "dag_id": key.dag_id,
                            "run_id": key.run_id,
                            "asked_at": at,
                            "expires_at": until,
                        }
                        for subject, change_ids in mine.items()
                    ],
                )
            return set(mine)

    def open_elsewhere(self, now: datetime, *, exclude: RunKey | None = None) -> dict[str, RunKey]:
        """Return the rows whose question may still be answered, with the run that asks.

        :param exclude: a run whose questions are left out.
        """
        with self._database.reading() as connection:
            questions = self._open(connection, now)
        return {subject: asker for subject, asker in questions.items() if asker != exclude}

    def close(self, key: RunKey, decisions: Mapping[str, Decision], *, by: str | None, at: datetime) -> None:
        """Close the open questions of a run; those without a decision went unanswered.

        The changes of a rejected row are held until AD changes that membership or ``reopen_rejected`` frees them.
        """
        with self._database.writing() as connection:
            still_open = connection.execute(select(tables.question).where(*_open_of_run(key))).all()
            rejected: list[int] = []
            for question in still_open:
                decision = decisions.get(question.subject, Decision.UNANSWERED)
                connection.execute(
                    update(tables.question)
                    .where(_QUESTION.id == question.id)
                    .values(closed_at=at, decision=decision.value, decided_by=by)
                )
                if decision is Decision.REJECTED:
                    rejected += question.change_ids
            _set_held_reason(connection, rejected, Reason.REJECTED)

    def exists(self, key: RunKey) -> bool:
        """Return whether that run asked anything, whatever the answer.

        Questions are kept when ``runs.forget`` deletes their run.
        """
        statement = select(_QUESTION.id).where(*self._of_run(key))
        with self._database.reading() as connection:
            return connection.execute(statement).first() is not None

    def reopen_rejected(self, key: RunKey) -> int:
        """Let what was rejected in that run be planned again; return the number of rows."""
        rejected_ones = (*self._of_run(key), _QUESTION.decision == Decision.REJECTED.value)
        with self._database.writing() as connection:
            rejected = connection.execute(select(tables.question).where(*rejected_ones)).all()
            ids = {change_id for question in rejected for change_id in question.change_ids}
            for chunk in chunks(ids):
                connection.execute(
                    update(tables.change)
                    .where(_CHANGE.id.in_(chunk), _CHANGE.held_reason == Reason.REJECTED.value)
                    .values(held_reason=None)
                )
            for question in rejected:
                connection.execute(
                    update(tables.question).where(_QUESTION.id == question.id).values(decision=Decision.RELEASED.value)
                )
            return len(rejected)

    def _of_run(self, key: RunKey) -> tuple[ColumnElement[bool], ...]:
        return _QUESTION.definition == self._definition, *_run(key)

    def _open(self, connection: Connection, now: datetime) -> dict[str, RunKey]:
        rows = connection.execute(
            select(_QUESTION.subject, _QUESTION.dag_id, _QUESTION.run_id).where(
                _QUESTION.definition == self._definition, _QUESTION.closed_at.is_(None), _QUESTION.expires_at > now
            )
        )
        return {row.subject: RunKey(row.dag_id, row.run_id) for row in rows}


def _run(key: RunKey) -> tuple[ColumnElement[bool], ...]:
    return _QUESTION.dag_id == key.dag_id, _QUESTION.run_id == key.run_id


def _open_of_run(key: RunKey) -> tuple[ColumnElement[bool], ...]:
    return *_run(key), _QUESTION.closed_at.is_(None)


def _set_held_reason(connection: Connection, change_ids: Collection[int], reason: Reason) -> None:
    values: dict[str, Any] = {"held_reason": reason.value}
    for chunk in chunks(set(change_ids)):
        connection.execute(update(tables.change).where(_CHANGE.id.in_(chunk), ~_CHANGE.settled).values(values))
