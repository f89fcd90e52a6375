"""Writes LDAP requests and answers into a folder, one JSON object a line.

The folder has mode 0700, its files 0600. The key of its pseudonyms lies beside it in `FOLDER.key`, never in it: who has
both can test guesses. A recording must never stop what it records.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from genesys_ad_sync.directory.recording.exchange import Exchanges, Json
from genesys_ad_sync.directory.recording.pseudonyms import KEY_BYTES, Pseudonyms
from genesys_ad_sync.directory.recording.values import Values
from genesys_ad_sync.errors import DirectoryError

log = logging.getLogger(__name__)

VARIABLE = "GENESYS_AD_SYNC_RECORD"
SUFFIX = ".jsonl"
_FILE_MODE = stat.S_IRUSR | stat.S_IWUSR


class RecordingError(DirectoryError):
    """The recording cannot be written. The text says why and what to do."""


class RecordingFolder:
    """A folder of recordings, and the key of its pseudonyms."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self.pseudonyms = Pseudonyms(key)

    @classmethod
    def open(cls, path: Path) -> RecordingFolder:
        """Make the folder and its key, or use those of another process.

        Raises RecordingError.
        """
        path = path.absolute()
        try:
            is_new = _make(path)
            _require_private(path)
            return cls(path, _key(path.with_name(f"{path.name}.key"), is_new=is_new))
        except OSError as error:
            raise RecordingError(
                f"Nothing can be recorded in {path} ({error.strerror or type(error).__name__}). {VARIABLE} must name a "
                f"folder that this account may create, on a disk with free space."
            ) from error

    def new_file(self, name: str | None = None) -> RecordingFile:
        """Make a file. ``name``: None for one that no other process uses. Raises OSError."""
        unique = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{os.getpid()}-{secrets.token_hex(4)}"
        return RecordingFile(self.path / f"{name or unique}{SUFFIX}")


def _make(path: Path) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
    except FileExistsError:
        return False
    path.chmod(0o700)  # whatever the umask takes away
    return True


def _require_private(path: Path) -> None:
    found = path.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == stat.S_IRWXU:
        return
    raise RecordingError(
        f"Nothing is recorded in {path}: it must be a folder of this account with mode 0700. Name one that does not "
        f"exist, or run chmod 700 on it."
    )


def _key(path: Path, *, is_new: bool) -> bytes:
    """Return the key of a folder.

    Processes that begin at the same time agree on one key.
    """
    if is_new:  # of another folder that had this name
        path.unlink(missing_ok=True)
    mine = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    try:
        os.fchmod(descriptor, _FILE_MODE)  # whatever the umask takes away
        os.write(descriptor, secrets.token_bytes(KEY_BYTES))
        with suppress(FileExistsError):
            os.link(mine, path)
    finally:
        os.close(descriptor)
        mine.unlink()
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        found, key = os.fstat(descriptor), os.read(descriptor, KEY_BYTES + 1)
    finally:
        os.close(descriptor)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != _FILE_MODE or len(key) != KEY_BYTES:
        raise RecordingError(f"{path} is not the key of a recording that this account has made. Remove it.")
    return key


class RecordingFile:
    """A file of whole lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags, _FILE_MODE), "ab", buffering=0)
        os.fchmod(self._file.fileno(), _FILE_MODE)  # whatever the umask takes away

    def write(self, line: Json) -> None:
        """Append a line in one system call, so that a crash leaves whole lines.

        A full disk may take a part of it: that part is removed again. Raises OSError.
        """
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        before = os.fstat(self._file.fileno()).st_size
        if self._file.write(data) != len(data):
            os.ftruncate(self._file.fileno(), before)
            raise OSError("the disk accepted only part of the line")

    def close(self) -> None:
        self._file.close()


class RecordingConnection:
    """An ldap3 connection that records each search.

    All other calls go to the connection unchanged.
    ``trouble``: why nothing is recorded any more; None while everything is.
    """

    def __init__(self, connection: Any, folder: RecordingFolder, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._folder = folder
        self._exchanges = Exchanges(folder.pseudonyms, Values(folder.pseudonyms, clock))
        self._file: RecordingFile | None = None  # made with the first line
        self._files = 0
        self.trouble: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    @property
    def unrecorded(self) -> Any:
        """Return the connection itself."""
        return self._connection

    def begin(self, name: str) -> None:
        """Go on in a new file of this name, with a number before it.

        If that fails, nothing is recorded any more.
        """
        self._close_file()
        self._files += 1
        try:
            self._file = self._folder.new_file(f"{self._files:02}-{name.replace(' ', '-')}")
        except OSError as error:
            self._give_up(error)

    def unbind(self) -> Any:
        """End the connection and the recording."""
        self._close_file()
        return self._connection.unbind()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def search(self, base: str, ldap_filter: str, scope: str, **options: Any) -> Any:
        """Search as ldap3 does, and record it."""
        began = time.monotonic()
        try:
            answer = self._connection.search(base, ldap_filter, scope, **options)
        except Exception as error:  # whatever ldap3 raises belongs in the recording; it is raised again
            broken = type(error).__name__
            self._record(began, lambda: self._request(base, ldap_filter, scope, options), lambda: {"broken": broken})
            raise
        _, result, response, _ = answer
        self._record(
            began,
            lambda: self._request(base, ldap_filter, scope, options),
            lambda: {"answer": self._exchanges.answer(result, response)},
        )
        return answer

    def _request(self, base: str, ldap_filter: str, scope: str, options: dict[str, Any]) -> Json:
        return self._exchanges.request(base, ldap_filter, scope, options)

    def _record(self, began: float, request: Callable[[], Json], answer: Callable[[], Json]) -> None:
        if self.trouble is not None:
            return
        seconds = round(time.monotonic() - began, 3)
        try:
            if self._file is None:
                self._file = self._folder.new_file()
            self._file.write({"request": request(), **answer(), "seconds": seconds})
        except Exception as error:  # noqa: BLE001  whatever it is, the sync must go on without a recording
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.trouble = type(error).__name__  # its text may hold a name
        log.warning("LDAP answers are no longer recorded: %s", self.trouble)


def recorded(connection: Any) -> Any:
    """Return the connection; one that records if `GENESYS_AD_SYNC_RECORD` names a folder."""
    named = os.environ.get(VARIABLE)
    if not named:
        return connection
    try:
        return RecordingConnection(connection, RecordingFolder.open(Path(named)), lambda: datetime.now(timezone.utc))
    except (RecordingError, OSError) as error:
        log.warning("LDAP answers are not recorded: %s", error)
        return connection
