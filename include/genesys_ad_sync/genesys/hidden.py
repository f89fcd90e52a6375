"""Reads a listing whose total counts entities that the client may not see."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from genesys_ad_sync.genesys.errors import IncompleteListing

_T = TypeVar("_T")


def read_visible(
    read: Callable[[], Iterable[dict[str, Any]]], convert: Callable[[dict[str, Any]], _T], tries: int
) -> tuple[list[_T], int]:
    """Return what a listing shows, and how many more its total counts.

    Only if each try shows the same: a listing that changes while it is read is an error. Raises IncompleteListing.
    """
    before: list[str] | None = None
    for number in range(1, tries + 1):
        found: list[dict[str, Any]] = []
        try:
            for entity in read():
                found.append(entity)  # noqa: PERF402  what was read before the error counts
        except IncompleteListing as error:
            shown = sorted(str(entity.get("id")) for entity in found)
            if number == tries and (error.missing is None or shown != before):
                raise
            before, missing = shown, error.missing or 0
        else:
            return [convert(entity) for entity in found], 0
    return [convert(entity) for entity in found], missing
