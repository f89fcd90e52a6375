"""Who else may write a definition: whoever can, decides who is in which Genesys group.

Looked at are the file, its folder, and each folder above it: the account that may rename a folder replaces what is in
it. Where a link leads is looked at, too.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from genesys_ad_sync.errors import SettingsError


def refuse_shared_file(path: Path) -> None:
    """Raise SettingsError if everybody on this machine may write or replace the file."""
    for place in _places(path):
        _refuse(path, place, is_above=place.is_dir())


def refuse_shared_folder(folder: Path) -> None:
    """Raise SettingsError if everybody may put a file into the folder, or replace it.

    The sticky bit of a folder like /tmp does not help: it keeps others from removing files, not from adding them.
    """
    real = _real(folder)
    for place in {folder.absolute(), real}:
        _refuse(folder, place, is_above=False)
    refuse_shared_file(folder)


def _places(path: Path) -> Iterator[Path]:
    """Yield the file or folder and all folders above it.

    They are found by its own path and by where links lead.
    """
    own, real = path.absolute(), _real(path)
    yield real
    yield from dict.fromkeys((*own.parents, *real.parents))


def _real(path: Path) -> Path:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError):  # whoever opens it next reports that better
        return path.absolute()


def _refuse(path: Path, place: Path, *, is_above: bool) -> None:
    try:
        mode = place.stat().st_mode
        read_only = bool(os.statvfs(place).f_flag & os.ST_RDONLY)
    except OSError:
        return
    protected = is_above and mode & stat.S_ISVTX
    if not mode & stat.S_IWOTH or protected or read_only:
        return
    raise SettingsError(
        f"{path}: everybody on this machine may write {place}, and so decide who is in which Genesys group, or run "
        f"code in Airflow. Take the right away (chmod o-w '{place}'), or mount it read-only."
    )
