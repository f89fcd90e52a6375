"""When memberships began and ended, as AD itself has kept it: ``msDS-ReplValueMetaData`` of groups.

One record per value that the attribute ever had, of removed ones too; only the *last* change of each is told. Samba
does not have the attribute (reference/active-directory.md 3d). Nothing here decides what is done about it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import pairwise

from genesys_ad_sync import names
from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.membership import difference
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryNotFound
from genesys_ad_sync.model import Action, Change, DirectoryGroup, DirectoryUser, Guid, View

ATTRIBUTE = "msDS-ReplValueMetaData"
DNS_PER_FILTER = 50  # DNs are long; measured: reference/active-directory.md 3i

# Not read as XML: AD leaves `&` (and `<`) of DNs unescaped and ends each value with a NUL, so it is none.
_FIELD = re.compile(r"<(pszAttributeName|pszObjectDn|ftime\w+|dwVersion)>(.*?)</\1>", re.DOTALL)
LATE = timedelta(hours=1)  # a change may take so long until it is replicated, and be older than the poll before
_NEVER = 1601  # the year that Windows' clock begins with


@dataclass(frozen=True)
class LinkRecord:
    """One member of a group, now or once. Times are the originating domain controller's, whole seconds.

    ``deleted_at`` None: it is a member now. ``version``: how many changes there were; add, remove, add is 3, of which
    only the last one has a time.
    """

    member_dn: str
    created_at: datetime | None
    deleted_at: datetime | None
    changed_at: datetime
    version: int

    @property
    def changes_hidden(self) -> int:
        """Changes between the first and the last of which no time is known (at least; a member that was first added
        and is a member has had one change, one that was removed two)."""
        return max(0, self.version - (1 if self.deleted_at is None else 2))


def parse(values: Iterable[bytes]) -> list[LinkRecord]:
    """The records of ``member`` among the values of the attribute, which speaks of other attributes, too. A record
    without DN or time is left out: nothing can be said by it."""
    records = []
    for value in values:
        fields = dict(_FIELD.findall(value.decode("utf-8", "replace")))
        changed = _time(fields.get("ftimeLastOriginatingChange"))
        dn = html.unescape(fields.get("pszObjectDn", "").strip())
        if fields.get("pszAttributeName", "").strip().lower() != "member" or not dn or changed is None:
            continue
        version = fields.get("dwVersion", "").strip()
        records.append(
            LinkRecord(
                member_dn=dn,
                created_at=_time(fields.get("ftimeCreated")),
                deleted_at=_time(fields.get("ftimeDeleted")),
                changed_at=changed,
                version=int(version) if version.isdigit() else 1,
            )
        )
    return records


def _time(text: str | None) -> datetime | None:
    try:
        found = datetime.strptime((text or "").strip(), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return None if found.year == _NEVER else found


@dataclass
class LinkHistory:
    """The records of some groups, as guids. ``members``: group -> member -> record. ``unknown``: how many records are
    of members that are not known, or no object any more (they vanish with the object), or not visible."""

    members: dict[Guid, dict[Guid, LinkRecord]] = field(default_factory=dict)
    unknown: int = 0


class MetadataReader:
    """Reads the records over one session, and finds out by the first group whether the server has any."""

    def __init__(self, session: LdapSession, naming_context: str) -> None:
        self._session = session
        self._naming_context = naming_context
        self.supported: bool | None = None  # None: not known yet

    def records(self, group: Guid) -> list[LinkRecord]:
        """Of one group that has or had members; [] if the server has none, or the group does not exist.

        A server that answers nothing for a group with members is taken for one without the attribute, and not asked
        again. (Who is a member by `primaryGroupID` has no record.)
        """
        if self.supported is False:
            return []
        try:
            values = self._session.read_values(group, ATTRIBUTE)
        except DirectoryNotFound:
            return []
        if self.supported is None and (values or self._has_links(group)):
            self.supported = bool(values)
        return parse(values)

    def _has_links(self, group: Guid) -> bool:
        return bool(self._session.search(f"<GUID={group}>", "(member=*)", ["objectGUID"], "BASE"))

    def history(self, groups: Collection[Guid], known: Mapping[str, Guid]) -> LinkHistory:
        """The records of ``groups`` that are about ``known`` objects (`dn_key` -> guid); the others are counted."""
        return _as_guids({group: self.records(group) for group in sorted(groups)}, known)

    def whole_history(self, groups: Collection[Guid], known: Mapping[str, Guid]) -> LinkHistory:
        """The same, with the others looked up by their DN. Deleted objects are not found: they are still counted."""
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


def guids_by_dn(*views: View) -> dict[str, Guid]:
    """`dn_key` -> guid of everything in the views; the last one wins."""
    found: dict[str, Guid] = {}
    for view in views:
        objects: list[DirectoryGroup | DirectoryUser] = [*view.groups.values(), *view.users.values()]
        found.update((names.dn_key(one.dn), one.guid) for one in objects)
    return found


def time_of(change: Change, history: LinkHistory, delta: Delta | None) -> datetime | None:
    """When a person came in by the path of the change: with the last link of it that was added; or out, with the first
    that was removed. With a ``delta`` only links count that it tells of; without one, times within the last poll.

    None: no such record. Something else was the reason then (an account that was enabled, say).
    """
    added = change.action is Action.ADD
    steps = [*change.path, change.user_guid or ""]
    times = []
    for group, member in pairwise(steps):
        record = history.members.get(group, {}).get(member)
        if record is None or (record.deleted_at is None) is not added:
            continue
        if delta is not None:
            told = delta.member_changes.get(group, (frozenset(), frozenset()))
            if member in told[0 if added else 1]:
                times.append(record.changed_at)
        elif change.observed_after is None or record.changed_at >= change.observed_after - LATE:
            times.append(record.changed_at)
    if not times:
        return None
    return max(times) if added else min(times)


def changes_hidden(change: Change, history: LinkHistory) -> int:
    """How many changes of the person's own link since the last poll have no time, as far as that is sure: the link
    was made since then."""
    record = history.members.get(change.path[-1] if change.path else "", {}).get(change.user_guid or "")
    if record is None or record.created_at is None or change.observed_after is None:
        return 0
    return record.changes_hidden if record.created_at >= change.observed_after else 0


# -- the past -----------------------------------------------------------------------------------------


def rebuilt(
    view: View,
    history: LinkHistory,
    roots: Collection[Guid],
    *,
    start: datetime | None,
    end: datetime,
    nested: bool,
    disabled_users: str,
) -> list[Change]:
    """The effective changes in ``[start, end)``, as far as the records tell: the memberships before and after each
    moment at which a link changed are compared.

    ``view``: AD as it is now, with everybody whom ``history`` speaks of. A link that was changed several times shows
    its last change only; groups, accounts and their disabling count as they are now.
    """
    moments = sorted(
        {
            moment
            for members in history.members.values()
            for record in members.values()
            for moment in (record.changed_at, record.created_at if record.deleted_at else None)
            if moment is not None and moment < end and (start is None or moment >= start)
        }
    )
    changes: list[Change] = []
    for moment in moments:
        changes += [
            _as_history(change, moment)
            for change in difference(
                _at(view, history, moment, after=False),
                _at(view, history, moment, after=True),
                roots,
                nested=nested,
                disabled_users=disabled_users,
                observed_after=None,
                observed_at=moment,
            )
        ]
    return changes


def _as_history(change: Change, moment: datetime) -> Change:
    return Change(
        group_guid=change.group_guid,
        user_guid=change.user_guid,
        action=change.action,
        observed_at=moment,
        observed_after=None,
        changed_at=moment,
        origin="metadata",
        path=change.path,
    )


def _at(view: View, history: LinkHistory, moment: datetime, *, after: bool) -> View:
    """Who was a direct member just before or just after ``moment``. A link without a record was always there."""

    def begun(at: datetime | None) -> bool:
        return at is None or at < moment or (after and at == moment)

    members: dict[Guid, set[Guid]] = {}
    for group, present in view.members.items():
        records = history.members.get(group, {})
        members[group] = {guid for guid in present if guid not in records or begun(records[guid].changed_at)} | {
            guid
            for guid, record in records.items()
            if record.deleted_at is not None and begun(record.created_at) and not begun(record.deleted_at)
        }
    return View(groups=view.groups, users=view.users, members=members)
