"""Changes of effective membership in AD, and the time window of a run.

The run acts on the changes of the window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from genesys_ad_sync.model.directory import Guid, Vector
from genesys_ad_sync.model.outcome import Reason, Status


class Action(str, Enum):
    """What a change asks for."""

    ADD = "add"
    REMOVE = "remove"


class Mode(str, Enum):
    """The way in which a run decides what to act on.

    ``AUTO`` means ``CHANGES`` for pairs with a baseline, else ``FULL``.
    """

    AUTO = "auto"
    CHANGES = "changes"
    FULL = "full"


class Evidence(str, Enum):
    """How a poll learned of a change. See "Reported and seen" in docs/architecture.md."""

    TOLD = "told"  # an incremental DirSync answer named it, and it was news
    SEEN = "seen"  # a reading shows it: AD may not have changed at all
    DOUBTED = "doubted"  # seen on a domain controller that may lag behind


@dataclass(frozen=True)
class Doubt:
    """What is known about a change that is held until Active Directory confirms it.

    - ``vector``: what the journal knew when it recorded the change; None: not known, so that only time counts.
    - ``lacks``: of that, the number of changes that the domain controller read last has not received, by the name of
      the domain controller that made them, or by its invocationId.
    - ``shown_by``: the domain controller that was read last.
    - ``ask``: Active Directory has had its time and cannot say, so a person must.
    """

    vector: Vector | None = None
    lacks: Mapping[str, int] = field(default_factory=dict)
    shown_by: str | None = None
    ask: bool = False


@dataclass(frozen=True)
class Change:
    """An add or remove of a user in an AD group (effective membership, nesting flattened).

    - ``changed_at``: when it happened, if AD records that. Otherwise it happened in (observed_after, observed_at].
    - ``observed_after`` None: no lower bound.
    - ``path``: the guids of the groups from the AD group down to the one whose direct member the user is (was).
    - ``origin`` ``comparison``: found by comparing with Genesys, not by watching AD.
    - ``user_guid`` None: a Genesys member that AD does not know (only with `removals: mirror`); then
      ``genesys_user_id`` is set.
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
    id: int | None = None  # assigned by the journal
    status: Status | None = None  # last outcome; None: no run has acted on it
    settled_by: str | None = None  # DAG id/run id
    held_reason: Reason | None = None  # AD-side reason that forbids it until it is confirmed
    trusted_dc: str | None = None  # the domain controller that can confirm it, while it is doubted
    doubt: Doubt | None = None  # of a held one
    poll: int = 0  # the poll that recorded it; 0: not known
    evidence: Evidence | None = None  # None: no poll found it, or a journal from before it was kept
    over_limit: str | None = None  # the limits that it went over, see `planning.limits.still_over`


@dataclass(frozen=True)
class Window:
    """A window of time, half-open: start <= time < end.

    None: no bound on that side.
    """

    start: datetime | None
    end: datetime | None

    def contains(self, change: Change) -> bool:
        """Tell whether the change happened, or may have happened, in the window.

        - A change with a known time: that time must be in the window.
        - A change that a comparison with Genesys found: its time is that of the comparison.
        - Any other change: its interval (observed_after, observed_at] must overlap the window.
        """
        time = change.observed_at if change.origin == "comparison" else change.changed_at
        if time is not None:
            return (self.start is None or time >= self.start) and (self.end is None or time < self.end)
        begins_in_time = self.end is None or change.observed_after is None or change.observed_after < self.end
        ends_in_time = self.start is None or change.observed_at >= self.start
        return begins_in_time and ends_in_time
