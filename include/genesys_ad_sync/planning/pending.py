"""Counts of the changes that wait in each Genesys group.

They also show whether these changes would leave nobody of AD there. Counts all that is pending of the definition: the
rows of the plan, and what the run does not act on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from genesys_ad_sync.model import Action, Grant, Reason, Row, RowKey, Status
from genesys_ad_sync.planning.inputs import LimitFacts, Target
from genesys_ad_sync.planning.limits import Pending
from genesys_ad_sync.settings import SyncDefinition


@dataclass(frozen=True)
class GroupMembers:
    """A Genesys group as the limits see it.

    ``present``: Genesys user ids; ``grants``: of that group.
    """

    genesys_group_id: str
    genesys_group_name: str
    present: frozenset[str]
    grants: tuple[Grant, ...]

    @classmethod
    def of(cls, target: Target) -> GroupMembers:
        """Return the members of a target; none if they could not be read.

        Nothing is planned there then.
        """
        group = target.genesys_group
        return cls(group.id, group.name, target.members or frozenset(), target.grants)

    @property
    def owned(self) -> frozenset[str]:
        """Present members that AD owns."""
        return frozenset(grant.genesys_user_id for grant in self.grants) & self.present

    def ids_of(self, people: Collection[str]) -> frozenset[str]:
        """Return the Genesys users that AD owns among these people, see `Row.person`."""
        return frozenset(
            grant.genesys_user_id
            for grant in self.grants
            if grant.user_guid in people or grant.genesys_user_id in people
        )


@dataclass(frozen=True, slots=True)
class GroupTotals:
    """A Genesys group as the limits see it, in numbers.

    It takes the same memory however many members the group has.

    - ``present``: members. ``owned``: present members that AD owns.
    - ``most_owned``: if its removals leave nobody of AD there, and no addition fills it, the most members that AD owned
      at one time of the last 24 hours; else 0.
    """

    genesys_group_id: str
    genesys_group_name: str
    present: int = 0
    owned: int = 0
    most_owned: int = 0

    @classmethod
    def of(
        cls, group: GroupMembers, rows: Collection[Row], definition: SyncDefinition, facts: LimitFacts
    ) -> GroupTotals:
        """Count a Genesys group. ``rows``: those of the group that the limits count."""
        return cls(
            group.genesys_group_id,
            group.genesys_group_name,
            len(group.present),
            len(group.owned),
            _most_owned_if_emptied(group, rows, definition, facts),
        )


def totals_of(
    groups: Iterable[GroupMembers], rows: Iterable[Row], definition: SyncDefinition, facts: LimitFacts
) -> list[GroupTotals]:
    """Count these Genesys groups. ``rows``: those that the limits count, of all groups."""
    by_group: dict[str | None, list[Row]] = {}
    for row in rows:
        by_group.setdefault(row.genesys_group_id, []).append(row)
    return [GroupTotals.of(group, by_group.get(group.genesys_group_id, ()), definition, facts) for group in groups]


def is_to_be_written(row: Row) -> bool:
    """Return True for a planned row that is not merely checked again."""
    return row.status is Status.PLANNED and row.reason is None


def is_counted(row: Row, facts: LimitFacts) -> bool:
    """Return True if the row counts in the limits.

    An addition that another run seems to have made counts, too: the check before writing may find that it is missing.
    A row that a person approved counts nowhere.
    """
    seems_made = row.status is Status.PLANNED and row.reason is Reason.ALREADY_SO and row.action is Action.ADD
    return (is_to_be_written(row) or seems_made) and row.key not in facts.approved


def pending_changes(
    groups: Sequence[GroupTotals],
    rows: Sequence[Row],
    definition: SyncDefinition,
    facts: LimitFacts,
    adds_held_in: Collection[str] = (),
) -> list[Pending]:
    """Count what is pending by action and Genesys group.

    Nothing for an action of which this run writes nothing: then nothing of this run can be over a limit.
    ``adds_held_in``: Genesys groups whose additions a limit holds, so that they fill no group.
    """
    known = {row.key for row in rows}
    elsewhere = {RowKey.parse(key): before for key, before in facts.elsewhere.items() if key not in known}
    by_id = {group.genesys_group_id: group for group in groups}
    found = []
    for action in Action:
        counted = [row for row in rows if row.action is action and is_counted(row, facts)]
        others = {key: before for key, before in elsewhere.items() if key.action is action}
        if counted:
            found += _of_action(action, by_id, counted, others, definition, facts)
    written = [row for row in rows if row.action is Action.REMOVE or row.genesys_group_id not in adds_held_in]
    emptied = _most_owned_of_emptied(groups, written)
    return [
        replace(pending, most_owned=emptied.get(pending.genesys_group_id, 0))
        if pending.action is Action.REMOVE
        else pending
        for pending in found
    ]


def removed_today(rows: Iterable[Row], facts: LimitFacts) -> Counter[str]:
    """Count the removals of the last 24 hours by Genesys group.

    A removal that is pending again, because it could not be read back, is left out.
    """
    unverified = facts.unverified - {row.key for row in rows} - facts.elsewhere.keys()
    return Counter(facts.removed) + Counter(RowKey.parse(key).target for key in unverified)


def _of_action(
    action: Action,
    groups: Mapping[str, GroupTotals],
    counted: Sequence[Row],
    others: Mapping[RowKey, tuple[str, ...]],
    definition: SyncDefinition,
    facts: LimitFacts,
) -> list[Pending]:
    counts = Counter(row.genesys_group_id or "" for row in counted) + Counter(key.target for key in others)
    before = _went_over(counted, others, facts)
    today = removed_today(counted, facts) if action is Action.REMOVE else Counter(facts.added)
    found = []
    for group_id in sorted(counts):
        group = groups.get(group_id) or GroupTotals(group_id, group_id)
        found.append(
            Pending(
                action=action,
                genesys_group_id=group_id,
                genesys_group_name=group.genesys_group_name,
                count=counts[group_id],
                members=_base(action, group, definition),
                today=today[group_id],
                went_over=before.get(group_id, ()),
            )
        )
    return found


def _base(action: Action, group: GroupTotals, definition: SyncDefinition) -> int:
    """Return the number of members that a percentage is about."""
    if action is Action.REMOVE and definition.removals != "mirror":
        return group.owned
    return group.present


def _went_over(
    counted: Iterable[Row], others: Mapping[RowKey, tuple[str, ...]], facts: LimitFacts
) -> dict[str, tuple[str, ...]]:
    """Return by Genesys group the limits that earlier runs found exceeded."""
    found: dict[str, dict[str, None]] = {}
    for row in counted:
        for change_id in row.change_ids:
            found.setdefault(row.genesys_group_id or "", {}).update(dict.fromkeys(facts.went_over.get(change_id, ())))
    for key, before in others.items():
        found.setdefault(key.target, {}).update(dict.fromkeys(before))
    return {group_id: tuple(keys) for group_id, keys in found.items()}


# -- groups that would be empty -----------------------------------------------------------------------


def _most_owned_of_emptied(groups: Iterable[GroupTotals], rows: Iterable[Row]) -> dict[str, int]:
    """Return how many members AD owned in groups that pending removals empty.

    The count is the highest within a day. Emptied: nobody of AD is left. Under `mirror`, also for groups without any
    member left. Additions of the same plan fill a group again.
    """
    leaving: set[str] = set()
    filled: set[str] = set()
    for row in rows:
        if is_to_be_written(row):
            (leaving if row.action is Action.REMOVE else filled).add(row.genesys_group_id or "")
    emptied = leaving - filled
    return {group.genesys_group_id: group.most_owned for group in groups if group.genesys_group_id in emptied}


def _most_owned_if_emptied(
    group: GroupMembers, rows: Collection[Row], definition: SyncDefinition, facts: LimitFacts
) -> int:
    """Return 0 unless these rows, and what is pending elsewhere, empty the group."""
    leaving = {row.genesys_user_id or "" for row in rows if is_to_be_written(row) and row.action is Action.REMOVE}
    if not leaving:
        return 0
    elsewhere = facts.removals_elsewhere.get(group.genesys_group_id, {})
    known = {row.key for row in rows}
    leaving |= group.ids_of({person for key, person in elsewhere.items() if key not in known})
    owned, most = group.owned, 0
    if owned and owned <= leaving:
        granted = {grant.genesys_user_id for grant in group.grants}
        most = max(len(granted), facts.most_owned.get(group.genesys_group_id, 0))
    if definition.removals == "mirror" and group.present <= leaving:
        most = max(most, len(group.present))
    return most
