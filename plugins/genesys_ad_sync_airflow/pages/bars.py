"""Thirty days as bars: where each rectangle of a drawing lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genesys_ad_sync.views.history import Day

WIDTH, HEIGHT = 720, 90
_GAP = 3


@dataclass(frozen=True)
class Bar:
    """A rectangle, in the units of the drawing. ``kind``: its CSS class."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Column:
    """The bars of a day. ``words``: the same in words."""

    words: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Bars:
    """A drawing. ``most``: the largest number in it, as high as the drawing."""

    width: int
    height: int
    most: int
    columns: tuple[Column, ...]


def bars(days: Sequence[Day]) -> Bars:
    """Return the drawing of days: four bars a day, side by side.

    A number above zero is always seen.
    """
    most = max((day.most for day in days), default=0)
    step = WIDTH / max(len(days), 1)
    return Bars(WIDTH, HEIGHT, most, tuple(_column(day, place * step, step, most) for place, day in enumerate(days)))


def _column(day: Day, x: float, step: float, most: int) -> Column:
    numbers = {"success": day.added, "failed": day.removed, "orphaned": day.orphaned, "held": day.held}
    width = (step - _GAP) / len(numbers)
    drawn = []
    for place, (kind, number) in enumerate(numbers.items()):
        height = max(2.0, HEIGHT * number / most) if number else 0.0
        if height:
            drawn.append(Bar(kind, round(x + place * width, 2), round(HEIGHT - height, 2), round(width, 2), height))
    words = (
        f"{day.on:%Y-%m-%d}: {day.added:,} added, {day.removed:,} removed, {day.orphaned:,} orphaned, {day.held:,} held"
    )
    return Column(words, tuple(drawn))
