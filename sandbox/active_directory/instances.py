"""One directory for each domain controller, named after a free loopback address."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import socket
from typing import TYPE_CHECKING

from sandbox.active_directory.constants import INSTANCES_DIR, TRIES_FOR_AN_ADDRESS, SandboxError

if TYPE_CHECKING:
    from pathlib import Path


def new_instance(preferred: str | None = None) -> tuple[Path, str, int]:
    """Make an empty directory, named after a free loopback address.

    Returns (directory, address, file descriptor of its lock). The lock lasts as long as this process. ``preferred``
    is the address if it is free. Raises SandboxError.
    """
    INSTANCES_DIR.mkdir(mode=0o700, exist_ok=True)
    if INSTANCES_DIR.is_symlink() or INSTANCES_DIR.stat().st_uid != os.geteuid():
        raise SandboxError(f"{INSTANCES_DIR} belongs to another user: remove it, or run the sandbox as that user")
    with (INSTANCES_DIR / "allocation").open("w") as allocation:
        fcntl.flock(allocation, fcntl.LOCK_EX)
        _remove_orphans()
        # From 127.64.0.0/10, where hardly anything else listens.
        others = [
            f"127.{random.randint(64, 127)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
            for _ in range(TRIES_FOR_AN_ADDRESS)
        ]
        for address in others if preferred is None else [preferred, *others]:
            path = INSTANCES_DIR / address
            if not path.exists() and _is_free(address):
                lock = _try_lock(lock_path(path))
                if lock is not None:
                    path.mkdir()
                    return path, address, lock
    raise SandboxError(
        "no loopback address (127.64.0.0/10) has its ports 389 and 636 free: "
        "does an LDAP server listen on all addresses?"
    )


def remove_instance(path: Path, lock: int) -> None:
    """Remove what `new_instance` made."""
    shutil.rmtree(path, ignore_errors=True)
    lock_path(path).unlink(missing_ok=True)
    os.close(lock)


def lock_path(instance: Path) -> Path:
    return instance.with_name(f"{instance.name}.lock")


def _remove_orphans() -> None:
    """Remove directories whose owner was killed."""
    for lock_path in INSTANCES_DIR.glob("*.lock"):
        lock = _try_lock(lock_path)
        if lock is not None:
            shutil.rmtree(lock_path.with_suffix(""), ignore_errors=True)
            lock_path.unlink(missing_ok=True)
            os.close(lock)


def _try_lock(path: Path) -> int | None:
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _is_free(address: str) -> bool:
    for port in (389, 636):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True
