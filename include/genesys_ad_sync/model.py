"""The words of the domain, as types. Pure data: no I/O, no clock, no Airflow.

A *guid* is an objectGUID in the form ``xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx``, lower case. Active Directory
objects are known by it and by nothing else; DNs, names and mail addresses are for people and for matching.
Every ``datetime`` is aware and in UTC.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

Guid = str


class Action(str, Enum):
    """What a change asks for."""

    ADD = "add"
    REMOVE = "remove"


class Mode(str, Enum):
    """How a run decides what to act on. ``AUTO`` is ``CHANGES`` for pairs with a baseline, else ``FULL``."""

    AUTO = "auto"
    CHANGES = "changes"
    FULL = "full"


class Status(str, Enum):
    """What became of a row of the report. One row is one (Genesys group, directory user, action)."""

    SUCCESS = "success"  # written by this run, and read back if `verify`
    FAILED = "failed"  # tried and not in effect, or not known to be
    ORPHANED = "orphaned"  # an add for somebody whom Genesys does not know, or knows as inactive
    SKIPPED = "skipped"  # by policy: unmapped, excluded, removals: never
    HELD = "held"  # a guard or a limit forbids it for now
    UNCHANGED = "unchanged"  # Genesys was already so
    SUPERSEDED = "superseded"  # the newest view of AD no longer says so
    PLANNED = "planned"  # would be written (dry run), or is not written yet


SETTLED = frozenset({Status.SUCCESS, Status.UNCHANGED, Status.SUPERSEDED, Status.SKIPPED})
"""A change with one of these is done for good. All others are taken up again by a later live run."""


class Reason(str, Enum):
    """Why a row is not simply a success: the closed list of `reason` in the report."""

    # skipped
    UNMAPPED = "unmapped"  # no rule maps the AD group
    EXCLUDED = "excluded"  # `exclude:` names the group or the user
    REMOVALS_NEVER = "removals_never"  # policy `removals: never`
    GENESYS_GROUP_MISSING = "genesys_group_missing"  # a rule gives a group that Genesys does not have
    # orphaned
    NO_GENESYS_USER = "no_genesys_user"  # no rule of `users:` finds one
    INACTIVE = "inactive"  # found, but not active: adds go to active users only
    NO_MATCHING_ATTRIBUTE = "no_matching_attribute"  # e.g. no mail in AD
    # held
    AMBIGUOUS = "ambiguous"  # two Genesys users for one person, or one for two
    UNPROVEN = "unproven"  # an AD group that feeds this Genesys group was not read completely in this run
    NOT_OWNED = "not_owned"  # AD never granted this membership
    MAPPING_CHANGED = "mapping_changed"  # granted under another mapping than today's
    SCOPE_CHANGED = "scope_changed"  # group base or filter of the definition changed
    OTHER_DOMAIN_CONTROLLER = "other_domain_controller"  # only a whole view from another DC shows it
    OVER_LIMIT = "over_limit"  # `limits:`
    PROTECTED = "protected"  # `protect:`
    GENESYS_UNREADABLE = "genesys_unreadable"  # the group's present members, or who this person is, could not be read
    JOURNAL_RESTORED = "journal_restored"  # the journal is unknown or older than the reports say
    CLAIMED_BY = "claimed_by"  # another sync definition feeds this Genesys group
    REJECTED = "rejected"  # a person said no
    UNDONE = "undone"  # pinned by an undo run
    IN_FLIGHT = "in_flight"  # another run was writing to the Genesys group while this one decided
    # unchanged
    ALREADY_SO = "already_so"
    STILL_GRANTED = "still_granted"  # another AD group still grants the membership
    # superseded
    NEWER_VIEW = "newer_view"
    # failed
    REFUSED = "refused"  # Genesys refused it
    UNVERIFIED = "unverified"  # could not be read back
    NOT_IN_EFFECT = "not_in_effect"  # read back, and not there (or still there)
    NOT_ATTEMPTED = "not_attempted"  # the task died before it came to this


# -- what Active Directory says -----------------------------------------------------------------------


class PrincipalKind(str, Enum):
    """What a member that is no group is. Only users get memberships; the others are counted."""

    USER = "user"
    CONTACT = "contact"
    COMPUTER = "computer"
    OTHER = "other"


@dataclass(frozen=True)
class DirectoryGroup:
    """An AD group as last read. ``in_scope``: it lies under `group_base` and matches `group_filter`;
    groups that are only reached by nesting have False."""

    guid: Guid
    dn: str
    name: str  # cn
    sam_account_name: str | None
    sid: str | None
    in_scope: bool
    attributes: Mapping[str, str] = field(default_factory=dict)  # what rules of `groups:` ask for; lower-case names


@dataclass(frozen=True)
class DirectoryUser:
    """A member that is no group. ``attributes`` holds what rules of `users:` ask for, first value of each,
    keyed by the LDAP name in lower case (``mail`` and ``userprincipalname`` are always read)."""

    guid: Guid
    dn: str
    kind: PrincipalKind
    name: str
    sam_account_name: str | None
    disabled: bool
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def mail(self) -> str | None:
        return self.attributes.get("mail")


@dataclass
class View:
    """AD groups, people and *direct* memberships as last read; whole, or only a part (the closure of some groups).

    ``members`` has an entry for each group of ``groups``; a member is a guid of ``groups``, of ``users``, or of
    neither (an object of another domain, or one that the account may not see).
    Members by primaryGroupID are in ``members`` too.
    """

    groups: dict[Guid, DirectoryGroup] = field(default_factory=dict)
    users: dict[Guid, DirectoryUser] = field(default_factory=dict)
    members: dict[Guid, set[Guid]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """What a definition looks at. A change of any of it means that the whole view is taken again."""

    naming_context: str
    group_base: str
    group_filter: str
    nested_groups: bool
    disabled_users: str  # remove | keep
    group_attributes: tuple[str, ...]  # lower-case LDAP names, sorted
    user_attributes: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """A stable text of all fields, to compare with what the journal has."""
        return "|".join(str(value) for value in dataclasses.astuple(self))

    @classmethod
    def of_fingerprint(cls, text: str) -> Scope:
        """Read a fingerprint. Raises ValueError when the text is not one.

        An LDAP filter may contain the separator, a base that contains it is cut before the filter's bracket.
        """
        base, nested, disabled, group_attributes, user_attributes = text.rsplit("|", 4)
        naming_context, base = base.split("|", 1)
        group_base, bracket, group_filter = base.partition("|(")
        return cls(
            naming_context=naming_context,
            group_base=group_base,
            group_filter=bracket[1:] + group_filter,
            nested_groups=nested == str(True),
            disabled_users=disabled,
            group_attributes=tuple(ast.literal_eval(group_attributes)),
            user_attributes=tuple(ast.literal_eval(user_attributes)),
        )


@dataclass(frozen=True)
class Cursor:
    """Up to where AD has been read. ``polled_at`` is the DC's ``currentTime``, never our clock.

    ``doubted_since``: since when a domain controller is read that may lag behind what is known already (see
    `directory.trust`); None: no doubt. ``trusted_dc``: the last one before it that was beyond doubt.
    """

    domain_controller: str  # dnsHostName
    invocation_id: Guid
    highest_committed_usn: int
    cookie: bytes | None  # DirSync; None: no incremental poll possible
    polled_at: datetime
    doubted_since: datetime | None = None
    trusted_dc: str | None = None


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


# -- what Genesys Cloud has ---------------------------------------------------------------------------


@dataclass(frozen=True)
class GenesysGroup:
    id: str
    name: str
    state: str = "active"
    version: int | None = None
    member_count: int | None = None


@dataclass(frozen=True)
class GenesysUser:
    id: str
    name: str
    email: str | None
    username: str | None
    state: str  # active | inactive | deleted


class MatchStatus(str, Enum):
    MATCHED = "matched"
    INACTIVE = "inactive"  # found, not active: good enough for a removal, not for an add
    ORPHANED = "orphaned"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True)
class Match:
    """Who an AD user is in Genesys Cloud. ``genesys_user_id`` is set for MATCHED and INACTIVE.
    ``candidates``: for AMBIGUOUS, the Genesys users it may be (none of them may lose anything)."""

    user_guid: Guid
    status: MatchStatus
    genesys_user_id: str | None = None
    matched_by: str | None = None  # "link" or "mail=email", ...
    reason: Reason | None = None
    candidates: tuple[str, ...] = ()


# -- mapping, ownership, plan -------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """AD group -> Genesys group. ``rule``: index in `groups:`, from 0."""

    group_guid: Guid
    genesys_group_id: str
    genesys_group_name: str
    rule: int
    has_baseline: bool = False


@dataclass(frozen=True)
class SkippedGroup:
    group_guid: Guid
    reason: Reason
    detail: str = ""


@dataclass(frozen=True)
class Grant:
    """AD owns this membership: ``user_guid`` was granted it through ``group_guid``."""

    genesys_group_id: str
    genesys_user_id: str
    user_guid: Guid
    group_guid: Guid


@dataclass(frozen=True)
class RowKey:
    """What a row is about. ``target``: the Genesys group, or the AD groups' guids where nothing is mapped.

    ``person``: see `Row.person`. None of the ids contains a colon.
    """

    target: str
    person: str
    action: Action

    def __str__(self) -> str:
        """The form in which the journal stores it."""
        return f"{self.target}:{self.person}:{self.action.value}"

    @classmethod
    def parse(cls, text: str) -> RowKey:
        """Read the stored form. Raises ValueError when the text is not one."""
        target, person, action = text.rsplit(":", 2)
        return cls(target, person, Action(action))


@dataclass(frozen=True)
class Row:
    """A line of the plan and of the report: (Genesys group, directory user, action).

    ``change_ids``: the journal's changes that it settles when it is settled. ``lane``: the mapped patch instance
    that writes it; None: nothing is to be written. The dicts have the shape of the report's keys.
    """

    action: Action
    status: Status
    genesys_group_id: str | None
    user_guid: Guid | None
    group_guids: tuple[Guid, ...]
    genesys_user_id: str | None = None
    reason: Reason | None = None
    error: str | None = None
    http_code: int | None = None
    correlation_id: str | None = None
    changed_at: datetime | None = None
    observed_after: datetime | None = None
    observed_at: datetime | None = None
    settled_by: str | None = None  # DAG id/run id
    change_ids: tuple[int, ...] = ()
    lane: int | None = None
    genesys_group: Mapping[str, str | None] | None = None  # {id, name}
    directory_groups: tuple[Mapping[str, str | None], ...] = ()  # {guid, dn, name}
    directory_user: Mapping[str, str | None] | None = None  # {guid, dn, mail}
    undoes: str | None = None  # run_id of the run whose change this one takes back

    @property
    def person(self) -> str:
        """The AD user; of somebody whom AD does not know, the Genesys user."""
        return self.user_guid or self.genesys_user_id or ""

    @property
    def changes_ownership(self) -> bool:
        """True if the row's outcome creates a grant (an add) or ends grants (a removal).

        An undo that finds its result in effect already changes none: somebody else has put it back.
        """
        in_effect = self.status is Status.SUCCESS or (self.status is Status.UNCHANGED and not self.undoes)
        return in_effect and self.settled_by is None

    @property
    def group_name(self) -> str:
        """The Genesys group's name, or its id where the name is not known."""
        return (self.genesys_group or {}).get("name") or self.genesys_group_id or ""

    @property
    def row_key(self) -> RowKey:
        """Unique in a run."""
        return RowKey(self.genesys_group_id or ",".join(self.group_guids), self.person, self.action)

    @property
    def key(self) -> str:
        """`row_key` as the journal stores it."""
        return str(self.row_key)


@dataclass(frozen=True)
class GroupResult:
    """What the report says of one Genesys group. Counts are of individuals; None: not read."""

    genesys_group_id: str
    genesys_group_name: str
    group_guids: tuple[Guid, ...]
    complete: bool
    before: int | None
    after: int | None
    added: int
    removed: int
    manual_members: int | None
