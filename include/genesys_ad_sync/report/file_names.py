"""Names of files that come from ids of DAGs and runs, which may hold anything."""

from __future__ import annotations

import hashlib
import re

_LONGEST_NAME = 200
"""File systems take 255 bytes; `.{attempt}.json` and the temporary file's own name come on top."""


def file_stem(name: str) -> str:
    """Return an id as the name of a file.

    An underscore replaces each character that file names do not bear.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    if not stem.strip("."):  # "..", which would leave the folder
        stem = stem.replace(".", "_")
    if len(stem) > _LONGEST_NAME:
        stem = f"{stem[: _LONGEST_NAME - 9]}-{short_hash(name)}"
    return stem


def short_hash(*parts: str) -> str:
    """Return eight hex digits that tell ids apart whose file names are the same."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", errors="surrogatepass")).hexdigest()[:8]
