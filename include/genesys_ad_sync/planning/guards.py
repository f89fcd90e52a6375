"""Why a removal may not happen: one small function per guard, each an answer to one way of losing access by mistake.

Pure. Each takes facts and returns the reason to hold, or None. `planning` gathers the facts; nothing here decides what
is wanted. The guards stand in the order in which a person should hear of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from genesys_ad_sync import names
from genesys_ad_sync.model import Grant, Guid, Match, MatchStatus, Reason
from genesys_ad_sync.settings import Limits


@dataclass(frozen=True)
class Removal:
    """All that is known of one would-be removal of a Genesys user from a Genesys group."""

    genesys_user_id: str
    user_guid: Guid | None  # None: nobody in AD is known to be this Genesys user
    policy: str  # removals: granted | mirror
    complete: bool  # every AD group that feeds the Genesys group was read completely in this run
    feeding: frozenset[Guid]  # AD groups of today's pairs
    retired: frozenset[Guid]  # AD groups of former pairs
    lost: tuple[Guid, ...]  # AD groups that the change is about
    grants: tuple[Grant, ...]  # of this Genesys user in this Genesys group
    match: Match | None  # of user_guid
    known_ids: frozenset[str]  # Genesys users that user_guid is, by match and by grants
    claimants: frozenset[Guid]  # AD accounts that are, or may be, this Genesys user
    everybody_looked_up: bool = True  # it is known who each person is that AD wants in the Genesys group
    held_reason: Reason | None = None  # the change's own


# -- every one of these must agree --------------------------------------------------------------------


def proven(removal: Removal) -> Reason | None:
    """What was not read completely may gain members, never lose them."""
    return None if removal.complete else Reason.UNPROVEN


def owned(removal: Removal) -> Reason | None:
    """Only what AD once granted, unless the policy is `mirror`."""
    return None if removal.grants or removal.policy == "mirror" else Reason.NOT_OWNED


def known_to_be_one(removal: Removal) -> Reason | None:
    """The AD account is one Genesys user, the same one by match and by grant."""
    doubtful = removal.match is not None and removal.match.status is MatchStatus.AMBIGUOUS
    return Reason.AMBIGUOUS if doubtful or len(removal.known_ids) > 1 else None


def claimed_by_nobody_else(removal: Removal) -> Reason | None:
    """No other AD account is, or may be, this Genesys user: it may be wanted there through that one."""
    return Reason.AMBIGUOUS if removal.claimants - {removal.user_guid} else None


def nobody_wanted_is_unknown(removal: Removal) -> Reason | None:
    """Somebody whom AD wants there may be this Genesys user (a mail that moved): who each of them is must be known."""
    return None if removal.everybody_looked_up else Reason.AMBIGUOUS


def same_mapping(removal: Removal) -> Reason | None:
    """Each pair that granted the membership is still a pair of today, and the change is not about a former one."""
    granted_through = {grant.group_guid for grant in removal.grants}
    former = not granted_through <= removal.feeding or not removal.retired.isdisjoint(removal.lost)
    return Reason.MAPPING_CHANGED if former or not removal.feeding else None


def not_held_by_directory(removal: Removal) -> Reason | None:
    """Nothing that was seen while reading AD, or said by a person, speaks against the change itself."""
    return removal.held_reason


GUARDS = (
    proven,
    owned,
    known_to_be_one,
    claimed_by_nobody_else,
    nobody_wanted_is_unknown,
    same_mapping,
    not_held_by_directory,
)


def why_held(removal: Removal) -> Reason | None:
    """The first guard that refuses; None: the removal is allowed as far as limits and persons allow it."""
    return next((reason for guard in GUARDS if (reason := guard(removal))), None)


# -- what is too much to be believed ------------------------------------------------------------------


def shrunk(before: int, lost: int, limits: Limits) -> bool:
    """`limits.shrink_percent`: so many members cannot have gone without a word of AD; least of all the last one.

    ``lost``: those that a complete reading lacks, and of whom neither DirSync nor a tombstone tells. Small groups
    (`limits.min_group_size`) lose single members easily; 100 percent believes everything.
    """
    if not lost or limits.shrink_percent >= 100:
        return False
    return lost >= before or (before >= limits.min_group_size and lost * 100 > limits.shrink_percent * before)


# -- what needs a person ------------------------------------------------------------------------------


def protected(genesys_group_name: str, patterns: Iterable[str]) -> Reason | None:
    """Adds and removals of groups that `protect:` names."""
    return Reason.PROTECTED if names.matches_any(patterns, (genesys_group_name,)) else None


def journal_is_whole(journal_restored: bool) -> Reason | None:
    """A journal that is unknown or older than the reports say knows too much or too little."""
    return Reason.JOURNAL_RESTORED if journal_restored else None


def undone(pin: int | None, newest_change: int) -> Reason | None:
    """A person undid this pair, and AD has not said anything new about it since. Both are ids of changes."""
    return Reason.UNDONE if pin is not None and newest_change <= pin else None


# -- limits -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PendingRemovals:
    """Removals of one Genesys group that all of `GUARDS` allow. ``owned``: its present members whom AD owns; under
    `removals: mirror`, all of them."""

    genesys_group_id: str
    genesys_group_name: str
    count: int
    owned: int


@dataclass(frozen=True)
class Excess:
    """The limits that are exceeded, in words, and the Genesys groups whose removals are all held by that.
    ``by_group``: what is said of one Genesys group; the rest is said of all of them."""

    held_groups: frozenset[str]
    texts: tuple[str, ...]
    by_group: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NOTHING_EXCEEDED = Excess(frozenset(), ())


def too_many_in_group(pending: PendingRemovals, limits: Limits) -> str | None:
    """`limits.removals`"""
    if pending.count <= limits.removals:
        return None
    return (
        f"{pending.count} removals in {pending.genesys_group_name!r} are more than allowed: "
        f"limits.removals is {limits.removals}"
    )


def too_large_a_share(pending: PendingRemovals, limits: Limits) -> str | None:
    """`limits.removals_percent`, for groups of at least `limits.min_group_size` owned members."""
    if pending.owned < limits.min_group_size or pending.count * 100 <= limits.removals_percent * pending.owned:
        return None
    return (
        f"{pending.count} removals among the {pending.owned} members of {pending.genesys_group_name!r} whom AD owns "
        f"are more than allowed: limits.removals_percent is {limits.removals_percent}"
    )


def too_many_in_run(count: int, limits: Limits) -> str | None:
    """`limits.per_run`"""
    if count <= limits.per_run:
        return None
    return f"{count} removals in one run are more than allowed: limits.per_run is {limits.per_run}"


def too_many_in_a_day(count: int, removed_today: int, limits: Limits) -> str | None:
    """`limits.per_day`: so that a slow leak is noticed, too."""
    if not count or removed_today + count <= limits.per_day:
        return None
    return f"{count} removals after {removed_today} today are more than allowed: limits.per_day is {limits.per_day}"


def excess(pending: Iterable[PendingRemovals], removed_today: int, limits: Limits) -> Excess:
    """A limit that is exceeded holds *every* removal of its scope: of the group, or of the whole run."""
    groups = [group for group in pending if group.count]
    total = sum(group.count for group in groups)
    by_group = {
        group.genesys_group_id: tuple(
            text for text in (too_many_in_group(group, limits), too_large_a_share(group, limits)) if text
        )
        for group in groups
    }
    held = {group_id for group_id, texts in by_group.items() if texts}
    texts = [text for of_group in by_group.values() for text in of_group]
    for text in (too_many_in_run(total, limits), too_many_in_a_day(total, removed_today, limits)):
        if text:
            held.update(group.genesys_group_id for group in groups)
            texts.append(text)
    return Excess(
        frozenset(held), tuple(texts), {group_id: of_group for group_id, of_group in by_group.items() if of_group}
    )
