"""Refusals: changes that Genesys Cloud does not make for now.

A refusal has its subject, and the time when Genesys is asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from genesys_ad_sync.model.changes import Action
from genesys_ad_sync.model.outcome import Reason
from genesys_ad_sync.model.rows import RowKey


class RefusalKind(str, Enum):
    """What a refusal is about."""

    CLIENT = "client"  # every write is refused
    GROUP = "group"  # each change of a Genesys group is refused
    PERSON = "person"  # one membership is refused
    FAILING = "failing"  # no refusal: a Genesys group that cannot be read or written, or where a write has no effect


FAILURES_BEFORE_DELAY = 2
"""Runs in a row in which a group may fail before it is tried less often."""

_FIRST_REFUSAL, _FIRST_FAILURE = timedelta(hours=1), timedelta(minutes=15)
_LONGEST = {
    (RefusalKind.FAILING, None): timedelta(minutes=240),
    (RefusalKind.GROUP, Action.ADD): timedelta(hours=24),
    (RefusalKind.GROUP, Action.REMOVE): timedelta(hours=1),
    (RefusalKind.PERSON, Action.ADD): timedelta(hours=24),
    (RefusalKind.PERSON, Action.REMOVE): timedelta(hours=1),
}


@dataclass(frozen=True)
class Refusal:
    """A refusal as it is known.

    - ``genesys_group_id``, ``person``, ``action``: what it is about, as far as the kind has it. A person is
      known as in `Row.person`.
    - ``reason``, ``http_code``, ``words``: the answer. ``words``: what Genesys says, the same for the same cause.
    - ``times``: runs in a row that met it. ``first_at``, ``last_at``: of the first and the last one.
    - ``run``: the last one, DAG id/run id.
    - ``lifted``: something has changed since, so it is tried at once.
    - ``tried``: of the client's: Genesys groups in which it was met, so that the next run asks in another one.
    - ``listing``: the Genesys group's entry in the listing when it was met, see `listing_entry`.
    """

    kind: RefusalKind
    reason: Reason
    genesys_group_id: str = ""
    person: str = ""
    action: Action | None = None
    http_code: int | None = None
    words: str = ""
    correlation_id: str | None = None
    error: str | None = None
    times: int = 1
    first_at: datetime | None = None
    last_at: datetime | None = None
    run: str = ""
    lifted: bool = False
    listing: str | None = None
    tried: tuple[str, ...] = ()

    @property
    def subject(self) -> tuple[RefusalKind, str, str, Action | None]:
        """Return what it is about; there is one refusal of a subject."""
        return self.kind, self.genesys_group_id, self.person, self.action

    @property
    def cause(self) -> tuple[RefusalKind, int | None, str]:
        """Return what it has in common with others that end together with it."""
        return self.kind, self.http_code, self.words if self.kind is not RefusalKind.FAILING else ""

    @property
    def retry_at(self) -> datetime | None:
        """Return when it is tried again; None: at once.

        Additions after 1, 2, 4 … 24 hours, removals after an hour. A group that fails in two runs in a row after 15,
        30, 60 … 240 minutes.
        """
        if self.lifted or self.last_at is None or self.kind is RefusalKind.CLIENT:
            return None
        doublings = self.times - (FAILURES_BEFORE_DELAY if self.kind is RefusalKind.FAILING else 1)
        if doublings < 0:
            return None
        first: timedelta = _FIRST_FAILURE if self.kind is RefusalKind.FAILING else _FIRST_REFUSAL
        longest = _LONGEST[self.kind, self.action]
        return self.last_at + min(first * (1 << min(doublings, 10)), longest)

    @property
    def is_certain(self) -> bool:
        """Return True if one answer shows that the client is refused.

        Otherwise several groups refused alike merely suggest it.
        """
        return self.kind is RefusalKind.CLIENT and self.http_code is not None

    def waits(self, now: datetime) -> bool:
        """Return True if it is not tried yet."""
        return self.retry_at is not None and now < self.retry_at

    def is_about(self, key: RowKey) -> bool:
        """Return True if the row's change is one of those that it stops."""
        return (
            self.genesys_group_id == key.target
            and self.person in {"", key.person}
            and self.action in {None, key.action}
            and self.kind is not RefusalKind.CLIENT
        )
