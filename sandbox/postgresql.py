"""A throwaway PostgreSQL cluster with password authentication, which can be stopped and started again.

The server refuses to run as root, so then it runs as user ``postgres``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, create_engine, text

from sandbox.ports import reserve_port

if TYPE_CHECKING:
    from types import TracebackType

USER = "journal"
_PASSWORD = "correct horse"
_START_SECONDS = 300.0
_TRIES_FOR_A_PORT = 10


class PostgresqlError(RuntimeError):
    """PostgreSQL is not installed, or did not start. The text says which."""


class PostgresqlServer:
    """A cluster in a folder of its own. A context manager: leaving it ends the server and removes the folder."""

    def __init__(self, *settings: str) -> None:
        """Make the cluster.

        :param settings: of the server, such as ``max_connections=200``.
        """
        self._binaries = find_binaries()
        self._settings = settings
        self._as_user: dict[str, Any] = (
            {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        )
        self._folder = Path(tempfile.mkdtemp(prefix="journal-postgresql-"))
        self._server: subprocess.Popen[bytes] | None = None
        self._port: int | None = None
        password_file = self._folder / "password"
        password_file.write_text(_PASSWORD)
        if self._as_user:
            shutil.chown(self._folder, "postgres", "postgres")
            shutil.chown(password_file, "postgres", "postgres")
        subprocess.run(
            [
                *(self._binaries / "initdb", "-D", self._folder / "data", "-U", USER, "--auth=scram-sha-256"),
                *(f"--pwfile={password_file}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            cwd=self._folder,
            check=True,
            capture_output=True,
            **self._as_user,
        )

    def start(self) -> PostgresqlServer:
        """Start the server, on its former port if it had one.

        Another process may take a new port first: then the next one is tried. Raises PostgresqlError.
        """
        for _ in range(_TRIES_FOR_A_PORT):
            port = self._port or reserve_port()
            server = self._spawn(port)
            if self._is_ready(port, server):
                self._server, self._port = server, port
                return self
            server.kill()
            server.wait()
            if "Address already in use" not in self._log.read_text():
                break
        raise PostgresqlError(f"PostgreSQL did not start:\n{self._log.read_text()}")

    def stop(self) -> None:
        """End the server and all its connections at once: PostgreSQL's "fast shutdown"."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(timeout=300)
            self._server = None

    def url(self, database: str = "postgres") -> URL:
        return URL.create("postgresql+psycopg2", USER, _PASSWORD, "127.0.0.1", self._port, database)

    def create_database(self, name: str) -> URL:
        """Make an empty database and return its URL."""
        engine = create_engine(self.url(), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(f"CREATE DATABASE {name}"))
        finally:
            engine.dispose()
        return self.url(name)

    def __enter__(self) -> PostgresqlServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        settings = ("fsync=off", "listen_addresses=127.0.0.1", f"unix_socket_directories={self._folder}")
        options = [word for setting in (*settings, *self._settings) for word in ("-c", setting)]
        setpriv = shutil.which("setpriv")
        keeper = [setpriv, "--pdeathsig", "INT"] if setpriv else []  # it ends with this process, however that ends
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [*keeper, self._binaries / "postgres", "-D", self._folder / "data", "-p", str(port), *options],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                **self._as_user,
            )

    def _is_ready(self, port: int, server: subprocess.Popen[bytes]) -> bool:
        """Wait until the server answers; False when it ended or did not answer in time."""
        deadline = time.monotonic() + _START_SECONDS
        asked: list[str | Path] = [self._binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        while server.poll() is None and time.monotonic() < deadline:
            if subprocess.run(asked, capture_output=True, check=False).returncode == 0:
                return server.poll() is None  # else it was the server of somebody else that answered
            time.sleep(0.05)
        return False


def find_binaries() -> Path:
    """Return the folder of the newest installed PostgreSQL. Raises PostgresqlError if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise PostgresqlError("PostgreSQL is not installed (Debian: postgresql)")
    return found[-1].parent
