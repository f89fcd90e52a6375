"""What an approver is asked, and what the answer means.

Pure: knows neither Airflow's form nor the journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from genesys_ad_sync.model import UNDECIDED, Action, Row
from genesys_ad_sync.text import one_line

ALL = "All groups"
NONE = "None"

SHORT_HASH = 12
"""Characters of a plan's hash that an approver sees."""

LABEL_LENGTH = 80


@dataclass(frozen=True)
class AskedGroup:
    """The rows of one Genesys group that wait for an answer.

    ``option``: its name in the form.
    """

    id: str
    name: str
    option: str
    rows: tuple[Row, ...]

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
        own = [group.option for group in self.groups]
        return [*([ALL] if len(own) > 1 else []), *own, NONE, UNDECIDED]

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
        assert row.genesys_group_id is not None
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
    return Question(tuple(groups), plan_hash)


def chosen_groups(options: Mapping[str, str], chosen: Collection[str]) -> frozenset[str]:
    """Return the Genesys groups that an answer approves.

    ``options``: Genesys group id -> its option. A choice that was not offered approves nothing, and neither does "None"
    beside another choice.
    """
    picked = set(chosen) - {UNDECIDED}
    if not picked <= {ALL, *options.values()}:  # NONE is not among these
        return frozenset()
    if ALL in picked:
        return frozenset(options)
    return frozenset(group_id for group_id, option in options.items() if option in picked)


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
