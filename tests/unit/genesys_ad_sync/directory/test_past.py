"""The past of memberships, rebuilt from records of links: as by comparing whole views, with less work."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesys_ad_sync.directory import past
from genesys_ad_sync.directory.link_metadata import LinkHistory, LinkRecord
from genesys_ad_sync.directory.membership import difference
from genesys_ad_sync.directory.past import rebuild_changes
from genesys_ad_sync.model import DirectoryView, Guid, MembershipPolicy
from tests.support.journal import T0, minutes, view

POLICY = MembershipPolicy(nested=True, disabled_users="remove")
GROUPS, PEOPLE = "ABCD", ("u", "v", "w")


def record(changed: int, created: int | None, deleted: int | None) -> LinkRecord:
    def at(minute: int | None) -> datetime | None:
        return None if minute is None else T0 + minutes(minute)

    return LinkRecord("CN=x,DC=t", at(created), at(deleted), T0 + minutes(changed), 1)


times = st.integers(0, 5)
records = st.builds(record, times, st.none() | times, st.none() | times)
members = st.sets(st.sampled_from([*GROUPS, *PEOPLE]))
views = st.fixed_dictionaries({group: members.map(" ".join) for group in GROUPS})
histories = st.dictionaries(st.sampled_from(GROUPS), st.dictionaries(st.sampled_from([*GROUPS, *PEOPLE]), records))


@given(views, histories, st.none() | times, times)
def test_the_past_is_that_of_whole_views_before_and_after_each_moment(
    now: dict[str, str], links: dict[Guid, dict[Guid, LinkRecord]], start: int | None, end: int
) -> None:
    known = view(now)
    begin = None if start is None else T0 + minutes(start)
    found = rebuild_changes(known, LinkHistory(links), GROUPS, POLICY, start=begin, end=T0 + minutes(end))
    assert [(one.changed_at, one.group_guid, one.user_guid, one.action, one.path) for one in found] == [
        *_by_whole_views(known, links, begin, T0 + minutes(end))
    ]


def _by_whole_views(
    now: DirectoryView, links: dict[Guid, dict[Guid, LinkRecord]], start: datetime | None, end: datetime
) -> Any:
    moments = {
        moment
        for of_group in links.values()
        for one in of_group.values()
        for moment in (one.changed_at, one.created_at if one.deleted_at else None)
        if moment is not None and moment < end and (start is None or moment >= start)
    }
    for moment in sorted(moments):
        before, after = (_at(now, links, moment, after=after) for after in (False, True))
        for one in difference(before, after, GROUPS, POLICY, observed_after=None, observed_at=moment):
            yield moment, one.group_guid, one.user_guid, one.action, one.path


def _at(
    now: DirectoryView, links: dict[Guid, dict[Guid, LinkRecord]], moment: datetime, *, after: bool
) -> DirectoryView:
    def begun(at: datetime | None) -> bool:
        return at is None or at < moment or (after and at == moment)

    there: dict[Guid, set[Guid]] = {}
    for group, present in now.members.items():
        of_group = links.get(group, {})
        there[group] = {one for one in present if one not in of_group or begun(of_group[one].changed_at)}
        there[group] |= {
            guid
            for guid, one in of_group.items()
            if one.deleted_at is not None and begun(one.created_at) and not begun(one.deleted_at)
        }
    return DirectoryView(now.groups, now.users, there)


def test_at_each_moment_only_the_groups_above_a_changed_link_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    number = 50
    now = {f"g{n}": f"u{n}" for n in range(number)} | {"top": "g7"}
    links = {f"g{n}": {f"u{n}": record(n, n, None)} for n in range(number)}
    compared: list[Guid] = []

    def counted(before: Any, after: Any, roots: Any, *args: Any, **more: Any) -> Any:
        compared.extend(roots)
        return difference(before, after, roots, *args, **more)

    monkeypatch.setattr(past, "difference", counted)
    found = rebuild_changes(view(now), LinkHistory(links), now.keys(), POLICY, start=None, end=T0 + minutes(number))
    assert len(found) == number + 1
    assert sorted(compared) == sorted(now)  # each once, where every moment compared all of them
