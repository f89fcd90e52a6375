"""What an incremental poll compares: a person's entry leads to the groups above only if it decides memberships."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesys_ad_sync.directory.membership import difference
from genesys_ad_sync.directory.objects import ObjectSet
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import DirectoryUser, DirectoryView, Guid
from genesys_ad_sync.polling.compared_part import ComparedPart, compared_part
from tests.support.fake_directory_session import CURSOR, NOW, SCOPE
from tests.support.journal import (
    DEFINITION,
    advance,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    user,
    view,
)

COMPANY = view({"a": "u1 u2", "b": "u1 n", "n": "u2"}, nested_only="n")


class Objects:
    """Knows the people as they are now."""

    def __init__(self, *people: DirectoryUser) -> None:
        self._people = {one.guid: one for one in people}

    def in_scope(self, _guids: Collection[Guid]) -> frozenset[Guid]:
        return frozenset()

    def fetch(self, guids: Collection[Guid], known: Collection[Guid] = ()) -> ObjectSet:
        return ObjectSet(DirectoryView(users={guid: self._people[guid] for guid in guids if guid in self._people}))


def delta(**values: Any) -> Delta:
    nothing = {"member_changes": {}, "touched": frozenset(), "deleted": frozenset(), "primary_groups": {}, "entries": 1}
    return Delta(**{"cursor": CURSOR, "read_until": NOW, **nothing, **values})


def compared(journal: Journal, told: Delta, *now: DirectoryUser) -> ComparedPart:
    return compared_part(journal.of(DEFINITION), Objects(*now), SCOPE, told, None, ())  # type: ignore[arg-type]


NEW_MAIL = replace(user("u1"), attributes={"mail": "new@example.com"})


def test_a_new_mail_is_compared_without_any_group(journal: Journal) -> None:
    advance(journal, COMPANY)
    part = compared(journal, delta(touched=frozenset({"u1"})), NEW_MAIL)
    assert (part.before.groups, part.before.members, part.roots) == ({}, {}, set())
    assert (part.before.users, part.after.users) == ({"u1": user("u1")}, {"u1": NEW_MAIL})


@pytest.mark.parametrize(
    "now",
    [
        replace(user("u1"), disabled=True),
        replace(user("u1"), expired=True),
        replace(user("u1"), expires_at=NOW),
        replace(user("u1"), ends_at=NOW),
    ],
)
def test_what_decides_memberships_leads_to_all_groups_above(journal: Journal, now: DirectoryUser) -> None:
    advance(journal, COMPANY)
    part = compared(journal, delta(touched=frozenset({"u1"})), now)
    assert part.roots == {"a", "b"}
    assert part.before.members["b"] == {"u1", "n"}
    assert part.after.users["u1"] == now


@pytest.mark.parametrize(
    "more",
    [
        {"member_changes": {"a": (frozenset(), frozenset({"u1"}))}},
        {"primary_groups": {"u1": 513}},
    ],
)
def test_a_person_whose_membership_changed_too_leads_to_the_groups(journal: Journal, more: dict[str, Any]) -> None:
    advance(journal, COMPANY)
    assert compared(journal, delta(touched=frozenset({"u1"}), **more), NEW_MAIL).roots >= {"a", "b"}


def test_a_person_who_cannot_be_read_any_more_leads_to_the_groups(journal: Journal) -> None:
    advance(journal, COMPANY)
    assert compared(journal, delta(touched=frozenset({"u1"}))).roots == {"a", "b"}


def test_one_who_has_left_the_view_is_no_part_of_it(journal: Journal) -> None:
    advance(journal, COMPANY)
    advance(journal, view({"a": "u2", "b": "n", "n": "u2"}, nested_only="n"))
    part = compared(journal, delta(touched=frozenset({"u1"})), NEW_MAIL)
    assert "u1" not in part.before.users


def test_a_new_mail_and_a_change_of_a_group_are_both_seen(journal: Journal) -> None:
    advance(journal, COMPANY)
    told = delta(touched=frozenset({"u2"}), member_changes={"a": (frozenset({"u3"}), frozenset({"u1"}))})
    part = compared(journal, told, replace(user("u2"), attributes={"mail": "new@example.com"}), user("u3"))
    assert part.after.members["a"] == {"u2", "u3"}
    assert part.after.users["u2"].mail == "new@example.com"
    assert part.before.users["u2"] == user("u2")


def test_who_joins_or_leaves_a_group_leads_to_that_group_alone(journal: Journal) -> None:
    advance(journal, view({"a": "u1 u2", "b": "u1 u2", "c": "u1 u2 u3"}))
    told = delta(member_changes={"a": (frozenset({"u3"}), frozenset({"u1"}))})
    part = compared(journal, told, user("u1"), user("u2"), user("u3"))
    assert part.roots == part.before.groups.keys() == {"a"}
    assert part.after.members == {"a": {"u2", "u3"}}
    assert part.after.users == {one: user(one) for one in ("u1", "u2", "u3")}


@pytest.mark.parametrize("disabled", [True, False])
def test_who_comes_from_a_group_out_of_sight_is_read_again(journal: Journal, disabled: bool) -> None:
    """While no group in scope contained the account, nobody followed whether it was disabled."""
    stored = view({"a": "u2", "n": "u1"}, nested_only="n")
    stored.users["u1"] = replace(user("u1"), disabled=not disabled)
    advance(journal, stored)
    told = delta(member_changes={"a": (frozenset({"u1"}), frozenset())})
    part = compared(journal, told, replace(user("u1"), disabled=disabled))
    added = difference(part.before, part.after, part.roots, SCOPE.policy, observed_after=NOW, observed_at=NOW)
    assert [one.user_guid for one in added] == ([] if disabled else ["u1"])


def test_who_left_and_is_disabled_leads_to_all_groups_above(journal: Journal) -> None:
    """AD is asked about who left. It may know more than DirSync's answer, which came before."""
    advance(journal, COMPANY)
    told = delta(member_changes={"a": (frozenset(), frozenset({"u1"}))})
    part = compared(journal, told, replace(user("u1"), disabled=True))
    assert part.roots == {"a", "b"}
    assert part.before.users["u1"] == user("u1")


