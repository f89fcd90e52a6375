"""What an incremental poll compares: a person's entry leads to the groups above only if it decides memberships."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

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
