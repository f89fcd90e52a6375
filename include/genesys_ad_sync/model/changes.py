"""Changes of effective membership in Active Directory, and the window of time that a run acts on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from genesys_ad_sync.model.directory import Guid
from genesys_ad_sync.model.outcome import Reason, Status


class Action(str, Enum):
    """What a change asks for."""

    ADD = "add"
    REMOVE = "remove"


class Mode(str, Enum):
    """How a run decides what to act on. ``AUTO`` is ``CHANGES`` for pairs with a baseline, else ``FULL``."""

    AUTO = "auto"
    CHANGES = "changes"
    FULL = "full"


@dataclass(frozen=True)
class Change:
    """An add or remove of a person in an AD group (effective membership, nesting flattened).

    ``changed_at``: when AD says it happened, if it says. Else it happened in (observed_after, observed_at].
    ``observed_after`` None: since ever. ``path``: the guids of the groups from the AD group down to the one whose
    direct member the person is (was). ``origin`` ``comparison``: found by comparing with Genesys, not by watching AD.
    ``user_guid`` None: a member whom AD does not know at all (only with `removals: mirror`); then
    ``genesys_user_id`` tells whom.
    """

    group_guid: Guid
    user_guid: Guid | None
    action: Action
    observed_at: datetime
    observed_after: datetime | None = None
    changed_at: datetime | None = None
    origin: str = "poll"  # poll | comparison | metadata (rebuilt from msDS-ReplValueMetaData)
    path: tuple[Guid, ...] = ()
    genesys_user_id: str | None = None
    id: int | None = None  # given by the journal
    status: Status | None = None  # last outcome; None: nobody has acted on it
    settled_by: str | None = None  # DAG id/run id
    held_reason: Reason | None = None  # AD-side reason that forbids it until something proves it
    trusted_dc: str | None = None  # the domain controller whose word would prove it, while it is doubted


@dataclass(frozen=True)
class Window:
    """Half-open: start <= time < end. ``start`` None: since ever."""

    start: datetime | None
    end: datetime | None

    def contains(self, change: Change) -> bool:
        """True if the change's time lies in the window; where AD does not tell the time, if its interval
        (observed_after, observed_at] meets the window. What a comparison with Genesys found is no change of AD: its
        time is that of the comparison."""
        time = change.observed_at if change.origin == "comparison" else change.changed_at
        if time is not None:
            return (self.start is None or time >= self.start) and (self.end is None or time < self.end)
        begins_in_time = self.end is None or change.observed_after is None or change.observed_after < self.end
        ends_in_time = self.start is None or change.observed_at >= self.start
        return begins_in_time and ends_in_time
