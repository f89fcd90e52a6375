"""What AD said: the cursor, the view (groups, people, direct memberships), and reading it by closure.

Does not know Genesys, runs or outcomes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Row,
    Select,
    String,
    bindparam,
    delete,
    insert,
    literal,
    select,
    update,
)

from genesys_ad_sync.errors import JournalConflict
from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.changes import as_columns
from genesys_ad_sync.journal.database import Database, chunks, each_of, upsert
from genesys_ad_sync.model import Change, Cursor, DirectoryGroup, DirectoryUser, Guid, PrincipalKind, StoredCursor, View

_ROWS_AT_A_TIME = 10_000

_GROUP = tables.group.c
_USER = tables.user.c
_MEMBERSHIP = tables.membership.c


class Views:
    """Part of ``Journal``."""

    _database: Database

    def stored_cursor(self, definition: str) -> StoredCursor | None:
        """None: this definition has never been polled. Read it *before* the view that ``advance`` is to replace:
        then ``expected_poll`` proves that the view was the same."""
        with self._database.reading() as connection:
            row = _cursor_row(connection, definition)
            if row is None:
                return None
            dc = tables.known_dc.c
            seen = connection.execute(
                select(dc.domain_controller, dc.invocation_id, dc.highest_committed_usn).where(
                    dc.definition == definition
                )
            )
            return StoredCursor(
                cursor=Cursor(
                    domain_controller=row.domain_controller,
                    invocation_id=row.invocation_id,
                    highest_committed_usn=row.highest_committed_usn,
                    cookie=None if row.cookie is None else bytes(row.cookie),
                    polled_at=row.polled_at,
                    doubted_since=row.doubted_since,
                    trusted_dc=row.trusted_dc,
                ),
                scope=row.scope,
                poll=row.poll,
                began_at=row.began_at,
                known_dcs={name: (invocation_id, usn) for name, invocation_id, usn in seen},
            )

    def load_view(self, definition: str, roots: Collection[Guid] | None = None) -> View:
        """The view; with ``roots`` only the closure downwards: those groups, the groups nested below, and all their
        people. Roots that are no groups (any more) are left out. Costs what it gives, not what the journal holds."""
        with self._database.reading() as connection:
            if roots is None:
                return _whole(connection, definition)
            return _closure(connection, definition, roots)

    def roots_above(self, definition: str, guids: Collection[Guid]) -> set[Guid]:
        """The groups in scope that contain any of these guids (people or groups), directly or through nesting, and
        those of the guids that are groups in scope themselves."""
        with self._database.reading() as connection:
            found = set(guids)
            frontier = found
            while frontier:
                above: set[Guid] = set()
                for chunk in chunks(frontier):
                    above.update(
                        connection.scalars(
                            # not DISTINCT: for it, SQLite would walk all memberships in the order of their groups
                            select(_MEMBERSHIP.group_guid).where(
                                _MEMBERSHIP.definition == definition, _MEMBERSHIP.member_guid.in_(chunk)
                            )
                        )
                    )
                frontier = above - found
                found = found | above
            in_scope: set[Guid] = set()
            for chunk in chunks(found):
                in_scope.update(
                    connection.scalars(
                        select(_GROUP.guid).where(
                            _GROUP.definition == definition,
                            _GROUP.guid.in_(chunk),
                            _GROUP.in_scope,
                            _GROUP.gone_at.is_(None),
                        )
                    )
                )
            return in_scope

    def groups_with_rids(self, definition: str, rids: Collection[int]) -> set[Guid]:
        """The domain groups whose SID ends in one of these: what ``primaryGroupID`` of a user refers to."""
        endings = {str(rid) for rid in rids}
        with self._database.reading() as connection:
            found = connection.execute(
                select(_GROUP.guid, _GROUP.sid).where(
                    _GROUP.definition == definition, _GROUP.gone_at.is_(None), _GROUP.sid.like("S-1-5-21-%")
                )
            )
            return {row.guid for row in found if row.sid.rsplit("-", 1)[1] in endings}

    def scope_groups(self, definition: str) -> list[DirectoryGroup]:
        """The groups in scope that are not gone, by name."""
        with self._database.reading() as connection:
            found = connection.execute(
                select(tables.group)
                .where(_GROUP.definition == definition, _GROUP.in_scope, _GROUP.gone_at.is_(None))
                .order_by(_GROUP.name, _GROUP.guid)
            )
            return [_as_group(row) for row in found]

    def known_groups(self, definition: str, guids: Collection[Guid]) -> dict[Guid, DirectoryGroup]:
        """As last read, gone ones included. A guid that was never seen is missing."""
        with self._database.reading() as connection:
            statement = select(tables.group).where(_GROUP.definition == definition)
            return {row.guid: _as_group(row) for row in _by_guid(connection, statement, _GROUP.guid, guids)}

    def known_users(self, definition: str, guids: Collection[Guid]) -> dict[Guid, DirectoryUser]:
        """As last read, gone ones included. A guid that was never seen is missing."""
        with self._database.reading() as connection:
            statement = select(tables.user).where(_USER.definition == definition)
            return {row.guid: _as_user(row) for row in _by_guid(connection, statement, _USER.guid, guids)}

    def all_users(self, definition: str) -> list[DirectoryUser]:
        """Everybody whom the definition has ever seen, as last read, gone ones included."""
        with self._database.reading() as connection:
            statement = select(tables.user).where(_USER.definition == definition)
            return [_as_user(row) for row in connection.execute(statement)]

    def gone_users(self, definition: str, guids: Collection[Guid]) -> frozenset[Guid]:
        """Those of them who were seen once and are in no group of the view any more."""
        with self._database.reading() as connection:
            statement = select(_USER.guid).where(_USER.definition == definition, _USER.gone_at.is_not(None))
            return frozenset(row.guid for row in _by_guid(connection, statement, _USER.guid, guids))

    def deleted_users(self, definition: str) -> frozenset[Guid]:
        """Those who were members once and whose tombstone was seen since."""
        with self._database.reading() as connection:
            return frozenset(
                connection.scalars(
                    select(_USER.guid).where(_USER.definition == definition, _USER.deleted_at.is_not(None))
                )
            )

    def advance(
        self,
        definition: str,
        *,
        expected_poll: int | None,
        scope: str,
        cursor: Cursor,
        before: View,
        after: View,
        changes: Sequence[Change],
        complete: Collection[Guid],
        whole: bool,
        deleted: Collection[Guid] = (),
    ) -> int:
        """Moves cursor and view, and adds the changes, in one transaction. Gives the number of the new poll.

        :param expected_poll: ``StoredCursor.poll`` as read before the view; None: there was no cursor.
        :param before: a part of the view, as loaded. Not looked at if ``whole``.
        :param after: the same part as AD has it now; the difference is written. A group or person of ``before`` that
            is not in it is *gone* (kept as last known), unless a group outside the part still contains it. So a
            group that is merely nested no longer must stay in it.
        :param complete: groups that were read completely in this poll.
        :param whole: ``after`` is all there is; what else the journal has is gone.
        :param deleted: objects whose tombstones were seen.
        :raises JournalConflict: another run moved the cursor meanwhile. Nothing was written.
        """
        with self._database.writing() as connection:
            stored = _cursor_row(connection, definition)
            present = None if stored is None else stored.poll
            if present != expected_poll:
                raise JournalConflict(
                    f"Another run polled {definition!r} meanwhile (poll {present}, not {expected_poll}). "
                    "Let the task be retried."
                )
            poll = 1 if stored is None else stored.poll + 1
            began_at = cursor.polled_at if stored is None else stored.began_at
            if whole:
                before = _whole(connection, definition)
            _write_difference(connection, definition, before, after, cursor.polled_at, whole=whole, deleted=deleted)
            for chunk in chunks(set(deleted) - after.users.keys()):
                connection.execute(
                    update(tables.user)
                    .where(_USER.definition == definition, _USER.guid.in_(chunk))
                    .values(deleted_at=cursor.polled_at)
                )
            for chunk in chunks(complete):
                connection.execute(
                    update(tables.group)
                    .where(_GROUP.definition == definition, _GROUP.guid.in_(chunk))
                    .values(complete_poll=poll)
                )
            _write_cursor(connection, definition, scope, poll, began_at, cursor)
            if changes:
                connection.execute(insert(tables.change), [as_columns(definition, change) for change in changes])
            return poll


# -- the cursor ---------------------------------------------------------------------------------------


def _cursor_row(connection: Connection, definition: str) -> Row[Any] | None:
    return connection.execute(select(tables.cursor).where(tables.cursor.c.definition == definition)).first()


def _write_cursor(
    connection: Connection, definition: str, scope: str, poll: int, began_at: datetime, cursor: Cursor
) -> None:
    source = {
        "definition": definition,
        "domain_controller": cursor.domain_controller,
        "invocation_id": cursor.invocation_id,
        "highest_committed_usn": cursor.highest_committed_usn,
    }
    position = {
        "scope": scope,
        "poll": poll,
        "cookie": cursor.cookie,
        "polled_at": cursor.polled_at,
        "began_at": began_at,
        "doubted_since": cursor.doubted_since,
        "trusted_dc": cursor.trusted_dc,
    }
    row = {**source, **position}
    upsert(connection, tables.cursor, [row])
    upsert(connection, tables.known_dc, [source])


# -- reading ------------------------------------------------------------------------------------------


def _whole(connection: Connection, definition: str) -> View:
    streamed = connection.execution_options(yield_per=_ROWS_AT_A_TIME)
    try:
        groups = streamed.execute(select(tables.group).where(_GROUP.definition == definition, _GROUP.gone_at.is_(None)))
        view = View(groups={row.guid: _as_group(row) for row in groups})
        users = streamed.execute(select(tables.user).where(_USER.definition == definition, _USER.gone_at.is_(None)))
        view.users = {row.guid: _as_user(row) for row in users}
        _add_members(
            view,
            streamed.execute(
                select(_MEMBERSHIP.group_guid, _MEMBERSHIP.member_guid).where(_MEMBERSHIP.definition == definition)
            ),
        )
    finally:
        connection.execution_options(yield_per=None)
    return view


def _closure(connection: Connection, definition: str, roots: Collection[Guid]) -> View:
    view = View()
    frontier = set(roots)
    while frontier:
        below: set[Guid] = set()
        for chunk in chunks(frontier):
            groups = connection.execute(
                select(tables.group).where(
                    _GROUP.definition == definition, _GROUP.guid.in_(chunk), _GROUP.gone_at.is_(None)
                )
            )
            view.groups.update((row.guid, _as_group(row)) for row in groups)
            below.update(
                connection.scalars(
                    select(_MEMBERSHIP.member_guid)
                    .join(
                        tables.group,
                        (_GROUP.definition == _MEMBERSHIP.definition) & (_GROUP.guid == _MEMBERSHIP.member_guid),
                    )
                    .where(
                        _MEMBERSHIP.definition == definition,
                        _MEMBERSHIP.group_guid.in_(chunk),
                        _GROUP.gone_at.is_(None),
                    )
                    .distinct()
                )
            )
        frontier = below - view.groups.keys()
    for chunk in chunks(view.groups):
        inside = (_MEMBERSHIP.definition == definition, _MEMBERSHIP.group_guid.in_(chunk))
        users = connection.execute(
            select(tables.user).where(
                _USER.definition == definition,
                _USER.guid.in_(select(_MEMBERSHIP.member_guid).where(*inside)),
                _USER.gone_at.is_(None),
            )
        )
        view.users.update((row.guid, _as_user(row)) for row in users)
    for chunk in chunks(view.groups):
        inside = (_MEMBERSHIP.definition == definition, _MEMBERSHIP.group_guid.in_(chunk))
        _add_members(view, connection.execute(select(_MEMBERSHIP.group_guid, _MEMBERSHIP.member_guid).where(*inside)))
    for guid in view.groups:
        view.members.setdefault(guid, set())
    return view


def _add_members(view: View, memberships: Iterable[Any]) -> None:
    # One string object per guid, not one per membership: a quarter of the memory with 200,000 of them
    known: dict[Guid, Guid] = {guid: guid for objects in (view.groups, view.users) for guid in objects}
    view.members = {guid: view.members.get(guid, set()) for guid in view.groups}
    for group_guid, member_guid in memberships:
        view.members[group_guid].add(known.setdefault(member_guid, member_guid))


def _by_guid(
    connection: Connection, statement: Select[Any], column: Any, guids: Collection[Guid]
) -> Iterable[Row[Any]]:
    for chunk in chunks(guids):
        yield from connection.execute(statement.where(column.in_(chunk)))


def _as_group(row: Row[Any]) -> DirectoryGroup:
    return DirectoryGroup(
        guid=row.guid,
        dn=row.dn,
        name=row.name,
        sam_account_name=row.sam_account_name,
        sid=row.sid,
        in_scope=row.in_scope,
        attributes=row.attributes,
    )


def _as_user(row: Row[Any]) -> DirectoryUser:
    return DirectoryUser(
        guid=row.guid,
        dn=row.dn,
        kind=PrincipalKind(row.kind),
        name=row.name,
        sam_account_name=row.sam_account_name,
        disabled=row.disabled,
        attributes=row.attributes,
    )


# -- writing ------------------------------------------------------------------------------------------


def _write_difference(
    connection: Connection,
    definition: str,
    before: View,
    after: View,
    at: datetime,
    *,
    whole: bool,
    deleted: Collection[Guid],
) -> None:
    _write_objects(connection, definition, before, after)

    had = dict(before.members)
    had.update(_members_of(connection, definition, after.groups.keys() - before.groups.keys()))
    added: dict[Guid, set[Guid]] = {}
    for group_guid in after.groups:
        has = after.members.get(group_guid, set())
        had_members = had.get(group_guid, set())
        added[group_guid] = has - had_members
        for chunk in chunks(had_members - has):
            connection.execute(
                delete(tables.membership).where(
                    _MEMBERSHIP.definition == definition,
                    _MEMBERSHIP.group_guid == group_guid,
                    _MEMBERSHIP.member_guid.in_(chunk),
                )
            )
    _insert_members(connection, definition, added, at)

    missing_groups = before.groups.keys() - after.groups.keys()
    missing_users = before.users.keys() - after.users.keys()
    if not whole:
        kept = _kept_by_others(connection, definition, missing_groups, missing_users, after) - set(deleted)
        missing_groups, missing_users = missing_groups - kept, missing_users - kept
    for chunk in chunks(missing_groups):
        connection.execute(
            delete(tables.membership).where(_MEMBERSHIP.definition == definition, _MEMBERSHIP.group_guid.in_(chunk))
        )
    for chunk in chunks((missing_groups | missing_users) & set(deleted)):  # a group outside the part may list them
        connection.execute(
            delete(tables.membership).where(_MEMBERSHIP.definition == definition, _MEMBERSHIP.member_guid.in_(chunk))
        )
    for table, guids in ((tables.group, missing_groups), (tables.user, missing_users)):
        for chunk in chunks(guids):
            connection.execute(
                update(table).where(table.c.definition == definition, table.c.guid.in_(chunk)).values(gone_at=at)
            )


def _insert_members(
    connection: Connection, definition: str, added: Mapping[Guid, Collection[Guid]], at: datetime
) -> None:
    given = [{"group": group_guid, "members": sorted(guids)} for group_guid, guids in added.items() if guids]
    if not given:
        return
    member = each_of(connection, bindparam("members", type_=JSON))
    group = bindparam("group", type_=String)
    rows = select(literal(definition), group, member, literal(at, tables.UtcDateTime()))
    columns = [_MEMBERSHIP.definition, _MEMBERSHIP.group_guid, _MEMBERSHIP.member_guid, _MEMBERSHIP.since]
    connection.execute(insert(tables.membership).from_select(columns, rows), given)


def _write_objects(connection: Connection, definition: str, before: View, after: View) -> None:
    groups = [
        {
            "definition": definition,
            "guid": group.guid,
            "dn": group.dn,
            "name": group.name,
            "sam_account_name": group.sam_account_name,
            "sid": group.sid,
            "in_scope": group.in_scope,
            "attributes": dict(group.attributes),
            "gone_at": None,
        }
        for guid, group in after.groups.items()
        if before.groups.get(guid) != group
    ]
    upsert(connection, tables.group, groups)
    users = [
        {
            "definition": definition,
            "guid": user.guid,
            "dn": user.dn,
            "kind": user.kind.value,
            "name": user.name,
            "sam_account_name": user.sam_account_name,
            "disabled": user.disabled,
            "attributes": dict(user.attributes),
            "gone_at": None,
            "deleted_at": None,
        }
        for guid, user in after.users.items()
        if before.users.get(guid) != user
    ]
    upsert(connection, tables.user, users)


def _members_of(connection: Connection, definition: str, guids: Collection[Guid]) -> dict[Guid, set[Guid]]:
    """Stored members of groups that came into the part only now: `before` says nothing of them."""
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
    after: View,
) -> set[Guid]:
    """Those that left the part but not the view: a group outside the part contains them, or one of these does."""
    containers: dict[Guid, set[Guid]] = {}
    for chunk in chunks({*missing_groups, *missing_users}):
        stored = connection.execute(
            select(_MEMBERSHIP.group_guid, _MEMBERSHIP.member_guid).where(
                _MEMBERSHIP.definition == definition, _MEMBERSHIP.member_guid.in_(chunk)
            )
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
