"""Store what AD said: the cursor, and the view (groups, people, direct memberships).

A part of the view is read by its closure downwards. Nothing here knows Genesys, runs or outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, true

from genesys_ad_sync.errors import JournalConflict
from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.changes import as_columns, believe_doubted
from genesys_ad_sync.journal.database import DefinitionStore, chunks, insert_rows, rows_with, upsert
from genesys_ad_sync.journal.first_view import forget_unfinished, is_written_in_parts, write_in_parts
from genesys_ad_sync.journal.refusals import lift_for_people
from genesys_ad_sync.journal.view_rows import (
    ACCOUNTS,
    IN_SCOPE,
    MEMBERS_ALONE,
    GroupsInScope,
    as_group,
    as_member,
    as_user,
)
from genesys_ad_sync.journal.view_writer import ViewUpdate, write_view
from genesys_ad_sync.journal.waiting import wake_changes
from genesys_ad_sync.model import Cursor, DirectoryGroup, DirectoryUser, DirectoryView, Guid, StoredCursor

_ROWS_AT_A_TIME = 10_000

_GROUP = tables.group.c
_USER = tables.user.c
_MEMBERSHIP = tables.membership.c


class Views(DefinitionStore):
    """The cursor and the view of the definition."""

    def cursor(self) -> StoredCursor | None:
        """Return up to where AD has been read; None: the definition has never been polled.

        Read it *before* the view that ``advance`` is to replace: then ``expected_poll`` proves that the view was the
        same.
        """
        definition = self._definition
        with self._database.reading() as connection:
            row = _cursor_row(connection, definition)
            if row is None:
                return None
            dc = tables.known_dc.c
            seen = connection.execute(
                select(dc.domain_controller, dc.invocation_id, dc.highest_committed_usn, dc.read_at).where(
                    dc.definition == definition
                )
            ).all()
            return StoredCursor(
                cursor=Cursor(
                    domain_controller=row.domain_controller,
                    invocation_id=row.invocation_id,
                    highest_committed_usn=row.highest_committed_usn,
                    cookie=None if row.cookie is None else bytes(row.cookie),
                    polled_at=row.polled_at,
                    doubted_since=row.doubted_since,
                    trusted_dc=row.trusted_dc,
                    vector=row.vector,
                ),
                scope=row.scope,
                poll=row.poll,
                began_at=row.began_at,
                known_dcs={name: (invocation_id, usn) for name, invocation_id, usn, _ in seen},
                read_at={name: read_at for name, _, _, read_at in seen if read_at is not None},
            )

    def load(self, roots: Collection[Guid] | None = None) -> DirectoryView:
        """Return the view, or the part below some groups.

        The part holds the roots, the groups nested below them, and all their members. Roots that are not groups (any
        more) are left out. The cost depends on the size of the part, not on that of the journal.
        """
        with self._database.reading() as connection:
            if roots is None:
                return _full_view(connection, self._definition)
            return _closure(connection, self._definition, roots)

    def load_members(self, roots: Collection[Guid]) -> DirectoryView:
        """Return the part below some groups, with what decides about members alone.

        Its users have no names and attributes: a fifth of the memory. A DN is there where it says what a member is.
        """
        with self._database.reading() as connection:
            return _closure(connection, self._definition, roots, people=(MEMBERS_ALONE, as_member))

    def load_with_gone(self, roots: Collection[Guid]) -> DirectoryView:
        """Return the part below some groups as last known.

        The groups may be gone by now.
        """
        with self._database.reading() as connection:
            return _closure(connection, self._definition, roots, with_gone=True)

    def groups_above(self, guids: Collection[Guid]) -> set[Guid]:
        """Return the groups in scope with any of these members, direct or nested.

        A member is a person or a group. Groups in scope among ``guids`` are returned, too.
        """
        definition = self._definition
        with self._database.reading() as connection:
            reached = set(guids)
            frontier = reached
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
                frontier = above - reached
                reached = reached | above
            in_scope: set[Guid] = set()
            for chunk in chunks(reached):
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

    def count_memberships(self) -> int:
        """Count the direct memberships of the view."""
        statement = (
            select(func.count()).select_from(tables.membership).where(_MEMBERSHIP.definition == self._definition)
        )
        with self._database.reading() as connection:
            return int(connection.scalar(statement) or 0)

    def groups_with_rids(self, rids: Collection[int]) -> set[Guid]:
        """Return the domain groups whose SID ends in one of these: ``primaryGroupID`` refers to it."""
        endings = {str(rid) for rid in rids}
        with self._database.reading() as connection:
            groups = connection.execute(
                select(_GROUP.guid, _GROUP.sid).where(
                    _GROUP.definition == self._definition, _GROUP.gone_at.is_(None), _GROUP.sid.like("S-1-5-21-%")
                )
            )
            return {row.guid for row in groups if row.sid.rsplit("-", 1)[1] in endings}

    def in_scope(self) -> GroupsInScope:
        """Return the groups in scope that are not gone, by guid, as they are stored."""
        which = (_GROUP.definition == self._definition, _GROUP.in_scope, _GROUP.gone_at.is_(None))
        with self._database.reading() as connection:
            rows = connection.execute(IN_SCOPE.where(*which).order_by(_GROUP.guid)).all()
            return GroupsInScope([tuple(row) for row in rows])

    def groups_in_scope(self) -> list[DirectoryGroup]:
        """Return the groups in scope that are not gone, by name."""
        return self.in_scope().groups()

    def guids_in_scope(self, among: Collection[Guid] | None = None) -> set[Guid]:
        """Return the guids of `groups_in_scope`, in a tenth of the time.

        ``among``: only those of these; None: all.
        """
        in_scope = select(_GROUP.guid).where(
            _GROUP.definition == self._definition, _GROUP.in_scope, _GROUP.gone_at.is_(None)
        )
        with self._database.reading() as connection:
            if among is not None:
                return {row.guid for row in rows_with(connection, in_scope, _GROUP.guid, among)}
            return set(connection.scalars(in_scope).all())

    def known_groups(self) -> frozenset[Guid]:
        """Return every AD group that the definition has ever seen."""
        with self._database.reading() as connection:
            return frozenset(connection.scalars(select(_GROUP.guid).where(_GROUP.definition == self._definition)))

    def groups(self, guids: Collection[Guid]) -> dict[Guid, DirectoryGroup]:
        """Return these groups as last read, gone ones included; unknown guids are missing."""
        with self._database.reading() as connection:
            statement = select(tables.group).where(_GROUP.definition == self._definition)
            return {row.guid: as_group(row) for row in rows_with(connection, statement, _GROUP.guid, guids)}

    def users(self, guids: Collection[Guid]) -> dict[Guid, DirectoryUser]:
        """Return these users as last read, gone ones included; unknown guids are missing."""
        with self._database.reading() as connection:
            statement = ACCOUNTS.where(_USER.definition == self._definition)
            return {row.guid: as_user(row) for row in rows_with(connection, statement, _USER.guid, guids)}

    def all_users(self) -> list[DirectoryUser]:
        """Return every user that the definition has ever seen, as last read, gone ones included."""
        with self._database.reading() as connection:
            statement = ACCOUNTS.where(_USER.definition == self._definition)
            return [as_user(row) for row in connection.execute(statement)]

    def gone_users(self, guids: Collection[Guid]) -> frozenset[Guid]:
        """Return those of these users that no group of the view contains any more."""
        with self._database.reading() as connection:
            statement = select(_USER.guid).where(_USER.definition == self._definition, _USER.gone_at.is_not(None))
            return frozenset(row.guid for row in rows_with(connection, statement, _USER.guid, guids))

    def deleted_users(self) -> frozenset[Guid]:
        """Return the former members whose tombstone was seen. An index holds these alone."""
        statement = select(_USER.guid).where(_USER.definition == self._definition, _USER.deleted_at.is_not(None))
        with self._database.reading() as connection:
            return frozenset(connection.scalars(statement))

    def users_expired_at(self, at: datetime) -> frozenset[Guid]:
        """Return the users whose account expired without the view knowing it.

        The account expired up to ``at``.
        """
        statement = select(_USER.guid).where(
            _USER.definition == self._definition,
            _USER.gone_at.is_(None),
            _USER.expires_at <= at,
            ~_USER.expired,
        )
        with self._database.reading() as connection:
            return frozenset(connection.scalars(statement))

    def advance(self, update: ViewUpdate, *, cursor: Cursor, scope: str, expected_poll: int | None) -> int:
        """Move cursor and view, and add the changes; return the new poll's number.

        All is done in one transaction, but for a large first view: see `first_view`.

        :param scope: the fingerprint of the scope with which AD was read.
        :param expected_poll: ``StoredCursor.poll`` as read before the view; None: there was no cursor.
        :raises JournalConflict: another run moved the cursor meanwhile. Nothing that counts was written.
        """
        if expected_poll is not None or not is_written_in_parts(self._database, update.after):
            return self._advance(update, cursor, scope, expected_poll)
        with self._database.alone(self._definition):
            write_in_parts(
                self._database,
                self._definition,
                update.after,
                cursor.polled_at,
                lambda connection: self._expected(connection, None),
            )
            return self._advance(replace(update, before=update.after), cursor, scope, None)

    def _advance(self, update: ViewUpdate, cursor: Cursor, scope: str, expected_poll: int | None) -> int:
        definition, at = self._definition, cursor.polled_at
        with self._database.preparing(definition) as (connection, take_turn):
            stored = self._expected(connection, expected_poll)
            poll = 1 if stored is None else stored.poll + 1
            began_at = at if stored is None else stored.began_at
            before = update.before
            if before is None:
                before = DirectoryView() if stored is None else _full_view(connection, definition)
                if stored is None:
                    forget_unfinished(connection, definition)
            write_view(connection, definition, update, before, at, poll)
            take_turn()
            self._expected(connection, expected_poll)  # somebody may have renamed the definition
            _take_up_again(connection, definition, update, before)
            _write_cursor(connection, definition, scope, poll, began_at, cursor)
            if update.ends_doubt:
                believe_doubted(connection, definition)
            changes = (as_columns(definition, replace(change, poll=poll)) for change in update.changes)
            insert_rows(connection, tables.change, changes)
            return poll

    def _expected(self, connection: Connection, expected_poll: int | None) -> Row[Any] | None:
        """Return the stored cursor. Raise JournalConflict if it is another one."""
        stored = _cursor_row(connection, self._definition)
        stored_poll = None if stored is None else stored.poll
        if stored_poll != expected_poll:
            raise JournalConflict(
                f"Another run polled {self._definition!r} meanwhile (poll {stored_poll}, not {expected_poll}). "
                "Let the task be retried."
            )
        return stored


def _take_up_again(connection: Connection, definition: str, update: ViewUpdate, before: DirectoryView) -> None:
    """Let runs take up what waits for people and AD groups that have changed."""
    after = update.after
    people = {guid for guid, user in after.users.items() if before.users.get(guid) != user}
    people |= (before.users.keys() - after.users.keys()) | set(update.deleted)
    people |= {change.user_guid for change in update.changes if change.user_guid}
    groups = {guid for guid, group in after.groups.items() if before.groups.get(guid) != group}
    groups |= before.groups.keys() - after.groups.keys()
    wake_changes(connection, definition, people=people, groups=groups)
    lift_for_people(connection, definition, people)


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
        "vector": None if cursor.vector is None else dict(cursor.vector),
    }
    row = {**source, **position}
    upsert(connection, tables.cursor, [row])
    upsert(connection, tables.known_dc, [{**source, "read_at": cursor.polled_at}])


# -- reading ------------------------------------------------------------------------------------------


def _full_view(connection: Connection, definition: str) -> DirectoryView:
    streamed = connection.execution_options(yield_per=_ROWS_AT_A_TIME)
    try:
        groups = streamed.execute(select(tables.group).where(_GROUP.definition == definition, _GROUP.gone_at.is_(None)))
        view = DirectoryView(groups={row.guid: as_group(row) for row in groups})
        users = streamed.execute(ACCOUNTS.where(_USER.definition == definition, _USER.gone_at.is_(None)))
        view.users = {row.guid: as_user(row) for row in users}
        view.members = {guid: set() for guid in view.groups}
        _add_members(
            view,
            streamed.execute(
                select(_MEMBERSHIP.group_guid, _MEMBERSHIP.member_guid).where(_MEMBERSHIP.definition == definition)
            ),
            {guid: guid for objects in (view.groups, view.users) for guid in objects},
        )
    finally:
        connection.execution_options(yield_per=None)
    return view


def _closure(
    connection: Connection,
    definition: str,
    roots: Collection[Guid],
    *,
    with_gone: bool = False,
    people: tuple[Select[Any], Callable[[Any], DirectoryUser]] | None = None,
) -> DirectoryView:
    """Return the part below the roots.

    Each object is asked for once, however many groups contain it.
    """
    view = DirectoryView()
    there = true() if with_gone else _GROUP.gone_at.is_(None)
    user_there = true() if with_gone else _USER.gone_at.is_(None)
    of_group = select(_MEMBERSHIP.group_guid, _MEMBERSHIP.member_guid).where(_MEMBERSHIP.definition == definition)
    known = {guid: guid for guid in roots}
    frontier: Collection[Guid] = list(known)
    while frontier:
        statement = select(tables.group).where(_GROUP.definition == definition, there)
        groups = {row.guid: as_group(row) for row in rows_with(connection, statement, _GROUP.guid, frontier)}
        view.groups.update(groups)
        view.members.update((guid, set()) for guid in groups)
        before = len(known)
        _add_members(view, rows_with(connection, of_group, _MEMBERSHIP.group_guid, groups), known)
        frontier = list(islice(known, before, None))  # a member that is a group has members, too
    listed = {guid for members in view.members.values() for guid in members} - view.groups.keys()
    selected, made = people or (ACCOUNTS, as_user)
    users = selected.where(_USER.definition == definition, user_there)
    view.users.update((known[row.guid], made(row)) for row in rows_with(connection, users, _USER.guid, listed))
    return view


def _add_members(view: DirectoryView, memberships: Iterable[Any], known: dict[Guid, Guid]) -> None:
    """Add the members of groups that the view has.

    ``known``: one string for each guid, however often it is read.
    """
    for group_guid, member_guid in memberships:
        members = view.members.get(group_guid)
        if members is not None:  # else the group is gone
            members.add(known.setdefault(member_guid, member_guid))
