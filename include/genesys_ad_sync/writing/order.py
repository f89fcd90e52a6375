"""In which order the groups of a lane are written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from genesys_ad_sync.model import Action, Guid, Row

Group = tuple[str, Sequence[Row]]
"""A Genesys group, and rows of it that are written together."""


def in_order(
    groups: Mapping[str, Sequence[Row]], failed: Collection[str], ended: Collection[Guid]
) -> list[list[Group]]:
    """Return the groups in stages.

    The groups of a stage may be written at the same time.

    - First, removals of accounts that are disabled, expired or deleted (``ended``), with the additions of their groups.
    - Then groups with additions, and last those that only lose members. So a user who moves to another group is always
      in one of the two.
    - All of this for groups that did not fail last time, and then for those that did (``failed``). So a group that
      Genesys refuses never keeps the others from being served.
    """
    stages: list[list[Group]] = [[] for _ in range(6)]
    for group_id, rows in groups.items():
        first = 3 * (group_id in failed)
        urgent = [row for row in rows if row.action is Action.REMOVE and row.user_guid in ended]
        adds = [row for row in rows if row.action is Action.ADD]
        others = [row for row in rows if row.action is Action.REMOVE and row.user_guid not in ended]
        if urgent:
            # another removal is another write: somebody may move, and be added elsewhere only later
            stages[first].append((group_id, [*adds, *urgent]))
            adds = []
        if adds:
            stages[first + 1].append((group_id, [*adds, *others]))
        elif others:
            stages[first + 2].append((group_id, others))
    return [stage for stage in stages if stage]
