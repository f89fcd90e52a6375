"""Write a new state of a view over the stored one: only the difference."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, String, Table, bindparam, delete, insert, literal, select
from sqlalchemy import update as sql_update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import chunks, each_of, upsert
from genesys_ad_sync.model import Change, DirectoryView, Guid

SAME_END = timedelta(seconds=90)
"""AD shows the seconds that are left, and each reading takes some."""

GROUPS_AT_A_TIME = 200
"""Groups whose members are compared and written together: a copy of all would take as much memory as the view."""

_MEMBERSHIP = tables.membership.c
_GROUP = tables.group.c


@dataclass(frozen=True)
class ViewUpdate:
    """What one poll found.

    An object of ``before`` that is missing in ``after`` is *gone*: kept as last known, but no longer in the view. It
    stays in the view while a group outside the part contains it. A group that is no longer nested must therefore
    stay in ``after``. Of a gone group the memberships are kept, too, except those whose end DirSync reported.
    """

    before: DirectoryView | None  # the view or a part of it, as loaded; None: all that is stored, loaded here
    after: DirectoryView  # the same part as AD has it now
    changes: Sequence[Change] = ()  # what follows for people in AD groups
    complete: Collection[Guid] = ()  # groups that the poll read completely
    deleted: Collection[Guid] = ()  # objects whose tombstone the poll saw
    left: Mapping[Guid, Collection[Guid]] = field(
        default_factory=dict
    )  # members whose removal DirSync reported, by group
    full: bool = False  # `after` is the full view: whatever else is stored is gone
    # Of groups that were read: temporary member -> when it leaves. A group that is missing keeps what is known.
    ends: Mapping[Guid, Mapping[Guid, datetime]] = field(default_factory=dict)
    told_ends: Mapping[Guid, Mapping[Guid, datetime]] = field(default_factory=dict)  # of members that DirSync reported
    ends_doubt: bool = False  # the domain controller is beyond doubt again


def write_view(
    connection: Connection, definition: str, update: ViewUpdate, before: DirectoryView, at: datetime, poll: int
) -> None:
    """Write the difference between the two states, the tombstones, and which groups were read completely.

    Only the tables of groups, users and memberships are written, which no other task of other definitions writes.
    """
    write_objects(connection, definition, before, update.after)
    _write_members(connection, definition, before, update.after, at)
    _write_ends(connection, definition, update)
    _write_gone(connection, definition, update, before, at)
    _mark(connection, definition, tables.user, set(update.deleted) - update.after.users.keys(), deleted_at=at)
    _mark(connection, definition, tables.group, update.complete, complete_poll=poll)


def _write_members(
    connection: Connection, definition: str, before: DirectoryView, after: DirectoryView, at: datetime
) -> None:
    for group_guids in chunks(after.groups, GROUPS_AT_A_TIME):
        had = _members_of(connection, definition, [guid for guid in group_guids if guid not in before.groups])
        added: dict[Guid, set[Guid]] = {}
        removed: dict[Guid, set[Guid]] = {}
        for group_guid in group_guids:
            has = after.members.get(group_guid, set())
            had_members = had[group_guid] if group_guid in had else before.members.get(group_guid, set())
            added[group_guid] = has - had_members
            removed[group_guid] = had_members - has
        _remove_members(connection, definition, removed)
        insert_members(connection, definition, added, at)


def _write_ends(connection: Connection, definition: str, update: ViewUpdate) -> None:
    """Write when temporary members leave.

    An end that moved by less than ``SAME_END`` is the same one.
    """
    ends: dict[tuple[Guid, Guid], datetime | None] = {}
    for known in (update.ends, update.told_ends):  # DirSync is read after the groups
        ends.update({(group, member): end for group, of_group in known.items() for member, end in of_group.items()})
    stored = connection.execute(
        select(_MEMBERSHIP.group_guid, _MEMBERSHIP.member_guid, _MEMBERSHIP.ends_at).where(
            _MEMBERSHIP.definition == definition, _MEMBERSHIP.ends_at.is_not(None)
        )
    ).all()
    for group, member, end in stored:
        new = ends.pop((group, member), None)
        if new is None and group in update.ends:
            ends[group, member] = None
        elif new is not None and abs(new - end) >= SAME_END:
            ends[group, member] = new
    if ends:
        connection.execute(
            sql_update(tables.membership)
            .where(
                _MEMBERSHIP.definition == definition,
                _MEMBERSHIP.group_guid == bindparam("of_group"),
                _MEMBERSHIP.member_guid == bindparam("member"),
            )
            .values(ends_at=bindparam("end", type_=tables.UtcDateTime())),
            [{"of_group": group, "member": member, "end": end} for (group, member), end in ends.items()],
        )


def _write_gone(
    connection: Connection, definition: str, update: ViewUpdate, before: DirectoryView, at: datetime
) -> None:
    after, deleted = update.after, set(update.deleted)
    missing_groups = before.groups.keys() - after.groups.keys()
    missing_users = before.users.keys() - after.users.keys()
    if not update.full:
        kept = _kept_by_others(connection, definition, missing_groups, missing_users, after) - deleted
        missing_groups, missing_users = missing_groups - kept, missing_users - kept
    _delete_members(connection, definition, _MEMBERSHIP.group_guid, deleted - after.groups.keys())
    # a group outside the part, or one that is gone, may list them
    _delete_members(connection, definition, _MEMBERSHIP.member_guid, deleted - after.users.keys() - after.groups.keys())
    _remove_members(
        connection, definition, {guid: left for guid, left in update.left.items() if guid not in after.groups}
    )
    _mark(connection, definition, tables.group, missing_groups, gone_at=at)
    _mark(connection, definition, tables.user, missing_users, gone_at=at)


def _delete_members(
    connection: Connection, definition: str, column: ColumnElement[str], guids: Collection[Guid]
) -> None:
    for chunk in chunks(guids):
        connection.execute(delete(tables.membership).where(_MEMBERSHIP.definition == definition, column.in_(chunk)))


def _mark(connection: Connection, definition: str, table: Table, guids: Collection[Guid], **values: Any) -> None:
    for chunk in chunks(guids):
        connection.execute(
            sql_update(table).where(table.c.definition == definition, table.c.guid.in_(chunk)).values(**values)
        )


def _remove_members(connection: Connection, definition: str, removed: Mapping[Guid, Collection[Guid]]) -> None:
    rows_of_groups = _rows_of_groups(removed)
    if not rows_of_groups:
        return
    member = each_of(connection, bindparam("members", type_=JSON))
    of_group = (_MEMBERSHIP.definition == definition, _MEMBERSHIP.group_guid == bindparam("group"))
    connection.execute(
        delete(tables.membership).where(*of_group, _MEMBERSHIP.member_guid.in_(select(member))), rows_of_groups
    )


def insert_members(
    connection: Connection, definition: str, added: Mapping[Guid, Collection[Guid]], at: datetime
) -> None:
    rows_of_groups = _rows_of_groups(added)
    if not rows_of_groups:
        return
    member = each_of(connection, bindparam("members", type_=JSON))
    group = bindparam("group", type_=String)
    rows = select(literal(definition), group, member, literal(at, tables.UtcDateTime()))
    columns = [_MEMBERSHIP.definition, _MEMBERSHIP.group_guid, _MEMBERSHIP.member_guid, _MEMBERSHIP.since]
    connection.execute(insert(tables.membership).from_select(columns, rows), rows_of_groups)


def _rows_of_groups(members: Mapping[Guid, Collection[Guid]]) -> list[dict[str, Any]]:
    """Return the parameters of a statement that is executed once a group."""
    return [{"group": group_guid, "members": sorted(guids)} for group_guid, guids in members.items() if guids]


def write_objects(connection: Connection, definition: str, before: DirectoryView, after: DirectoryView) -> None:
    groups = (
        {
            "definition": definition,
            "guid": group.guid,
            "dn": group.dn,
            "name": group.name,
            "sam_account_name": group.sam_account_name,
            "sid": group.sid,
            "in_scope": group.in_scope,
            "ends_at": group.ends_at,
            "attributes": dict(group.attributes),
            "gone_at": None,
        }
        for guid, group in after.groups.items()
        if before.groups.get(guid) != group
    )
    upsert(connection, tables.group, groups)
    users = (
        {
            "definition": definition,
            "guid": user.guid,
            "dn": user.dn,
            "kind": user.kind.value,
            "name": user.name,
            "sam_account_name": user.sam_account_name,
            "disabled": user.disabled,
            "expires_at": user.expires_at,
            "expired": user.expired,
            "ends_at": user.ends_at,
            "attributes": {**user.attributes, **user.ranked_values},
            "gone_at": None,
            "deleted_at": None,
        }
        for guid, user in after.users.items()
        if before.users.get(guid) != user
    )
    upsert(connection, tables.user, users)


def _members_of(connection: Connection, definition: str, guids: Collection[Guid]) -> dict[Guid, set[Guid]]:
    """Return the stored members of groups that ``before`` does not have."""
    members: dict[Guid, set[Guid]] = {guid: set() for guid in guids}
    for chunk in chunks(guids):
        stored = connection.execute(
            select(_MEMBERSHIP.group_guid, _MEMBERSHIP.member_guid).where(
                _MEMBERSHIP.definition == definition, _MEMBERSHIP.group_guid.in_(chunk)
            )
        )
        for group_guid, member_guid in stored:
            members[group_guid].add(member_guid)
    return members


def _kept_by_others(
    connection: Connection,
    definition: str,
    missing_groups: Collection[Guid],
    missing_users: Collection[Guid],
    after: DirectoryView,
) -> set[Guid]:
    """Return the objects that left the part but not the view.

    A group outside the part contains them, directly or through another such object.
    """
    containers: dict[Guid, set[Guid]] = {}
    for chunk in chunks({*missing_groups, *missing_users}):
        stored = connection.execute(
            select(_MEMBERSHIP.group_guid, _MEMBERSHIP.member_guid)
            .join(tables.group, (_GROUP.definition == _MEMBERSHIP.definition) & (_GROUP.guid == _MEMBERSHIP.group_guid))
            .where(_MEMBERSHIP.definition == definition, _MEMBERSHIP.member_guid.in_(chunk), _GROUP.gone_at.is_(None))
        )
        for group_guid, member_guid in stored:
            if group_guid not in after.groups:
                containers.setdefault(group_guid, set()).add(member_guid)
    kept: set[Guid] = set()
    frontier = {guid for guid in containers if guid not in missing_groups}
    while frontier:
        reached = {member for container in frontier for member in containers.get(container, ())} - kept
        kept |= reached
        frontier = reached
    return kept
