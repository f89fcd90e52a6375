"""What AD reported of a membership, and what a reading merely shows."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest

from genesys_ad_sync.directory.membership import difference
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.directory.told import only_news, with_evidence
from genesys_ad_sync.model import Action, Change, Cursor, DirectoryView, Evidence, MembershipPolicy
from tests.unit.genesys_ad_sync.directory.test_membership import view

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
CURSOR = Cursor("dc1", "i", 1, b"c", NOW)
POLICY = MembershipPolicy(nested=True, disabled_users="remove", expired_users="remove")
TOLD, SEEN, DOUBTED = Evidence.TOLD, Evidence.SEEN, Evidence.DOUBTED


def delta(added: dict[str, str] | None = None, removed: dict[str, str] | None = None, **more: Any) -> Delta:
    groups = {*(added or {}), *(removed or {})}
    links = {g: (frozenset((added or {}).get(g, "")), frozenset((removed or {}).get(g, ""))) for g in groups}
    sets = {key: frozenset(more.get(key, "")) for key in ("touched", "deleted", "states", "expiries")}
    return Delta(CURSOR, NOW, links, primary_groups=more.get("primary_groups", {}), entries=1, **sets)


def evidence(
    before: DirectoryView, after: DirectoryView, answer: Delta | None, *, doubt: bool = False
) -> dict[str, Evidence | None]:
    """Return what is known of each change, as in "+Ax"."""
    roots = before.groups.keys() | after.groups.keys()
    changes = difference(before, after, roots, POLICY, observed_after=NOW, observed_at=NOW)
    return {
        f"{'+' if one.action is Action.ADD else '-'}{one.group_guid}{one.user_guid}": one.evidence
        for one in with_evidence(changes, before, after, answer, POLICY, doubt=doubt)
    }


def test_a_link_that_dirsync_names_is_told_and_another_one_is_seen() -> None:
    found = evidence(view({"A": "xy"}), view({"A": "yvz"}), delta(added={"A": "z"}, removed={"A": "x"}))
    assert found == {"-Ax": TOLD, "+Az": TOLD, "+Av": SEEN}


@pytest.mark.parametrize(("doubt", "as_what"), [(False, SEEN), (True, DOUBTED)])
def test_without_dirsync_everything_is_seen(doubt: bool, as_what: Evidence) -> None:
    assert evidence(view({"A": "x"}), view({"A": "z"}), None, doubt=doubt) == {"-Ax": as_what, "+Az": as_what}


def test_dirsync_of_a_doubted_controller_tells_all_the_same() -> None:
    assert evidence(view({"A": "x"}), view({"A": ""}), delta(removed={"A": "x"}), doubt=True) == {"-Ax": TOLD}


def test_a_group_that_comes_back_into_view_tells_nothing_of_its_members() -> None:
    """But what DirSync names at that moment is news."""
    assert evidence(DirectoryView(), view({"A": "xy"}), delta(added={"A": "y"})) == {"+Ax": SEEN, "+Ay": TOLD}
    assert evidence(view({"A": "xy"}), DirectoryView(), delta(removed={"A": "y"})) == {"-Ax": SEEN, "-Ay": TOLD}
    out = view({"A": "x"}, out_of_scope="A")
    assert evidence(out, view({"A": "x"}), delta(touched="A")) == {"+Ax": SEEN}


def test_each_link_of_a_nested_path_counts() -> None:
    before, after = view({"A": "", "B": "xy"}), view({"A": "B", "B": "xy"})
    assert evidence(before, after, delta(added={"A": "B"})) == {"+Ax": TOLD, "+Ay": TOLD}
    assert evidence(after, before, delta(removed={"A": "B"})) == {"-Ax": TOLD, "-Ay": TOLD}
    inner = view({"A": "B", "B": "x"})
    assert evidence(after, inner, delta(removed={"B": "y"})) == {"-Ay": TOLD, "-By": TOLD}
    assert evidence(before, after, delta()) == {"+Ax": SEEN, "+Ay": SEEN}


def test_a_second_path_that_only_a_reading_shows_does_not_make_a_told_one_seen() -> None:
    before, after = view({"A": "B", "B": ""}), view({"A": "Bx", "B": "x"})
    assert evidence(before, after, delta(added={"B": "x"}))["+Ax"] is TOLD


def test_an_account_that_is_disabled_enabled_or_deleted_is_told() -> None:
    on, off = view({"A": "xy"}), view({"A": "xy"}, disabled="x")
    assert evidence(on, off, delta(touched="x", states="x")) == {"-Ax": TOLD}
    assert evidence(off, on, delta(touched="x", states="x")) == {"+Ax": TOLD}
    assert evidence(off, on, delta(touched="x", expiries="x")) == {"+Ax": SEEN}  # its mail, or its expiry
    assert evidence(off, on, delta()) == {"+Ax": SEEN}
    assert evidence(on, view({"A": "y"}), delta(deleted="x")) == {"-Ax": TOLD}
    assert evidence(on, DirectoryView(), delta(deleted="A")) == {"-Ax": TOLD, "-Ay": TOLD}


def test_an_account_that_expires_or_is_extended_is_told() -> None:
    on, off = view({"A": "xy"}), view({"A": "xy"})
    off.users["x"] = dataclasses.replace(off.users["x"], expires_at=NOW, expired=True)
    assert evidence(on, off, delta(touched="x", expiries="x")) == {"-Ax": TOLD}
    assert evidence(off, on, delta(touched="x", expiries="x")) == {"+Ax": TOLD}
    assert evidence(on, off, delta(touched="x", states="x")) == {"-Ax": SEEN}


def test_another_attribute_of_an_account_tells_nothing() -> None:
    assert evidence(view({"A": "x"}), view({"A": ""}), delta(touched="x")) == {"-Ax": SEEN}


def test_a_member_that_could_not_be_read_and_can_be_read_now_is_seen() -> None:
    hidden, shown = view({"A": "?"}), view({"A": "x"})
    hidden.members["A"] = {"x"}  # listed, but unresolved
    assert evidence(hidden, shown, delta(touched="x")) == {"+Ax": SEEN}
    assert evidence(hidden, shown, delta(added={"A": "x"}, touched="x")) == {"+Ax": SEEN}  # the view has that link
    nested = view({"A": ""})
    nested.members["A"] = {"B"}
    assert evidence(nested, view({"A": "B", "B": "x"}), delta(touched="B")) == {"+Ax": SEEN, "+Bx": SEEN}
    named = delta(added={"B": "x"}, touched="B")
    assert evidence(nested, view({"A": "B", "B": "x"}), named) == {"+Ax": SEEN, "+Bx": TOLD}


def test_a_primary_group_is_told() -> None:
    before, after = view({"A": ""}), view({"A": "x"})
    after.groups["A"] = before.groups["A"] = _with_rid(after, "A", 1234)
    assert evidence(before, after, delta(primary_groups={"x": 1234}, touched="x")) == {"+Ax": TOLD}


def test_a_link_that_became_the_primary_group_goes_on() -> None:
    off, on = view({"A": "x"}, disabled="x"), view({"A": "x"})
    on.groups["A"] = off.groups["A"] = _with_rid(on, "A", 1234)
    moved = delta(removed={"A": "x"}, primary_groups={"x": 1234}, touched="x", states="x")
    assert evidence(off, on, moved) == {"+Ax": TOLD}


def _with_rid(a_view: DirectoryView, group: str, rid: int) -> Any:
    return dataclasses.replace(a_view.groups[group], sid=f"S-1-5-21-1-2-3-{rid}")


# -- a controller that lags behind, and back ----------------------------------------------------------


def change(action: str, how: Evidence | None) -> Change:
    return Change("A", "x", Action(action), NOW, evidence=how)


@pytest.mark.parametrize(
    ("earlier", "now", "is_news"),
    [
        ([], "remove", True),
        ([("add", TOLD)], "remove", True),
        ([("add", SEEN)], "remove", True),
        ([("add", None)], "remove", True),  # from before this was kept
        ([("remove", TOLD), ("add", DOUBTED)], "remove", False),
        ([("add", DOUBTED)], "remove", False),
        ([("remove", DOUBTED)], "add", False),
        ([("remove", DOUBTED), ("add", DOUBTED)], "remove", True),
        ([("remove", TOLD), ("add", DOUBTED), ("remove", SEEN)], "add", True),
        ([("remove", TOLD), ("add", DOUBTED), ("remove", SEEN), ("add", DOUBTED)], "remove", False),
    ],
)
def test_what_takes_back_the_word_of_a_lagging_controller_is_no_news(
    earlier: list[tuple[str, Evidence | None]], now: str, is_news: bool
) -> None:
    before = {("A", "x"): [change(*one) for one in earlier]}
    assert only_news([change(now, TOLD)], before) == [change(now, TOLD if is_news else SEEN)]
    assert only_news([change(now, DOUBTED)], before) == [change(now, DOUBTED)]
