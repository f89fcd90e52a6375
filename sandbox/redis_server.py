"""A throwaway Redis on 127.0.0.1, as a broker for Celery, which can be stopped and started again."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.ports import reserve_port
from sandbox.processes import end_process, start_process

if TYPE_CHECKING:
    from types import TracebackType

_START_SECONDS = 300.0


class RedisError(RuntimeError):
    """Redis did not start. The text has its log."""


class RedisServer:
    """A server that keeps its queues over a restart. A context manager: leaving it ends the server."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sandbox-redis-"))
        self._port = reserve_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> RedisServer:
        """Start the server, and wait until it answers. Raises RedisError."""
        place = ("--bind", "127.0.0.1", "--port", str(self._port), "--dir", str(self._folder))
        # each command is on the disk before it is answered: what is in a queue outlives the server
        kept = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
        with (self._folder / "log").open("ab") as log:
            self._process = start_process(["redis-server", *place, *kept], stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return self
            time.sleep(0.05)
        raise RedisError(f"Redis did not start:\n{(self._folder / 'log').read_text()}")

    def stop(self) -> None:
        if self._process is not None:
            end_process(self._process)
            self._process = None

    def waiting(self, queue: str) -> int:
        """Return how many messages wait in a queue of Celery: those that no worker has taken."""
        return int(self._ask(f"LLEN {queue}").lstrip(b":"))

    def _answers(self) -> bool:
        try:
            return self._ask("PING").startswith(b"+PONG")
        except OSError:
            return False

    def _ask(self, command: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self._port), timeout=5) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(64)

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
