"""What a poll takes for proven, with which members it compares, and how far it moves the cursor."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.directory.results import Delta, GroupReading, Snapshot
from genesys_ad_sync.model import Cursor, DirectoryView, Scope, StoredCursor
from genesys_ad_sync.polling import poller
from genesys_ad_sync.polling.compared_part import ComparedPart
from genesys_ad_sync.polling.poller import DirectoryPoller
from genesys_ad_sync.polling.shrinkage import Shrinkage
from tests.support.journal import T0, cursor, view

SCOPE = Scope("DC=example", "OU=x", "(x=*)", True, "remove", (), (), expired_users="keep")
READ = frozenset({"proven", "shrunk", "unreadable"})
BEFORE = view({"proven": "ann", "shrunk": "bob", "unreadable": "cid"})
STORED = StoredCursor(cursor(vector={"i1": 5}), SCOPE.fingerprint, 7, T0)
FRESH = cursor(T0 + timedelta(minutes=1), vector={"i1": 9})


@dataclass
class World:
    """A poll, and what is around it.

    ``unreadable``, ``shrunk``: groups of which that is said. ``gone``: groups as they were when last in view.
    """

    unreadable: frozenset[str] = frozenset()
    shrunk: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()
    after: DirectoryView = field(default_factory=lambda: BEFORE)
    gone: DirectoryView = field(default_factory=DirectoryView)
    stored: StoredCursor = STORED
    canary_missing: bool = False

    compared_with: DirectoryView | None = None
    judged_whole: bool | None = None
    moved_to: Cursor | None = None
    proven: Collection[str] = ()
    confirmed_by: Collection[str] = ()
    unlinked: Collection[str] = ()

    def restore(self, before: DirectoryView, *_: Any, whole: bool, **__: Any) -> Shrinkage:
        self.compared_with, self.judged_whole = before, whole
        return Shrinkage(self.shrunk)

    def advance(self, update: Any, *, cursor: Cursor, **_: Any) -> int:
        self.moved_to, self.proven = cursor, update.complete
        return 8

    def confirm(self, _journal: Any, _scope: Any, _step: Any, complete: Collection[str], _time: Any) -> int:
        self.confirmed_by = complete
        return 0

    def unlink(self, deleted: Collection[str]) -> None:
        self.unlinked = deleted

    def poll(self, *, full: bool) -> Any:
        made: Any = DirectoryPoller.__new__(DirectoryPoller)
        delta = Delta(FRESH, T0, {}, frozenset(), self.deleted, {}, 1)
        made._task = SimpleNamespace(log=lambda _: None)
        made._journal = SimpleNamespace(
            views=SimpleNamespace(load=lambda: BEFORE, load_with_gone=lambda _: self.gone, advance=self.advance),
            links=SimpleNamespace(remove=self.unlink),
        )
        made.scope = SCOPE
        made.reader = SimpleNamespace(
            read_groups=lambda _: GroupReading(self.after, T0, READ, frozenset(), frozenset(), 1),
            snapshot=lambda: Snapshot(self.after, FRESH, T0, READ, frozenset(), (), 1),
            changes_since=lambda *_, **__: delta,
            objects=SimpleNamespace(take_ends=dict),
        )
        made._times = SimpleNamespace(of=lambda changes, *_: changes)
        made._changes = lambda *_: []
        made._limits, made._replication_time = None, timedelta(hours=3)
        made._canary_missing = self.canary_missing
        return made._whole_view(self.stored, "asked for") if full else made._incremental(self.stored, READ)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    around: dict[str, Any] = {
        "compared_part": lambda *_: ComparedPart(BEFORE, made.after, set(READ), set(made.unreadable)),
        "retain_unreadable": lambda *_, **__: set(made.unreadable),
        "restore_unexplained_losses": made.restore,
        "confirm_held_changes": made.confirm,
        "with_due_ends": lambda _journal, _scope, _objects, _stored, delta: delta,
        "groups_to_read": lambda *_: set(),
        "learn_ends": lambda *_: None,
        "note_on_unreadable": lambda _: (),
        "note_on_non_users": lambda *_, **__: [],
    }
    for name, value in around.items():
        monkeypatch.setattr(poller, name, value)
    return made


both = pytest.mark.parametrize("full", [False, True])


@both
def test_a_group_that_lost_too_much_or_is_unreadable_is_not_proven(world: World, *, full: bool) -> None:
    world.unreadable, world.shrunk = frozenset({"unreadable"}), frozenset({"shrunk"})
    polled = world.poll(full=full)
    assert polled.complete == {"proven": 8}
    assert set(world.proven) == set(world.confirmed_by) == {"proven"}


@both
def test_while_the_canary_is_missing_nothing_is_proven(world: World, *, full: bool) -> None:
    assert world.poll(full=full).complete.keys() == READ
    world.canary_missing = True
    assert world.poll(full=full).complete == {}
    assert not world.proven


@both
def test_a_group_that_returns_is_compared_with_its_members_from_before(world: World, *, full: bool) -> None:
    world.after = view({"proven": "ann", "shrunk": "bob", "unreadable": "cid", "back": ""})
    world.gone = view({"back": "dan"})
    world.poll(full=full)
    assert world.compared_with is not None
    assert world.compared_with.members == {**BEFORE.members, "back": frozenset({"dan"})}


@both
def test_the_link_of_a_deleted_account_ends(world: World, *, full: bool) -> None:
    world.deleted = frozenset({"ann"})
    world.poll(full=full)
    assert world.unlinked == {"ann"}


@pytest.mark.parametrize(
    ("full", "scope", "whole"),
    [(True, SCOPE, True), (True, replace(SCOPE, nested_groups=False), False), (False, SCOPE, False)],
)
def test_losses_of_all_groups_together_count_in_a_whole_view_of_the_same_scope(
    world: World, full: bool, scope: Scope, *, whole: bool
) -> None:
    world.stored = replace(world.stored, scope=scope.fingerprint)
    world.poll(full=full)
    assert world.judged_whole is whole


@pytest.mark.parametrize("unsure", ["", "unreadable", "shrunk", "canary_missing"])
def test_a_whole_view_is_what_its_domain_controller_knows_only_if_all_of_it_is_certain(
    world: World, unsure: str
) -> None:
    if unsure:
        setattr(world, unsure, True if unsure == "canary_missing" else frozenset({unsure}))
    other = cursor(vector={"i7": 4}, domain_controller="dc7.example.com")
    world.stored = replace(world.stored, cursor=other)
    world.poll(full=True)
    assert world.moved_to is not None
    assert world.moved_to.vector == ({"i1": 9, "i7": 4} if unsure else {"i1": 9})
