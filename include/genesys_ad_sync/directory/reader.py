"""Reads groups, people and direct memberships of one scope: the whole, a proof of some groups, or what changed.

Everything is keyed by objectGUID. A method returns something whole or raises; it never returns a part as the whole.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from genesys_ad_sync import names
from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.apply_delta import apply_delta, primary_group_rids
from genesys_ad_sync.directory.membership import prune
from genesys_ad_sync.directory.results import Delta, Proof, Reading
from genesys_ad_sync.directory.session import PAGE_SIZE, RANGE_SIZE, DirSyncRefused, Entry, LdapSession, RootDse
from genesys_ad_sync.errors import CursorRejected, DirectoryIncomplete, DirectoryNotFound
from genesys_ad_sync.model import (
    Cursor,
    DirectoryGroup,
    DirectoryUser,
    Guid,
    PrincipalKind,
    Scope,
    View,
)

log = logging.getLogger(__name__)

GROUPS_PER_PAGE = 200  # each may bring RANGE_SIZE members
SNAPSHOT_ATTEMPTS = 3
SCAN_FROM = 1000  # wanted people; fewer are asked for one by one in any case
SCAN_WHILE = 0.5  # of a page are wanted; below, asking for those alone takes fewer requests

ACCOUNT_DISABLED = 0x2  # bit of userAccountControl
ALWAYS_READ = ("mail", "userprincipalname")

CONTAINER_CLASSES = frozenset({"organizationalunit", "container", "builtindomain"})
# objectCategory is taken away at deletion, so the filter must do without it (reference/active-directory.md 3c).
CHANGES_FILTER = (
    "(|(objectClass=group)(objectClass=user)(objectClass=contact)(objectClass=organizationalUnit)"
    "(objectClass=container)(isDeleted=TRUE))"
)
# Matches nothing. The cookie marks a state of the whole naming context whatever the filter is, and with this one the
# server need not send the whole domain to give it (seen on Samba; if a server bound the cookie to the filter, the
# next answer would be everything, which is applied idempotently).
NOTHING = "(objectGUID=" + "\\00" * 16 + ")"
# Attributes that come with an entry or are handled by themselves; a change of any other one touches the object.
_NOT_TOUCHING = frozenset({"objectguid", "instancetype", "isdeleted", "parentguid"})
# Memberships of a group change without a change of the member, so DirSync cannot tell when such a filter's answer does.
_UNTRACKABLE = frozenset({"member", "memberof"})


@dataclass
class Found:
    """Objects read in one go, growing. ``primary``: user -> RID of the primary group. ``hidden``: those of which the
    account may not read what decides; they are left out like those that cannot be seen."""

    view: View = field(default_factory=View)
    primary: dict[Guid, int] = field(default_factory=dict)
    hidden: set[Guid] = field(default_factory=set)


class DirectoryReader:
    """Reads what ``scope`` looks at, over one session. Not for use by several threads."""

    def __init__(self, session: LdapSession, scope: Scope) -> None:
        self.session = session
        self.scope = scope
        self._group_filter = _parenthesised(scope.group_filter)
        self._user_attributes = tuple(dict.fromkeys([*ALWAYS_READ, *scope.user_attributes]))

    # -- the whole ------------------------------------------------------------------------------------

    def snapshot(self) -> Reading:
        """The whole view: every group of the scope, everything below, and a cursor that continues it.

        First the cursor, then the groups and people page by page, then what changed since the cursor, applied on
        them: so a change while the pages were read is neither lost nor half in. Raises DirectoryNotFound if
        `directory.group_base` does not exist. No group at all is a warning: it may be true.
        """
        for attempt in range(SNAPSHOT_ATTEMPTS):
            try:
                return self._snapshot()
            except CursorRejected as rejected:  # an OU was moved meanwhile, say
                log.debug("snapshot attempt %d starts again: %s", attempt + 1, rejected)
        raise DirectoryIncomplete("Active Directory kept changing while the whole view was taken. Run again.")

    def _snapshot(self) -> Reading:
        before = self.session.requests
        warnings: list[str] = []
        cursor = self._first_cursor(warnings)
        found = Found()
        self._read_groups_in_scope(found)
        self._read_below(found)
        view = found.view
        if cursor.cookie is not None:
            delta = self.changes_since(cursor)
            view = prune(apply_delta(view, delta, self), nested=self.scope.nested_groups)
            cursor, read_until = delta.cursor, delta.read_until
        else:
            read_until = _rounded_up(self.session.current_time())
        if found.hidden:
            warnings.append(
                f"{len(found.hidden)} members do not show the account their objectClass or userAccountControl (whether "
                "they are disabled): who was known counts as before, and no other one is added. Give the account the "
                "right to read both."
            )
        if not any(group.in_scope for group in view.groups.values()):
            warnings.append(
                f"No group matches `directory.group_filter` ({self.scope.group_filter}) below `directory.group_base` "
                f"({self.scope.group_base}), or the account may not see them."
            )
        reading = Reading(
            view=view,
            cursor=cursor,
            read_until=read_until,
            complete=frozenset(view.members),
            unresolved=_unresolved(view),
            warnings=tuple(warnings),
            requests=self.session.requests - before,
        )
        log.debug("snapshot: %d groups, %d people, %d requests", len(view.groups), len(view.users), reading.requests)
        return reading

    def _first_cursor(self, warnings: list[str]) -> Cursor:
        untrackable = ctl.filter_attributes(self._group_filter) & _UNTRACKABLE
        cookie: bytes | None = None
        root = self.session.root_dse()
        if untrackable:
            warnings.append(
                f"`directory.group_filter` asks about {', '.join(sorted(untrackable))}, whose changes Active Directory "
                f"does not tell. Every poll reads the whole view."
            )
        else:
            try:
                cookie = self.session.dirsync(self.scope.naming_context, NOTHING, ["objectGUID"], b"").cookie
            except DirSyncRefused as refused:
                warnings.append(
                    f"{refused} Every poll reads the whole view, and deletions are found by that only. Give the "
                    f"account the right `Replicating Directory Changes` on {self.scope.naming_context}, or connect "
                    f"to a domain controller that allows DirSync."
                )
        return _cursor(root, cookie)

    def _read_groups_in_scope(self, found: Found) -> None:
        entries = self._below_group_base(f"(&(objectClass=group){self._group_filter})", self._object_attributes())
        self._absorb(found, entries, in_scope=None)

    # -- some groups, as proof ------------------------------------------------------------------------

    def read_groups(self, guids: Iterable[Guid]) -> Proof:
        """These groups and everything below them, read completely now. Groups that do not exist (any more), or that
        the account may not see, are ``missing``; whether one is in scope is asked anew."""
        before = self.session.requests
        wanted = frozenset(guids)
        found = self.fetch(wanted)
        return Proof(
            view=found.view,
            read_until=_rounded_up(self.session.current_time()),
            complete=frozenset(found.view.members),
            missing=wanted - found.view.groups.keys(),
            unresolved=_unresolved(found.view),
            requests=self.session.requests - before,
        )

    def fetch(self, guids: Iterable[Guid], known: Collection[Guid] = ()) -> Found:
        """The objects ``guids``, and below the groups among them everything that is not ``known``.

        The asked groups are always read with their members; groups below them only if nested groups count.
        """
        found = Found()
        self._absorb_by_guid(found, guids)
        self._read_below(found, known)
        return found

    def in_scope(self, guids: Iterable[Guid]) -> frozenset[Guid]:
        """Those that are groups under `group_base` and match `group_filter` now."""
        matching: set[Guid] = set()
        for batch in _batches(sorted(guids), ctl.GUIDS_PER_FILTER):
            ldap_filter = f"(&(objectClass=group){ctl.guid_filter(batch)}{self._group_filter})"
            matching.update(entry.guid for entry in self._below_group_base(ldap_filter, ["objectGUID"]))
        return frozenset(matching)

    def tombstones(self, guids: Iterable[Guid]) -> frozenset[Guid]:
        """Those that are deleted objects, as far as the account may see them."""
        found: set[Guid] = set()
        for batch in _batches(sorted(guids), ctl.GUIDS_PER_FILTER):
            entries = self.session.search(
                self.scope.naming_context,
                f"(&(isDeleted=TRUE){ctl.guid_filter(batch)})",
                ["objectGUID"],
                controls=(ctl.show_deleted(),),
                subordinates="ignore",
            )
            found.update(entry.guid for entry in entries)
        return frozenset(found)

    # -- what changed ---------------------------------------------------------------------------------

    def changes_since(
        self, cursor: Cursor, known: Mapping[str, tuple[Guid, int]] | None = None, *, even_if_moved: bool = False
    ) -> Delta:
        """What changed in the domain since ``cursor``, whichever domain controller is asked now.

        ``known``: domain controller -> (invocationId, highestCommittedUSN) as last seen; the cursor's own is added.
        Only the record of the same domain controller is compared: those numbers mean nothing on another one.
        Raises CursorRejected(why) if the cookie is refused or absent, if the domain controller was restored from a
        copy (it would answer "nothing changed"), or if an OU was renamed or moved (the objects in it then get other
        DNs without a change of their own; not with ``even_if_moved``). Then take a snapshot.
        """
        if cursor.cookie is None:
            raise CursorRejected("There is no DirSync cookie to continue from.")
        root = self.session.root_dse()
        seen = {cursor.domain_controller: (cursor.invocation_id, cursor.highest_committed_usn), **(known or {})}
        _require_same_database(root, seen.get(root.domain_controller))
        sync = self.session.dirsync(
            self.scope.naming_context, CHANGES_FILTER, self._watched_attributes(), cursor.cookie
        )
        delta = self._delta(sync.entries, _cursor(root, sync.cookie), even_if_moved)
        log.debug(
            "changes: %d entries, %d groups with member changes, %d touched, %d deleted",
            delta.entries,
            len(delta.member_changes),
            len(delta.touched),
            len(delta.deleted),
        )
        return delta

    def _delta(self, entries: list[Entry], cursor: Cursor, even_if_moved: bool) -> Delta:
        added: dict[Guid, set[Guid]] = {}
        removed: dict[Guid, set[Guid]] = {}
        touched: set[Guid] = set()
        deleted: set[Guid] = set()
        primary: dict[Guid, int] = {}
        renamed: set[Guid] = set()
        # Every domain has it, everybody sees it, and it is never new; a full answer (allowed at any time by Microsoft's
        # page on DirSync) tells of it as if it were.
        always_there = names.dn_key(f"ou=domain controllers,{self.scope.naming_context}")
        for entry in entries:
            guid = entry.guid
            if entry.text("isDeleted") == "TRUE":
                deleted.add(guid)
                continue
            deleted.discard(guid)
            if entry.attributes.get("isdeleted") == []:
                # Its links become visible again, of which nothing is told (MS-ADTS 3.1.1.5.3.7, undelete).
                raise CursorRejected("A deleted object was restored, with memberships that nothing else tells of.")
            if entry.classes & CONTAINER_CLASSES:
                if names.dn_key(entry.dn) == always_there:
                    raise CursorRejected(
                        f"{self.session.host} answered with everything instead of what changed, which does not tell "
                        f"who left."
                    )
                continue  # a new one: nothing can have been in it before
            for name, values in entry.attributes.items():
                if name == "member;range=1-1":
                    _note(added, removed, guid, _guids(values))
                elif name == "member;range=0-0":
                    _note(removed, added, guid, _guids(values))
                elif name.partition(";")[0] == "member":
                    raise CursorRejected(f"{self.session.host} does not tell single membership changes.")
                elif name not in _NOT_TOUCHING:
                    touched.add(guid)
            if "name" in entry.attributes and not entry.classes:
                renamed.add(guid)
            rid = entry.number("primaryGroupID")
            if rid is not None:
                primary[guid] = rid
        if not even_if_moved:
            self._require_no_moved_containers(renamed)
        return Delta(
            cursor=cursor,
            read_until=_rounded_up(self.session.current_time() if entries else cursor.polled_at),
            member_changes={
                guid: (frozenset(added.get(guid, ())), frozenset(removed.get(guid, ())))
                for guid in (added.keys() | removed.keys()) - deleted
            },
            touched=frozenset(touched - deleted),
            deleted=frozenset(deleted),
            primary_groups={guid: rid for guid, rid in primary.items() if guid not in deleted},
            entries=len(entries),
        )

    def _require_no_moved_containers(self, renamed: set[Guid]) -> None:
        for batch in _batches(sorted(renamed), ctl.GUIDS_PER_FILTER):
            containers = "".join(f"(objectClass={name})" for name in sorted(CONTAINER_CLASSES))
            moved = self.session.search(
                self.scope.naming_context,
                f"(&{ctl.guid_filter(batch)}(|{containers}))",
                ["objectGUID"],
                subordinates="ignore",
            )
            if moved:
                raise CursorRejected(
                    f"{len(moved)} organizational units were renamed or moved, and with them everything in them."
                )

    def _watched_attributes(self) -> list[str]:
        # For DirSync the attribute list is a filter as well: what is not in it does not show.
        watched = [
            *("objectGUID", "member", "isDeleted", "name", "objectClass", "cn", "sAMAccountName"),
            *("userAccountControl", "primaryGroupID"),
            *self.scope.group_attributes,
            *self._user_attributes,
            *sorted(ctl.filter_attributes(self._group_filter)),
        ]
        return _each_once(watched)

    # -- reading objects ------------------------------------------------------------------------------

    def _object_attributes(self) -> list[str]:
        group = ("objectSid", f"member;range=0-{RANGE_SIZE - 1}", *self.scope.group_attributes)
        return _each_once([*self._person_attributes(), *group])

    def _person_attributes(self) -> list[str]:
        names = ("objectGUID", "objectClass", "cn", "sAMAccountName", "userAccountControl", "primaryGroupID")
        return _each_once([*names, *self._user_attributes])

    def _below_group_base(self, ldap_filter: str, attributes: Sequence[str]) -> Iterator[Entry]:
        try:
            yield from self.session.search_paged(self.scope.group_base, ldap_filter, attributes, GROUPS_PER_PAGE)
        except DirectoryNotFound as error:
            raise DirectoryNotFound(
                f"`directory.group_base` does not exist, or the account may not see it: {self.scope.group_base}. "
                f"Correct it in the sync definition."
            ) from error

    def _in_the_domain(self, ldap_filter: str) -> Iterator[Entry]:
        return self._search_domain(ldap_filter, self._object_attributes())

    def _search_domain(self, ldap_filter: str, attributes: Sequence[str]) -> Generator[Entry, None, None]:
        """Child domains are other naming contexts: their objects stay unresolved."""
        return self.session.search_paged(self.scope.naming_context, ldap_filter, attributes, subordinates="ignore")

    def _read_below(self, found: Found, known: Collection[Guid] = ()) -> None:
        """Adds what the groups of ``found`` refer to, level by level until nothing new comes, then the members by
        primaryGroupID. An object is asked for once, so a cycle ends."""
        asked: set[Guid] = set()
        while True:
            have = found.view.groups.keys() | found.view.users.keys() | asked
            everyone = {guid for members in found.view.members.values() for guid in members}
            wanted = {guid for guid in everyone - have if guid not in known}
            if not wanted:
                break
            asked |= wanted
            if len(wanted) >= SCAN_FROM:
                wanted -= self._scan_people(found, wanted)
            self._absorb_by_guid(found, wanted, nested_only=True)
        self._read_primary_members(found)

    def _scan_people(self, found: Found, wanted: Collection[Guid]) -> set[Guid]:
        """Adds the ``wanted`` among all people of the domain, page by page, as long as it is worth it: where most of
        the domain is wanted, that takes fewer requests than asking for each. Gives who was found."""
        scanned: set[Guid] = set()
        people = self._search_domain("(|(objectClass=user)(objectClass=contact))", self._person_attributes())
        with closing(people):  # which ends the search on the server, too
            while page := list(islice(people, PAGE_SIZE)):
                of_use = [entry for entry in page if entry.attributes.get("objectguid") and entry.guid in wanted]
                self._absorb(found, of_use, in_scope=frozenset())
                scanned.update(entry.guid for entry in of_use)
                if len(of_use) < SCAN_WHILE * len(page):
                    break
        return scanned

    def _absorb_by_guid(self, found: Found, guids: Iterable[Guid], *, nested_only: bool = False) -> None:
        for batch in _batches(sorted(set(guids)), ctl.GUIDS_PER_FILTER):
            entries = list(self._in_the_domain(ctl.guid_filter(batch)))
            groups = {entry.guid for entry in entries if "group" in entry.classes}
            if nested_only and not self.scope.nested_groups:
                entries = [entry for entry in entries if "group" not in entry.classes]
                groups = set()
            self._absorb(found, entries, in_scope=self.in_scope(groups))

    def _read_primary_members(self, found: Found) -> None:
        by_rid = primary_group_rids(found.view)
        for batch in _batches(sorted(by_rid), ctl.GUIDS_PER_FILTER):
            terms = "".join(f"(primaryGroupID={rid})" for rid in batch)
            entries = [entry for entry in self._in_the_domain(f"(|{terms})") if "group" not in entry.classes]
            self._absorb(found, entries, in_scope=frozenset())
            for entry in entries:
                found.view.members[by_rid[found.primary[entry.guid]]].add(entry.guid)

    def _absorb(self, found: Found, entries: Iterable[Entry], in_scope: frozenset[Guid] | None) -> None:
        """``in_scope``: which groups are; None: all."""
        open_ranges: dict[Guid, list[bytes]] = {}
        for entry in entries:
            guid = entry.guid
            if self._hides_what_decides(entry):
                found.hidden.add(guid)
                continue
            if "group" not in entry.classes:
                found.view.users[guid] = self._user(entry)
                rid = entry.number("primaryGroupID")
                if rid is not None:
                    found.primary[guid] = rid
                continue
            found.view.groups[guid] = self._group(entry, in_scope is None or guid in in_scope)
            try:
                part = ctl.find_range(entry.attributes, "member")
            except ValueError as error:
                raise DirectoryIncomplete(f"The members of the group {guid} did not come whole: {error}.") from error
            values = part.values if part is not None else []
            found.view.members[guid] = _guids(values)
            if part is not None and not part.last:
                open_ranges[guid] = values
        # Only now: a paged search over the same connection has ended.
        for guid, values in open_ranges.items():
            found.view.members[guid] = _guids(self.session.read_values(guid, "member", values))

    def _hides_what_decides(self, entry: Entry) -> bool:
        """The account may not read of what kind the object is, or whether a person's account is disabled. AD has both
        of every object."""
        if not entry.classes:
            return True
        counts = self.scope.disabled_users == "remove" and _kind(entry.classes) is PrincipalKind.USER
        return counts and entry.number("userAccountControl") is None

    def _group(self, entry: Entry, in_scope: bool) -> DirectoryGroup:
        sid = entry.attributes.get("objectsid")
        return DirectoryGroup(
            guid=entry.guid,
            dn=entry.dn,
            name=entry.text("cn") or "",
            sam_account_name=entry.text("sAMAccountName"),
            sid=ctl.sid_of_bytes(sid[0]) if sid else None,
            in_scope=in_scope,
            attributes=_texts(entry, self.scope.group_attributes),
        )

    def _user(self, entry: Entry) -> DirectoryUser:
        return DirectoryUser(
            guid=entry.guid,
            dn=entry.dn,
            kind=_kind(entry.classes),
            name=entry.text("cn") or "",
            sam_account_name=entry.text("sAMAccountName"),
            disabled=bool((entry.number("userAccountControl") or 0) & ACCOUNT_DISABLED),
            attributes=_texts(entry, self._user_attributes),
        )


def _kind(classes: frozenset[str]) -> PrincipalKind:
    # A managed service account is a computer, and a computer is a user, by objectClass: the narrow ones first.
    if classes & {"msds-groupmanagedserviceaccount", "msds-managedserviceaccount"}:
        return PrincipalKind.OTHER
    if "computer" in classes:
        return PrincipalKind.COMPUTER
    if classes & {"user", "inetorgperson"}:
        return PrincipalKind.USER
    return PrincipalKind.CONTACT if "contact" in classes else PrincipalKind.OTHER


def _each_once(names: Iterable[str]) -> list[str]:
    return list({name.lower(): name for name in names}.values())


def _texts(entry: Entry, names: Iterable[str]) -> dict[str, str]:
    found = {name.lower(): entry.text(name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _guids(values: Iterable[bytes]) -> set[Guid]:
    guids = set()
    for value in values:
        guid = ctl.guid_of_value(value)
        if guid is None:
            raise DirectoryIncomplete("The server ignored the extended-DN control: a member came without its GUID.")
        guids.add(guid)
    return guids


def _note(into: dict[Guid, set[Guid]], other: dict[Guid, set[Guid]], group: Guid, members: set[Guid]) -> None:
    # A group may come in several entries; the later one is the newer.
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
            f"{root.domain_controller} has another invocationId than before: it was restored or promoted anew."
        )
    if root.highest_committed_usn < usn:
        raise CursorRejected(
            f"highestCommittedUSN of {root.domain_controller} went back from {usn} to {root.highest_committed_usn}: "
            f"an old copy of its database was put back."
        )


def _unresolved(view: View) -> frozenset[Guid]:
    everyone = {guid for members in view.members.values() for guid in members}
    return frozenset(everyone - view.groups.keys() - view.users.keys())


def _rounded_up(time: datetime) -> datetime:
    return time + timedelta(seconds=1)  # currentTime has whole seconds, cut off


def _parenthesised(ldap_filter: str) -> str:
    text = ldap_filter.strip()
    return text if text.startswith("(") else f"({text})"


def _batches(items: Sequence, size: int) -> Iterator[Sequence]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
