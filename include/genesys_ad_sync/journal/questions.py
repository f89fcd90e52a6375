"""Store what approvers are asked, their decisions, and what these mean for later runs.

A question is about a row of a plan, known by the row's key (Genesys group, person, action): two runs with the same
row ask once. Nothing here knows the form in which Airflow asks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks
from genesys_ad_sync.model import Decision, Objection, Reason, RowKey, RunKey

_QUESTION = tables.question.c


class Questions(DefinitionStore):
    """The approval requests of the definition's runs."""

    def open(
        self,
        key: RunKey,
        subjects: Mapping[str, Sequence[int]],
        *,
        last_change: int,
        at: datetime,
        until: datetime,
        ended_accounts: Collection[str] = (),
    ) -> set[str]:
        """Open questions of a run about rows; return the keys of the rows asked about.

        Rows that another run is already asking about are left out. The run's own open questions are replaced.

        :param subjects: row key -> ids of the row's changes.
        :param last_change: id of the newest change that the plan considered.
        :param ended_accounts: the row keys among them whose AD account is disabled or deleted already.
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
                            "last_change": last_change,
                            "account_ended": subject in ended_accounts,
                            "asked_at": at,
                            "expires_at": until,
                        }
                        for subject, change_ids in mine.items()
                    ],
                )
            return set(mine)

    def close_abandoned(self, keys: Collection[RunKey], *, at: datetime) -> None:
        """Close the open questions of runs that nobody can answer any more."""
        with self._database.writing() as connection:
            for key in keys:
                connection.execute(
                    update(tables.question)
                    .where(_QUESTION.definition == self._definition, *_open_of_run(key))
                    .values(closed_at=at, decision=Decision.UNANSWERED.value)
                )

    def open_elsewhere(self, now: datetime, *, exclude: RunKey | None = None) -> dict[str, RunKey]:
        """Return the rows whose question may still be answered, with the run that asks.

        :param exclude: a run whose questions are left out.
        """
        with self._database.reading() as connection:
            questions = self._open(connection, now)
        return {subject: asker for subject, asker in questions.items() if asker != exclude}

    def close(self, key: RunKey, decisions: Mapping[str, Decision], *, by: str | None, at: datetime) -> None:
        """Close the open questions of a run; those without a decision went unanswered."""
        with self._database.writing() as connection:
            still_open = connection.execute(select(tables.question).where(*_open_of_run(key))).all()
            for question in still_open:
                decision = decisions.get(question.subject, Decision.UNANSWERED)
                connection.execute(
                    update(tables.question)
                    .where(_QUESTION.id == question.id)
                    .values(closed_at=at, decision=decision.value, decided_by=by)
                )

    def rejections(self) -> dict[str, Objection]:
        """Return the rejected rows, by key, that no later run may ask about again.

        A later run that was allowed to ask again ends the rejection. A question without changes is about a row of an
        undo. Its rejection is about that undo only.
        """
        statement = (
            select(tables.question)
            .where(_QUESTION.definition == self._definition, _QUESTION.decision == Decision.REJECTED.value)
            .order_by(_QUESTION.id)  # the newest one counts
        )
        with self._database.reading() as connection:
            return {
                question.subject: Objection(
                    reason=Reason.REJECTED,
                    run=RunKey(question.dag_id, question.run_id),
                    at=question.closed_at,
                    last_change=question.last_change or max(question.change_ids),
                    by=question.decided_by,
                    action=RowKey.parse(question.subject).action,
                    account_ended=question.account_ended,
                )
                for question in connection.execute(statement)
                if question.change_ids
            }

    def end_rejections(self, subjects: Collection[str]) -> None:
        """Note that AD has changed these memberships since a person rejected the rows."""
        with self._database.writing() as connection:
            for chunk in chunks(subjects):
                connection.execute(
                    update(tables.question)
                    .where(
                        _QUESTION.definition == self._definition,
                        _QUESTION.subject.in_(chunk),
                        _QUESTION.decision == Decision.REJECTED.value,
                    )
                    .values(decision=Decision.OUTDATED.value)
                )

    def exists(self, key: RunKey) -> bool:
        """Return whether that run asked anything, whatever the answer.

        Questions are kept when ``runs.forget`` deletes their run.
        """
        statement = select(_QUESTION.id).where(*self._of_run(key))
        with self._database.reading() as connection:
            return connection.execute(statement).first() is not None

    def reopen_rejected(self, key: RunKey) -> int:
        """Let what was rejected in that run be asked again; return the number of rows.

        The changes are as they were before the answer, with the doubt that they had.
        """
        rejected = (*self._of_run(key), _QUESTION.decision == Decision.REJECTED.value)
        with self._database.writing() as connection:
            return connection.execute(
                update(tables.question).where(*rejected).values(decision=Decision.RELEASED.value)
            ).rowcount

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
