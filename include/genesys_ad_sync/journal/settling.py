"""Settle changes: what the rows of a run make of them, once for each change."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import chunks
from genesys_ad_sync.model import SETTLED, Action, Reason, Row, RunKey, RunRecord, Status

_CHANGE = tables.change.c
_OUTCOME = tables.outcome.c

_Said = tuple[str, str | None, int | None, str | None]
"""Status, reason, HTTP status, and the Genesys group in which a change failed: what makes an outcome another one."""


@dataclass(frozen=True)
class Settled:
    """The changes of some rows that were settled before, and the runs that settled them."""

    elsewhere: dict[int, RunKey] = field(default_factory=dict)  # by another run: change id -> run
    earlier: set[int] = field(default_factory=set)  # by an earlier attempt of this run
    done_elsewhere: set[int] = field(default_factory=set)  # those of `elsewhere` that were carried out

    def with_settler(self, row: Row) -> Row:
        """Return the row with the run that settled all its changes before this one could.

        What this run is to write stays its own. So does what it wrote, unless the other run carried out the same.
        """
        others = self.done_elsewhere if row.status is Status.SUCCESS else self.elsewhere.keys()
        if row.status is Status.PLANNED or row.settled_by is not None or not row.change_ids:
            return row
        if not others >= set(row.change_ids):
            return row
        return dataclasses.replace(row, settled_by=str(self.elsewhere[row.change_ids[-1]]))

    def is_own_work(self, row: Row) -> bool:
        """Return whether the row settles something for this run.

        What the run wrote is its work even if another run called the change superseded in the meantime: it counts in
        the limits, and can be undone.
        """
        if row.status not in SETTLED or row.settled_by is not None:
            return row.status in SETTLED
        others = self.done_elsewhere if row.status is Status.SUCCESS else self.elsewhere.keys()
        return not (row.change_ids and others >= set(row.change_ids))


def settled_before(connection: Connection, run: RunRecord, rows: Iterable[Row]) -> Settled:
    """Find the changes of these rows that are settled already.

    Another run, or an earlier attempt of this one, has settled them.

    :raises JournalError: a change is not in the journal.
    """
    ids = {change_id for row in rows for change_id in row.change_ids}
    settled = Settled()
    known: set[int] = set()
    settler_columns = (_CHANGE.settled_dag_id, _CHANGE.settled_run_id, _CHANGE.settled_attempt)
    for chunk in chunks(ids):
        for change in connection.execute(
            select(_CHANGE.id, _CHANGE.status, _CHANGE.settled, *settler_columns).where(_CHANGE.id.in_(chunk))
        ):
            known.add(change.id)
            if not change.settled:
                continue
            settler = RunKey(change.settled_dag_id, change.settled_run_id)
            if settler != run.key:
                settled.elsewhere[change.id] = settler
                if change.status == Status.SUCCESS.value:
                    settled.done_elsewhere.add(change.id)
            elif change.settled_attempt != run.attempt:
                settled.earlier.add(change.id)
    if known != ids:
        raise JournalError(
            f"{len(ids - known)} changes that run {run.key.run_id} worked on are not in the journal. It was replaced "
            "meanwhile: run again in mode full."
        )
    return settled


def write_outcomes(connection: Connection, run: RunRecord, rows: Iterable[Row], settled: Settled, at: datetime) -> None:
    """Add outcomes for changes that the rows settle or leave open; update the changes.

    An outcome like the last one is not stored again. A refusal of the client says nothing about a change.
    """
    others = settled.elsewhere.keys() | settled.earlier
    rows = list(rows)
    note_first_seen(connection, run, {id_ for row in rows for id_ in row.change_ids} - others, at)
    judged = [row for row in rows if row.reason is not Reason.REFUSED_CLIENT]
    of_change = {id_: row for row in judged for id_ in row.change_ids if id_ not in others}
    before = _last_said(connection, [id_ for id_, row in of_change.items() if row.status not in SETTLED])
    outcomes = [_outcome(id_, run, row, at) for id_, row in of_change.items() if before.get(id_, ()) != _said(row)]
    if outcomes:
        connection.execute(insert(tables.outcome), outcomes)
    alike: dict[tuple[Status, bool], list[int]] = {}
    for change_id, row in of_change.items():
        alike.setdefault((row.status, _rests(row)), []).append(change_id)
    for (status, rests), change_ids in alike.items():
        _update_changes(connection, run, change_ids, status, looked_at=at if rests else None)


def _outcome(change_id: int, run: RunRecord, row: Row, at: datetime) -> dict[str, object]:
    status, reason, http_code, group_id = _said(row)
    return {
        "change_id": change_id,
        "dag_id": run.key.dag_id,
        "run_id": run.key.run_id,
        "attempt": run.attempt,
        "status": status,
        "reason": reason,
        "http_code": http_code,
        "correlation_id": row.correlation_id,
        "error": row.error,
        "at": at,
        "genesys_group_id": group_id,
    }


def _said(row: Row) -> _Said:
    group_id = row.genesys_group_id if row.status is Status.FAILED else None
    return row.status.value, None if row.reason is None else row.reason.value, row.http_code, group_id


def _last_said(connection: Connection, change_ids: Collection[int]) -> dict[int, _Said]:
    """Return what the last outcome of each change says; changes without one are missing."""
    found: dict[int, _Said] = {}
    for chunk in chunks(change_ids):
        last = select(func.max(_OUTCOME.id)).where(_OUTCOME.change_id.in_(chunk)).group_by(_OUTCOME.change_id)
        for row in connection.execute(select(tables.outcome).where(_OUTCOME.id.in_(last))):
            found[row.change_id] = row.status, row.reason, row.http_code, row.genesys_group_id
    return found


def _rests(row: Row) -> bool:
    """Return True for a change that waits for something unreported in Genesys or AD.

    Nobody reports it to a run.
    """
    return row.action is Action.ADD and (row.status is Status.ORPHANED or row.reason is Reason.NOT_LOOKED_UP)


def note_first_seen(connection: Connection, run: RunRecord, change_ids: Collection[int], at: datetime) -> None:
    """Note when and by which run these changes were first listed.

    The listing of an earlier run is kept.
    """
    for chunk in chunks(change_ids):
        connection.execute(
            update(tables.change)
            .where(_CHANGE.id.in_(chunk), _CHANGE.first_seen_at.is_(None))
            .values(first_seen_at=at, first_seen_dag_id=run.key.dag_id, first_seen_run_id=run.key.run_id)
        )


def _update_changes(
    connection: Connection, run: RunRecord, change_ids: Collection[int], status: Status, looked_at: datetime | None
) -> None:
    settled = status in SETTLED
    for chunk in chunks(change_ids):
        connection.execute(
            update(tables.change)
            .where(_CHANGE.id.in_(chunk))
            .values(
                status=status.value,
                settled=settled,
                settled_dag_id=run.key.dag_id if settled else None,
                settled_run_id=run.key.run_id if settled else None,
                settled_attempt=run.attempt if settled else None,
                looked_at=looked_at,
            )
        )
