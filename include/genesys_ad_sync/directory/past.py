"""Rebuilds past changes of memberships from the records that AD keeps of links. Pure.

One view runs through time. At each moment only the groups above a changed link are compared.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import cast

from genesys_ad_sync.directory.link_metadata import LinkHistory, LinkRecord
from genesys_ad_sync.directory.membership import difference
from genesys_ad_sync.model import Change, DirectoryView, Guid, MembershipPolicy

_Link = tuple[Guid, Guid, LinkRecord]
"""AD group, member, and what AD recorded of that link."""


def rebuild_changes(
    view: DirectoryView,
    history: LinkHistory,
    roots: Collection[Guid],
    policy: MembershipPolicy,
    *,
    start: datetime | None,
    end: datetime,
) -> list[Change]:
    """Return the effective changes in ``[start, end)``, as far as the records show them.

    Compares the memberships before and after each moment at which a link changed. ``view``: AD as it is now, with all
    members in ``history``. A link that was changed several times shows its last change only. Groups and accounts count
    as they are now.
    """
    moments = {moment for moment in _moments(history) if moment < end and (start is None or moment >= start)}
    if not moments:
        return []
    turns: dict[datetime, list[_Link]] = {}  # when a link may have come or gone
    for link in _links(view, history):
        for turn in {link[2].changed_at, link[2].created_at, link[2].deleted_at} - {None}:
            turns.setdefault(cast("datetime", turn), []).append(link)
    running = _beginning(view, history)
    parents = _parents(view, history)
    changes: list[Change] = []
    for moment in sorted(turn for turn in turns if turn <= max(moments)):
        concerned = {group for group, _, _ in turns[moment]}
        kept = {group: set(running.members[group]) for group in concerned} if moment in moments else {}
        for group, member, record in turns[moment]:
            _set(running.members[group], member, there=_is_there(view, group, member, record, moment))
        if kept:
            before = DirectoryView(
                view.groups, view.users, cast("dict[Guid, set[Guid]]", ChainMap(kept, running.members))
            )
            compared = _with_all_above(concerned, parents).intersection(roots)
            found = difference(before, running, compared, policy, observed_after=None, observed_at=moment)
            changes += [_as_history(change, moment) for change in found]
    return changes


def _moments(history: LinkHistory) -> Iterator[datetime]:
    """Yield the moments at which AD recorded a change."""
    for members in history.members.values():
        for record in members.values():
            yield record.changed_at
            if record.deleted_at is not None and record.created_at is not None:
                yield record.created_at


def _links(view: DirectoryView, history: LinkHistory) -> Iterator[_Link]:
    for group, members in history.members.items():
        if group in view.members:
            yield from ((group, member, record) for member, record in members.items())


def _beginning(view: DirectoryView, history: LinkHistory) -> DirectoryView:
    """Return the view before the first record. A link without a record was always there."""
    members: dict[Guid, set[Guid]] = {}
    for group, present in view.members.items():
        records = history.members.get(group, {})
        always = {guid for guid, one in records.items() if one.deleted_at is not None and one.created_at is None}
        members[group] = (present - records.keys()) | always
    return DirectoryView(groups=view.groups, users=view.users, members=members)


def _is_there(view: DirectoryView, group: Guid, member: Guid, record: LinkRecord, at: datetime) -> bool:
    """Return True if the link is there just after ``at``."""
    if member in view.members[group] and record.changed_at <= at:
        return True
    begun = record.created_at is None or record.created_at <= at
    return record.deleted_at is not None and begun and record.deleted_at > at


def _set(members: set[Guid], member: Guid, *, there: bool) -> None:
    if there:
        members.add(member)
    else:
        members.discard(member)


def _parents(view: DirectoryView, history: LinkHistory) -> dict[Guid, set[Guid]]:
    """Return the groups that contain each group now, or did so once."""
    parents: dict[Guid, set[Guid]] = {}
    for group, present in view.members.items():
        for member in (present | history.members.get(group, {}).keys()) & view.groups.keys():
            parents.setdefault(member, set()).add(group)
    return parents


def _with_all_above(groups: Collection[Guid], parents: Mapping[Guid, Collection[Guid]]) -> set[Guid]:
    reached: set[Guid] = set()
    waiting = list(groups)
    while waiting:
        group = waiting.pop()
        if group not in reached:
            reached.add(group)
            waiting += parents.get(group, ())
    return reached


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
