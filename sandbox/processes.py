"""Child processes that do not outlive the one that started them, however it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

END_SECONDS = 10.0


def start_process(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] | None = subprocess.DEVNULL,
    stderr: int | IO[bytes] | None = subprocess.DEVNULL,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a command as the head of a process group of its own.

    It gets SIGTERM when its parent dies, where there is util-linux's `setpriv`.
    """
    setpriv = shutil.which("setpriv")
    keeper = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
    return subprocess.Popen(
        [*keeper, *command],
        env=dict(env) if env is not None else None,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def end_process(process: subprocess.Popen[bytes], seconds: float = END_SECONDS) -> None:
    """End a process group: SIGTERM to its head; after ``seconds``, SIGKILL to all of it."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(seconds)
