"""Outcomes of rows and changes: the closed lists of statuses and reasons in the report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class Status(str, Enum):
    """The status of a row in the report.

    One row is one (Genesys group, directory user, action).
    """

    SUCCESS = "success"  # written by this run, and read back if `verify`
    FAILED = "failed"  # tried, but not in effect, or not known to be
    ORPHANED = "orphaned"  # an add of a person without an active Genesys user
    SKIPPED = "skipped"  # by policy: unmapped, excluded, removals: never
    HELD = "held"  # a guard or a limit forbids it for now
    UNCHANGED = "unchanged"  # Genesys agreed already
    SUPERSEDED = "superseded"  # AD has changed again since
    PLANNED = "planned"  # would be written (dry run), or is not written yet


SETTLED = frozenset({Status.SUCCESS, Status.UNCHANGED, Status.SUPERSEDED, Status.SKIPPED})
"""A change with one of these is done for good. A later live run acts on all others again."""


class Reason(str, Enum):
    """The reason why a row is not simply a success.

    It is the closed list of `reason` in the report.
    """

    # skipped
    UNMAPPED = "unmapped"  # no rule maps the AD group
    EXCLUDED = "excluded"  # `exclude:` names the group or the user
    REMOVALS_NEVER = "removals_never"  # policy `removals: never`
    GENESYS_GROUP_MISSING = "genesys_group_missing"  # a rule names a group that Genesys does not have
    PATTERN_TOO_SLOW = "pattern_too_slow"  # whether a rule of `groups:` matches the AD group took too long to find out
    # orphaned
    NO_GENESYS_USER = "no_genesys_user"  # no rule of `users:` finds a user
    INACTIVE = "inactive"  # found, but not active: adds go to active users only
    NO_MATCHING_ATTRIBUTE = "no_matching_attribute"  # e.g. no mail in AD
    # held
    AMBIGUOUS = "ambiguous"  # two Genesys users for one person, or one for two
    UNPROVEN = "unproven"  # an AD group mapped to this Genesys group was not read completely in this run
    UNEXPLAINED_LOSS = "unexplained_loss"  # a reading lacks the member, and too many others, without a word of AD
    NOT_OWNED = "not_owned"  # AD never granted this membership
    MAPPING_CHANGED = "mapping_changed"  # granted under an earlier mapping
    SCOPE_CHANGED = "scope_changed"  # group base or filter of the definition changed
    OTHER_DOMAIN_CONTROLLER = "other_domain_controller"  # only a complete reading of another domain controller shows it
    OVER_LIMIT = "over_limit"  # `limits:`
    PROTECTED = "protected"  # `protect:`
    GENESYS_UNREADABLE = "genesys_unreadable"  # the group's members, or the person's Genesys user, could not be read
    JOURNAL_RESTORED = "journal_restored"  # the journal is unknown or older than the reports say
    CLAIMED_BY = "claimed_by"  # another sync definition writes this Genesys group
    REJECTED = "rejected"  # a person said no
    UNDONE = "undone"  # pinned by an undo run
    NOT_LOOKED_UP = "not_looked_up"  # Genesys refuses to look this person up by the value that AD has
    RELINK = "relink"  # param `relink` moves the link of this person to another Genesys user
    LINK_CONTRADICTED = "link_contradicted"  # the stored Genesys user carries none of the account's values any more
    UNIDENTIFIED_MEMBERS = "unidentified_members"  # `mirror`: somebody wanted in the group may be this member
    FIRST_MIRROR = "first_mirror"  # `mirror`: the first comparison of this pair
    MIRROR_ONCE = "mirror_once"  # param `mirror_once`: each removal of a member that AD does not own
    EMPTY_GROUP = "empty_group"  # AD would own nobody in the group any more
    OVER_ADDITIONS = "over_additions"  # `limits:` of additions
    NEW_PAIR = "new_pair"  # no person has confirmed that this AD group feeds this Genesys group
    WAS_MANUAL = "was_manual"  # the membership was there by hand before AD granted it
    AGAINST_AD = "against_ad"  # an undo would add a member that AD does not want
    IN_FLIGHT = "in_flight"  # another run wrote to the Genesys group while this run decided
    # unchanged
    ALREADY_SO = "already_so"
    MEMBER_NOT_VISIBLE = "member_not_visible"  # the removal was accepted; Genesys shows the user nowhere
    STILL_GRANTED = "still_granted"  # another AD group still grants the membership
    # superseded
    NEWER_VIEW = "newer_view"
    # failed
    REFUSED = "refused"  # Genesys refused it
    REFUSED_GROUP = "refused_group"  # Genesys refuses each change of this group
    REFUSED_CLIENT = "refused_client"  # Genesys refuses each write of this client, so the run stopped writing
    UNVERIFIED = "unverified"  # could not be read back
    NOT_IN_EFFECT = "not_in_effect"  # read back, and not there (or still there)
    NOT_ATTEMPTED = "not_attempted"  # the task ended before it reached this row


@dataclass(frozen=True)
class Outcome:
    """The outcome of a change in one attempt of a run.

    ``genesys_group_id``: the group in which it failed.
    """

    status: Status
    reason: Reason | None
    dag_id: str
    run_id: str
    attempt: int
    http_code: int | None
    correlation_id: str | None
    error: str | None
    at: datetime
    genesys_group_id: str | None = None
