"""The file of a definition as it is now.

It is for a task that began when the file said something else.
"""

from __future__ import annotations

from pathlib import Path

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.settings.definition import SyncDefinition
from genesys_ad_sync.settings.files import load_definition


class CurrentDefinition:
    """A definition and its file. The file is read again only when it has changed."""

    def __init__(self, definition: SyncDefinition) -> None:
        self._definition = definition
        self._stamp: tuple[int, int, int] | None = None
        self._why_dry: str | None = None

    def why_dry(self) -> str | None:
        """Return why nothing may be written by the definition or by its file.

        None: it may be written. A file that is gone or cannot be read counts as dry: it may say so.
        """
        if self._definition.dry_run:
            return f"the sync definition {self._definition.name} says dry_run: true"
        path = self._definition.file
        if path is None:
            return None
        try:
            status = path.stat()
        except OSError as error:
            return f"{path} cannot be read ({error.strerror})"
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp != self._stamp:
            self._why_dry = _why_dry(path)
            self._stamp = stamp
        return self._why_dry


def _why_dry(path: Path) -> str | None:
    try:
        return f"{path} says dry_run: true" if load_definition(path).dry_run else None
    except SettingsError:
        return f"{path} has an error"
