"""The product on what real domain controllers have answered: the recordings of the probe's walk, replayed.

Each step is one change in a test OU. A recording of another domain controller is tested by its folder alone.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from genesys_ad_sync.directory.apply_delta import apply_delta
from genesys_ad_sync.directory.membership import difference, prune
from genesys_ad_sync.directory.reader import DirectoryReader
from genesys_ad_sync.errors import CursorRejected
from genesys_ad_sync.model import Action, Cursor, DirectoryView, Guid, Scope
from tests.support.replay import Transcript, recordings, steps

RENAMED = "an account that was renamed"


@dataclasses.dataclass
class Walk:
    """Follows a recording step by step, as polls do."""

    transcripts: dict[str, Transcript]
    scope: Scope
    view: DirectoryView
    cursor: Cursor

    @classmethod
    def begin(cls, folder: Path) -> Walk:
        transcripts = steps(folder)
        first = transcripts["first-view"]
        scope = Scope(
            first.naming_context, first.group_base, "(objectClass=group)", True, "remove", (), ("mail",),
            expired_users="remove",
        )  # fmt: skip
        snapshot = DirectoryReader(first.stub().session(), scope).snapshot()
        assert snapshot.warnings == ()
        assert snapshot.complete == snapshot.view.members.keys()
        return cls(transcripts, scope, snapshot.view, snapshot.cursor)

    def reader(self, step: str) -> DirectoryReader:
        return DirectoryReader(self.transcripts[step].stub().session(), self.scope)

    def follow(self, step: str) -> list[tuple[Action, Guid, Guid | None]]:
        """Poll; check the view by a complete reading; return the changes of membership."""
        reader, before = self.reader(step), self.view
        delta = reader.changes_since(self.cursor)
        self.view = prune(apply_delta(before, delta, reader.objects), nested=True)
        self.cursor = delta.cursor
        reading = reader.read_groups(self.view.groups)
        assert reading.view.members == self.view.members
        assert reading.view.users == self.view.users
        return self.changes(before)

    def changes(self, before: DirectoryView) -> list[tuple[Action, Guid, Guid | None]]:
        found = difference(
            before, self.view, self.view.groups, self.scope.policy, observed_after=None,
            observed_at=self.cursor.polled_at,
        )  # fmt: skip
        return [(change.action, change.group_guid, change.user_guid) for change in found]

    def follow_until(self, last: str) -> list[tuple[Action, Guid, Guid | None]]:
        """Follow all steps up to one; return the changes that it shows."""
        for step in list(self.transcripts)[2:]:
            try:
                changes = self.follow(step)
            except CursorRejected:
                changes = self.take_whole_view(step)
            if step == last:
                return changes
        raise AssertionError(f"there is no step {last}")

    def take_whole_view(self, step: str) -> list[tuple[Action, Guid, Guid | None]]:
        before = self.view
        snapshot = self.reader(step).snapshot()
        self.view, self.cursor = snapshot.view, snapshot.cursor
        return self.changes(before)


@pytest.fixture(params=recordings(), ids=lambda folder: folder.name)
def walk(request: pytest.FixtureRequest) -> Walk:
    return Walk.begin(request.param)


def test_the_first_view_has_the_members(walk: Walk) -> None:
    assert sorted(map(len, walk.view.members.values())) == [0, 2]
    assert len(walk.view.users) == 2
    assert walk.cursor.cookie
    assert walk.cursor.vector


def test_an_idle_poll_shows_nothing(walk: Walk) -> None:
    view = walk.view
    assert walk.follow_until("idle") == []
    assert walk.view == view


def test_an_added_member_is_added(walk: Walk) -> None:
    known = set(walk.view.users)
    ((action, group, user),) = walk.follow_until("add-a-member")
    assert action is Action.ADD
    assert user not in known
    assert len(walk.view.members[group]) == 3


def test_a_removed_member_is_removed(walk: Walk) -> None:
    ((action, group, user),) = walk.follow_until("remove-a-member")
    assert action is Action.REMOVE
    assert user not in walk.view.members[group]
    assert len(walk.view.members[group]) == 2


def test_a_disabled_account_is_out_though_it_is_still_listed(walk: Walk) -> None:
    ((action, group, user),) = walk.follow_until("disable-an-account")
    assert action is Action.REMOVE
    assert user is not None
    assert walk.view.users[user].disabled
    assert user in walk.view.members[group]


def test_a_deleted_account_is_out_though_no_group_has_changed(walk: Walk) -> None:
    ((action, _, user),) = walk.follow_until("delete-an-account")
    assert action is Action.REMOVE
    assert user not in walk.view.users


def test_a_restored_account_asks_for_a_whole_view(walk: Walk) -> None:
    walk.follow_until("delete-an-account")
    with pytest.raises(CursorRejected, match="restored"):
        walk.follow("restore-it")


@pytest.mark.parametrize("step", ["rename-an-account", "rename-a-group"])
def test_a_rename_changes_no_membership(walk: Walk, step: str) -> None:
    walk.follow_until(list(walk.transcripts)[list(walk.transcripts).index(step) - 1])
    before = walk.view
    assert walk.follow(step) == []
    renamed = {**walk.view.groups, **walk.view.users}
    other_names = [guid for guid, thing in {**before.groups, **before.users}.items() if thing.dn != renamed[guid].dn]
    assert len(other_names) == 1


def test_more_members_than_a_range_holds_are_all_read(walk: Walk) -> None:
    walk.follow_until("add-1501-members")
    assert sorted(map(len, walk.view.members.values()))[-1] == 1501


def test_a_nested_group_is_followed(walk: Walk) -> None:
    walk.follow_until("nest-a-group")
    assert [guid for members in walk.view.members.values() for guid in members if guid in walk.view.groups]
