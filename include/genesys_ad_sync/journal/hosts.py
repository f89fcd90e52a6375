"""A SQLite file has one machine at a time.

SQLite's write-ahead log needs memory that all openers share.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from genesys_ad_sync.errors import JournalOfOtherHost
from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.leases import held_leases
from genesys_ad_sync.this_machine import Host

_RUN = tables.run.c

STILL_IN_USE = timedelta(minutes=10)
"""After the last sign of a run there, another machine may take the file over: a pod that was moved with its volume."""


def refuse_other_host(connection: Connection, name: str, host: Host, now: datetime) -> None:
    """Refuse a file that a run on another machine used within `STILL_IN_USE`.

    :raises JournalOfOtherHost: the text names that host, and from when on this one may open the file.
    """
    last = connection.execute(select(tables.run).order_by(_RUN.id.desc()).limit(1)).first()
    if last is None or last.host is None or host.shares_memory_with(Host(last.host, last.host_boot or "")):
        return
    # a time in the future is a wrong clock, and no sign of life; who writes holds the lease
    signs = [at for at in (last.started_at, last.polled_at, last.finished_at) if at and at <= now + STILL_IN_USE]
    signs += [until for _, until in held_leases(connection, now).values()]
    free_at = max(signs, default=now - STILL_IN_USE) + STILL_IN_USE
    if now < free_at:
        raise JournalOfOtherHost(
            f"The journal ({name}) is a SQLite file that host {last.host} uses, and this is host {host.name}. Two "
            "hosts can damage such a file. Set the connection group_sync_journal to one PostgreSQL database for all "
            f"hosts; on host {last.host}, `genesys-ad-sync journal copy --to URL` moves the journal there. If this "
            f"host has replaced {last.host}, start the next run after {free_at:%H:%M:%S} UTC: it will be accepted."
        )
