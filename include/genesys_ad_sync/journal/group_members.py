"""Questions about one large group: its members as ids and names, and its last changes.

A page shows a hundred members of 25,000. So only ids and names of all are read; what is shown is read in full by others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, false, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.changes import as_change
from genesys_ad_sync.journal.database import DefinitionStore, chunks
from genesys_ad_sync.model import Change, Guid, MembershipPolicy, PrincipalKind

_GROUP = tables.group.c
_USER = tables.user.c
_GRANT = tables.grant.c
_CHANGE = tables.change.c
_MEMBERSHIP = tables.membership.c


@dataclass(frozen=True)
class Holder:
    """Who has a grant. ``asleep``: it is not known whether the membership is still there."""

    genesys_user_id: str
    since: datetime
    asleep: bool


class GroupMembers(DefinitionStore):
    """The members of groups of the definition."""

    def groups_below(self, root: Guid, *, nested: bool) -> dict[Guid, tuple[Guid, ...]]:
        """Return a group and the groups below it, each with a shortest path of groups down to it.

        The nearest come first. Empty: the group is not in the view, or the definition does not look at it.
        """
        here = (_GROUP.definition == self._definition, _GROUP.gone_at.is_(None))
        with self._database.reading() as connection:
            if not connection.scalar(select(_GROUP.guid).where(*here, _GROUP.guid == root, _GROUP.in_scope)):
                return {}
            paths: dict[Guid, tuple[Guid, ...]] = {root: (root,)}
            level = [root] if nested else []
            while level:
                children: dict[Guid, list[Guid]] = {}
                for chunk in chunks(level):
                    inside = (
                        select(_MEMBERSHIP.group_guid, _MEMBERSHIP.member_guid)
                        .join(
                            tables.group,
                            (_GROUP.definition == _MEMBERSHIP.definition) & (_GROUP.guid == _MEMBERSHIP.member_guid),
                        )
                        .where(_MEMBERSHIP.definition == self._definition, _MEMBERSHIP.group_guid.in_(chunk), *here)
                        .order_by(_MEMBERSHIP.group_guid, _MEMBERSHIP.member_guid)
                    )
                    for group, member in connection.execute(inside):
                        children.setdefault(group, []).append(member)
                level = _go_down(paths, level, children)
            return paths

    def counting(self, groups: Collection[Guid], policy: MembershipPolicy) -> dict[Guid, str]:
        """Return the people that are direct members of any of these groups and count, with their names."""
        counts: list[ColumnElement[bool]] = [_USER.gone_at.is_(None), _USER.kind == PrincipalKind.USER.value]
        if policy.disabled_users == "remove":
            counts.append(_USER.disabled == false())
        if policy.expired_users == "remove":
            counts.append(_USER.expired == false())
        same = (_USER.definition == _MEMBERSHIP.definition) & (_USER.guid == _MEMBERSHIP.member_guid)
        found: dict[Guid, str] = {}
        with self._database.reading() as connection:
            for chunk in chunks(groups):
                statement = (
                    select(_USER.guid, _USER.name)
                    .join(tables.membership, same)
                    .where(_MEMBERSHIP.definition == self._definition, _MEMBERSHIP.group_guid.in_(chunk), *counts)
                )
                found.update((row[0], row[1]) for row in connection.execute(statement))
        return found

    def names_of(self, guids: Collection[Guid]) -> dict[Guid, str]:
        """Return the names of these people, of those that left included."""
        with self._database.reading() as connection:
            return {
                row[0]: row[1]
                for chunk in chunks(guids)
                for row in connection.execute(
                    select(_USER.guid, _USER.name).where(_USER.definition == self._definition, _USER.guid.in_(chunk))
                )
            }

    def holders(self, genesys_group_id: str) -> dict[Guid, Holder]:
        """Return the grants in a Genesys group by AD account. One that is not asleep goes before one that is."""
        statement = select(_GRANT.user_guid, _GRANT.genesys_user_id, _GRANT.since, _GRANT.asleep_since).where(
            _GRANT.definition == self._definition, _GRANT.genesys_group_id == genesys_group_id
        )
        found: dict[Guid, Holder] = {}
        with self._database.reading() as connection:
            for guid, user_id, since, asleep_since in connection.execute(statement):
                if guid not in found or found[guid].asleep:
                    found[guid] = Holder(user_id, since, asleep_since is not None)
        return found

    def last_changes(self, groups: Collection[Guid], limit: int, *, only_open: bool = False) -> list[Change]:
        """Return the newest changes of these AD groups, the newest first.

        :param only_open: only those that no run has settled.
        """
        found: list[Change] = []
        conditions = [_CHANGE.settled == false()] if only_open else []
        with self._database.reading() as connection:
            for group in groups:
                statement = (
                    select(tables.change)
                    .where(_CHANGE.definition == self._definition, _CHANGE.group_guid == group, *conditions)
                    .order_by(_CHANGE.id.desc())
                    .limit(limit)
                )
                found += [as_change(row) for row in connection.execute(statement)]
        return sorted(found, key=lambda change: -(change.id or 0))[:limit]

    def linked_users(self, guids: Collection[Guid]) -> dict[Guid, str]:
        """Return the Genesys users of these accounts."""
        link = tables.link.c
        with self._database.reading() as connection:
            return {
                row[0]: row[1]
                for chunk in chunks(guids)
                for row in connection.execute(
                    select(link.user_guid, link.genesys_user_id).where(
                        link.definition == self._definition, link.user_guid.in_(chunk)
                    )
                )
            }


def _go_down(
    paths: dict[Guid, tuple[Guid, ...]], level: Collection[Guid], children: Mapping[Guid, Collection[Guid]]
) -> list[Guid]:
    """Add the groups below a level that were not met yet to the paths, and return them."""
    below = []
    for group in level:
        for member in children.get(group, ()):
            if member not in paths:
                paths[member] = (*paths[group], member)
                below.append(member)
    return below
