"""Runs: the request, the journal's record, the cursor, and a person's decisions.

The cursor is the one that a run starts from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum

from genesys_ad_sync.model.changes import Action, Mode, Window
from genesys_ad_sync.model.directory import Cursor, Guid
from genesys_ad_sync.model.outcome import Reason
from genesys_ad_sync.model.rows import Row
from genesys_ad_sync.this_machine import Host


@dataclass(frozen=True)
class RunKey:
    """A DAG run, as Airflow names it."""

    dag_id: str
    run_id: str

    def __str__(self) -> str:
        """Return both ids.

        The two DAGs of a definition may have runs with the same run_id.
        """
        return f"{self.dag_id}/{self.run_id}"


@dataclass(frozen=True)
class RunRequest:
    """What a person, the scheduler or a backfill requests of a run."""

    run_type: str  # scheduled | manual | backfill | ...
    clear_number: int = 0
    mode: Mode = Mode.AUTO
    window: Window | None = None  # bounded: only changes of this window; None: live
    dry_run: bool = False
    groups: tuple[str, ...] = ()  # shell patterns on AD group names; empty: all
    undo_run: str | None = None  # reverse what this run did, and do nothing else
    release_run: str | None = None  # allow again what was undone or rejected in this run
    release_claim: tuple[str, ...] = ()  # Genesys group ids that another definition feeds, and is to feed no more
    due_at: datetime | None = None  # when the run was due; None: now
    relink: tuple[str, ...] = ()  # objectGUID, or objectGUID=Genesys user id: links that a person moves
    requested_by: str | None = None  # the Airflow user who triggered the run
    mirror_once: bool = False  # compare everything as `removals: mirror`, and ask about each removal of a stranger
    refused: str | None = None  # why `poll` refused the request; for the report


@dataclass(frozen=True)
class RunRecord:
    """One attempt of a DAG run.

    A re-run of the same run_id is another attempt, a retried task is not.

    - ``window``: of a bounded run; None for a live one.
    - ``resumed``: an earlier try of the same attempt began it.
    - ``poll`` and ``polled_at``: None until its poll is done.
    - ``state`` and ``finished_at``: None until its report is written.
    - ``host``: on which `poll` ran; None: begun by a version that did not store it.
    """

    id: int  # the journal's own
    key: RunKey
    definition: str
    attempt: int  # from 1
    clear_number: int  # Airflow's, when the attempt began
    run_type: str
    mode: Mode
    dry_run: bool
    window: Window | None
    groups: tuple[str, ...]  # shell patterns; empty: all
    started_at: datetime
    poll: int | None = None
    polled_at: datetime | None = None
    state: str | None = None
    finished_at: datetime | None = None
    resumed: bool = False
    host: Host | None = None

    @property
    def bounded(self) -> bool:
        """Tell whether the run acts on the changes of a window only."""
        return self.window is not None

    @property
    def is_routine(self) -> bool:
        """Tell whether the run leaves known orphans and refusals alone until their time has come.

        A person who triggers a run, a window, mode full and a dry run look at everything.
        """
        return self.run_type != "manual" and not self.bounded and not self.dry_run and self.mode is not Mode.FULL


@dataclass(frozen=True)
class StoredCursor:
    """The end of the last reading of a definition's directory.

    ``scope``: the fingerprint it was read with.
    ``poll`` counts from 1. ``known_dcs``: domain controller -> (invocationId, highestCommittedUSN) when it was last
    read, and ``read_at`` when that was. ``began_at``: the time of the first poll, before which the journal knows
    nothing.
    """

    cursor: Cursor
    scope: str
    poll: int
    began_at: datetime
    known_dcs: Mapping[str, tuple[Guid, int]] = field(default_factory=dict)
    read_at: Mapping[str, datetime] = field(default_factory=dict)


class Decision(str, Enum):
    """How a person decided about a row."""

    APPROVED = "approved"
    REJECTED = "rejected"
    UNANSWERED = "unanswered"  # a later run asks again
    RELEASED = "released"  # was rejected, and a person reopened it
    OUTDATED = "outdated"  # was rejected, and AD has changed that membership since


@dataclass(frozen=True)
class Objection:
    """A person's decision against a change: a rejection, or an undo.

    The objection holds the change until it ends. It ends when AD reports a newer change of that membership, or when a
    person releases its run.

    - ``reason``: ``rejected`` or ``undone``.
    - ``run``: the run that asked, or the undo run. It is what `release_run` takes.
    - ``by``, ``at``: who decided, and when. ``by`` None: not known.
    - ``last_change``: id of the newest change that the journal had then.
    - ``action``: what it holds; None: both, in a journal from before this was kept.
    - ``account_ended``: whether the AD account was disabled or deleted already; None: not known.
    """

    reason: Reason
    run: RunKey
    at: datetime
    last_change: int
    by: str | None = None
    action: Action | None = None
    account_ended: bool | None = None

    @property
    def about(self) -> dict[str, str]:
        """Return what the report names, see `ABOUT_KEYS`."""
        by = {} if self.by is None else {"by": self.by}
        return {"run": str(self.run), "at": f"{self.at.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}", **by}


UNDECIDED = "Undecided"
"""The form's choice when it opens, and when the time to answer ends. It means nothing beside another choice.

Here and not in `approval`, because the DAG file needs it: that package brings the report.
"""


@dataclass(frozen=True)
class WrittenRow:
    """A row that a run wrote to Genesys. ``row_id`` grows with time; ``attempt_id``: ``RunRecord.id``."""

    row_id: int
    attempt_id: int
    row: Row


@dataclass(frozen=True)
class RefusedLogin:
    """The last refusal of a login.

    ``fingerprint``: of the connection, not of the password alone. ``times``: in a row since the connection changed.
    """

    fingerprint: str
    times: int
    refused_at: datetime
    run: RunKey
