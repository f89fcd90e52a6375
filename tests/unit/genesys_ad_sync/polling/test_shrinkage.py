"""What a complete reading merely lacks, and when that is too much to be believed."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryNotFound
from genesys_ad_sync.model import DirectoryView
from genesys_ad_sync.polling.shrinkage import canary_missing, restore_unexplained_losses
from genesys_ad_sync.settings import Limits
from tests.support.journal import T0, cursor, view

LIMITS = Limits(shrink_percent=30, min_group_size=4)


def told(**removed: str) -> Delta:
    return Delta(
        cursor=cursor(),
        read_until=T0,
        member_changes={group: (frozenset(), frozenset(words.split())) for group, words in removed.items()},
        touched=frozenset(),
        deleted=frozenset(),
        primary_groups={},
        entries=len(removed),
    )


def test_a_group_that_lost_everybody_without_a_word_stays_what_it_was() -> None:
    before, after = view({"g": "u1 u2", "h": "u3"}), view({"g": "", "h": "u3"})
    doubt = restore_unexplained_losses(before, after, {"g", "h"}, None, LIMITS, whole=False)
    assert doubt.groups == {"g"}
    assert after.members["g"] == {"u1", "u2"}
    assert after.users["u1"] == before.users["u1"]
    assert "shrink_percent" in doubt.notes[0]


def test_newcomers_of_a_doubted_group_are_kept() -> None:
    after = view({"g": "u9"})
    restore_unexplained_losses(view({"g": "u1 u2"}), after, {"g"}, None, LIMITS, whole=False)
    assert after.members["g"] == {"u1", "u2", "u9"}


def test_what_dirsync_told_explains_a_shrink() -> None:
    after = view({"g": ""})
    doubt = restore_unexplained_losses(view({"g": "u1 u2"}), after, {"g"}, told(g="u1 u2"), LIMITS, whole=False)
    assert doubt.groups == frozenset()
    assert after.members["g"] == set()


def test_tombstones_explain_a_shrink_where_dirsync_tells_nothing() -> None:
    before, after = view({"g": "u1 u2", "h": "u3"}), view({"g": ""})
    doubt = restore_unexplained_losses(before, after, {"g"}, None, LIMITS, whole=True, deleted={"u1", "u2", "h"})
    assert doubt.groups == frozenset()
    assert after.members["g"] == set()


def test_a_few_of_many_are_believed() -> None:
    after = view({"g": "u1 u2 u3"})
    assert not restore_unexplained_losses(view({"g": "u1 u2 u3 u4"}), after, {"g"}, None, LIMITS, whole=False).groups
    assert after.members["g"] == {"u1", "u2", "u3"}


def test_what_was_not_read_is_not_judged() -> None:
    after = view({"g": ""})
    assert not restore_unexplained_losses(view({"g": "u1"}), after, set(), None, LIMITS, whole=False).groups


def test_a_view_that_lost_a_lot_as_a_whole_proves_nothing_of_any_group() -> None:
    """No group by itself lost too much, but two of three are gone."""
    before, after = view({"g": "u1 u2 u3 u4", "h": "u5 u6", "i": "u7"}), view({"g": "u1 u2 u3"})
    doubt = restore_unexplained_losses(before, after, {"g"}, None, LIMITS, whole=True)
    assert doubt.groups == {"g"}
    assert after.members["g"] == {"u1", "u2", "u3", "u4"}


def test_members_that_are_groups_come_back_with_their_own() -> None:
    before = view({"g": "n", "n": "u1"}, nested_only="n")
    after = DirectoryView({"g": before.groups["g"]}, {}, {"g": set()})
    restore_unexplained_losses(before, after, {"g"}, None, LIMITS, whole=False)
    assert after.members == {"g": {"n"}, "n": {"u1"}}
    assert "u1" in after.users


def test_a_new_primary_group_explains_a_loss() -> None:
    """The link goes, and the membership goes on."""
    moved = replace(told(), primary_groups={"u1": 513, "u2": 513})
    doubt = restore_unexplained_losses(view({"g": "u1 u2"}), view({"g": ""}), {"g"}, moved, LIMITS, whole=False)
    assert doubt.groups == frozenset()


def answering(*entries: dict[str, Any] | Exception) -> LdapSession:
    """Return a session whose search of the canary finds these entries."""

    def search(*_: Any, **__: Any) -> list[Any]:
        for entry in entries:
            if isinstance(entry, Exception):
                raise entry
        return [SimpleNamespace(attributes=entry) for entry in entries]

    return cast("LdapSession", SimpleNamespace(search=search))


def test_the_canary_is_missing_unless_it_can_be_read() -> None:
    assert canary_missing(answering(DirectoryNotFound("gone")), "CN=canary")
    assert canary_missing(answering(), "CN=canary")
    assert canary_missing(answering({}), "CN=canary")  # an entry of which nothing may be read
    assert not canary_missing(answering({"objectguid": [b"x"]}), "CN=canary")
    assert not canary_missing(answering(DirectoryNotFound("gone")), None)
