"""What may be believed after a change of domain controller."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from genesys_ad_sync.directory import replica_trust
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.model import Action, Cursor, DirectoryView, Doubt, Reason, StoredCursor
from tests.support.journal import T0, change, cursor, user, view

HOURS = timedelta(hours=3)
DC1, DC2, DC3 = "dc1.example.com", "dc2.example.com", "dc3.example.com"


def at(name: str, hours: float = 0, **values: Any) -> Cursor:
    usual = {"domain_controller": name, "invocation_id": f"i{name[2]}", "highest_committed_usn": 10}
    return cursor(T0 + timedelta(hours=hours), **{**usual, **values})


def after(last: Cursor, fresh: Cursor, **stored: Any) -> Cursor:
    return replica_trust.next_cursor(StoredCursor(last, "scope", 1, T0, **stored), fresh, HOURS)


def doubted(last: Cursor, fresh: Cursor, **stored: Any) -> bool:
    return after(last, fresh, **stored).doubted_since is not None


def test_the_same_domain_controller_is_not_doubted_whatever_it_has_heard() -> None:
    assert not doubted(at(DC1, vector={"i1": 10, "i9": 3}), at(DC1, 1, vector={"i1": 11}))
    assert not doubted(at(DC1), at(DC1, 1))


def test_another_one_is_doubted_unless_it_has_heard_of_everything() -> None:
    known = at(DC1, vector={"i1": 10, "i2": 4})
    assert not doubted(known, at(DC2, vector={"i1": 10, "i2": 20}))
    behind = after(known, at(DC2, vector={"i1": 9, "i2": 20}))
    assert (behind.doubted_since, behind.trusted_dc) == (T0, DC1)
    assert behind.vector == {"i1": 10, "i2": 20}  # what both know together
    assert doubted(behind, at(DC2, 99, vector={"i1": 9, "i2": 30}))  # time says nothing where vectors do
    assert not doubted(behind, at(DC2, 1, vector={"i1": 10, "i2": 30}))


@pytest.mark.parametrize(("known", "heard"), [(None, {"i1": 99}), ({"i1": 1}, None), (None, None)])
def test_where_one_side_is_not_known_it_is_doubted_for_the_replication_time(known: Any, heard: Any) -> None:
    first = after(at(DC1, vector=known), at(DC2, vector=heard))
    assert first.doubted_since == T0
    assert first.vector is None
    assert doubted(first, at(DC2, 2.9, vector=heard))
    assert not doubted(first, at(DC2, 3, vector=heard))
    assert after(first, at(DC2, 1, vector=heard)).doubted_since == T0  # since then, not since the last poll
    assert doubted(first, at(DC3, 5, vector=heard))  # another one must be waited for again


def test_with_several_in_turn_the_last_one_beyond_doubt_is_trusted() -> None:
    second = after(at(DC1), at(DC2, 1))
    third = after(second, at(DC3, 2))
    assert (second.trusted_dc, third.trusted_dc) == (DC1, DC1)
    assert third.doubted_since == T0 + timedelta(hours=2)


def test_a_restored_or_rolled_back_domain_controller_is_doubted_and_its_numbers_say_nothing() -> None:
    last = at(DC1, vector={"i1": 10})
    stored = StoredCursor(last, "scope", 1, T0)
    for fresh in (at(DC1, invocation_id="i8", vector={"i8": 9}), at(DC1, highest_committed_usn=9, vector={"i1": 9})):
        assert after(last, fresh).doubted_since is not None
        assert after(last, fresh).trusted_dc is None
    assert replica_trust.what_was_known(stored, at(DC1, highest_committed_usn=9)) is None
    assert replica_trust.what_was_known(stored, at(DC1, invocation_id="i8")) == {"i1": 10}
    assert replica_trust.what_was_known(stored, at(DC2)) == {"i1": 10}


# -- told and seen -------------------------------------------------------------------------------------


def delta(**values: Any) -> Delta:
    usual: dict[str, Any] = {
        "cursor": cursor(),
        "read_until": T0,
        "member_changes": {},
        "touched": frozenset(),
        "deleted": frozenset(),
        "primary_groups": {},
        "entries": 1,
    }
    return Delta(**{**usual, **values})


def links(added: str = "", removed: str = "") -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(added.split()), frozenset(removed.split())


def with_disabled(of: DirectoryView, *guids: str) -> DirectoryView:
    return DirectoryView(of.groups, {**of.users, **{guid: user(guid, disabled=True) for guid in guids}}, of.members)


def test_only_links_that_were_told_count() -> None:
    told = replica_trust.as_told(
        view({"g": "u1 u2"}), view({"g": "u2 u3 u4"}), delta(member_changes={"g": links("u3", "u2")})
    )
    assert told.members == {"g": {"u1", "u3"}}
    assert replica_trust.as_told(view({"g": "u1"}), view({"g": "u2"}), None).members == {"g": {"u1"}}


def test_whether_an_account_is_enabled_must_be_told_itself() -> None:
    was, now = with_disabled(view({"g": "u1 u2"}), "u1"), with_disabled(view({"g": "u1 u2"}), "u2")
    touched = replica_trust.as_told(was, now, delta(touched=frozenset({"u1", "u2"})))
    assert (touched.users["u1"].disabled, touched.users["u2"].disabled) == (True, False)
    named = frozenset({"u1", "u2"})
    told = replica_trust.as_told(was, now, delta(touched=named, states=named))
    assert (told.users["u1"].disabled, told.users["u2"].disabled) == (False, True)
    edited = replica_trust.as_told(was, now, None, new_scope=True)
    assert (edited.users["u1"].disabled, edited.users["u2"].disabled) == (False, True)
    unsure = replica_trust.as_told(was, now, None, new_scope=True, doubted=True)
    assert (unsure.users["u1"].disabled, unsure.users["u2"].disabled) == (True, False)


def test_when_an_account_expires_must_be_told_itself() -> None:
    """A domain controller that lags shows an expiry from before the account was extended, or none yet."""
    was, now = view({"g": "u1 u2"}), view({"g": "u1 u2"})
    was.users["u1"] = now.users["u2"] = user("u1", expires_at=T0, expired=True)

    def expired(answer: Delta | None, **more: Any) -> list[bool]:
        told = replica_trust.as_told(was, now, answer, **more)
        return [told.users[guid].expired for guid in ("u1", "u2")]

    both = frozenset({"u1", "u2"})
    assert expired(None) == [True, False]
    assert expired(delta(touched=both, states=both)) == [True, False]
    assert expired(delta(touched=both, expiries=both)) == [False, True]
    assert expired(None, new_scope=True) == [False, True]


def test_tombstones_and_primary_groups_are_told() -> None:
    was = view({"g": "u1 u2", "h": "u1"})
    now = view({"g": "u2", "h": "u2"})
    for of in (was, now):
        of.groups["h"] = dataclasses.replace(of.groups["h"], sid="S-1-5-21-1-2-3-513")
    told = replica_trust.as_told(was, now, delta(deleted=frozenset({"u1"}), primary_groups={"u2": 513}))
    assert told.members == {"g": {"u2"}, "h": {"u2"}}
    assert replica_trust.as_told(was, now, None, deleted={"u1"}).members["g"] == {"u2"}


def test_a_group_out_of_scope_stays_so_until_it_is_told() -> None:
    was, now = view({"g": "u1"}, nested_only="g"), view({"g": "u1"})
    assert not replica_trust.as_told(was, now, None).groups["g"].in_scope
    assert replica_trust.as_told(was, now, delta(touched=frozenset({"g"}))).groups["g"].in_scope


def test_the_group_that_had_the_user_as_direct_member_tells_of_a_nested_membership() -> None:
    nested = change("g", "u1", Action.REMOVE, path=("g", "h"))
    of_h, of_g = delta(member_changes={"h": links(removed="u1")}), delta(member_changes={"g": links(removed="u1")})
    assert replica_trust.is_reported(nested, of_h)
    assert not replica_trust.is_reported(nested, of_g)
    assert replica_trust.is_reported(nested, delta(deleted=frozenset({"u1"})))


def test_a_change_that_is_held_already_keeps_its_reason() -> None:
    hidden, other = (
        change("g", name, Action.REMOVE, held_reason=why)
        for name, why in (("u1", Reason.MAPPING_CHANGED), ("u2", None))
    )
    made = replica_trust.with_doubt([hidden, other], [hidden, other], Reason.OTHER_DOMAIN_CONTROLLER, Doubt(), DC1)
    assert [one.held_reason for one in made] == [Reason.MAPPING_CHANGED, Reason.OTHER_DOMAIN_CONTROLLER]
