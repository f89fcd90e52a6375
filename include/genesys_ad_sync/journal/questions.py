"""What persons are asked about, what they said, and what follows for later runs. Knows nothing of Airflow's form.

A question is about rows of a plan, known by their key (Genesys group, person, action): two runs with the same row ask
once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Database, chunks, upsert
from genesys_ad_sync.model import Decision, Reason, RunKey

_QUESTION = tables.question.c
_CHANGE = tables.change.c
_RESTORED = tables.restored.c


class Questions:
    """Part of ``Journal``."""

    _database: Database

    def ask(
        self, definition: str, key: RunKey, subjects: Mapping[str, Sequence[int]], *, at: datetime, until: datetime
    ) -> set[str]:
        """Opens questions about these rows (key -> ids of their changes), but for those about which another run is
        asking. Gives the rows about which this run asks now; its own open questions are replaced.

        :param until: unanswered by then, they may be asked again.
        """
        with self._database.writing() as connection:
            connection.execute(
                delete(tables.question).where(
                    _QUESTION.dag_id == key.dag_id, _QUESTION.run_id == key.run_id, _QUESTION.closed_at.is_(None)
                )
            )
            elsewhere = _open(connection, definition, at)
            mine = {subject: ids for subject, ids in subjects.items() if subject not in elsewhere}
            if mine:
                connection.execute(
                    insert(tables.question),
                    [
                        {
                            "definition": definition,
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

    def being_asked(self, definition: str, now: datetime, *, but_not_by: RunKey | None = None) -> dict[str, RunKey]:
        """The rows about which somebody may still answer, with the run that asks."""
        with self._database.reading() as connection:
            found = _open(connection, definition, now)
        return {subject: asker for subject, asker in found.items() if asker != but_not_by}

    def close_question(self, key: RunKey, decisions: Mapping[str, Decision], *, by: str | None, at: datetime) -> None:
        """What became of the open questions of a run; those that are not named went unanswered.

        The changes of a rejected row are held from now on, until AD changes that pair or ``release`` opens them again.
        """
        with self._database.writing() as connection:
            still_open = connection.execute(
                select(tables.question).where(
                    _QUESTION.dag_id == key.dag_id, _QUESTION.run_id == key.run_id, _QUESTION.closed_at.is_(None)
                )
            ).all()
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

    def has_asked(self, definition: str, key: RunKey) -> bool:
        """That run asked a person about something, whatever the answer. Questions outlive ``forget_runs``."""
        asked = (_QUESTION.definition == definition, _QUESTION.dag_id == key.dag_id, _QUESTION.run_id == key.run_id)
        with self._database.reading() as connection:
            return connection.execute(select(_QUESTION.id).where(*asked)).first() is not None

    def reopen_rejected(self, definition: str, key: RunKey) -> int:
        """What was rejected in that run may be planned again. Gives the number of rows."""
        with self._database.writing() as connection:
            rejected = connection.execute(
                select(tables.question).where(
                    _QUESTION.definition == definition,
                    _QUESTION.dag_id == key.dag_id,
                    _QUESTION.run_id == key.run_id,
                    _QUESTION.decision == Decision.REJECTED.value,
                )
            ).all()
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

    # -- a journal that was lost or restored --

    def note_restored(self, at: datetime) -> None:
        """This journal is older than the reports: it takes an id of its own, and every definition is distrusted."""
        with self._database.writing() as connection:
            connection.execute(update(tables.meta).values(journal_id=tables.new_id()))
            definitions = {
                *connection.scalars(select(tables.cursor.c.definition)),
                *connection.scalars(select(tables.pair.c.definition)),
            }
            _distrust(connection, definitions, at)

    def distrust(self, definition: str, at: datetime) -> None:
        """This journal is not the one with which that definition wrote its reports: its baselines are void, and its
        removals need approval until ``trust_again``."""
        with self._database.writing() as connection:
            _distrust(connection, {definition}, at)

    def distrusts(self, definition: str) -> bool:
        """Removals of this definition need approval, because the journal was lost or restored."""
        with self._database.reading() as connection:
            return (
                connection.execute(select(_RESTORED.since).where(_RESTORED.definition == definition)).first()
                is not None
            )

    def trust_again(self, definition: str) -> None:
        """Everything was compared as a whole, and no removal is left that waits for approval because of that."""
        with self._database.writing() as connection:
            connection.execute(delete(tables.restored).where(_RESTORED.definition == definition))


def _distrust(connection: Connection, definitions: Collection[str], at: datetime) -> None:
    void = update(tables.pair).values(baseline_at=None, baseline_run_id=None, baseline_dag_id=None)
    connection.execute(void.where(tables.pair.c.definition.in_(definitions)))
    upsert(connection, tables.restored, [{"definition": name, "since": at} for name in sorted(definitions)])


def _open(connection: Connection, definition: str, now: datetime) -> dict[str, RunKey]:
    found = connection.execute(
        select(_QUESTION.subject, _QUESTION.dag_id, _QUESTION.run_id).where(
            _QUESTION.definition == definition, _QUESTION.closed_at.is_(None), _QUESTION.expires_at > now
        )
    )
    return {row.subject: RunKey(row.dag_id, row.run_id) for row in found}


def _set_held_reason(connection: Connection, change_ids: Collection[int], reason: Reason) -> None:
    values: dict[str, Any] = {"held_reason": reason.value}
    for chunk in chunks(set(change_ids)):
        connection.execute(update(tables.change).where(_CHANGE.id.in_(chunk), ~_CHANGE.settled).values(values))
