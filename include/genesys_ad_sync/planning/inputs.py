"""What a plan depends on, as plain data that the caller reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from genesys_ad_sync.model import Change, DirectoryGroup, DirectoryUser, GenesysGroup, Grant, Guid, SkippedGroup

if TYPE_CHECKING:  # a pure data class, but its package opens databases
    from genesys_ad_sync.model import Outcome


@dataclass(frozen=True)
class Target:
    """One mapped Genesys group and all that is known of it.

    ``sources``: AD groups of today's pairs. ``former_sources``: AD groups of former pairs.
    ``full``: the group is compared with Genesys completely, not only where AD changed.
    ``wanted``: the journal's newest view: AD users who belong in the group -> the AD groups of ``sources`` that say
    it. With ``full`` it holds every such user, else at least the users of ``changes``.
    ``complete``: all AD groups that feed it, nested ones included, were read completely in this run.
    ``members``: Genesys user ids of its members (individuals). None: could not be read, which is not "nobody".
    ``changes``: changes to act on. In a bounded run also settled changes of the window, which are listed again.
    ``claimed_by``: another sync definition that feeds the Genesys group already.
    """

    genesys_group: GenesysGroup
    sources: tuple[Guid, ...]
    full: bool
    wanted: Mapping[Guid, tuple[Guid, ...]]
    complete: bool
    members: frozenset[str] | None
    grants: tuple[Grant, ...] = ()
    changes: tuple[Change, ...] = ()
    claimed_by: str | None = None
    former_sources: frozenset[Guid] = frozenset()


@dataclass(frozen=True)
class UnmappedGroup:
    """An AD group that feeds nothing.

    ``full``: one row for the group instead of one per changed member.
    """

    skipped: SkippedGroup
    changes: tuple[Change, ...] = ()
    full: bool = False


@dataclass(frozen=True)
class LimitFacts:
    """What limits count beside the rows of a plan. Keys of rows are `Row.key`.

    - ``removed``, ``added``: Genesys group id -> memberships that runs of the last 24 hours removed or added, without
      those that a person approved.
    - ``unverified``: keys of removals that were sent in that time and could not be read back.
    - ``most_owned``: Genesys group id -> the most members that AD owned at one time of the last 24 hours; missing: no
      more than it owns now.
    - ``elsewhere``: key -> exceeded limits of changes that are pending and that this run does not act on. What another
      run asks about, or is about to write, is among them.
    - ``went_over``: change id -> limits that it went over in an earlier run, see `limits.still_over`.
    - ``approved``: key -> the run that is about to write it, with a person's approval.
    - ``first_comparison``: the definition has no baseline yet.
    """

    removed: Mapping[str, int] = field(default_factory=dict)
    added: Mapping[str, int] = field(default_factory=dict)
    unverified: frozenset[str] = frozenset()
    most_owned: Mapping[str, int] = field(default_factory=dict)
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    went_over: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    approved: Mapping[str, str] = field(default_factory=dict)
    first_comparison: bool = False


@dataclass(frozen=True)
class PlanContext:
    """What else a plan depends on.

    ``observed_at``: AD's time of this run's poll.
    ``limits``: what the limits count beside the rows of the plan.
    ``excluded_users``: see `matching.excluded_users`.
    ``groups``, ``users``: names for the report.
    ``outcomes``: change id -> outcome of settled changes that are listed again. Their rows show its reason.
    ``pins``: (Genesys group id, `Row.person`) that an undo run restored -> newest change id that the journal had then.
    ``in_flight``: another run is writing to Genesys, or has written since ``Target.members`` was read. A row that needs
    no write then stays ``planned`` with the reason ``already_so``, and `patch` checks it again under the lease.
    ``deleted_users``: AD users whose tombstone was seen. A new account of the same person takes over their memberships.
    """

    observed_at: datetime
    dry_run: bool = False
    limits: LimitFacts = LimitFacts()
    journal_restored: bool = False
    excluded_users: frozenset[Guid] = frozenset()
    groups: Mapping[Guid, DirectoryGroup] = field(default_factory=dict)
    users: Mapping[Guid, DirectoryUser] = field(default_factory=dict)
    outcomes: Mapping[int, Outcome] = field(default_factory=dict)
    pins: Mapping[tuple[str, Guid], int] = field(default_factory=dict)
    in_flight: bool = False
    deleted_users: frozenset[Guid] = frozenset()
