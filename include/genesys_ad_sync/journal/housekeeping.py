"""Forget settled changes and the large values of ended runs.

Note when that was last done.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, exists, or_, select, true

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, upsert
from genesys_ad_sync.journal.facts import forget_contents
from genesys_ad_sync.journal.figures import FULL_RUNS_SEARCHED
from genesys_ad_sync.journal.full_looks import ended_in_full, full_looks, last_complete_look

EVERY = timedelta(days=1)
LARGE_VALUES_KEPT = timedelta(days=1)
"""How long a run's `LARGE_FACTS` are kept after its end, where they are large. A cleared task may need them."""

LARGE_FACTS = ("mapping", "matches", "whole", "compared")
"""The facts that grow with the number of groups or people: the mapping, the matches, the groups compared in full."""

FACTS_OF_A_LISTING = ("versions", "group_names")
"""The facts that a run can do without: a task that is cleared later sends a few requests more.

The versions of Genesys groups differ after each run that changed one: 215 KB with 5,000 groups.
"""

CHANGES_KEPT = timedelta(days=180)
"""The least time for which a settled change is kept: AD's tombstone lifetime.

A domain controller that lags behind may show the state before it for as long.
"""

CHANGES_AT_A_TIME = 5000
"""Changes that one transaction deletes. Others may write between two."""

_RUN = tables.run.c
_CHANGE = tables.change.c
_OUTCOME = tables.outcome.c
_FACT = tables.fact.c
_RESULT = tables.group_result.c
_DONE = tables.housekeeping.c


class Housekeeping(DefinitionStore):
    """What the definition need not know any more."""

    def is_due(self, dag_id: str, at: datetime) -> bool:
        """Return True if the runs of that DAG have forgotten nothing for a day."""
        statement = select(_DONE.done_at).where(_DONE.definition == self._definition, _DONE.dag_id == dag_id)
        with self._database.reading() as connection:
            done_at = connection.execute(statement).scalar()
        return done_at is None or not done_at <= at < done_at + EVERY  # a clock may have been wrong

    def note_done(self, dag_id: str, at: datetime) -> None:
        """Note that it is done for a day."""
        with self._database.writing() as connection:
            upsert(
                connection,
                tables.housekeeping,
                [{"definition": self._definition, "dag_id": dag_id, "done_at": at}],
            )

    def forget_large_values(self, at: datetime) -> int:
        """Delete the large values of runs that ended a day ago; return their number.

        The `LARGE_FACTS` of the last complete look in mode full and of later runs stay: `plan --offline` goes by them.
        Results by Genesys group go with the mapping, see `_forget_figures`.
        """
        with self._database.writing() as connection:
            look = last_complete_look(connection, self._definition)
            ended = select(_RUN.id).where(
                _RUN.definition == self._definition, _RUN.finished_at < at - LARGE_VALUES_KEPT
            )
            before_look = true() if look is None else _FACT.run < look.id
            forgotten = connection.execute(
                delete(tables.fact).where(
                    _FACT.content.is_not(None),
                    _FACT.run.in_(ended),
                    or_(_FACT.key.in_(FACTS_OF_A_LISTING), _FACT.key.in_(LARGE_FACTS) & before_look),
                )
            ).rowcount
            if forgotten:
                forget_contents(connection)
            self._forget_figures(connection, at)
            return forgotten

    def _forget_figures(self, connection: Connection, at: datetime) -> None:
        """Delete the results by Genesys group of old runs in mode full.

        A run of 5,000 groups has 2 MB of them. Old: it ended more than a day ago.
        Those of the newest runs stay, in which pages and command line look for the members of a group. So do those of a
        run whose report can still be written again, because its mapping is there.
        """
        searched = full_looks(self._definition).with_only_columns(_RUN.id).limit(FULL_RUNS_SEARCHED)
        mapped = exists().where(_FACT.run == _RUN.id, _FACT.key == "mapping")
        ended = select(_RUN.id).where(
            *ended_in_full(self._definition),
            _RUN.finished_at < at - LARGE_VALUES_KEPT,
            _RUN.id.not_in(searched),
            ~mapped,
        )
        connection.execute(delete(tables.group_result).where(_RESULT.run.in_(ended)))

    def forget_changes(self, before: datetime, at: datetime) -> int:
        """Delete settled changes with their outcomes; return their number.

        Only such that were seen and dealt with before then, and at least `CHANGES_KEPT` ago. Those of an AD group whose
        emptiness a person has confirmed stay: its newest addition says whether that still holds.
        """
        before = min(before, at - CHANGES_KEPT)
        forgotten = 0
        while ids := self._settled(before):
            with self._database.writing() as connection:
                for chunk in chunks(ids):
                    connection.execute(delete(tables.outcome).where(_OUTCOME.change_id.in_(chunk)))
                    connection.execute(delete(tables.change).where(_CHANGE.id.in_(chunk)))
            forgotten += len(ids)
        return forgotten

    def _settled(self, before: datetime) -> Collection[int]:
        pair = tables.pair.c
        confirmed = select(pair.group_guid).where(
            pair.definition == self._definition, pair.empty_confirmed_change.is_not(None)
        )
        later = exists().where(_OUTCOME.change_id == _CHANGE.id, _OUTCOME.at >= before)
        statement = (
            select(_CHANGE.id)
            .where(
                _CHANGE.definition == self._definition,
                _CHANGE.observed_at < before,
                _CHANGE.settled,
                _CHANGE.group_guid.not_in(confirmed),
                ~later,
            )
            .limit(CHANGES_AT_A_TIME)
        )
        with self._database.reading() as connection:
            return connection.scalars(statement).all()
