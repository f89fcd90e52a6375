"""Store the lease: one run at a time writes to a Genesys organisation.

Its fence, a number that grows, shuts out a run that lost the lease without noticing. Each task of the run holds the
lease for itself, until its own expiry. ``now`` is the caller's clock. Callers on several machines must agree to much
less than ``ttl``: they take `Journal.clock`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from genesys_ad_sync.errors import LeaseBusy, LeaseLost
from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store, upsert
from genesys_ad_sync.model import RunKey

_LEASE = tables.lease.c
_HOLDER = tables.lease_holder.c

_LOST = (
    "The lease expired and another run took it. The next run checks against Genesys whatever this task has not "
    "recorded."
)


class Leases(Store):
    """The lease of each Genesys organisation."""

    def acquire(self, organisation: str, run_key: RunKey, task_key: str, *, now: datetime, ttl: timedelta) -> int:
        """Let that task write until ``now + ttl``; return the fence.

        The fence grows whenever another run takes over.

        :raises LeaseBusy: a task of another run holds it and has not expired.
        """
        with self._database.writing() as connection:
            lease = _lease(connection, organisation)
            if lease is not None and _run(lease) == run_key:
                fence = int(lease.fence)
                if not _held_until(connection, organisation, now):
                    _count_up(connection)  # what others have read since this run paused is old again
            else:
                if lease is not None:
                    _refuse_if_held(connection, organisation, lease, now)
                    connection.execute(delete(tables.lease_holder).where(_HOLDER.organisation == organisation))
                _count_up(connection)
                fence = int(connection.execute(select(tables.meta.c.fence_counter)).scalar_one())
                row = {"organisation": organisation, "dag_id": run_key.dag_id, "run_id": run_key.run_id, "fence": fence}
                upsert(connection, tables.lease, [row])
            _hold(connection, organisation, task_key, now + ttl)
            return fence

    def renew(
        self,
        organisation: str,
        run_key: RunKey,
        task_key: str,
        *,
        now: datetime,
        ttl: timedelta,
        fence: int | None = None,
    ) -> None:
        """Let that task write until ``now + ttl``.

        This works even if its lease expired, as long as no other run took it.

        :param fence: as ``acquire`` returned it; proves that no other run had the lease in between.
        :raises LeaseLost: another run took it.
        """
        with self._database.writing() as connection:
            if fence is not None:
                check_fence(connection, fence, organisation)
            lease = _lease(connection, organisation)
            if lease is None or _run(lease) != run_key:
                raise LeaseLost(_LOST)
            if not _held_until(connection, organisation, now):
                _count_up(connection)
            _hold(connection, organisation, task_key, now + ttl)

    def next_fence(self, organisation: str, run_key: RunKey, *, now: datetime) -> int | None:
        """Return the fence under which this run will write if no other run writes first.

        While it stays the same, what was read of Genesys is true but for manual edits. None: another run is writing.
        """
        with self._database.reading() as connection:
            lease = _lease(connection, organisation)
            if lease is not None and _run(lease) == run_key:
                return int(lease.fence)
            if lease is not None:
                try:
                    _refuse_if_held(connection, organisation, lease, now)
                except LeaseBusy:
                    return None
            return int(connection.execute(select(tables.meta.c.fence_counter)).scalar_one()) + 1

    def release(self, organisation: str, run_key: RunKey, task_key: str) -> None:
        """End that task's lease; do nothing if it was lost or released before."""
        with self._database.writing() as connection:
            lease = _lease(connection, organisation)
            if lease is not None and _run(lease) == run_key:
                connection.execute(
                    delete(tables.lease_holder).where(
                        _HOLDER.organisation == organisation, _HOLDER.task_key == task_key
                    )
                )


def held_leases(connection: Connection, now: datetime) -> dict[str, tuple[RunKey, datetime]]:
    """Return the organisations to which a run is writing.

    Each comes with the run and the end of its lease.
    """
    leases = connection.execute(select(tables.lease)).all()
    ends = {lease.organisation: _held_until(connection, lease.organisation, now) for lease in leases}
    return {
        lease.organisation: (_run(lease), until) for lease in leases if (until := ends[lease.organisation]) is not None
    }


def check_fence(connection: Connection, fence: int, organisation: str | None = None) -> None:
    """Check the fence within the transaction that writes.

    :param organisation: default: that of the fence (no two leases have the same).
    :raises LeaseLost: the lease has another fence by now.
    """
    statement = select(_LEASE.organisation).where(_LEASE.fence == fence)
    if organisation is not None:
        statement = statement.where(_LEASE.organisation == organisation)
    if connection.execute(statement).first() is None:
        raise LeaseLost(_LOST)


def _lease(connection: Connection, organisation: str) -> Row[Any] | None:
    return connection.execute(select(tables.lease).where(_LEASE.organisation == organisation)).first()


def _run(lease: Row[Any]) -> RunKey:
    return RunKey(lease.dag_id, lease.run_id)


def _count_up(connection: Connection) -> None:
    connection.execute(update(tables.meta).values(fence_counter=tables.meta.c.fence_counter + 1))


def _held_until(connection: Connection, organisation: str, now: datetime) -> datetime | None:
    until: datetime | None = connection.execute(
        select(func.max(_HOLDER.expires_at)).where(_HOLDER.organisation == organisation, _HOLDER.expires_at > now)
    ).scalar()
    return until


def _refuse_if_held(connection: Connection, organisation: str, lease: Row[Any], now: datetime) -> None:
    if (until := _held_until(connection, organisation, now)) is not None:
        raise LeaseBusy(
            f"Run {lease.run_id} of {lease.dag_id} is writing to Genesys organisation {organisation}; "
            f"its lease ends at {until.isoformat(timespec='seconds')} unless it is renewed."
        )


def _hold(connection: Connection, organisation: str, task_key: str, expires_at: datetime) -> None:
    row = {"organisation": organisation, "task_key": task_key, "expires_at": expires_at}
    upsert(connection, tables.lease_holder, [row])
