"""Files below the folder of reports, on a local disk or in a bucket.

The folder is anything with pathlib's interface: `pathlib.Path`, or Airflow's `ObjectStoragePath` for a bucket.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from genesys_ad_sync.errors import ReportPathError
from genesys_ad_sync.this_machine import local_path, make_folder, write_file

StorePath = Any
"""`pathlib.Path`, `upath.UPath` or `airflow.sdk.ObjectStoragePath`. They have no type in common: the last two are
not `pathlib.Path`s, and upath's protocols differ between its releases."""

BUCKET_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "wasb", "wasbs", "oss", "oci", "r2"})
"""Schemes of stores without folders. To make one there would create a bucket that somebody else should own."""


class ReportFiles:
    """The folder of reports, and how files get there.

    ``mode``: rights of the files on a local disk; folders that are made get rights to match.
    ``token`` returns a different short text at each call, for the names of temporary files.
    """

    def __init__(
        self, base: StorePath, *, mode: int = 0o600, token: Callable[[], str] = lambda: uuid.uuid4().hex[:12]
    ) -> None:
        self._base = base
        self._mode = mode
        self._token = token

    @property
    def place(self) -> str:
        """The folder or bucket, for messages."""
        return str(self._base)

    def _make_folder(self, folder: StorePath) -> None:
        local = local_path(folder)
        if local is not None:
            make_folder(local, self._mode)
        elif folder.protocol not in BUCKET_STORES:
            folder.mkdir(parents=True, exist_ok=True)

    def _write(self, path: StorePath, content: bytes) -> None:
        local = local_path(path)
        if local is None:
            path.write_bytes(content)
        else:
            write_file(local, content, self._mode)

    def _put(self, path: StorePath, content: bytes) -> None:
        if local_path(path) is None:
            path.write_bytes(content)
            return
        temporary = path.parent / f".{path.name}.{self._token()}.tmp"
        try:
            self._write(temporary, content)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    @contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        try:
            yield
        except ReportPathError:
            raise
        except Exception as error:
            # Each driver raises the errors of its own library (botocore's, google's, azure's). They have no base in
            # common but this one, and cannot be named here, because the drivers are optional. The cause is kept.
            raise ReportPathError(
                f"Reports cannot be {what} {self._base}: {type(error).__name__}: {error}. "
                "Set report.path of the sync definition to a folder, or to a bucket that exists. "
                "Airflow's workers must have the right to list, read and write there."
            ) from error


def read_content(path: StorePath) -> bytes:
    """Return the content of a file; from a bucket, by one request.

    To open the file would take two, and s3fs raises FileExpired if another task replaces the file between them.
    Raises FileNotFoundError, or another error of the store.
    """
    return bytes(path.read_bytes() if local_path(path) is not None else path.fs.cat_file(path.path))


def to_json(content: Mapping[str, Any]) -> bytes:
    """Return a document as the bytes of a file."""
    # A half surrogate (bytes of a name that are not UTF-8) becomes its JSON escape instead of an error.
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False).encode("utf-8", errors="backslashreplace")
