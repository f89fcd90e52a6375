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
from genesys_ad_sync.text import skeleton, visible

ALL = "All groups"
NONE = "None"

SHORT_HASH = 12
"""Characters of a plan's hash that an approver sees."""

LABEL_LENGTH = 80

SINGLES = 200
"""So many members can be chosen one by one in a form; with more, some groups can only be chosen completely."""


@dataclass(frozen=True)
class AskedGroup:
    """The rows of one Genesys group that wait for an answer.

    With ``source``, these are the rows of one new pair: what that AD group would bring into the Genesys group.
    ``option``: its name in the form. ``singles``: row key -> name in the form of a row that can be chosen alone.
    """

    id: str
    name: str
    option: str
    rows: tuple[Row, ...]
    singles: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None

    @property
    def genesys_group_id(self) -> str:
        """Return the id of the Genesys group."""
        return self.rows[0].genesys_group_id or ""

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
        count = len({group.genesys_group_id for group in self.groups})
        where = f"{count} Genesys groups" if count > 1 else f'"{_label(self.groups[0].name)}"'
        return f"Approve {amounts(self.additions, self.removals)} in {where}?"


def question(rows: Sequence[Row], plan_hash: str) -> Question:
    """Return the question about these rows, by Genesys group and by new pair.

    The largest group comes first.
    """
    by_id: dict[str, list[Row]] = {}
    for row in rows:
        by_id.setdefault(asked_with(row), []).append(row)
    options = {id_: f"{_name_in_form(of_id)}: {_amounts_of(of_id)}" for id_, of_id in by_id.items()}
    names = {id_: of_id[0].group_name for id_, of_id in by_id.items()}
    groups = []
    for id_, of_id in by_id.items():
        option = options[id_]
        others = [other for other in by_id if other != id_]
        if any(_look_alike(option, options[other], names[id_], names[other]) for other in others):
            option = f"{option} ({id_})"
        groups.append(AskedGroup(id_, names[id_], option, tuple(of_id), source=_source_of(of_id[0])))
    groups.sort(key=lambda group: (-len(group.rows), group.name.casefold(), group.id))
    return Question(_with_singles(groups), plan_hash)


def _look_alike(option: str, other: str, name: str, other_name: str) -> bool:
    """Return True if two lines of the form, or two different names, look alike.

    A person can then hardly tell them apart.
    """
    return skeleton(option) == skeleton(other) or (name != other_name and skeleton(name) == skeleton(other_name))


def asked_with(row: Row) -> str:
    """Return the id of the group in the form to which a row belongs.

    A new pair is a question of its own: nobody should confirm it together with something else.
    """
    assert row.genesys_group_id is not None  # noqa: S101  for mypy
    pair = row.new_pair
    return row.genesys_group_id if pair is None else f"{row.genesys_group_id}/{pair[0]}"


def _source_of(row: Row) -> str | None:
    """Return the AD group of a new pair, by name."""
    pair = row.new_pair
    if pair is None:
        return None
    return next((group.get("name") for group in row.directory_groups if group.get("guid") == pair[0]), None) or pair[0]


def _name_in_form(rows: Sequence[Row]) -> str:
    name, source = _label(rows[0].group_name), _source_of(rows[0])
    return name if source is None else f"{name}, new from AD group {_label(source)}"


def _with_singles(groups: Sequence[AskedGroup]) -> tuple[AskedGroup, ...]:
    """Return the groups with the members that can be chosen alone, `SINGLES` at most.

    Those are members that AD does not own. One of them may be wanted, and the others not.
    """
    left = SINGLES
    offered: dict[str, list[Row]] = {}
    for group in groups:
        rows = [row for row in group.rows if row.about.get("member")]
        if len(group.rows) > 1 and len(rows) <= left:
            left -= len(rows)
            offered[group.id] = rows
    names = {row.key: _single(row) for rows in offered.values() for row in rows}
    looks = Counter(map(skeleton, names.values()))
    for group_id, rows in offered.items():
        for row in rows:
            if looks[skeleton(names[row.key])] > 1:
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


def _amounts_of(rows: Sequence[Row]) -> str:
    additions = sum(row.action is Action.ADD for row in rows)
    return amounts(additions, len(rows) - additions)


def _label(name: str) -> str:
    name = visible(name)
    return name if len(name) <= LABEL_LENGTH else f"{name[: LABEL_LENGTH - 1]}…"
