"""Reads one scope of Active Directory: a snapshot, or some groups completely.

A method returns complete data or raises; it never returns a part in place of the whole.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Iterable, Mapping

from genesys_ad_sync.directory.apply_delta import bring_up_to_date
from genesys_ad_sync.directory.dirsync import (
    ChangeReader,
    rounded_up,
)
from genesys_ad_sync.directory.entries import CookieRefused
from genesys_ad_sync.directory.membership import prune
from genesys_ad_sync.directory.objects import ObjectReader, ObjectSet
from genesys_ad_sync.directory.results import Delta, GroupReading, Snapshot
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import CursorRejected, DirectoryIncomplete
from genesys_ad_sync.model import Cursor, DirectoryView, Guid, Scope

log = logging.getLogger(__name__)

SNAPSHOT_ATTEMPTS = 3


class DirectoryReader:
    """Reads the groups and users of ``scope`` over one session.

    Not for use by several threads.

    ``objects`` and ``changes`` are the two readers that it combines.
    """

    def __init__(self, session: LdapSession, scope: Scope) -> None:
        self.session = session
        self.scope = scope
        self.objects = ObjectReader(session, scope)
        self.changes = ChangeReader(session, scope)

    def snapshot(self) -> Snapshot:
        """Read every group of the scope, everything below, and a cursor that continues the view.

        The cursor comes first, then the groups and users page by page. The changes since the cursor are then applied
        to them, so that a change during the reading is neither lost nor half included.

        Raises DirectoryNotFound if `directory.group_base` does not exist. A view without groups only adds a warning,
        because it may be true.
        """
        why: CursorRejected | None = None
        for attempt in range(SNAPSHOT_ATTEMPTS):
            try:
                return self._snapshot()
            except CursorRejected as rejected:  # an OU was moved meanwhile, for instance
                log.debug("snapshot attempt %d starts again: %s", attempt + 1, rejected)
                why = rejected
        raise DirectoryIncomplete(
            f"The whole view could not be read: each of {SNAPSHOT_ATTEMPTS} readings was overtaken by a change. The "
            f"last one: {why} Run again."
        )

    def _snapshot(self) -> Snapshot:
        requests_before = self.session.requests
        warnings: list[str] = []
        cursor = self.changes.first_cursor(warnings)
        found = self.objects.groups_in_scope()
        view = found.view
        delta = self._changes_meanwhile(cursor, warnings)
        if delta is not None:
            bring_up_to_date(view, delta, self.objects)
            view = prune(view, nested=self.scope.nested_groups)
            cursor, read_until = delta.cursor, delta.read_until
        else:
            cursor = self.changes.last_cursor(dataclasses.replace(cursor, cookie=None))
            read_until = rounded_up(self.session.current_time())
        warnings += self._warnings(found, view)
        reading = Snapshot(
            view=view,
            cursor=cursor,
            read_until=read_until,
            complete=frozenset(view.members),
            unresolved=_unresolved(view),
            warnings=tuple(warnings),
            requests=self.session.requests - requests_before,
        )
        log.debug("snapshot: %d groups, %d users, %d requests", len(view.groups), len(view.users), reading.requests)
        return reading

    def _changes_meanwhile(self, cursor: Cursor, warnings: list[str]) -> Delta | None:
        """Return what changed while the view was read; None where the server does not say."""
        if cursor.cookie is None:
            return None
        try:
            return self.changes.changes_since(cursor, even_if_all=True)
        except CookieRefused as refused:
            warnings.append(f"{refused} The cookie was new: the next poll reads the whole view again.")
            return None

    def _warnings(self, found: ObjectSet, view: DirectoryView) -> list[str]:
        warnings = []
        if found.hidden:
            warnings.append(
                f"The account may not read objectClass or userAccountControl (whether a user is disabled) of "
                f"{len(found.hidden)} members. Known members count as before, and no others are added. Give the "
                f"account the right to read both."
            )
        if not any(group.in_scope for group in view.groups.values()):
            warnings.append(
                f"No group matches `directory.group_filter` ({self.scope.group_filter}) below `directory.group_base` "
                f"({'; '.join(self.scope.group_bases)}), or the account may not see them."
            )
        if self.session.parts_elsewhere:
            warnings.append(
                f"Parts below `directory.group_base` are in other domains or partitions. Their groups are left out: "
                f"{'; '.join(sorted(self.session.parts_elsewhere))}."
            )
        return warnings

    def read_groups(self, guids: Iterable[Guid]) -> GroupReading:
        """Read these groups and everything below them completely.

        Groups that do not exist (any more), or that the account may not see, are ``missing``. Whether a group is in
        scope is checked again.
        """
        requests_before = self.session.requests
        wanted = frozenset(guids)
        view = self.objects.fetch(wanted).view
        return GroupReading(
            view=view,
            read_until=rounded_up(self.session.current_time()),
            complete=frozenset(view.members),
            missing=wanted - view.groups.keys(),
            unresolved=_unresolved(view),
            requests=self.session.requests - requests_before,
        )

    def changes_since(
        self, cursor: Cursor, known: Mapping[str, tuple[Guid, int]] | None = None, *, even_if_moved: bool = False
    ) -> Delta:
        """Read what changed since ``cursor``; see `ChangeReader.changes_since`."""
        return self.changes.changes_since(cursor, known, even_if_moved=even_if_moved)

    def fetch(self, guids: Iterable[Guid], known: Collection[Guid] = ()) -> ObjectSet:
        """Read some objects; see `ObjectReader.fetch`."""
        return self.objects.fetch(guids, known)

    def tombstones(self, guids: Iterable[Guid]) -> frozenset[Guid]:
        """Return which of them are deleted; see `ObjectReader.tombstones`."""
        return self.objects.tombstones(guids)


def _unresolved(view: DirectoryView) -> frozenset[Guid]:
    everyone = {guid for members in view.members.values() for guid in members}
    return frozenset(everyone - view.groups.keys() - view.users.keys())
