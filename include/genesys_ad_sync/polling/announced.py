"""Ends that Active Directory announced beforehand, and whose time has come by its clock.

Accounts that expire, temporary memberships, dynamic objects: AD ends them without a change that DirSync lists.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime

from genesys_ad_sync.directory.objects import ObjectReader
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.journal import DefinitionJournal
from genesys_ad_sync.model import Cursor, DirectoryView, Guid, Scope, StoredCursor


@dataclass(frozen=True)
class DueEnds:
    """Announced ends up to one moment.

    - ``expired``: accounts, where expired ones are left out.
    - ``links``: group -> members whose link ends. A reading shows whether they left.
    - ``objects``: dynamic groups and users. ``there``: those of them that can still be seen, and were extended.
    """

    expired: frozenset[Guid] = frozenset()
    links: dict[Guid, frozenset[Guid]] = field(default_factory=dict)
    objects: frozenset[Guid] = frozenset()
    there: frozenset[Guid] = frozenset()

    def added_to(self, delta: Delta, *, believed: bool) -> Delta:
        """Return ``delta`` with these ends.

        ``believed``: they count as reported. Not if a doubted domain controller announced them: they may have been
        extended since.
        """
        touched = delta.touched | (self.expired - delta.deleted) | self.there
        if not believed:
            return replace(delta, touched=touched)
        gone = self.objects - self.there
        return replace(
            delta,
            touched=touched - gone,
            expiries=delta.expiries | (self.expired - delta.deleted - gone),
            deleted=delta.deleted | gone,
            ended=self.links,
        )


def due_ends(journal: DefinitionJournal, scope: Scope, objects: ObjectReader, at: datetime) -> DueEnds:
    """Return the announced ends up to ``at``, by AD's clock."""
    dynamic = journal.announced.objects(at)
    return DueEnds(
        expired=frozenset() if scope.expired_users == "keep" else journal.views.users_expired_at(at),
        links=journal.announced.links(at),
        objects=dynamic,
        there=objects.existing(dynamic) if dynamic else frozenset(),
    )


def with_due_ends(
    journal: DefinitionJournal, scope: Scope, objects: ObjectReader, stored: StoredCursor, delta: Delta
) -> Delta:
    """Return ``delta`` with the ends that have come since the stored cursor."""
    due = due_ends(journal, scope, objects, delta.cursor.polled_at)
    return due.added_to(delta, believed=stored.cursor.doubted_since is None)


def nothing_listed(cursor: Cursor, read_until: datetime) -> Delta:
    """Return a delta without any change, for ends where DirSync says nothing."""
    return Delta(
        cursor=cursor,
        read_until=read_until,
        member_changes={},
        touched=frozenset(),
        deleted=frozenset(),
        primary_groups={},
        entries=0,
    )


def groups_to_read(journal: DefinitionJournal, delta: Delta) -> set[Guid]:
    """Return the groups in scope that must be read completely.

    Only a complete reading shows what became of their members. Some of them cannot be seen any more, or were to leave
    by now.
    """
    to_find = {*delta.unseen, *journal.announced.links(delta.cursor.polled_at)}
    return journal.views.groups_above(to_find) if to_find else set()


def learn_ends(objects: ObjectReader, delta: Delta, known: Collection[Guid]) -> None:
    """Ask when new members leave.

    The domain controller could say it and DirSync did not. ``known``: groups of the view. For a group with several
    ranges of members, the next complete reading shows it.
    """
    came = {group for group in delta.member_changes if delta.added(group) and group in known}
    if objects.tells_ends and not delta.ends:
        objects.note_ends(came - objects.ends.keys())


def as_expired_then(before: DirectoryView, after: DirectoryView, polled_at: datetime) -> DirectoryView:
    """Return ``before`` with the accounts as expired that, by ``after``, had expired by its poll.

    A journal that is older than the key `expired_users` does not know them, so that they did not expire since.
    """
    users = dict(before.users)
    for guid, user in before.users.items():
        now = after.users.get(guid)
        if now is not None and now.expired and now.expires_at is not None and now.expires_at <= polled_at:
            users[guid] = replace(user, expired=True, expires_at=now.expires_at)
    return DirectoryView(groups=before.groups, users=users, members=before.members)


def expires_otherwise(before: DirectoryView, after: DirectoryView, delta: Delta | None) -> bool:
    """Return True if an account's expiry changed and ``delta`` does not name that.

    The account expires at another time than before. No change shows it before that time, so that nothing is held for
    it.
    """
    told = delta.expiries if delta is not None else frozenset()
    known = before.users.keys() & after.users.keys() - told
    return any(before.users[guid].expires_at != after.users[guid].expires_at for guid in known)
