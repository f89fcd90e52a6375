"""Identity: pairs of groups, links of users, and the memberships that AD owns.

A pair maps an AD group to a Genesys group. A link says which Genesys user an AD user is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from genesys_ad_sync.model.directory import Guid
from genesys_ad_sync.model.outcome import Reason
from genesys_ad_sync.model.rows import Rival

BY_LINK = "link"
"""`Match.matched_by` of a stored link."""

BY_PERSON = "relink"
"""`Link.matched_by` and `Match.matched_by` of what a person decided with param `relink`."""


class PairState(str, Enum):
    """Whether an AD group may feed its Genesys group."""

    CONFIRMED = "confirmed"  # a person has seen it, or it needs nobody
    NEW = "new"  # made after the first live run: a person must confirm it
    REJECTED = "rejected"  # a person said no


@dataclass(frozen=True, slots=True)
class GroupPair:
    """An AD group and the Genesys group it maps to.

    ``rule``: index in `groups:`, from 0.
    """

    group_guid: Guid
    genesys_group_id: str
    genesys_group_name: str
    rule: int
    has_baseline: bool = False
    state: PairState = field(default=PairState.CONFIRMED, compare=False)


@dataclass(frozen=True)
class SkippedGroup:
    """An AD group in scope that maps to no Genesys group, and why."""

    group_guid: Guid
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A membership that AD owns: ``user_guid`` was granted it through ``group_guid``.

    ``by_dry_run``: only dry runs saw that AD and Genesys both had it. ``was_manual``: it was there by hand before.
    """

    genesys_group_id: str
    genesys_user_id: str
    user_guid: Guid
    group_guid: Guid
    by_dry_run: bool = field(default=False, compare=False)
    was_manual: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
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
    """The Genesys user of an AD user, as stored.

    - ``matched_by``: the rule that found it first, as ``mail=email``, or `BY_PERSON`.
    - ``values``: a digest of the account's values under `users:` when the link was last confirmed by an external id or
      by a person; None: never.
    - ``contradicted_since``: since when the Genesys user carries none of the account's values; None: it carries one.
    - ``others``: the active Genesys users that the rules found instead when the link was last compared.
    """

    user_guid: Guid
    genesys_user_id: str
    matched_by: str
    since: datetime
    values: str | None = None
    contradicted_since: datetime | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class FormerLink:
    """A former Genesys user of an AD user, until the link moved or ended.

    ``deleted``: Genesys showed that user as deleted. Otherwise a person moved the link.
    """

    user_guid: Guid
    genesys_user_id: str
    deleted: bool
    at: datetime
    run: str | None = None  # DAG id/run id
    by: str | None = None  # the Airflow user who approved it


class MatchStatus(str, Enum):
    """How the search for an AD user's Genesys user ended."""

    MATCHED = "matched"
    INACTIVE = "inactive"  # found, not active: good enough for a removal, not for an add
    ORPHANED = "orphaned"
    AMBIGUOUS = "ambiguous"  # or `link_contradicted`: see `Match.reason`
    NOT_LOOKED_UP = "not_looked_up"  # Genesys refuses the value of this person


@dataclass(frozen=True)
class Match:
    """The Genesys user of an AD user, as found in this run.

    - ``genesys_user_id``: set for MATCHED and INACTIVE.
    - ``candidates``: for AMBIGUOUS, the Genesys users that it may be; none of them may lose a membership.
    - ``rivals``: for AMBIGUOUS, the other accounts and Genesys users in question.
    - ``value``: for NOT_LOOKED_UP, what Genesys refuses to look up by the rule ``matched_by``.
    - ``moved_from``: the Genesys user of the link that this match replaces.
    """

    user_guid: Guid
    status: MatchStatus
    genesys_user_id: str | None = None
    matched_by: str | None = None  # `BY_LINK`, `BY_PERSON` or "mail=email", ...
    reason: Reason | None = None
    candidates: tuple[str, ...] = ()
    rivals: tuple[Rival, ...] = ()
    value: str | None = None
    moved_from: str | None = None

    @property
    def possible_ids(self) -> frozenset[str]:
        """Return every Genesys user that the AD user is or may be."""
        return frozenset({*self.candidates, *([self.genesys_user_id] if self.genesys_user_id else [])})
