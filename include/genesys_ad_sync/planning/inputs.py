"""What a plan depends on, as plain data that the caller reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from genesys_ad_sync.model import (
    Action,
    Change,
    DirectoryGroup,
    DirectoryUser,
    DryEvidence,
    GenesysGroup,
    GenesysUser,
    Grant,
    Guid,
    Objection,
    RowKey,
    SkippedGroup,
)

if TYPE_CHECKING:  # a pure data class, but its package opens databases
    from genesys_ad_sync.model import Outcome


@dataclass(frozen=True)
class Target:
    """One mapped Genesys group and all that is known of it.

    ``sources``: AD groups of today's pairs. ``former_sources``: AD groups of former pairs.
    ``full``: the group is compared with Genesys completely, not only where AD changed.
    ``wanted``: the journal's newest view: AD users who belong in the group -> the AD groups of ``sources`` that say
    it. With ``full`` it holds every such user, else at least the users of ``changes``.
    ``complete``: all AD groups that feed it, nested ones included, were read completely in this run. ``proven_by``: the
    oldest of the polls that did; None: there was nothing to read.
    ``members``: Genesys user ids of its members (individuals). None: could not be read, which is not "nobody".
    ``changes``: changes to act on. In a bounded run also settled changes of the window, which are listed again.
    ``claimed_by``: another sync definition that feeds the Genesys group already.
    ``unreadable``: members below ``sources`` that AD lists and that cannot be read. Each of them may be a person.
    ``listed_last``: AD users that an AD group out of view listed when it was read last. It fed the Genesys group.

    Only under `mirror`: ``mirror_confirmed``: a person has answered the first question of each pair.
    ``empty_sources``: AD groups that read as having nobody, unconfirmed since they had members.
    ``profiles``: the members as `/individuals` shows them, as far as they were read in this task.
    ``owners``: Genesys users who own the group.

    ``unconfirmed``: AD groups of ``sources`` whose pair no person has confirmed, ``new_rules``: their rules as they are
    written, ``fed_before``: the Genesys group that one of them fed before, by name. ``refused``: AD users who belong in
    the group only for AD groups whose pair a person has rejected, ``refusals``: who rejected it.

    ``trial``: what dry comparisons saw of pairs that no live run has compared. ``trial_rules``: AD group of such a pair
    -> its rule of `groups:`, as it is written.
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
    unreadable: frozenset[Guid] = frozenset()
    listed_last: frozenset[Guid] = frozenset()
    proven_by: int | None = None
    mirror_confirmed: bool = True
    empty_sources: tuple[Guid, ...] = ()
    profiles: Mapping[str, GenesysUser] = field(default_factory=dict)
    owners: frozenset[str] = frozenset()
    trial: tuple[DryEvidence, ...] = ()
    trial_rules: Mapping[Guid, str] = field(default_factory=dict)
    unconfirmed: frozenset[Guid] = frozenset()
    new_rules: Mapping[Guid, str] = field(default_factory=dict)
    fed_before: Mapping[Guid, str] = field(default_factory=dict)
    refused: Mapping[Guid, tuple[Guid, ...]] = field(default_factory=dict)
    refusals: Mapping[Guid, Objection] = field(default_factory=dict)

    def granting(self, user_guid: Guid) -> tuple[Guid, ...]:
        """Return the AD groups that put the user in the group, and may grant it."""
        wanted = self.wanted.get(user_guid, ())
        return tuple(guid for guid in wanted if guid not in self.unconfirmed) if self.unconfirmed else tuple(wanted)

    def waiting(self, user_guid: Guid) -> tuple[Guid, ...]:
        """Return the AD groups that only wait for a person's confirmation.

        The user would belong in the group if a person confirmed their pair.
        """
        return tuple(guid for guid in self.wanted.get(user_guid, ()) if guid in self.unconfirmed)


@dataclass(frozen=True)
class Move:
    """What became of a link to a Genesys user that an account has no more.

    ``to``: the account's Genesys user now; None: none is known. ``deleted``: Genesys showed the former one as deleted.
    """

    to: str | None
    deleted: bool = False


@dataclass(frozen=True)
class Relinking:
    """A link that a person wants to move.

    It has the Genesys user so far, and both users in words for people.
    """

    former: str | None
    former_label: str
    new_label: str


