"""Ports, each for one server only, where no listening socket can be passed.

They come from below the range that the kernel uses for outgoing connections, and are locked between processes for as
long as this process lives.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 15_000, 29_999  # Linux uses 32768 and above for outgoing connections
TRIES = 200
_LOCKS_DIR = Path(tempfile.gettempdir()) / f"sandbox-ports-{os.geteuid()}"
_locks: dict[int, int] = {}  # port -> file descriptor that holds its lock


class NoFreePortError(RuntimeError):
    """No port could be reserved. The text says in which range."""


def reserve_port(preferred: int | None = None) -> int:
    """Reserve a TCP port of 127.0.0.1 until this process ends.

    ``preferred`` is returned if it is free. Raises NoFreePortError after 200 tries.
    """
    candidates = [] if preferred is None else [preferred]
    candidates += random.sample(range(FIRST, LAST + 1), TRIES)
    _LOCKS_DIR.mkdir(mode=0o700, exist_ok=True)
    for port in candidates:
        if _lock(port):
            if _is_free(port):
                return port
            release_port(port)
    raise NoFreePortError(f"no free TCP port found between {FIRST} and {LAST} on 127.0.0.1")


def release_port(port: int) -> None:
    """Give a reserved port back; do nothing for a port that is not reserved here."""
    if (lock := _locks.pop(port, None)) is not None:
        os.close(lock)


def _lock(port: int) -> bool:
    if port in _locks:
        return False
    lock = os.open(_LOCKS_DIR / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _locks[port] = lock
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
