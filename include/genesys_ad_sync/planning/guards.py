"""Why a removal may not happen: one small function per guard.

Each is against one way to lose access by mistake. It takes facts, returns the reason to hold or None, and is named for
what it returns. Pure: `verdicts` gathers the facts, and nothing here decides what is wanted. The guards are in the
order in which an approver should read them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from genesys_ad_sync import names
from genesys_ad_sync.model import Grant, Guid, Match, MatchStatus, Objection, Reason


@dataclass(frozen=True)
class Removal:
    """All that is known of one possible removal from a Genesys group."""

    genesys_user_id: str
    user_guid: Guid | None  # None: no AD user is known to be this Genesys user
    policy: str  # removals: granted | mirror
    complete: bool  # every AD group that feeds the Genesys group was read completely, not before the change was seen
    sources: frozenset[Guid]  # AD groups of today's pairs
    former_sources: frozenset[Guid]  # AD groups of former pairs
    lost: tuple[Guid, ...]  # AD groups that the change is about
    grants: tuple[Grant, ...]  # of this Genesys user in this Genesys group
    match: Match | None  # of user_guid
    known_ids: frozenset[str]  # Genesys users that user_guid is, by match and by grants
    claimants: frozenset[Guid]  # AD accounts that are, or may be, this Genesys user, and belong into the group
    all_wanted_looked_up: bool = True  # every AD user who belongs in the Genesys group was looked up in Genesys
    held_reason: Reason | None = None  # the change's own
    listed_out_of_view: bool = False  # an AD group that fed the Genesys group and is out of view listed the user last
    may_be_unidentified: bool = False  # a wanted person who is not identified has a value of this member


# -- no guard may object ------------------------------------------------------------------------------


def mapping_changed(removal: Removal) -> Reason | None:
    """Hold what a former pair granted, and a change of a former pair's AD group.

    An AD group that is out of view may list the user still: that it cannot be read is not that the user left.
    """
    granted_through = {grant.group_guid for grant in removal.grants}
    former = not granted_through <= removal.sources or not removal.former_sources.isdisjoint(removal.lost)
    return Reason.MAPPING_CHANGED if former or removal.listed_out_of_view or not removal.sources else None


def unproven(removal: Removal) -> Reason | None:
    """Hold unless all feeding AD groups were read completely since the change.

    These are the AD groups that feed the Genesys group. The time is when the change was recorded. A group that was read
    in part may gain members, never lose them.
    """
    return None if removal.complete else Reason.UNPROVEN


def not_owned(removal: Removal) -> Reason | None:
    """Hold what AD never granted, unless the policy is `mirror`."""
    return None if removal.grants or removal.policy == "mirror" else Reason.NOT_OWNED


def unidentified_member(removal: Removal) -> Reason | None:
    """Hold an unowned member that shares mail or user name with an unidentified wanted person.

    Unowned: AD does not own the membership. Nobody is asked: such a member is most likely that person.
    """
    return Reason.UNIDENTIFIED_MEMBERS if removal.may_be_unidentified and not removal.grants else None


def ambiguous_identity(removal: Removal) -> Reason | None:
    """Hold unless the AD account is one Genesys user, by match and by grant.

    Whether other accounts claim that Genesys user is left to `claimed_by_other_account`.
    """
    match = removal.match
    if match is not None and match.status is MatchStatus.AMBIGUOUS and not contested_by_accounts(match):
        return match.reason or Reason.AMBIGUOUS
    return Reason.AMBIGUOUS if len(removal.known_ids) > 1 else None


def contested_by_accounts(match: Match) -> bool:
    """Return True if only other AD accounts make a match ambiguous.

    They claim the same Genesys user.
    """
    if match.status is not MatchStatus.AMBIGUOUS or match.reason is not Reason.AMBIGUOUS:
        return False
    return bool(match.rivals) and all(rival.guid for rival in match.rivals)


def claimed_by_other_account(removal: Removal) -> Reason | None:
    """Hold if another AD account of the group is, or may be, this user.

    That account belongs into the Genesys group.
    """
    return Reason.AMBIGUOUS if removal.claimants - {removal.user_guid} else None


def unresolved_members(removal: Removal) -> Reason | None:
    """Hold if a wanted AD user was not looked up in Genesys.

    That AD user may be this Genesys user, for example because a mail address moved. A user whose value Genesys refuses
    was looked up as far as that is possible.
    """
    return None if removal.all_wanted_looked_up else Reason.GENESYS_UNREADABLE


def held_by_evidence(removal: Removal) -> Reason | None:
    """Hold for the change's own reason: doubt about AD's word."""
    return removal.held_reason


def was_manual(removal: Removal) -> Reason | None:
    """Hold what was in Genesys by hand before AD granted it; an approver is asked.

    Under `mirror` it would go anyway.
    """
    manual = bool(removal.grants) and all(grant.was_manual for grant in removal.grants)
    return Reason.WAS_MANUAL if manual and removal.policy != "mirror" else None


GUARDS = (
    mapping_changed,  # no proof would change that
    unproven,
    not_owned,
    unidentified_member,
    ambiguous_identity,
    claimed_by_other_account,
    unresolved_members,
    held_by_evidence,
    was_manual,
)


def why_held(removal: Removal) -> Reason | None:
    """Return the reason of the first guard that objects; None: limits and approvers decide."""
    return next((reason for guard in GUARDS if (reason := guard(removal))), None)


# -- guards of rows that need no other reason ----------------------------------------------------------


def protected(
    genesys_group_id: str, name: str, patterns: Collection[str], former_names: Collection[str] = ()
) -> Reason | None:
    """Hold changes of Genesys groups that `protect:` names, by pattern or id.

    The changes are adds and removals.
    ``former_names``: the names by which a pattern found the group before. Who renames it does not unprotect it.
    """
    by_id = names.normal_name(genesys_group_id) in {names.normal_name(pattern) for pattern in patterns}
    return Reason.PROTECTED if by_id or names.matches_any(patterns, (name, *former_names)) else None


def journal_restored(*, restored: bool) -> Reason | None:
    """Hold additions and removals if the journal is unknown, or older than the reports.

    It may have forgotten what a person undid or rejected.
    """
    return Reason.JOURNAL_RESTORED if restored else None


def objected(objection: Objection | None, newest_told: int) -> bool:
    """Return True if a person's decision still holds the row.

    ``newest_told``: id of the newest change of that membership that AD reported; 0: none.
    """
    return objection is not None and newest_told <= objection.last_change
