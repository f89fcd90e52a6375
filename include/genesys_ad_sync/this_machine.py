"""This machine: its name, its files and folders, and its own addresses.

Files and folders get rights of their own, whatever the umask. An object store has no such rights: there, they are a
matter of its policies.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_READ, _ENTER = 0o444, 0o111
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Linux makes it at each start. Containers have that of the machine on which they run."""


@dataclass(frozen=True)
class Host:
    """Where a task runs: a machine, a container or a pod.

    - ``name``: as the host calls itself. That of a container changes when it is created again.
    - ``boot``: the same for all containers of one machine until it starts again; empty: not known.
    """

    name: str
    boot: str = ""

    def shares_memory_with(self, other: Host) -> bool:
        """Return True if both are on one machine.

        Then they may use one SQLite file.
        """
        return self.name == other.name or bool(self.boot and self.boot == other.boot)


def this_host() -> Host:
    """Return the host of this process."""
    try:
        boot = _BOOT_ID.read_text().strip()
    except OSError:  # not Linux, or /proc is hidden
        boot = ""
    return Host(socket.gethostname(), boot)


def local_path(path: Any) -> Path | None:
    """Return a path of the local disk; None for an object store.

    :param path: `pathlib.Path`, or Airflow's `ObjectStoragePath`.
    """
    if isinstance(path, Path):
        return path
    return Path(path.path) if getattr(path, "protocol", "") in ("", "file", "local") else None


def folder_mode(file_mode: int) -> int:
    """Return the rights of a folder whose files have ``file_mode``.

    An account that may read the files may list and enter the folder.
    """
    return 0o700 | (file_mode & _READ) | ((file_mode & _READ) >> 2 & _ENTER)


def make_folder(folder: Path, file_mode: int) -> None:
    """Make a folder, and the missing ones above it.

    One that exists keeps its rights: it may be somebody's own.
    """
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        try:
            each.mkdir(mode=0o700)
        except FileExistsError:  # another task made it meanwhile
            continue
        each.chmod(folder_mode(file_mode))


def write_file(path: Path, content: bytes, mode: int) -> None:
    """Write a new file that nobody without the right can read.

    This holds even while the file is written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)


def make_private_file(path: Path) -> None:
    """Make an empty file for this account alone. One that exists stays as it is."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def is_open_to_others(path: Path) -> bool:
    """Return True if other accounts can read a file or list a folder.

    Other accounts are outside the owner's group. The file or folder must exist.
    """
    real = path.resolve()
    return bool(real.stat().st_mode & stat.S_IROTH) and all(
        parent.stat().st_mode & stat.S_IXOTH for parent in real.parents
    )


def is_loopback(host: str) -> bool:
    """Return True if a host is this machine.

    Then nothing sent to it crosses a network.
    """
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
