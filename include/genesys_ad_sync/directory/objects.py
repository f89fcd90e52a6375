"""Read directory objects: entries become groups, users and their direct memberships.

Everything is keyed by objectGUID. A method returns complete data or raises.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TypeVar

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.attribute_values import (
    DIES_AT,
    account_expires,
    can_have,
    dies_at,
    equality_filter,
    first_values,
    kind_of,
    ranked_values,
    several_values,
    values_by_rank,
)
from genesys_ad_sync.directory.entries import Entry, InvalidDn
from genesys_ad_sync.directory.membership import primary_group_rids
from genesys_ad_sync.directory.ranges import RANGE_SIZE
from genesys_ad_sync.directory.searches import PAGE_SIZE
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.directory.temporary_links import ends_of, seconds_left
from genesys_ad_sync.errors import DirectoryIncomplete, DirectoryNotFound, DirectoryRefused, SettingsError
from genesys_ad_sync.model import DirectoryGroup, DirectoryUser, DirectoryView, Guid, PrincipalKind, Scope

log = logging.getLogger(__name__)

VALUES_PER_FILTER = 50
GROUPS_PER_PAGE = 200  # each may bring RANGE_SIZE members
SCAN_FROM = 1000  # wanted users; fewer are always requested by GUID
SCAN_WHILE = 0.5  # share of a page that is wanted; below it, requesting by GUID takes fewer requests

ACCOUNT_DISABLED = 0x2  # bit of userAccountControl
ALWAYS_READ = ("mail", "userprincipalname")

_T = TypeVar("_T")


@dataclass
class ObjectSet:
    """Objects that are read together; it grows while they come.

    ``primary``: user -> RID of the primary group. ``hidden``: objects of which the account may not read what decides
    about their membership. They are left out, like objects that the account cannot see at all.
    """

    view: DirectoryView = field(default_factory=DirectoryView)
    primary: dict[Guid, int] = field(default_factory=dict)
    hidden: set[Guid] = field(default_factory=set)


class ObjectReader:
    """Reads the objects of ``scope`` over one session. Not for use by several threads.

    ``ends``: group -> temporary member -> when AD takes it out, of all groups whose members were read.
    """

    def __init__(self, session: LdapSession, scope: Scope) -> None:
        self._session = session
        self._scope = scope
        self._group_filter = parenthesised(scope.group_filter)
        self._user_attributes = user_attributes(scope)
        self._time: datetime | None = None
        self.ends: dict[Guid, dict[Guid, datetime]] = {}

    @property
    def tells_ends(self) -> bool:
        """Return True if the domain controller can say when a temporary membership ends."""
        return self._session.tells_ends

    def take_ends(self) -> dict[Guid, dict[Guid, datetime]]:
        """Return ``ends``, and start again with none."""
        taken, self.ends = self.ends, {}
        return taken

    # -- what to read ---------------------------------------------------------------------------------

    def groups_in_scope(self) -> ObjectSet:
        """Read every group of the scope with its direct members, and everything below."""
        found = ObjectSet()
        entries = self._below_group_base(f"(&(objectClass=group){self._group_filter})", self._object_attributes())
        self._absorb(found, entries, in_scope=None)
        self._read_below(found)
        return found

    def fetch(self, guids: Iterable[Guid], known: Collection[Guid] = ()) -> ObjectSet:
        """Read the objects ``guids``, and everything below the groups among them that is not ``known``.

        The groups of ``guids`` are always read with their members; groups below them only if nested groups count.
        """
        found = ObjectSet()
        self._absorb_by_guid(found, guids)
        self._read_below(found, known)
        return found

    def in_scope(self, guids: Iterable[Guid]) -> frozenset[Guid]:
        """Return which of them are groups below `group_base` that match `group_filter` now."""
        matching: set[Guid] = set()
        for batch in batches(sorted(guids), ctl.GUIDS_PER_FILTER):
            ldap_filter = f"(&(objectClass=group){ctl.guid_filter(batch)}{self._group_filter})"
            matching.update(entry.guid for entry in self._below_group_base(ldap_filter, ["objectGUID"]))
        return frozenset(matching)

    def tombstones(self, guids: Iterable[Guid]) -> frozenset[Guid]:
        """Return which of them are deleted objects, as far as the account may see them.

        Tombstones only explain what a reading shows. A server that refuses the search explains nothing.
        """
        found: set[Guid] = set()
        for batch in batches(sorted(guids), ctl.GUIDS_PER_FILTER):
            try:
                entries = self._session.search(
                    self._scope.naming_context,
                    f"(&(isDeleted=TRUE){ctl.guid_filter(batch)})",
                    ["objectGUID"],
                    controls=self._session.deletion_controls(),
                    subordinates="ignore",
                )
            except DirectoryRefused as refused:
                log.warning("deleted objects cannot be looked up: %s", refused)
                break
            found.update(entry.guid for entry in entries)
        return frozenset(found)

    def member_lists(self, groups: Iterable[Guid]) -> dict[Guid, set[Guid]]:
        """Return the values of `member` of those of these groups that exist, complete.

        Members by primaryGroupID are not among them.
        """
        lists: dict[Guid, set[Guid]] = {}
        for batch in batches(sorted(groups), ctl.GUIDS_PER_FILTER):
            attributes = ["objectGUID", f"member;range=0-{RANGE_SIZE - 1}"]
            found = [
                (entry.guid, *_first_members(entry))
                for entry in self._search_domain(ctl.guid_filter(batch), attributes)
            ]
            for guid, values, is_complete in found:
                lists[guid] = guids_of(values if is_complete else self._session.read_values(guid, "member", values))
        return lists

    def note_ends(self, groups: Iterable[Guid]) -> None:
        """Add to ``ends`` what the first range of members of these groups shows."""
        for batch in batches(sorted(groups), ctl.GUIDS_PER_FILTER):
            attributes = ["objectGUID", f"member;range=0-{RANGE_SIZE - 1}"]
            for entry in self._search_domain(ctl.guid_filter(batch), attributes):
                values, is_complete = _first_members(entry)
                if is_complete:  # the next complete reading shows it
                    self._note_members(entry.guid, values)

    def existing(self, guids: Iterable[Guid]) -> frozenset[Guid]:
        """Return which of these objects of the domain can be seen now."""
        found: set[Guid] = set()
        for batch in batches(sorted(guids), ctl.GUIDS_PER_FILTER):
            found.update(entry.guid for entry in self._search_domain(ctl.guid_filter(batch), ["objectGUID"]))
        return frozenset(found)

    def members_by_primary_group(
        self, groups: DirectoryView, members: Mapping[Guid, Collection[Guid]]
    ) -> dict[Guid, set[Guid]]:
        """Return which of ``members`` belong to their group by primaryGroupID now."""
        rids = {guid: rid for rid, guid in primary_group_rids(groups).items()}
        found: dict[Guid, set[Guid]] = {}
        wanted = sorted({member for guid in rids for member in members[guid]})
        for batch in batches(wanted, ctl.GUIDS_PER_FILTER):
            for entry in self._search_domain(ctl.guid_filter(batch), ["objectGUID", "primaryGroupID"]):
                rid = entry.number("primaryGroupID")
                for guid in (guid for guid, own in rids.items() if own == rid):
                    found.setdefault(guid, set()).add(entry.guid)
        return found

    def accounts_with(self, attribute: str, values: Iterable[str]) -> Iterator[tuple[DirectoryUser, tuple[str, ...]]]:
        """Yield the domain's user accounts with one of these values, and all their values."""
        name = attribute.lower()
        for batch in batches(sorted({one for one in values if can_have(name, one)}), VALUES_PER_FILTER):
            terms = "".join(equality_filter(name, value) for value in batch)
            for entry in self._search_domain(f"(&(objectClass=user)(|{terms}))", self._user_object_attributes()):
                if kind_of(entry.classes) is PrincipalKind.USER:
                    ranks = ranked_values(name, entry.attributes.get(name, ()))
                    yield self._user(entry, entry.guid), tuple(value for rank in ranks for value in rank)

    # -- searches -------------------------------------------------------------------------------------

    def _object_attributes(self) -> list[str]:
        group = ("objectSid", f"member;range=0-{RANGE_SIZE - 1}", *self._scope.group_attributes)
        return each_once([*self._user_object_attributes(), *group])

    def _user_object_attributes(self) -> list[str]:
        names = ("objectGUID", "objectClass", "cn", "sAMAccountName", "userAccountControl", "primaryGroupID")
        return each_once([*names, "accountExpires", DIES_AT, *self._user_attributes])

    def _below_group_base(self, ldap_filter: str, attributes: Sequence[str]) -> Iterator[Entry]:
        """Search below each base; the session notes parts that other servers hold."""
        for base in self._scope.group_bases:
            try:
                yield from self._session.search_paged(base, ldap_filter, attributes, GROUPS_PER_PAGE, "note")
            except DirectoryNotFound as error:
                raise DirectoryNotFound(
                    f"`directory.group_base` does not exist, or the account may not see it: {base}. "
                    f"Correct it in the sync definition."
                ) from error
            except InvalidDn as error:
                raise SettingsError(
                    f"`directory.group_base` is not a distinguished name to Active Directory: {base}. "
                    f"Correct it in the sync definition."
                ) from error

    def _in_the_domain(self, ldap_filter: str) -> Iterator[Entry]:
        return self._search_domain(ldap_filter, self._object_attributes())

    def _search_domain(self, ldap_filter: str, attributes: Sequence[str]) -> Generator[Entry, None, None]:
        """Search the domain. Child domains are other naming contexts: their objects stay unresolved."""
        return self._session.search_paged(self._scope.naming_context, ldap_filter, attributes, subordinates="ignore")

    # -- level by level -------------------------------------------------------------------------------

    def _read_below(self, found: ObjectSet, known: Collection[Guid] = ()) -> None:
        """Add everything that the groups of ``found`` refer to.

        Goes level by level until nothing new comes, then adds the members by primaryGroupID. Each object is requested
        once, so that a cycle ends.
        """
        requested: set[Guid] = set()
        while True:
            have = found.view.groups.keys() | found.view.users.keys() | requested
            members = {guid for members in found.view.members.values() for guid in members}
            wanted = {guid for guid in members - have if guid not in known}
            if not wanted:
                break
            requested |= wanted
            if len(wanted) >= SCAN_FROM:
                wanted -= self._scan_users(found, wanted)
            self._absorb_by_guid(found, wanted, nested_only=True)
        self._read_primary_members(found)

    def _scan_users(self, found: ObjectSet, wanted: Collection[Guid]) -> set[Guid]:
        """Add the ``wanted`` users from a scan of the whole domain, and return them.

        Where most of the domain is wanted, a scan takes fewer requests than filters by GUID. It ends at the first page
        that holds few wanted users.
        """
        scanned: set[Guid] = set()
        users = self._search_domain("(|(objectClass=user)(objectClass=contact))", self._user_object_attributes())
        with closing(users):  # which ends the search on the server, too
            while page := list(islice(users, PAGE_SIZE)):
                of_use = [entry for entry in page if entry.attributes.get("objectguid") and entry.guid in wanted]
                self._absorb(found, of_use, in_scope=frozenset())
                scanned.update(entry.guid for entry in of_use)
                if len(of_use) < SCAN_WHILE * len(page):
                    break
        return scanned

    def _absorb_by_guid(self, found: ObjectSet, guids: Iterable[Guid], *, nested_only: bool = False) -> None:
        for batch in batches(sorted(set(guids)), ctl.GUIDS_PER_FILTER):
            entries = list(self._in_the_domain(ctl.guid_filter(batch)))
            groups = {entry.guid for entry in entries if "group" in entry.classes}
            if nested_only and not self._scope.nested_groups:
                entries = [entry for entry in entries if "group" not in entry.classes]
                groups = set()
            self._absorb(found, entries, in_scope=self.in_scope(groups))

    def _read_primary_members(self, found: ObjectSet) -> None:
        by_rid = primary_group_rids(found.view)
        for batch in batches(sorted(by_rid), ctl.GUIDS_PER_FILTER):
            terms = "".join(f"(primaryGroupID={rid})" for rid in batch)
            entries = [entry for entry in self._in_the_domain(f"(|{terms})") if "group" not in entry.classes]
            self._absorb(found, entries, in_scope=frozenset())
            for entry in entries:
                found.view.members[by_rid[found.primary[entry.guid]]].add(entry.guid)

    # -- entries to objects ---------------------------------------------------------------------------

    def _absorb(self, found: ObjectSet, entries: Iterable[Entry], in_scope: frozenset[Guid] | None) -> None:
        """Add ``entries`` to ``found``. ``in_scope``: the groups in scope; None: all of them."""
        open_ranges: dict[Guid, list[bytes]] = {}
        for entry in entries:
            guid = entry.guid
            if self._hides_what_decides(entry):
                found.hidden.add(guid)
            elif "group" in entry.classes:
                found.view.groups[guid] = self._group(entry, in_scope=in_scope is None or guid in in_scope)
                values, is_complete = _first_members(entry)
                found.view.members[guid] = guids_of(values)
                self._note_members(guid, values)
                if not is_complete:
                    open_ranges[guid] = values
            else:
                found.view.users[guid] = self._user(entry, guid)
                rid = entry.number("primaryGroupID")
                if rid is not None:
                    found.primary[guid] = rid
        # Only now: a paged search over the same connection has ended.
        for guid, first in open_ranges.items():
            values = self._session.read_values(guid, "member", first)
            found.view.members[guid] = guids_of(values)
            self._note_members(guid, values)

    def _note_members(self, group: Guid, values: Sequence[bytes]) -> None:
        left = seconds_left(values) if self._session.tells_ends else {}
        self.ends[group] = ends_of(left, self._now()) if left else {}

    def _hides_what_decides(self, entry: Entry) -> bool:
        """Return whether the kind of an object, or a user's disabled state, is unreadable.

        Every object in AD has both attributes.
        """
        if not entry.classes:
            return True
        counts = self._scope.disabled_users == "remove" and kind_of(entry.classes) is PrincipalKind.USER
        return counts and entry.number("userAccountControl") is None

    def _group(self, entry: Entry, *, in_scope: bool) -> DirectoryGroup:
        sid = entry.attributes.get("objectsid")
        return DirectoryGroup(
            guid=entry.guid,
            dn=entry.dn,
            name=entry.text("cn") or "",
            sam_account_name=entry.text("sAMAccountName"),
            sid=ctl.sid_of_bytes(sid[0]) if sid else None,
            in_scope=in_scope,
            attributes=first_values(values_by_rank(entry, self._scope.group_attributes)),
            ends_at=dies_at(entry),
        )

    def _user(self, entry: Entry, guid: Guid) -> DirectoryUser:
        expires_at = account_expires(entry.number("accountExpires"))
        ranks_of = values_by_rank(entry, self._user_attributes)
        return DirectoryUser(
            guid=guid,
            dn=entry.dn,
            kind=kind_of(entry.classes),
            name=entry.text("cn") or "",
            sam_account_name=entry.text("sAMAccountName"),
            disabled=bool((entry.number("userAccountControl") or 0) & ACCOUNT_DISABLED),
            attributes=first_values(ranks_of),
            ranked_values=several_values(ranks_of),
            expires_at=expires_at,
            expired=expires_at is not None and expires_at <= self._now(),
            ends_at=dies_at(entry),
        )

    def _now(self) -> datetime:
        """Return AD's time, as it was when it was first needed."""
        if self._time is None:
            self._time = self._session.current_time()
        return self._time


