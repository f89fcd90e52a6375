"""Times at which memberships began and ended, as AD keeps them: ``msDS-ReplValueMetaData`` of groups.

There is one record per value that the attribute ever had, removed values included. It holds the time of the *last*
change only. Samba does not have the attribute (reference/active-directory.md 3d).
"""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import pairwise

from genesys_ad_sync import names
from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryNotFound, DirectoryRefused
from genesys_ad_sync.model import Action, Change, DirectoryGroup, DirectoryUser, DirectoryView, Guid

log = logging.getLogger(__name__)

ATTRIBUTE = "msDS-ReplValueMetaData"
RANGES_FOR_TIMES = 5  # of 1,000 or 1,500 records each
DNS_PER_FILTER = 50  # DNs are long; measured: reference/active-directory.md 3i

# Not parsed as XML: AD leaves `&` (and `<`) of DNs unescaped and ends each value with a NUL.
_TIMES = ("ftimeCreated", "ftimeDeleted", "ftimeLastOriginatingChange")
_FIELD = re.compile(r"<(pszAttributeName|pszObjectDn|ftime\w+|dwVersion)>(.*?)</\1>", re.DOTALL)
LATE = timedelta(hours=1)  # replication may take this long, so that a change may be older than the poll before
_NEVER = 1601  # the year that Windows' clock begins with


@dataclass(frozen=True)
class LinkRecord:
    """A present or former member of a group.

    Times are the originating domain controller's, whole seconds.

    ``deleted_at`` None: it is a member now. ``version``: the number of changes. Add, remove, add is 3, of which only
    the last one has a time.
    """

    member_dn: str
    created_at: datetime | None
    deleted_at: datetime | None
    changed_at: datetime
    version: int

    @property
    def changes_hidden(self) -> int:
        """The least number of changes without a time, between the first and the last.

        A member that was added once has had one change, a member that was added and removed two.
        """
        return max(0, self.version - (1 if self.deleted_at is None else 2))


def parse(values: Iterable[bytes]) -> list[LinkRecord]:
    """Parse the records of ``member``; the values hold records of other attributes, too.

    A record without DN or time is left out; see `parse_known`.
    """
    return parse_known(values)[0]


def parse_known(values: Iterable[bytes]) -> tuple[list[LinkRecord], int]:
    """Parse the records of ``member``, and count the values of an unknown form.

    The form is from documentation: no domain controller need keep to it.
    """
    records, unknown = [], 0
    for value in values:
        fields = dict(_FIELD.findall(value.decode("utf-8", "replace")))
        attribute = fields.get("pszAttributeName", "").strip().lower()
        if attribute not in ("", "member"):
            continue
        dn = html.unescape(fields.get("pszObjectDn", "").strip())
        try:
            created, deleted, changed = (_time(fields.get(name)) for name in _TIMES)
        except ValueError:  # to take a removed link for a present one would be worse than to know nothing
            changed = None
        if not attribute or not dn or changed is None:
            unknown += 1
            continue
        version = fields.get("dwVersion", "").strip()
        records.append(
            LinkRecord(
                member_dn=dn,
                created_at=created,
                deleted_at=deleted,
                changed_at=changed,
                version=int(version) if version.isdecimal() else 1,
            )
        )
    return records, unknown


