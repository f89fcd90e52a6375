"""How many changes are too many, and how many lost members are not believed.

Pure. A limit that is exceeded asks for an approver; it never decides what is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from genesys_ad_sync.model import Action
from genesys_ad_sync.settings import Limits

_ALL = 100  # percent
EMPTY_GROUP = "empty_group"


@dataclass(frozen=True)
class Pending:
    """The changes of one action and Genesys group that can still be stopped.

    Only a limit or an approver can stop them.

    - ``members``: what the percentage is of. Removals: the present members that AD owns, under `removals: mirror` all
      present members. Additions: all present members.
    - ``today``: such changes of the last 24 hours that no person approved.
    - ``went_over``: limits that an earlier run found exceeded by some of them, see `still_over`.
    - ``most_owned``: if AD would own nobody afterwards, the most members that it owned at one time of the last 24
      hours; else 0.
    """

    action: Action
    genesys_group_id: str
    genesys_group_name: str
    count: int
    members: int
    today: int = 0
    went_over: tuple[str, ...] = ()
    most_owned: int = 0


@dataclass(frozen=True)
class LimitCheck:
    """The limits that are exceeded, by the names of their keys below `limits:`.

    ``held``: (action, Genesys group id) -> the limits for which all its changes of that action are held.
    ``texts``: one sentence per exceeded limit. `empty_group` is not among them: it stops no run.
    ``by_group``: Genesys group id -> the sentences about it. The other sentences are about the whole run.
    """

    held: Mapping[tuple[Action, str], tuple[str, ...]] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    by_group: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def limits_of(self, action: Action, genesys_group_id: str | None) -> tuple[str, ...]:
        """Return the limits for which such a change is held."""
        return self.held.get((action, genesys_group_id or ""), ())


NOTHING_EXCEEDED = LimitCheck()


class _Excess(NamedTuple):
    """An exceeded limit: its key and a sentence."""

    key: str
    text: str


def check_limits(
    pending: Iterable[Pending], removed_today: int, limits: Limits, *, first_comparison: bool = False
) -> LimitCheck:
    """Check all limits; an exceeded one holds all its changes.

    It holds *every* change of that action in its group or run.
    ``removed_today``: removals of the last 24 hours in all groups that no person approved.
    ``first_comparison``: the definition has compared nothing yet, so that many additions are expected.
    """
    groups = [group for group in pending if group.count]
    held: dict[tuple[Action, str], list[str]] = {}
    by_group: dict[str, list[str]] = {}
    texts: list[str] = []
    for group in groups:
        for key, text in _of_group(group, limits):
            held.setdefault((group.action, group.genesys_group_id), []).append(key)
            by_group.setdefault(group.genesys_group_id, []).append(text)
            if key != EMPTY_GROUP:
                texts.append(text)
    for action in Action:
        of_action = [group for group in groups if group.action is action]
        for key, text in _of_run(action, of_action, removed_today, limits):
            texts.append(text)
            for group in of_action:
                held.setdefault((action, group.genesys_group_id), []).append(key)
    if first_comparison and any(action is Action.ADD for action, _ in held):
        texts.insert(0, _first_comparison([group for group in groups if group.action is Action.ADD]))
    return LimitCheck(
        {of: tuple(dict.fromkeys(keys)) for of, keys in held.items()},
        tuple(dict.fromkeys(texts)),
        {group_id: tuple(dict.fromkeys(its)) for group_id, its in by_group.items()},
    )


# -- each limit ---------------------------------------------------------------------------------------


def _of_group(group: Pending, limits: Limits) -> list[_Excess]:
    checks = (too_many_in_group, too_large_a_share, leaves_nobody)
    found = [_Excess(*excess) for check in checks if (excess := check(group, limits))]
    before = [key for key in group.went_over if key not in {excess.key for excess in found}]
    if before:
        text = (
            f"{_changes(group)} in {group.genesys_group_name!r} wait for approval since an earlier run found too many: "
            f"{in_words(before, limits)}"
        )
        found += [_Excess(key, text) for key in before]
    return found


def too_many_in_group(group: Pending, limits: Limits) -> tuple[str, str] | None:
    """Check `limits.removals` and `limits.additions`."""
    key, allowed = ("removals", limits.removals) if group.action is Action.REMOVE else ("additions", limits.additions)
    if group.count <= allowed:
        return None
    return key, f"{_changes(group)} in {group.genesys_group_name!r} are more than allowed: limits.{key} is {allowed}"


def too_large_a_share(group: Pending, limits: Limits) -> tuple[str, str] | None:
    """Check `limits.removals_percent` and `limits.additions_percent`, over the last 24 hours.

    Both are of the members that the group would have without these 24 hours, if they are at least
    `limits.min_group_size`.
    """
    key, of, before = "additions_percent", "members", group.members - group.today
    percent = limits.additions_percent
    if group.action is Action.REMOVE:
        key, of, before = "removals_percent", "members that AD owned", group.members + group.today
        percent = limits.removals_percent
    changed = group.count + group.today
    if percent is None or before < limits.min_group_size or changed * _ALL <= percent * before:
        return None
    after = f" after {group.today} in the last 24 hours" if group.today else ""
    return key, (
        f"{_changes(group)}{after} are too many of the {before} {of} in {group.genesys_group_name!r} a day ago: "
        f"limits.{key} is {percent}"
    )


def leaves_nobody(group: Pending, limits: Limits) -> tuple[str, str] | None:
    """Check `limits.empty_group`: the group that becomes empty.

    AD owned two or more of its members within a day.
    """
    if limits.empty_group == "allow" or group.most_owned <= 1:
        return None
    return EMPTY_GROUP, (
        f"{_changes(group)} would leave no member that AD owns in {group.genesys_group_name!r}, where AD owned at "
        f"least {group.most_owned} members in the last 24 hours: limits.empty_group is {limits.empty_group}"
    )


def _of_run(action: Action, groups: Sequence[Pending], removed_today: int, limits: Limits) -> list[_Excess]:
    count = sum(group.count for group in groups)
    if action is Action.ADD:
        found = [too_many_in_run("additions_per_run", f"{count} additions", count, limits.additions_per_run)]
    else:
        found = [
            too_many_in_run("per_run", f"{count} removals", count, limits.per_run),
            too_many_in_a_day(count, removed_today, limits),
        ]
    return [_Excess(*excess) for excess in found if excess]


def too_many_in_run(key: str, changes: str, count: int, allowed: int) -> tuple[str, str] | None:
    """Check `limits.per_run` and `limits.additions_per_run`."""
    if count <= allowed:
        return None
    return key, f"{changes} of the whole definition are more than one run may make: limits.{key} is {allowed}"


def too_many_in_a_day(count: int, removed_today: int, limits: Limits) -> tuple[str, str] | None:
    """Check `limits.per_day`, which also notices a slow leak over many runs."""
    if not count or removed_today + count <= limits.per_day:
        return None
    return "per_day", (
        f"{count} removals after {removed_today} in the last 24 hours are more than allowed: "
        f"limits.per_day is {limits.per_day}"
    )


def _first_comparison(groups: Sequence[Pending]) -> str:
    count = sum(group.count for group in groups)
    return (
        f"This is the first live comparison of the definition, with {count:,} additions in {len(groups):,} Genesys "
        "groups. Many additions are expected then"
    )


def _changes(group: Pending) -> str:
    word = "removal" if group.action is Action.REMOVE else "addition"
    return f"{group.count} {word}{'' if group.count == 1 else 's'}"


# -- what went over before ----------------------------------------------------------------------------


def in_words(keys: Iterable[str], limits: Limits) -> str:
    """Return the limits as they are in the definition, as in "limits.removals is 50"."""
    return " and ".join(f"limits.{key} is {getattr(limits, key)}" for key in keys)


def as_exceeded(keys: Iterable[str], limits: Limits) -> str:
    """Return the text in which the journal keeps the exceeded limits of a change."""
    return " ".join(f"{key}={getattr(limits, key)}" for key in keys)


def still_over(exceeded: str | None, limits: Limits) -> tuple[str, ...]:
    """Return the limits of `as_exceeded` that the definition has not raised since.

    Time alone takes nothing below a limit again: a person approves, or raises the limit.
    """
    stored = [pair.partition("=") for pair in (exceeded or "").split()]
    return tuple(key for key, _, value in stored if _is_not_raised(value, getattr(limits, key, None)))


def _is_not_raised(before: str, now: object) -> bool:
    if now is None:
        return False
    if isinstance(now, int):
        return before.isdecimal() and now <= int(before)
    return now != "allow"


# -- what is not believed -----------------------------------------------------------------------------


def shrinks_implausibly(before: int, lost: int, limits: Limits) -> bool:
    """Return True if a group lost more members than `limits.shrink_percent` allows to believe.

    ``lost``: members that a complete reading lacks, and whose loss neither DirSync nor a tombstone reports.
    Below 100 percent, the loss of all members is never believed. 100 percent believes everything.
    Groups below `limits.min_group_size` may lose some members without a report.
    """
    if not lost or limits.shrink_percent >= _ALL:
        return False
    return lost >= before or (before >= limits.min_group_size and lost * 100 > limits.shrink_percent * before)
