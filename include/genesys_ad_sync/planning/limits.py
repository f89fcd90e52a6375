"""How many removals are too many, and how many lost members are not believed.

Pure. A limit that is exceeded asks for an approver; it never decides what is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from genesys_ad_sync.settings import Limits

_ALL = 100  # percent


@dataclass(frozen=True)
class PendingRemovals:
    """Removals of one Genesys group that all of `guards.GUARDS` allow.

    ``owned``: number of its present members that AD owns; under `removals: mirror`, of all present members.
    """

    genesys_group_id: str
    genesys_group_name: str
    count: int
    owned: int


@dataclass(frozen=True)
class LimitCheck:
    """The limits that are exceeded.

    ``held_groups``: Genesys groups all of whose removals are held for that.
    ``texts``: one sentence per exceeded limit.
    ``by_group``: Genesys group id -> the sentences about it. The other sentences are about the whole run.
    """

    held_groups: frozenset[str]
    texts: tuple[str, ...]
    by_group: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NOTHING_EXCEEDED = LimitCheck(frozenset(), ())


def check_limits(pending: Iterable[PendingRemovals], removed_today: int, limits: Limits) -> LimitCheck:
    """Check all limits; an exceeded one holds *every* removal of its group or run."""
    groups = [group for group in pending if group.count]
    total = sum(group.count for group in groups)
    by_group = {
        group.genesys_group_id: tuple(
            text for text in (too_many_in_group(group, limits), too_large_a_share(group, limits)) if text
        )
        for group in groups
    }
    held = {group_id for group_id, texts in by_group.items() if texts}
    texts = [text for texts_of_group in by_group.values() for text in texts_of_group]
    for text in (too_many_in_run(total, limits), too_many_in_a_day(total, removed_today, limits)):
        if text:
            held.update(group.genesys_group_id for group in groups)
            texts.append(text)
    return LimitCheck(frozenset(held), tuple(texts), {group_id: its for group_id, its in by_group.items() if its})


def too_many_in_group(pending: PendingRemovals, limits: Limits) -> str | None:
    """Check `limits.removals`."""
    if pending.count <= limits.removals:
        return None
    return (
        f"{pending.count} removals in {pending.genesys_group_name!r} are more than allowed: "
        f"limits.removals is {limits.removals}"
    )


def too_large_a_share(pending: PendingRemovals, limits: Limits) -> str | None:
    """Check `limits.removals_percent`, for groups of at least `limits.min_group_size` owned members."""
    if pending.owned < limits.min_group_size or pending.count * 100 <= limits.removals_percent * pending.owned:
        return None
    return (
        f"{pending.count} removals among the {pending.owned} members of {pending.genesys_group_name!r} that AD owns "
        f"are more than allowed: limits.removals_percent is {limits.removals_percent}"
    )


def too_many_in_run(count: int, limits: Limits) -> str | None:
    """Check `limits.per_run`."""
    if count <= limits.per_run:
        return None
    return f"{count} removals in one run are more than allowed: limits.per_run is {limits.per_run}"


def too_many_in_a_day(count: int, removed_today: int, limits: Limits) -> str | None:
    """Check `limits.per_day`, which also notices a slow leak over many runs."""
    if not count or removed_today + count <= limits.per_day:
        return None
    return f"{count} removals after {removed_today} today are more than allowed: limits.per_day is {limits.per_day}"


def shrinks_implausibly(before: int, lost: int, limits: Limits) -> bool:
    """Return True if a group lost more members than `limits.shrink_percent` allows to believe.

    ``lost``: members that a complete reading lacks, and whose loss neither DirSync nor a tombstone reports.
    The loss of all members is never believed. Groups below `limits.min_group_size` may lose some members without a
    report. 100 percent believes everything.
    """
    if not lost or limits.shrink_percent >= _ALL:
        return False
    return lost >= before or (before >= limits.min_group_size and lost * 100 > limits.shrink_percent * before)