def _time(text: str | None) -> datetime | None:
    """Parse a time; None for none, and for Windows' "never". Raises ValueError for another form."""
    if not (text or "").strip():
        return None
    found = datetime.strptime((text or "").strip(), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return None if found.year == _NEVER else found


@dataclass
class LinkHistory:
    """The records of some groups, by guid.

    ``members``: group -> member -> record. ``unknown``: the number of records of members that are not known, deleted or
    not visible.
    """

    members: dict[Guid, dict[Guid, LinkRecord]] = field(default_factory=dict)
    unknown: int = 0


class MetadataReader:
    """Reads the records over one session. The first group shows whether the server has any.

    Records only adorn changes with times. Whatever but a broken connection keeps them from being read is counted, and
    said by `notes`.

    ``unreadable``: groups whose records did not come, or not all. ``understood``, ``unknown``: records of a known form,
    and of another one.
    """

    def __init__(self, session: LdapSession, naming_context: str) -> None:
        self._session = session
        self._naming_context = naming_context
        self.supported: bool | None = None  # None: not known yet
        self.unreadable: set[Guid] = set()
        self.understood = 0
        self.unknown = 0

    def records(self, group: Guid) -> list[LinkRecord]:
        """Read the records of a group; [] if there are none, or no such group.

        A server that answers nothing for a group with members does not have the attribute, and is not asked again.
        Members by `primaryGroupID` have no record.
        """
        return self._records(group, until=None)

    def _records(self, group: Guid, until: Callable[[LinkRecord], bool] | None) -> list[LinkRecord]:
        """Read the records of a group.

        ``until``: ends the reading after the range with which it is true.
        """
        if self.supported is False:
            return []
        records: list[LinkRecord] = []
        came = ended = False
        try:
            for number, values in enumerate(self._session.read_ranges(group, ATTRIBUTE), start=1):
                part, unknown = parse_known(values)
                came = came or bool(values)
                records += part
                self.understood += len(part)
                self.unknown += unknown
                if until is not None:
                    ended = any(until(record) for record in part)
                    if ended or number == RANGES_FOR_TIMES:
                        break
            else:
                ended = True
        except DirectoryNotFound:
            return []
        except DirectoryRefused as refused:
            log.warning("times of memberships cannot be read: %s", refused)
            records = []
        if ended:
            self.unreadable.discard(group)
        else:
            self.unreadable.add(group)
        if self.supported is None and (came or (ended and self._has_links(group))):
            self.supported = came
        return records

    def _has_links(self, group: Guid) -> bool:
        try:
            return bool(self._session.search(f"<GUID={group}>", "(member=*)", ["objectGUID"], "BASE"))
        except DirectoryRefused:
            return False

    def notes(self) -> list[str]:
        """Return notes on what could not be read."""
        notes = []
        if self.unreadable:
            notes.append(
                f"the times of memberships of {len(self.unreadable)} AD groups could not all be read: their changes "
                "carry the times of the polls instead"
            )
        if self.unknown:
            notes.append(
                f"{self.understood} of {self.understood + self.unknown} records about times of memberships have a "
                "known form: changes whose record has another one carry the times of the polls instead"
            )
        return notes

    def history(self, wanted: Mapping[Guid, Collection[Guid]], known: Callable[[], Mapping[str, Guid]]) -> LinkHistory:
        """Read the records about ``known`` objects (`dn_key` -> guid), and count the others.

        ``known`` is called when there are records: Samba shows none, and a large part of the view takes long.

        ``wanted``: group -> members whose record is needed. A reading ends when they have all come, and after
        ``RANGES_FOR_TIMES`` ranges in any case: of a large group it would cost more than all the rest of a poll.
        """
        found = {}
        for group in sorted(wanted):
            waiting = set(wanted[group])

            def has_come(record: LinkRecord, waiting: set[Guid] = waiting) -> bool:
                waiting.discard(known().get(names.dn_key(record.member_dn), ""))
                return not waiting

            found[group] = self._records(group, until=has_come)
        return _as_guids(found, known() if any(found.values()) else {})

    def whole_history(self, groups: Collection[Guid], known: Mapping[str, Guid]) -> LinkHistory:
        """Read the records like ``history``, and look up unknown objects by their DN.

        Deleted objects are not found; their records are still counted.
        """
        found = {group: self.records(group) for group in sorted(groups)}
        strangers = {record.member_dn for records in found.values() for record in records}
        return _as_guids(found, {**self._look_up({dn for dn in strangers if names.dn_key(dn) not in known}), **known})

    def _look_up(self, dns: Collection[str]) -> dict[str, Guid]:
        found: dict[str, Guid] = {}
        listed = sorted(dns)
        for first in range(0, len(listed), DNS_PER_FILTER):
            ldap_filter = ctl.dn_filter(listed[first : first + DNS_PER_FILTER])
            for entry in self._session.search_paged(
                self._naming_context, ldap_filter, ["objectGUID"], subordinates="ignore"
            ):
                found[names.dn_key(entry.dn)] = entry.guid
        return found


def _as_guids(found: Mapping[Guid, list[LinkRecord]], guids: Mapping[str, Guid]) -> LinkHistory:
    history = LinkHistory()
    for group, records in found.items():
        members = history.members.setdefault(group, {})
        for record in records:
            guid = guids.get(names.dn_key(record.member_dn))
            if guid is None:
                history.unknown += 1
            else:
                members[guid] = record
    return history


def guids_by_dn(*views: DirectoryView) -> dict[str, Guid]:
    """Map `dn_key` to guid for everything in the views; the last view wins."""
    found: dict[str, Guid] = {}
    for view in views:
        objects: list[DirectoryGroup | DirectoryUser] = [*view.groups.values(), *view.users.values()]
        found.update((names.dn_key(thing.dn), thing.guid) for thing in objects)
    return found


def links_of(changes: Iterable[Change], delta: Delta | None) -> dict[Guid, set[Guid]]:
    """Return group -> members whose links may carry the time of a change.

    Only these changes count, in the way in which `time_of` looks for them.
    """
    wanted: dict[Guid, set[Guid]] = {}
    for change in changes:
        for group, member in pairwise([*change.path, change.user_guid or ""]):
            if delta is None or member in frozenset().union(*delta.member_changes.get(group, ())):
                wanted.setdefault(group, set()).add(member)
    return wanted


def time_of(change: Change, history: LinkHistory, delta: Delta | None) -> datetime | None:
    """Return when a membership began or ended, by the links on its path.

    It begins with the last link that was added, and ends with the first that was removed. With a ``delta``, only the
    links that it reports count; without one, only times since the last poll. None if there is no such record: the
    reason was something else then (an enabled account, for instance).
    """
    added = change.action is Action.ADD
    times = []
    for group, member in pairwise([*change.path, change.user_guid or ""]):
        record = history.members.get(group, {}).get(member)
        if record is None or (record.deleted_at is None) is not added:
            continue
        if _counts(record, group, member, change, delta):
            times.append(record.changed_at)
    if not times:
        return None
    return max(times) if added else min(times)


def _counts(record: LinkRecord, group: Guid, member: Guid, change: Change, delta: Delta | None) -> bool:
    if delta is not None:
        added, removed = delta.member_changes.get(group, (frozenset(), frozenset()))
        return member in (added if change.action is Action.ADD else removed)
    return change.observed_after is None or record.changed_at >= change.observed_after - LATE


def changes_hidden(change: Change, history: LinkHistory) -> int:
    """Count the changes of the user's own link that have no time.

    Only a link that was made since the last poll counts; of older ones nothing is certain.
    """
    record = history.members.get(change.path[-1] if change.path else "", {}).get(change.user_guid or "")
    if record is None or record.created_at is None or change.observed_after is None:
        return 0
    return record.changes_hidden if record.created_at >= change.observed_after else 0
