"""Answer what pages list, a piece at a time: runs, rows, what waits.

Every answer is a bounded piece, so that a page is as fast in a large journal as in a small one. Nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, FromClause, and_, exists, false, func, or_, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store, chunks
from genesys_ad_sync.journal.figures import GROUP_RESULT
from genesys_ad_sync.journal.lookup_columns import NEWEST_REASON
from genesys_ad_sync.journal.runs import as_run
from genesys_ad_sync.journal.stored_row import row_from_json
from genesys_ad_sync.model import Action, GroupResult, Guid, Row, RunKey, RunRecord, Status

_RUN = tables.run.c
_ROW = tables.row.c
_LINK = tables.link.c
_PAIR = tables.pair.c
_GRANT = tables.grant.c
_CHANGE = tables.change.c
_RESULT = tables.group_result.c
_OUTCOME = tables.outcome.c
_QUESTION = tables.question.c

MOST_COUNTED = 1000
"""Memberships of a retired pair that are counted. Nobody needs to know more exactly what to look at."""


@dataclass(frozen=True)
class RunFilter:
    """Which runs are listed. None, or an empty text: whatever it is.

    ``definitions``, ``dag_ids``: only of these, which is what the viewer may see. ``state``: as the journal has it;
    ``open``: not ended. ``run_id``: a part of the run id.
    """

    definitions: Collection[str]
    dag_ids: Collection[str]
    mode: str | None = None
    dry_run: bool | None = None
    state: str | None = None
    run_id: str = ""


@dataclass(frozen=True)
class WaitingKind:
    """Unsettled changes of one status and reason.

    ``new``: how many of them no run had listed before ``new_since``. ``since``: the oldest of them.
    """

    status: str | None
    reason: str | None
    count: int
    new: int
    since: datetime


@dataclass(frozen=True)
class WaitingChange:
    """An unsettled change, with the run of its newest outcome."""

    id: int
    action: Action
    group_guid: Guid
    user_guid: Guid | None
    genesys_user_id: str | None
    since: datetime
    last_run: tuple[RunKey, int] | None


@dataclass(frozen=True)
class Answered:
    """Rows of a run about which persons were asked, and had the same answer.

    ``decision`` None: no answer yet.
    """

    decision: str | None
    by: str | None
    asked_at: datetime
    until: datetime
    closed_at: datetime | None
    count: int


@dataclass(frozen=True)
class LeftBehind:
    """A pair that no rule makes any more.

    ``grants``: the memberships that AD still owns through it; one more than `MOST_COUNTED` means: more than so many.
    """

    group_guid: Guid
    genesys_group_id: str
    genesys_group_name: str
    until: datetime | None
    grants: int


class Listings(Store):
    """Pieces of what the journal knows of all sync definitions."""

    # -- runs -----------------------------------------------------------------------------------------

    def runs(self, wanted: RunFilter, *, before: int | None = None, limit: int) -> list[RunRecord]:
        """Return attempts of runs, the newest first.

        :param before: `RunRecord.id` of the last one of the piece before; None: from the newest on.
        """
        statement = select(tables.run).where(*_of(wanted)).order_by(_RUN.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(_RUN.id < before)
        with self._database.reading() as connection:
            return [as_run(row) for row in connection.execute(statement)]

    def rows(
        self, run: RunRecord, *, status: str | None = None, group: str | None = None, after: str = "", limit: int
    ) -> list[Row]:
        """Return rows of an attempt by Genesys group and person.

        :param group: only of this Genesys group.
        :param after: key of the last row of the piece before.
        """
        statement = select(_ROW.data).where(_ROW.run == run.id, _ROW.replaced == 0, _ROW.key > after)
        if status is not None:
            statement = statement.where(_ROW.status == status)
        if group is not None:
            # No range of keys: PostgreSQL's order of punctuation is that of the database's language.
            statement = statement.where(_ROW.key.startswith(f"{group}:", autoescape=True))
        with self._database.reading() as connection:
            return [row_from_json(data) for data in connection.scalars(statement.order_by(_ROW.key).limit(limit))]

    def results(self, run: RunRecord, genesys_group_ids: Collection[str]) -> dict[str, GroupResult]:
        """Return the figures of these Genesys groups in an attempt, by id."""
        statement = select(_RESULT.data).where(
            _RESULT.run == run.id, _RESULT.genesys_group_id.in_(list(genesys_group_ids))
        )
        with self._database.reading() as connection:
            found = [GROUP_RESULT.validate_python(data) for data in connection.scalars(statement)]
        return {result.genesys_group_id: result for result in found}

    def answers(self, definition: str, key: RunKey) -> list[Answered]:
        """Return what persons were asked by a run, and what they answered."""
        asked = func.min(_QUESTION.asked_at, type_=tables.UtcDateTime())
        expires = func.max(_QUESTION.expires_at, type_=tables.UtcDateTime())
        closed = func.max(_QUESTION.closed_at, type_=tables.UtcDateTime())
        statement = (
            select(_QUESTION.decision, _QUESTION.decided_by, asked, expires, closed, func.count())
            .where(_QUESTION.definition == definition, _QUESTION.dag_id == key.dag_id, _QUESTION.run_id == key.run_id)
            .group_by(_QUESTION.decision, _QUESTION.decided_by)
            .order_by(_QUESTION.decision)
        )
        with self._database.reading() as connection:
            return [Answered(*row) for row in connection.execute(statement)]

    def recorded(self, definition: str, start: datetime, end: datetime) -> Counter[tuple[str, str]]:
        """Count the memberships for which live runs recorded a result within ``[start, end)``.

        By action and status. A membership with the same result in several runs counts once.
        """
        # `+ 0`: else SQLite reads all rows by their run instead of the newest ones by their time
        live = exists().where(_RUN.id == _ROW.run + 0, _RUN.definition == definition, _RUN.dry_run == false())
        statement = (
            select(_ROW.action, _ROW.status, func.count(_ROW.key.distinct()))
            .where(_ROW.recorded_at >= start, _ROW.recorded_at < end, _ROW.replaced == 0, live)
            .group_by(_ROW.action, _ROW.status)
        )
        with self._database.reading() as connection:
            return Counter({(action, status): count for action, status, count in connection.execute(statement)})

    def written(
        self, definition: str, since: datetime, *, approved_from: int, genesys_group_id: str = ""
    ) -> tuple[Counter[Action], Counter[Action]]:
        """Count what runs wrote from then on without approval.

        The first counts are of all groups, the second of that group.
        """
        runs = select(_RUN.id).where(_RUN.definition == definition)
        here = _ROW.key.startswith(f"{genesys_group_id}:", autoescape=True)
        statement = (
            select(_ROW.action, func.count(), func.count().filter(here))
            .where(
                or_(_ROW.lane.is_(None), _ROW.lane < approved_from),
                _ROW.recorded_at >= since,
                and_(_ROW.status == Status.SUCCESS.value, _ROW.settled),
                (_ROW.run + 0).in_(runs),
            )
            .group_by(_ROW.action)
        )
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        everywhere = Counter({Action(action): total for action, total, _ in rows})
        return everywhere, Counter({Action(action): count for action, _, count in rows})

    # -- what waits -----------------------------------------------------------------------------------

    def waiting_kinds(self, definition: str, *, new_since: datetime) -> list[WaitingKind]:
        """Return what no run has settled, by status and reason, unsorted."""
        seen = func.coalesce(_CHANGE.first_seen_at, _CHANGE.observed_at, type_=tables.UtcDateTime())
        columns = (_CHANGE.status, NEWEST_REASON.label("reason"), seen.label("seen"))
        those = select(*columns).where(*_unsettled(definition)).subquery().c
        statement = select(
            those.status,
            those.reason,
            func.count(),
            func.count().filter(those.seen >= new_since),
            func.min(those.seen, type_=tables.UtcDateTime()),
        ).group_by(those.status, those.reason)
        with self._database.reading() as connection:
            return [WaitingKind(*row) for row in connection.execute(statement)]

    def waiting_changes(
        self, definition: str, status: str | None, reason: str | None, *, after: int = 0, limit: int
    ) -> list[WaitingChange]:
        """Return unsettled changes of one status and reason, the oldest first.

        :param after: id of the last one of the piece before.
        """
        # `+ 0`: else PostgreSQL walks all changes in the order of their ids, to be spared a sort of these few
        place = _CHANGE.id + 0
        statement = (
            select(tables.change)
            .where(*_unsettled(definition), place > after)
            .where(_CHANGE.status.is_not_distinct_from(status), NEWEST_REASON.is_not_distinct_from(reason))
            .order_by(place)
            .limit(limit)
        )
        with self._database.reading() as connection:
            changes = connection.execute(statement).all()
            runs = _runs_of_newest_outcomes(connection, [change.id for change in changes])
        return [
            WaitingChange(
                row.id,
                Action(row.action),
                row.group_guid,
                row.user_guid,
                row.genesys_user_id,
                row.first_seen_at or row.observed_at,  # as `waiting_kinds` counts
                runs.get(row.id),
            )
            for row in changes
        ]

    def contradicted(self, definition: str, *, limit: int) -> list[tuple[Guid, str, datetime, tuple[str, ...]]]:
        """Return links that the rules contradict, the oldest first.

        Each is (AD account, its Genesys user, contradicted since, the Genesys users that the rules find).
        """
        statement = (
            select(_LINK.user_guid, _LINK.genesys_user_id, _LINK.contradicted_since, _LINK.others)
            .where(_LINK.definition == definition, _LINK.contradicted_since.is_not(None))
            .order_by(_LINK.contradicted_since, _LINK.user_guid)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [
                (guid, user, since, tuple(others or ())) for guid, user, since, others in connection.execute(statement)
            ]

    def left_behind(self, definition: str, *, limit: int) -> list[LeftBehind]:
        """Return the pairs that no rule makes any more, by name of the Genesys group.

        AD still owns memberships through each.
        """
        columns = (_PAIR.group_guid, _PAIR.genesys_group_id, _PAIR.genesys_group_name, _PAIR.until)
        retired = (_PAIR.definition == definition, _PAIR.active == false())
        # The pairs of the page first: else the memberships of all retired pairs would be counted for it.
        chosen = (
            select(*columns)
            .where(*retired, exists().where(*_owned_through(definition, tables.pair)))
            .order_by(_PAIR.genesys_group_name, _PAIR.genesys_group_id, _PAIR.group_guid)
            .limit(limit)
            .subquery()
        )
        some = select(_GRANT.user_guid).where(*_owned_through(definition, chosen)).limit(MOST_COUNTED + 1)
        count = select(func.count()).select_from(some.correlate(chosen).subquery()).scalar_subquery()
        statement = select(*chosen.c, count.label("grants")).order_by(
            chosen.c.genesys_group_name, chosen.c.genesys_group_id, chosen.c.group_guid
        )
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [
            LeftBehind(row.group_guid, row.genesys_group_id, row.genesys_group_name, row.until, row.grants)
            for row in rows
        ]


def _owned_through(definition: str, pair: FromClause) -> tuple[ColumnElement[bool], ...]:
    return (
        _GRANT.definition == definition,
        _GRANT.genesys_group_id == pair.c.genesys_group_id,
        _GRANT.group_guid == pair.c.group_guid,
        _GRANT.asleep_since.is_(None),
    )


def _of(wanted: RunFilter) -> Sequence[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        _RUN.definition.in_(list(wanted.definitions)),
        _RUN.dag_id.in_(list(wanted.dag_ids)),
    ]
    if wanted.mode:
        conditions.append(_RUN.mode == wanted.mode)
    if wanted.dry_run is not None:
        conditions.append(_RUN.dry_run == wanted.dry_run)
    if wanted.state:
        conditions.append(_RUN.state.is_(None) if wanted.state == "open" else _RUN.state == wanted.state)
    if wanted.run_id:
        conditions.append(_RUN.run_id.contains(wanted.run_id, autoescape=True))
    return conditions


def _unsettled(definition: str) -> tuple[ColumnElement[bool], ...]:
    return _CHANGE.definition == definition, _CHANGE.settled == false()


def _runs_of_newest_outcomes(connection: Connection, ids: Collection[int]) -> dict[int, tuple[RunKey, int]]:
    """Return the attempt of a run that recorded the newest outcome of each change."""
    columns = (_OUTCOME.change_id, _OUTCOME.dag_id, _OUTCOME.run_id, _OUTCOME.attempt)
    return {
        row.change_id: (RunKey(row.dag_id, row.run_id), row.attempt)
        for chunk in chunks(ids)
        for row in connection.execute(
            select(*columns).where(_OUTCOME.change_id.in_(chunk)).order_by(_OUTCOME.change_id, _OUTCOME.id)
        )
    }