@dataclass(frozen=True)
class UnmappedGroup:
    """An AD group that feeds nothing.

    ``full``: one row for the group instead of one per changed member.
    """

    skipped: SkippedGroup
    changes: tuple[Change, ...] = ()
    full: bool = False


@dataclass(frozen=True)
class Loss:
    """A membership that AD granted, and whose user the reading lacks.

    The reading is that of these AD groups. Nothing explains the gap.
    """

    genesys_group: GenesysGroup
    user_guid: Guid
    genesys_user_id: str
    group_guids: tuple[Guid, ...]


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

    @cached_property
    def removals_elsewhere(self) -> Mapping[str, Mapping[str, str]]:
        """Return the removals of ``elsewhere`` and ``approved`` by Genesys group: key -> person.

        An approved removal counts in no limit, and takes a member all the same.
        """
        found: dict[str, dict[str, str]] = {}
        for text in (*self.elsewhere, *self.approved):
            key = RowKey.parse(text)
            if key.action is Action.REMOVE:
                found.setdefault(key.target, {})[text] = key.person
        return found


@dataclass(frozen=True)
class PlanContext:
    """What else a plan depends on.

    ``observed_at``: AD's time of this run's poll.
    ``limits``: what the limits count beside the rows of the plan.
    ``excluded_users``: see `matching.excluded_users`.
    ``groups``, ``users``: names for the report.
    ``outcomes``: change id -> outcome of settled changes that are listed again. Their rows show its reason.
    ``objections``: row key -> a person's decision against that row, see `Objection`.
    ``in_flight``: another run is writing to Genesys, or has written since ``Target.members`` was read. A row that needs
    no write then stays ``planned`` with the reason ``already_so``, and `patch` checks it again under the lease.
    ``deleted_users``: AD users whose tombstone was seen. A new account of the same person takes over their memberships.
    ``disabled_users``: see `matching.disabled_users`.
    ``moves``: (AD user, former Genesys user) -> what became of that link. Grants follow it.
    ``relinks``: AD users whose link is to move in this run. No person has approved it yet.
    ``remarks``: AD user -> what its rows say in addition.
    ``mirror_once``: the policy of this run is `mirror`, and each removal of a stranger needs an approver.
    ``user_states``: states of Genesys users that are to be removed and were not among the members, as just read;
    ``unknown`` where Genesys did not show the user.
    ``groups_hidden``: Genesys has groups that the client may not see: nobody is removed.
    ``client_refused``: Genesys refused this client in an earlier run. One group must show first whether it still does.
    ``scope``: what the definition reads of AD, as far as it decides memberships.
    ``losses``: what the poll did not believe to be gone.
    ``protected_names``: Genesys group id -> names by which `protect:` found it, now or once.
    ``gone_users``: rivals that no AD group in view lists any more.
    """

    observed_at: datetime
    dry_run: bool = False
    limits: LimitFacts = LimitFacts()
    journal_restored: bool = False
    excluded_users: frozenset[Guid] = frozenset()
    groups: Mapping[Guid, DirectoryGroup] = field(default_factory=dict)
    users: Mapping[Guid, DirectoryUser] = field(default_factory=dict)
    outcomes: Mapping[int, Outcome] = field(default_factory=dict)
    objections: Mapping[str, Objection] = field(default_factory=dict)
    in_flight: bool = False
    deleted_users: frozenset[Guid] = frozenset()
    disabled_users: frozenset[Guid] = frozenset()
    moves: Mapping[tuple[Guid, str], Move] = field(default_factory=dict)
    relinks: Mapping[Guid, Relinking] = field(default_factory=dict)
    remarks: Mapping[Guid, str] = field(default_factory=dict)
    mirror_once: bool = False
    groups_hidden: bool = False
    client_refused: bool = False
    scope: str = ""
    user_states: Mapping[str, str] = field(default_factory=dict)
    losses: tuple[Loss, ...] = ()
    protected_names: Mapping[str, Collection[str]] = field(default_factory=dict)
    gone_users: frozenset[Guid] = frozenset()

    @property
    def without_veto(self) -> frozenset[Guid]:
        """Return the accounts that contest no Genesys user."""
        return self.deleted_users | self.excluded_users | self.disabled_users
