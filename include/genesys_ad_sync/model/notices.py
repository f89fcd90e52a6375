"""The kinds of trouble, and the messages that notify people of them.

They hold ids and counts, never names of people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


class Occasion(str, Enum):
    """Why a message is sent."""

    QUESTION = "question"  # a run asks for approval
    FAILED = "failed"  # a task failed, or changes that had not failed before
    HELD = "held"  # changes that are held, and that this run listed first
    STOPPED = "stopped"  # limits allowed nothing to be written
    SILENT = "silent"  # no run was completed for too long
    RECOVERED = "recovered"  # a run failed, limits stopped it, or a DAG was silent, and that is over


@dataclass(frozen=True)
class Trouble:
    """One trouble, of which each notifier is to send one message.

    - ``key``: equal for the same trouble in later runs.
    - ``lasts``: it lasts until a run shows that it is over. Otherwise it is an event of one run.
    - ``summary``: a short sentence without a full stop.
    """

    occasion: Occasion
    key: str
    summary: str
    lines: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    lasts: bool = False


@dataclass(frozen=True)
class Notice:
    """A message to one notifier, as the journal keeps it.

    ``over``: the trouble has ended, and the message says so. ``error``: why the last try to send it failed.
    """

    id: int
    channel: str
    occasion: Occasion
    key: str
    message: Mapping[str, object]
    noted_at: datetime
    sent_at: datetime | None = None
    over: bool = False
    error: str | None = None