# -- the same as if every object that is named led to all groups above --

GROUPS, PEOPLE = ("a", "b", "n"), ("u1", "u2", "u3")
STATES = st.dictionaries(st.sampled_from(PEOPLE), st.booleans())


class Views:
    """Answers like `Journal.views`, from a view in memory."""

    def __init__(self, stored: DirectoryView) -> None:
        self._view = stored

    def users(self, guids: Collection[Guid]) -> dict[Guid, DirectoryUser]:
        return {guid: self._view.users[guid] for guid in guids if guid in self._view.users}

    def gone_users(self, _guids: Collection[Guid]) -> frozenset[Guid]:
        return frozenset()

    def groups_with_rids(self, _rids: Collection[int]) -> set[Guid]:
        return set()

    def groups_above(self, guids: Collection[Guid]) -> set[Guid]:
        reached = set(guids)
        while more := {group for group, has in self._view.members.items() if has & reached} - reached:
            reached |= more
        return {guid for guid in reached if guid in self._view.groups and self._view.groups[guid].in_scope}

    def load(self, roots: Collection[Guid]) -> DirectoryView:
        reached = {guid for guid in roots if guid in self._view.groups}
        while more := {g for one in reached for g in self._view.members[one] & self._view.groups.keys()} - reached:
            reached |= more
        members = {guid: set(self._view.members[guid]) for guid in reached}
        people = {one for has in members.values() for one in has}
        return DirectoryView({guid: self._view.groups[guid] for guid in reached}, self.users(people), members)


@st.composite
def _stories(draw: st.DrawFn) -> tuple[DirectoryView, Delta, list[DirectoryUser]]:
    words = st.sets(st.sampled_from((*PEOPLE, "n"))).map(sorted)
    stored = view({guid: " ".join(one for one in draw(words) if one != guid) for guid in GROUPS}, nested_only="n")
    disabled = draw(STATES)
    stored.users.update({guid: replace(one, disabled=disabled.get(guid, False)) for guid, one in stored.users.items()})
    people = st.sets(st.sampled_from(PEOPLE)).map(frozenset)
    changes = draw(st.dictionaries(st.sampled_from(GROUPS), st.tuples(people, people), min_size=1))
    told = delta(
        member_changes={guid: (added, removed - added) for guid, (added, removed) in changes.items()},
        touched=draw(people),
        deleted=draw(st.frozensets(st.sampled_from(PEOPLE), max_size=1)),
    )
    after = draw(STATES)
    # AD reports what became of an account as soon as a group in scope contains it. Both ways may read more than that.
    unread = told.touched | _unreached(stored)
    known = {guid: one for guid, one in stored.users.items() if guid not in unread}
    return stored, told, [known.get(one) or replace(user(one), disabled=after.get(one, False)) for one in PEOPLE]


def _unreached(stored: DirectoryView) -> set[Guid]:
    """Return the accounts that no group in scope contains (any more): their changes are not followed."""
    return stored.users.keys() - Views(stored).load({"a", "b"}).users.keys()


@given(_stories())
def test_the_part_that_is_left_out_has_no_difference(story: tuple[DirectoryView, Delta, list[DirectoryUser]]) -> None:
    stored, told, people = story
    journal = SimpleNamespace(views=Views(stored))
    unreached = _unreached(stored)  # may be read again, and is then stored as it is now

    def outcome(part: ComparedPart) -> tuple[Any, ...]:
        changes = difference(part.before, part.after, part.roots, SCOPE.policy, observed_after=NOW, observed_at=NOW)
        of_groups = {one: has for one, has in part.after.members.items() if part.before.members.get(one) != has}
        known = {one: now for one, now in part.after.users.items() if one not in unreached}
        of_people = {one: now for one, now in known.items() if stored.users.get(one) != now}
        return changes, of_groups, of_people, part.before.users.keys() - part.after.users.keys() - unreached

    made = compared_part(journal, Objects(*people), SCOPE, told, None, ())  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genesys_ad_sync.polling.compared_part._people_of_links_alone", lambda *_: {})
        by_all_groups = compared_part(journal, Objects(*people), SCOPE, told, None, ())  # type: ignore[arg-type]
    assert outcome(made) == outcome(by_all_groups)
