"""Questions about one large group: its members as ids and names, and its last changes.

A page shows a hundred members of 25,000. So only ids and names of all are read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, false, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.changes import as_change
from genesys_ad_sync.journal.database import DefinitionStore, chunks
from genesys_ad_sync.journal.view_rows import first_value
from genesys_ad_sync.model import Change, Guid, MembershipPolicy, PrincipalKind

_GROUP = tables.group.c
_USER = tables.user.c
_GRANT = tables.grant.c
_CHANGE = tables.change.c
_MEMBERSHIP = tables.membership.c

FEW = 50
"""So many groups are asked for one by one, for each member."""


class GroupMembers(DefinitionStore):
    """The members of groups of the definition."""

    def groups_below(self, root: Guid, *, nested: bool) -> dict[Guid, tuple[Guid, ...]]:
        """Return a group and the groups below it, each with a shortest path.

        A path is of the groups down to it. The nearest come first. Empty: the group is not in the view, or the
        definition does not look at it.
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
        """Return the names of the people that count and are direct members of these groups."""
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
                found |= dict(connection.execute(statement).all())
        return found

    def names_of(self, guids: Collection[Guid]) -> dict[Guid, str]:
        """Return the names of these people, of those that left included."""
        with self._database.reading() as connection:
            return {
                guid: name
                for chunk in chunks(guids)
                for guid, name in connection.execute(
                    select(_USER.guid, _USER.name).where(_USER.definition == self._definition, _USER.guid.in_(chunk))
                ).all()
            }

    def holders(self, genesys_group_id: str) -> tuple[dict[Guid, str], dict[Guid, str]]:
        """Return who has a grant in a Genesys group, and whose grants there all sleep.

        Both are AD account -> Genesys user.
        """
        of_group = select(_GRANT.user_guid, _GRANT.genesys_user_id, _GRANT.asleep_since.is_(None)).where(
            _GRANT.definition == self._definition, _GRANT.genesys_group_id == genesys_group_id
        )
        with self._database.reading() as connection:
            rows = connection.execute(of_group).all()
        awake = {guid: user_id for guid, user_id, is_awake in rows if is_awake}
        asleep = {guid: user_id for guid, user_id, is_awake in rows if not is_awake}
        return awake, {guid: user_id for guid, user_id in asleep.items() if guid not in awake}

    def granted_since(self, genesys_group_id: str, guids: Collection[Guid] | None) -> dict[Guid, datetime]:
        """Return since when these AD accounts have a grant in a Genesys group.

        ``guids`` None: all that have one. A grant that sleeps counts least.
        """
        of_group = (
            select(_GRANT.user_guid, _GRANT.since)
            .where(_GRANT.definition == self._definition, _GRANT.genesys_group_id == genesys_group_id)
            .order_by(_GRANT.asleep_since.is_not(None), _GRANT.genesys_user_id, _GRANT.group_guid)
        )
        found: dict[Guid, datetime] = {}
        statements = [of_group] if guids is None else [of_group.where(_GRANT.user_guid.in_(c)) for c in chunks(guids)]
        with self._database.reading() as connection:
            for statement in statements:
                for guid, since in connection.execute(statement).all():
                    found.setdefault(guid, since)
        return found

    def mails_of(self, guids: Collection[Guid]) -> dict[Guid, str]:
        """Return the mail addresses of these accounts; those without one are missing."""
        found: dict[Guid, str] = {}
        with self._database.reading() as connection:
            for chunk in chunks(guids):
                these = (_USER.definition == self._definition, _USER.guid.in_(chunk))
                for guid, attributes in connection.execute(select(_USER.guid, _USER.attributes).where(*these)).all():
                    if mail := attributes.get("mail"):
                        found[guid] = first_value(mail)
        return found

    def direct_groups(self, groups: Collection[Guid], members: Collection[Guid] | None = None) -> dict[Guid, set[Guid]]:
        """Return which of these AD groups their direct members are in: member -> groups.

        ``members``: only of these; default: of all.
        """
        column, wanted = (_MEMBERSHIP.group_guid, groups) if members is None else (_MEMBERSHIP.member_guid, members)
        columns = (_MEMBERSHIP.member_guid, _MEMBERSHIP.group_guid)
        statement = select(*columns).where(_MEMBERSHIP.definition == self._definition)
        if members is not None and len(groups) <= FEW:
            statement = statement.where(_MEMBERSHIP.group_guid.in_(list(groups)))
        found: dict[Guid, set[Guid]] = {}
        with self._database.reading() as connection:
            for chunk in chunks(wanted):
                for member, group in connection.execute(statement.where(column.in_(chunk))).all():
                    if group in groups:
                        found.setdefault(member, set()).add(group)
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
    """Add the groups below a level to the paths, and return the new ones."""
    below = []
    for group in level:
        for member in children.get(group, ()):
            if member not in paths:
                paths[member] = (*paths[group], member)
                below.append(member)
    return below
