"""A line that a check can have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """The texts of a line.

    ``remedy``: for problems and lines that are not proven, if the line has none of its own.
    """

    part: str
    title: str
    meaning: str
    remedy: str


def entries_of(part: str, entries: Mapping[str, tuple[str, str, str]]) -> dict[str, Entry]:
    """Return the entries of one part, from (title, meaning, remedy) by key."""
    return {key: Entry(part, *texts) for key, texts in entries.items()}
