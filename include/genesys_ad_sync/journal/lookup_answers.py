"""The answers of `lookups` and `definition_lookups`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from genesys_ad_sync.model import Change, Grant, Guid, RunKey


@dataclass(frozen=True)
class FoundUser:
    """An AD account, as a definition knows it, for a search."""

    definition: str
    guid: Guid
    name: str
    sam_account_name: str | None
    values: tuple[str, ...]
    mail: str | None


class NamedPair(NamedTuple):
    """The names of a pair, for a search among thousands."""

    definition: str
    group_guid: Guid
    genesys_group_id: str
    genesys_group_name: str
    active: bool


@dataclass(frozen=True)
class StoredPair:
    """A pair with its times. ``until``: since then, no rule makes it any more."""

    definition: str
    group_guid: Guid
    genesys_group_id: str
    genesys_group_name: str
    rule: int
    active: bool
    since: datetime
    until: datetime | None
    baseline_at: datetime | None
    baseline_run: str | None


@dataclass(frozen=True)
class StoredGrant:
    """A grant with its times."""

    grant: Grant
    since: datetime
    asleep_since: datetime | None


@dataclass(frozen=True)
class SeenChange:
    """A change, and when and by which run it was first listed."""

    change: Change
    first_seen_at: datetime | None
    first_seen_run: str | None


@dataclass(frozen=True)
class StoredQuestion:
    """What a person was asked about a row, and the answer."""

    subject: str
    run: RunKey
    asked_at: datetime
    expires_at: datetime
    closed_at: datetime | None
    decision: str | None
    decided_by: str | None
    change_ids: tuple[int, ...]


@dataclass(frozen=True)
class AccountTimes:
    """When an account left the view, and when a poll saw its tombstone."""

    gone_at: datetime | None
    deleted_at: datetime | None


@dataclass(frozen=True)
class Waiting:
    """Unsettled changes of one status and reason.

    ``since``: when the oldest was first listed, or else observed.
    """

    definition: str
    status: str | None
    reason: str | None
    count: int
    since: datetime
