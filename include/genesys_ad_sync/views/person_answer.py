"""The answer to `explain person`: an account, and its Genesys groups.

It says what there is to say about each group.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from genesys_ad_sync.model import FormerLink, Guid, Link
from genesys_ad_sync.views.named import Approval, AsOf, NamedGroup, Wait


@dataclass(frozen=True)
class Account:
    """The AD account, as last read.

    ``counts``: False if it is in no group by the definition; ``why_not`` says why.
    """

    guid: Guid
    name: str
    mail: str | None
    dn: str
    sam_account_name: str | None
    disabled: bool
    expires_at: datetime | None
    gone_since: datetime | None
    deleted_at: datetime | None
    counts: bool
    why_not: str | None


@dataclass(frozen=True)
class Source:
    """An AD group that feeds, or fed, the Genesys group.

    ``path``: from it down to the person; empty: not a member.
    """

    group: NamedGroup
    rule: str
    mapped: bool
    path: tuple[NamedGroup, ...]


@dataclass(frozen=True)
class Granted:
    """AD owns the membership. ``run``: None if the journal does not know it any more."""

    since: datetime
    through: NamedGroup
    run: str | None
    genesys_user_id: str
    only_seen_by_dry_runs: bool
    asleep_since: datetime | None


@dataclass(frozen=True)
class LastChange:
    """The newest change of the membership, and what became of it.

    ``run``: which acted on it last.
    """

    action: str
    group: NamedGroup
    changed_at: datetime | None
    observed_after: datetime | None
    observed_at: datetime
    origin: str
    evidence: str | None
    settled: bool
    status: str | None
    reason: str | None
    http_code: int | None
    error: str | None
    correlation_id: str | None
    run: str | None
    at: datetime | None


@dataclass(frozen=True)
class Pinned:
    """An undo run keeps the membership as it is."""

    run: str
    at: datetime
    by: str | None


@dataclass(frozen=True)
class Membership:
    """The person and one Genesys group. ``verdict``: all of it in one sentence."""

    genesys_group_id: str
    genesys_group_name: str
    wanted: bool
    verdict: str
    sources: tuple[Source, ...]
    granted: Granted | None
    by_hand: bool | None
    last_change: LastChange | None
    approval: Approval | None
    waits: Wait | None
    pinned: Pinned | None
    fed_by: str | None


@dataclass(frozen=True)
class PersonAnswer:
    """A person, by one sync definition.

    ``other_groups``: mapped groups with which the person has to do nothing.
    """

    definition: str
    as_of: AsOf
    account: Account | None
    genesys_user_id: str | None
    link: Link | None
    former_links: tuple[FormerLink, ...]
    memberships: tuple[Membership, ...]
    other_groups: int
