"""Which AD group maps to which Genesys group, which user is which, and which memberships AD owns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from genesys_ad_sync.model.directory import Guid
from genesys_ad_sync.model.outcome import Reason


@dataclass(frozen=True)
class GroupPair:
    """An AD group and the Genesys group it maps to. ``rule``: index in `groups:`, from 0."""

    group_guid: Guid
    genesys_group_id: str
    genesys_group_name: str
    rule: int
    has_baseline: bool = False


@dataclass(frozen=True)
class SkippedGroup:
    """An AD group in scope that maps to no Genesys group, and why."""

    group_guid: Guid
    reason: Reason
    detail: str = ""


@dataclass(frozen=True)
class Grant:
    """A membership that AD owns: ``user_guid`` was granted it through ``group_guid``.

    ``by_dry_run``: only dry runs saw that AD and Genesys both had it.
    """

    genesys_group_id: str
    genesys_user_id: str
    user_guid: Guid
    group_guid: Guid
    by_dry_run: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class DryEvidence:
    """A membership that AD and Genesys both had at a dry comparison of a pair.

    ``rule``: the rule of `groups:` that made the pair. ``matched_by``: what found the Genesys user. ``scope``: what
    the definition read of AD.
    """

    grant: Grant
    rule: str
    matched_by: str
    scope: str


@dataclass(frozen=True)
class Link:
    """The Genesys user of an AD user, as stored. ``matched_by``: the rule that found it first, as ``mail=email``."""

    user_guid: Guid
    genesys_user_id: str
    matched_by: str
    since: datetime


class MatchStatus(str, Enum):
    """How the search for an AD user's Genesys user ended."""

    MATCHED = "matched"
    INACTIVE = "inactive"  # found, not active: good enough for a removal, not for an add
    ORPHANED = "orphaned"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True)
class Match:
    """The Genesys user of an AD user, as found in this run.

    ``genesys_user_id``: set for MATCHED and INACTIVE. ``candidates``: for AMBIGUOUS, the Genesys users that it may
    be; none of them may lose a membership.
    """

    user_guid: Guid
    status: MatchStatus
    genesys_user_id: str | None = None
    matched_by: str | None = None  # "link" or "mail=email", ...
    reason: Reason | None = None
    candidates: tuple[str, ...] = ()
