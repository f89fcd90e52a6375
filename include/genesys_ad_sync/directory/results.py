"""Results of reading Active Directory: a snapshot, some groups, or changes since a cursor.

Plain data. An answer that broke off is an exception, never one of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from genesys_ad_sync.model import Cursor, DirectoryView, Guid


@dataclass(frozen=True)
class Snapshot:
    """The whole view.

    - ``complete``: the groups of which every page and range came (all of ``view.members``).
    - ``cursor.polled_at``: the DC's time before anything was read. What the view does not show happened later.
    - ``read_until``: its time afterwards, rounded up to the next second. What the view shows happened earlier.
    - ``unresolved``: members that are not objects of this domain, or that the account may not see.
    """

    view: DirectoryView
    cursor: Cursor
    read_until: datetime
    complete: frozenset[Guid]
    unresolved: frozenset[Guid]
    warnings: tuple[str, ...]
    requests: int


@dataclass(frozen=True)
class GroupReading:
    """Some groups and everything below them, read completely.

    ``missing``: requested, but no such group was found.

    ``read_until`` and ``unresolved`` as in ``Snapshot``. An unresolved member that was known before and has no
    tombstone is one that the account cannot see any more; it does not prove that the user left.
    """

    view: DirectoryView
    read_until: datetime
    complete: frozenset[Guid]
    missing: frozenset[Guid]
    unresolved: frozenset[Guid]
    requests: int


@dataclass(frozen=True)
class Delta:
    """The net changes of the whole domain since a cursor.

    They may be repeated, so apply them idempotently.

    - ``member_changes``: group -> (added, removed).
    - ``touched``: objects of which another attribute changed, new objects included.
    - ``primary_groups``: user -> RID of the primary group, where that was set.
    - ``entries``: how many objects the server named.
    - ``states``: those of ``touched`` of which the server named whether the account is enabled.
    - ``expiries``: those of ``touched`` of which the server named when the account expires, or had announced it before.
    - ``unseen``: objects that the account cannot see any more. They were deleted, or the account lost a right.
    - ``ends``: group -> temporary member -> when it leaves, of added members.
    - ``ended``: group -> members whose announced end has come. A reading shows whether they left.
    """

    cursor: Cursor
    read_until: datetime
    member_changes: Mapping[Guid, tuple[frozenset[Guid], frozenset[Guid]]]
    touched: frozenset[Guid]
    deleted: frozenset[Guid]
    primary_groups: Mapping[Guid, int]
    entries: int
    states: frozenset[Guid] = frozenset()
    expiries: frozenset[Guid] = frozenset()
    unseen: frozenset[Guid] = frozenset()
    ends: Mapping[Guid, Mapping[Guid, datetime]] = field(default_factory=dict)
    ended: Mapping[Guid, frozenset[Guid]] = field(default_factory=dict)

    def added(self, group: Guid) -> frozenset[Guid]:
        """Return the members that AD reports as added."""
        return self.member_changes[group][0] if group in self.member_changes else frozenset()

    def removed(self, group: Guid) -> frozenset[Guid]:
        """Return the members that AD reports as removed, or had announced to be."""
        listed = self.member_changes[group][1] if group in self.member_changes else frozenset()
        return listed | self.ended.get(group, frozenset()) - self.added(group)

    @property
    def mentioned(self) -> frozenset[Guid]:
        """Every object that the changes name (see ``apply_delta.apply_delta``)."""
        members = (guid for change in self.member_changes.values() for side in change for guid in side)
        return frozenset({*self.member_changes, *members, *self.touched, *self.deleted, *self.primary_groups})
