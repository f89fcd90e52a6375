"""Other readers of the journal, as far as its place shows them.

The place shows the rights of the file and TLS to the database.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import URL

from genesys_ad_sync.this_machine import is_loopback, is_open_to_others

_WITHOUT_TLS = ("disable", "allow", "prefer")
"""Values of libpq's sslmode that accept a connection without TLS. `prefer` is its default."""


def warnings_of(address: URL, name: str) -> tuple[str, ...]:
    """Return what should be changed about the place of a journal, without its password."""
    if address.get_backend_name() == "sqlite":
        return _of_file(Path(str(address.database)))
    hosts = _remote_hosts(address)
    mode = str(address.query.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer")
    if not hosts or mode not in _WITHOUT_TLS or "service" in address.query:
        return ()
    return (
        f"the journal ({name}) is reached with sslmode={mode}, so names and the password may cross the network "
        "unencrypted. Add sslmode=verify-full and sslrootcert to the connection group_sync_journal",
    )


def _of_file(path: Path) -> tuple[str, ...]:
    if not is_open_to_others(path):  # SQLite gives its rights to the files beside it
        return ()
    return (
        f"everybody on this machine may read the journal ({path}): it holds names, mail addresses and who lost access. "
        f"Take the right away (chmod go-rwx '{path}'*)",
    )


def _remote_hosts(address: URL) -> list[str]:
    """Return the hosts that are not this machine. A path is a local socket."""
    given = [address.host, address.query.get("host"), address.query.get("hostaddr")]
    texts = [text for value in given if value for text in ([value] if isinstance(value, str) else value)]
    hosts = [host.strip() for text in texts for host in text.split(",")] or [os.environ.get("PGHOST", "")]
    return [host for host in hosts if host and not host.startswith(("/", "@")) and not is_loopback(host)]