def _first_members(entry: Entry) -> tuple[list[bytes], bool]:
    """Return the members in a group's entry, and whether they are complete."""
    try:
        part = ctl.find_range(entry.attributes, "member")
    except ValueError as error:
        raise DirectoryIncomplete(f"The members of the group {entry.guid} are incomplete: {error}.") from error
    return (part.values, part.last) if part is not None else ([], True)


def user_attributes(scope: Scope) -> tuple[str, ...]:
    """Return the attributes of users that are always read, and those of the scope."""
    return tuple(dict.fromkeys([*ALWAYS_READ, *scope.user_attributes]))


def each_once(names: Iterable[str]) -> list[str]:
    """Drop repeated attribute names, whatever their case."""
    return list({name.lower(): name for name in names}.values())


def guids_of(values: Iterable[bytes]) -> set[Guid]:
    """Return the GUIDs of member values. Raises DirectoryIncomplete for a value without one."""
    guids = set()
    for value in values:
        guid = ctl.guid_of_value(value)
        if guid is None:
            raise DirectoryIncomplete("The server ignored the extended-DN control: a member came without its GUID.")
        guids.add(sys.intern(guid))  # one string for each guid, in however many groups it is a member
    return guids


def parenthesised(ldap_filter: str) -> str:
    """Return the filter in brackets, so that it can be put into another filter."""
    text = ldap_filter.strip()
    return text if text.startswith("(") else f"({text})"


def batches(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Cut ``items`` into parts of at most ``size``."""
    for first in range(0, len(items), size):
        yield items[first : first + size]
