"""What an approver is asked, and what the answer means.

Pure: knows neither Airflow's form nor the journal.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from genesys_ad_sync.model import UNDECIDED, Action, Row
from genesys_ad_sync.text import one_line

ALL = "All groups"
NONE = "None"

SHORT_HASH = 12
"""Characters of a plan's hash that an approver sees."""

LABEL_LENGTH = 80

SINGLES = 200
"""So many members can be chosen one by one in a form; with more, some groups only as a whole."""


@dataclass(frozen=True)
class AskedGroup:
    """The rows of one Genesys group that wait for an answer.

    ``option``: its name in the form. ``singles``: row key -> name in the form of a row that can be chosen alone.
    """

    id: str
    name: str
    option: str
    rows: tuple[Row, ...]
    singles: Mapping[str, str] = field(default_factory=dict)

    @property
    def additions(self) -> int:
        """Number of members to add."""
        return sum(row.action is Action.ADD for row in self.rows)

    @property
    def removals(self) -> int:
        """Number of members to remove."""
        return len(self.rows) - self.additions


@dataclass(frozen=True)
class Question:
    """A frozen part of a plan. ``hash``: its `planning.content_hash`."""

    groups: tuple[AskedGroup, ...]
    hash: str

    @property
    def options(self) -> list[str]:
        """The choices of the form. With one group, "all groups" would only repeat it."""
        own = [option for group in self.groups for option in (group.option, *group.singles.values())]
        return [*([ALL] if len(self.groups) > 1 else []), *own, NONE, UNDECIDED]

    @property
    def singles(self) -> dict[str, str]:
        """The rows that can be chosen alone: row key -> name in the form."""
        return {key: option for group in self.groups for key, option in group.singles.items()}

    @property
    def additions(self) -> int:
        """Number of members to add, over all groups."""
        return sum(group.additions for group in self.groups)

    @property
    def removals(self) -> int:
        """Number of members to remove, over all groups."""
        return sum(group.removals for group in self.groups)

    @property
    def subject(self) -> str:
        """The question in one line."""
        where = f"{len(self.groups)} Genesys groups" if len(self.groups) > 1 else f'"{_label(self.groups[0].name)}"'
        return f"Approve {amounts(self.additions, self.removals)} in {where}?"


def question(rows: Sequence[Row], plan_hash: str) -> Question:
    """Return the question about these rows, by Genesys group, the largest first."""
    by_group: dict[str, list[Row]] = {}
    for row in rows:
        assert row.genesys_group_id is not None  # noqa: S101  for mypy
        by_group.setdefault(row.genesys_group_id, []).append(row)
    options = {group_id: _option(group_rows) for group_id, group_rows in by_group.items()}
    uses = Counter(options.values())
    groups = []
    for group_id, group_rows in by_group.items():
        option = options[group_id]
        if uses[option] > 1:
            option = f"{option} ({group_id})"
        groups.append(AskedGroup(group_id, group_rows[0].group_name, option, tuple(group_rows)))
    groups.sort(key=lambda group: (-len(group.rows), group.name.casefold(), group.id))
    return Question(_with_singles(groups), plan_hash)


def _with_singles(groups: Sequence[AskedGroup]) -> tuple[AskedGroup, ...]:
    """Return the groups with the members that can be chosen alone, `SINGLES` at most.

    Those are members whom AD does not own: one of them may be a person who is wanted, the others not.
    """
    left = SINGLES
    offered: dict[str, list[Row]] = {}
    for group in groups:
        rows = [row for row in group.rows if row.about.get("member")]
        if len(group.rows) > 1 and len(rows) <= left:
            left -= len(rows)
            offered[group.id] = rows
    names = {row.key: _single(row) for rows in offered.values() for row in rows}
    uses = Counter(names.values())
    for group_id, rows in offered.items():
        for row in rows:
            if uses[_single(row)] > 1:
                names[row.key] += f" ({group_id}, {row.genesys_user_id})"
    return tuple(
        dataclasses.replace(group, singles={row.key: names[row.key] for row in offered.get(group.id, ())})
        for group in groups
    )


def _single(row: Row) -> str:
    return f"{_label(row.group_name)}: only {_label(row.about['member'])}"


def chosen_groups(
    options: Mapping[str, str], chosen: Collection[str], singles: Mapping[str, str] = MappingProxyType({})
) -> frozenset[str]:
    """Return the Genesys groups that an answer approves.

    ``options``: Genesys group id -> its option. A choice that was not offered approves nothing, and neither does "None"
    beside another choice. ``singles``: see `chosen_rows`.
    """
    picked = set(chosen) - {UNDECIDED}
    if not picked <= {ALL, *options.values(), *singles.values()}:  # NONE is not among these
        return frozenset()
    if ALL in picked:
        return frozenset(options)
    return frozenset(group_id for group_id, option in options.items() if option in picked)


def chosen_rows(options: Mapping[str, str], singles: Mapping[str, str], chosen: Collection[str]) -> frozenset[str]:
    """Return the keys of the rows that an answer approves one by one.

    ``options``: as for `chosen_groups`. ``singles``: row key -> its option.
    """
    picked = set(chosen) - {UNDECIDED}
    if not picked <= {ALL, *options.values(), *singles.values()}:
        return frozenset()
    return frozenset(key for key, option in singles.items() if option in picked)


def is_decided(chosen: Collection[str]) -> bool:
    """Return False if the form came back as it opened."""
    return bool(set(chosen) - {UNDECIDED})


def amounts(additions: int, removals: int) -> str:
    """Return the counts in words, as in "3 removals and 1 addition"."""
    parts = []
    if removals:
        parts.append(f"{removals:,} {'removal' if removals == 1 else 'removals'}")
    if additions:
        parts.append(f"{additions:,} {'addition' if additions == 1 else 'additions'}")
    return " and ".join(parts)


def _option(rows: Sequence[Row]) -> str:
    additions = sum(row.action is Action.ADD for row in rows)
    return f"{_label(rows[0].group_name)}: {amounts(additions, len(rows) - additions)}"


def _label(name: str) -> str:
    name = one_line(name)
    return name if len(name) <= LABEL_LENGTH else f"{name[: LABEL_LENGTH - 1]}…"
