"""What became of a change: the closed lists of the report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


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


@dataclass(frozen=True)
class Outcome:
    """What a run made of a change."""

    status: Status
    reason: Reason | None
    dag_id: str
    run_id: str
    attempt: int
    http_code: int | None
    correlation_id: str | None
    error: str | None
    at: datetime
