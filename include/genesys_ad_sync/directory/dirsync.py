"""Read what changed in the domain since a cursor, by DirSync."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from genesys_ad_sync import names
from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.attribute_values import DIES_AT
from genesys_ad_sync.directory.entries import DirSyncRefused, Entry, RootDse
from genesys_ad_sync.directory.objects import batches, each_once, guids_of, parenthesised, user_attributes
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.directory.schema import untrackable_attributes
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.directory.temporary_links import ends_of, seconds_left
from genesys_ad_sync.directory.vector_reader import VectorReader
from genesys_ad_sync.errors import CursorRejected
from genesys_ad_sync.model import Cursor, Guid, Scope

log = logging.getLogger(__name__)

CHILDREN = "msDS-Approx-Immed-Subordinates"
_LEAVES = frozenset({"group", "user", "contact"})  # objectClass of a computer has `user`
_OBJECTS = "(|(objectClass=group)(objectClass=user)(objectClass=contact))"
CONTAINER_CLASSES = frozenset({"organizationalunit", "container", "builtindomain"})
# objectCategory is taken away at deletion, so the filter must do without it (reference/active-directory.md 3c).
# Of all classes: any object may contain others, and they move with it.
CHANGES_FILTER = "(|(objectClass=*)(isDeleted=TRUE))"
MOVED_LOOKED_INTO = 50  # objects in which a poll looks for others; more are taken for containers
# Matches nothing. The cookie marks a state of the whole naming context whatever the filter is, and with this one the
# server need not send the whole domain to return it (seen on Samba; if a server bound the cookie to the filter, the
# next answer would be everything, which is applied idempotently).
NOTHING = "(objectGUID=" + "\\00" * 16 + ")"
OLDEST_COOKIE = timedelta(days=30)
SHORTEST_TOMBSTONE_LIFETIME = timedelta(days=2)  # AD accepts no smaller one
# Attributes that come with every entry or are handled separately; a change of any other attribute touches the object.
_NOT_TOUCHING = frozenset({"objectguid", "instancetype", "isdeleted", "parentguid"})
# Memberships of a group change without a change of the member, so DirSync cannot show when such a filter's answer does.
_UNTRACKABLE = frozenset({"member", "memberof"})


@dataclass
class RawDelta:
    """The net changes of a DirSync answer, by object.

    ``renamed``: existing objects with another name or parent; organizational units may be among them. ``appeared``:
    DNs of containers that the answer shows as new. ``restored``: objects undeleted from the recycle bin.
    ``unranged``: groups whose members came as a plain list instead of as added and removed values. ``states``:
    accounts whose userAccountControl came. ``unseen``: objects of which the account sees nothing any more. ``left``: of
    added temporary members, the seconds until they leave.
    """

    added: dict[Guid, set[Guid]] = field(default_factory=dict)
    removed: dict[Guid, set[Guid]] = field(default_factory=dict)
    touched: set[Guid] = field(default_factory=set)
    deleted: set[Guid] = field(default_factory=set)
    primary_groups: dict[Guid, int] = field(default_factory=dict)
    renamed: set[Guid] = field(default_factory=set)
    appeared: list[str] = field(default_factory=list)
    restored: set[Guid] = field(default_factory=set)
    unranged: set[Guid] = field(default_factory=set)
    states: set[Guid] = field(default_factory=set)
    expiries: set[Guid] = field(default_factory=set)
    unseen: set[Guid] = field(default_factory=set)
    left: dict[Guid, dict[Guid, int]] = field(default_factory=dict)


class ChangeReader:
    """Reads changes of the whole domain over one session. Not for use by several threads."""

    def __init__(self, session: LdapSession, scope: Scope) -> None:
        self._session = session
        self._scope = scope
        self._vectors = VectorReader(session, scope.naming_context)

    def first_cursor(self, warnings: list[str]) -> Cursor:
        """Return a cursor for the present state.

        It has no cookie where changes cannot be followed; the reason and the remedy are then added to ``warnings``.
        """
        untrackable = self._untrackable()
        cookie: bytes | None = None
        root = self._session.root_dse()
        if untrackable:
            warnings.append(
                f"`directory.group_filter` asks about {', '.join(sorted(untrackable)) or 'no attribute'}. "
                "According to its schema, Active Directory does not report changes of that. So every poll reads the "
                "whole view."
            )
        else:
            try:
                cookie = self._session.dirsync(self._scope.naming_context, NOTHING, ["objectGUID"], b"").cookie
            except DirSyncRefused as refused:
                warnings.append(
                    f"{refused} This poll reads the whole view, which is then the only way to find deletions. If this "
                    f"note comes back, the account may lack the right `Replicating Directory Changes` on "
                    f"{self._scope.naming_context} (a guess), or another domain controller may allow DirSync."
                )
        if cookie is None:
            self._vectors.begin(None)
        return _cursor(root, cookie)

    def last_cursor(self, cursor: Cursor) -> Cursor:
        """Return the cursor of a reading that ends now without DirSync."""
        return self._vectors.complete(cursor)

    def changes_since(
        self,
        cursor: Cursor,
        known: Mapping[str, tuple[Guid, int]] | None = None,
        *,
        even_if_moved: bool = False,
        even_if_all: bool = False,
    ) -> Delta:
        """Read what changed in the domain since ``cursor``, whichever domain controller answers now.

        ``known``: domain controller -> (invocationId, highestCommittedUSN) as last seen; the cursor's own is added.
        Only the record of the same domain controller is compared, because the numbers mean nothing on another one.

        Raises CursorRejected, which says why; take a snapshot then:
        - The cookie is refused or absent.
        - The domain controller was restored from a copy: it would answer "nothing changed".
        - An OU was renamed or moved (unless ``even_if_moved``): the objects in it have other DNs without a change of
          their own.
        - The answer does not show all changes of memberships. One with everything does not show who left (unless
          ``even_if_all``: `apply_delta` reads each object again that the answer names).
        - The cookie is so old that AD may have forgotten links that were removed since.
        """
        if cursor.cookie is None:
            raise CursorRejected("There is no DirSync cookie to continue from.")
        if self._untrackable():  # the cookie of an older version
            raise CursorRejected("`directory.group_filter` asks about attributes that DirSync does not follow.")
        root = self._session.root_dse()
        seen = {cursor.domain_controller: (cursor.invocation_id, cursor.highest_committed_usn), **(known or {})}
        _require_same_database(root, seen.get(root.domain_controller))
        self._require_young(cursor, root)
        self._vectors.begin(cursor.cookie)
        answer = self._session.dirsync(
            self._scope.naming_context, CHANGES_FILTER, self._watched_attributes(), cursor.cookie
        )
        raw = parse_entries(answer.entries, self._scope.naming_context)
        self._refuse_untrackable(raw, even_if_moved=even_if_moved, even_if_all=even_if_all)
        delta = self._finish(raw, self._vectors.complete(_cursor(root, answer.cookie)), len(answer.entries))
        log.debug(
            "changes: %d entries, %d groups with member changes, %d touched, %d deleted",
            delta.entries,
            len(delta.member_changes),
            len(delta.touched),
            len(delta.deleted),
        )
        return delta

    def _untrackable(self) -> frozenset[str]:
        asked = ctl.filter_attributes(parenthesised(self._scope.group_filter))
        return (asked & _UNTRACKABLE) | untrackable_attributes(self._session, asked - _UNTRACKABLE)

    def _watched_attributes(self) -> list[str]:
        # For DirSync the attribute list is a filter as well: a change of any other attribute does not show.
        watched = [
            *("objectGUID", "member", "isDeleted", "name", "objectClass", "cn", "sAMAccountName"),
            *("userAccountControl", "primaryGroupID", DIES_AT),
            *(["accountExpires"] if self._scope.expired_users == "remove" else []),
            *self._scope.group_attributes,
            *user_attributes(self._scope),
            *sorted(ctl.filter_attributes(parenthesised(self._scope.group_filter))),
        ]
        return each_once(watched)

    def _require_young(self, cursor: Cursor, root: RootDse) -> None:
        age = root.current_time - cursor.polled_at
        if age <= SHORTEST_TOMBSTONE_LIFETIME / 2:
            return
        limit = min(OLDEST_COOKIE, self._session.tombstone_lifetime() / 2)
        if age > limit:
            raise CursorRejected(
                f"The last poll was {age.days} days ago, and after {limit.days} days Active Directory may no longer "
                f"know which members left."
            )

    def _refuse_untrackable(self, raw: RawDelta, *, even_if_moved: bool, even_if_all: bool) -> None:
        """Raise CursorRejected if memberships may have changed unseen."""
        if raw.restored:
            # The links of an undeleted object become visible again without a change of the group
            # (MS-ADTS 3.1.1.5.3.7, undelete).
            raise CursorRejected("A deleted object was restored, and DirSync does not show its memberships.")
        # Every domain has this OU, every account sees it, and it is never new. A full answer shows it as new, and
        # Microsoft's page on DirSync allows a full answer at any time.
        always_there = names.dn_key(f"ou=domain controllers,{self._scope.naming_context}")
        if not even_if_all and any(names.dn_key(dn) == always_there for dn in raw.appeared):
            raise CursorRejected(
                f"{self._session.host} returned everything instead of the changes, which does not show removed members."
            )
        if raw.unranged:
            raise CursorRejected(f"{self._session.host} does not report individual membership changes.")
        if not even_if_moved:
            self._require_no_moved_containers(raw.renamed)

    def _require_no_moved_containers(self, renamed: Iterable[Guid]) -> None:
        """Raise CursorRejected if an object with groups or members in it was renamed or moved.

        A container is what has children, whatever its class. Objects of the usual classes have none unless AD says so.
        """
        moved = []
        for batch in batches(sorted(renamed), ctl.GUIDS_PER_FILTER):
            found = self._session.search(
                self._scope.naming_context,
                ctl.guid_filter(batch),
                ["objectGUID", "objectClass", CHILDREN],
                subordinates="ignore",
            )
            moved += [entry.guid for entry in found if not entry.classes & _LEAVES or entry.number(CHILDREN)]
        if len(moved) > MOVED_LOOKED_INTO or any(self._contains_something(guid) for guid in moved):
            raise CursorRejected("Organizational units were renamed or moved, and with them everything in them.")

    def _contains_something(self, guid: Guid) -> bool:
        below = self._session.search_paged(
            f"<GUID={guid}>", f"(&{_OBJECTS}(!{ctl.guid_filter([guid])}))", ["objectGUID"], 1, "ignore"
        )
        with closing(below):  # one is enough
            return next(below, None) is not None

    def _finish(self, raw: RawDelta, cursor: Cursor, entries: int) -> Delta:
        """Turn the raw changes into a Delta that ends at ``cursor``."""
        now = self._session.current_time() if entries else cursor.polled_at
        return Delta(
            cursor=cursor,
            read_until=rounded_up(now),
            member_changes={
                guid: (frozenset(raw.added.get(guid, ())), frozenset(raw.removed.get(guid, ())))
                for guid in (raw.added.keys() | raw.removed.keys()) - raw.deleted
            },
            touched=frozenset(raw.touched - raw.deleted),
            deleted=frozenset(raw.deleted),
            primary_groups={guid: rid for guid, rid in raw.primary_groups.items() if guid not in raw.deleted},
            entries=entries,
            states=frozenset(raw.states - raw.deleted),
            expiries=frozenset(raw.expiries - raw.deleted),
            unseen=frozenset(raw.unseen - raw.deleted),
            ends={guid: ends_of(left, now) for guid, left in raw.left.items() if guid not in raw.deleted},
        )


def parse_entries(entries: Iterable[Entry], naming_context: str) -> RawDelta:
    """Collect the changes of a DirSync answer.

    Where an object comes in several entries, the later one is newer. An attribute without values says nothing about
    members: the account may lack the right to read them.

    Raises DirectoryIncomplete for an entry or a member without GUID.
    """
    raw = RawDelta()
    deleted_objects = "," + names.dn_key(f"CN=Deleted Objects,{naming_context}")
    for entry in entries:
        guid = entry.guid
        if entry.text("isDeleted") == "TRUE" or names.dn_key(entry.dn).endswith(deleted_objects):
            raw.deleted.add(guid)  # the DN says it where the account may not read the attribute
            continue
        raw.deleted.discard(guid)
        if not entry.dn:
            # What Windows answers an ordinary account about a deleted object (Samba's test suite, dirsync.py).
            raw.unseen.add(guid)
        elif entry.attributes.get("isdeleted") == []:
            raw.restored.add(guid)
        elif entry.classes & CONTAINER_CLASSES:
            raw.appeared.append(entry.dn)  # nothing can have been in it before
        else:
            _collect(raw, guid, entry)
    return raw


def _collect(raw: RawDelta, guid: Guid, entry: Entry) -> None:
    for name, values in entry.attributes.items():
        if name == "member;range=1-1":
            _note(raw.added, raw.removed, guid, guids_of(values))
            if left := seconds_left(values):
                raw.left.setdefault(guid, {}).update(left)
        elif name == "member;range=0-0":
            _note(raw.removed, raw.added, guid, guids_of(values))
        elif name.partition(";")[0] == "member":
            if values:
                raw.unranged.add(guid)
        elif name not in _NOT_TOUCHING:
            raw.touched.add(guid)
    _note_state(raw, guid, entry)
    if "name" in entry.attributes and not entry.classes:
        raw.renamed.add(guid)
    rid = entry.number("primaryGroupID")
    if rid is not None:
        raw.primary_groups[guid] = rid


def _note_state(raw: RawDelta, guid: Guid, entry: Entry) -> None:
    if entry.attributes.get("useraccountcontrol"):  # without values it is unreadable: no account lacks it
        raw.states.add(guid)
    if "accountexpires" in entry.attributes:
        raw.expiries.add(guid)


def _note(into: dict[Guid, set[Guid]], other: dict[Guid, set[Guid]], group: Guid, members: set[Guid]) -> None:
    into.setdefault(group, set()).update(members)
    other.get(group, set()).difference_update(members)


def _cursor(root: RootDse, cookie: bytes | None) -> Cursor:
    return Cursor(
        domain_controller=root.domain_controller,
        invocation_id=root.invocation_id,
        highest_committed_usn=root.highest_committed_usn,
        cookie=cookie,
        polled_at=root.current_time,
    )


def _require_same_database(root: RootDse, seen: tuple[Guid, int] | None) -> None:
    if seen is None:
        return
    invocation_id, usn = seen
    if root.invocation_id != invocation_id:
        raise CursorRejected(
            f"{root.domain_controller} has another invocationId than before: it was restored, or promoted again."
        )
    if root.highest_committed_usn < usn:
        raise CursorRejected(
            f"highestCommittedUSN of {root.domain_controller} went back from {usn} to {root.highest_committed_usn}: "
            f"an old copy of its database was put back."
        )


def rounded_up(time: datetime) -> datetime:
    """Return the next full second: ``currentTime`` has whole seconds, cut off."""
    return time + timedelta(seconds=1)
