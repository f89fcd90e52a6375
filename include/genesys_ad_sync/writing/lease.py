"""The lease of a Genesys organisation: one run at a time writes to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from genesys_ad_sync.errors import LeaseBusy
from genesys_ad_sync.run.context import TaskContext

LEASE_POLL_SECONDS = 5.0
LEASE_RENEWALS_PER_TTL = 10


@dataclass(frozen=True)
class Lease:
    """The right to write.

    ``fence`` grows with each owner, so that an owner that lost it cannot record anything.
    """

    fence: int
    renew: Callable[[], None]


@contextmanager
def hold_lease(task: TaskContext) -> Iterator[Lease]:
    """Wait for the organisation's lease, hold it for the block and release it.

    Raises LeaseBusy if another run holds it for longer than `TaskContext.lease_wait`.
    """
    fence = _acquire(task)
    try:
        yield Lease(fence, _renewer(task, fence))
    finally:
        task.journal.leases.release(task.organisation, task.key, task.task_key)


def _acquire(task: TaskContext) -> int:
    deadline = task.clock() + task.lease_wait
    while True:
        try:
            return task.journal.leases.acquire(
                task.organisation, task.key, task.task_key, now=task.clock(), ttl=task.lease_ttl
            )
        except LeaseBusy as busy:
            if task.clock() >= deadline:
                raise
            task.log(f"waiting: {busy}")
            task.sleep(LEASE_POLL_SECONDS)


def _renewer(task: TaskContext, fence: int) -> Callable[[], None]:
    renewed = task.clock()

    def renew() -> None:
        # No other run can take it before it expires, so not every request needs a transaction.
        nonlocal renewed
        now = task.clock()
        if renewed <= now < renewed + task.lease_ttl / LEASE_RENEWALS_PER_TTL:
            return
        task.journal.leases.renew(task.organisation, task.key, task.task_key, fence=fence, now=now, ttl=task.lease_ttl)
        renewed = now

    return renew
