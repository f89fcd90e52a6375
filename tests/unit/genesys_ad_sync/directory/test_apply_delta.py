"""A stored view brought up to date with what DirSync reported, without a directory."""

from genesys_ad_sync.directory.apply_delta import apply_delta, merged
from genesys_ad_sync.directory.objects import ObjectSet
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.model import DirectoryGroup, DirectoryUser, DirectoryView, PrincipalKind
from tests.support.directory_stubs import part_of
from tests.support.fake_directory_session import CURSOR, NOW


def group(guid, rid=None, in_scope=True):
    sid = f"S-1-5-21-1-2-3-{rid}" if rid else None
    return DirectoryGroup(guid, f"CN={guid}", guid, guid, sid, in_scope)


def user(guid, disabled=False):
    return DirectoryUser(guid, f"CN={guid}", PrincipalKind.USER, guid, guid, disabled)


class FakeObjects:
    """Knows today's objects; ``fetch`` gives those asked for."""

    def __init__(self, today=None, in_scope=(), primary=None):
        self.today = today or DirectoryView()
        self.scope_now = frozenset(in_scope)
        self.primary = primary or {}
        self.fetched = set()

    def in_scope(self, guids):
        return self.scope_now & set(guids)

    def fetch(self, guids, known=()):
        self.fetched |= set(guids)
        asked = set(guids)
        return ObjectSet(
            DirectoryView(
                {g: v for g, v in self.today.groups.items() if g in asked},
                {g: v for g, v in self.today.users.items() if g in asked},
                {g: set(v) for g, v in self.today.members.items() if g in asked},
            ),
            {g: rid for g, rid in self.primary.items() if g in asked},
        )


def delta(members=None, touched=(), deleted=(), primary=None):
    return Delta(
        cursor=CURSOR,
        read_until=NOW,
        member_changes={g: (frozenset(a), frozenset(r)) for g, (a, r) in (members or {}).items()},
        touched=frozenset(touched),
        deleted=frozenset(deleted),
        primary_groups=primary or {},
        entries=1,
    )


STORED = DirectoryView({"A": group("A")}, {"x": user("x"), "y": user("y")}, {"A": {"x", "y"}})


def test_repeated_changes_change_nothing():
    repeated = delta({"A": ({"x"}, {"q"})})
    once = apply_delta(STORED, repeated, FakeObjects())
    assert once == STORED
    assert apply_delta(once, repeated, FakeObjects()) == STORED


def test_the_stored_part_is_left_as_it_was():
    apply_delta(STORED, delta({"A": (set(), {"x"})}, deleted={"y"}), FakeObjects())
    assert STORED.members == {"A": {"x", "y"}}


def test_a_deleted_user_leaves_every_group_without_a_change_of_the_group():
    after = apply_delta(STORED, delta(deleted={"x"}), FakeObjects())
    assert after.members == {"A": {"y"}}
    assert set(after.users) == {"y"}


def test_members_of_groups_outside_the_view_are_not_fetched():
    reader = FakeObjects(DirectoryView(users={"q": user("q")}))
    after = apply_delta(STORED, delta({"Z": ({"q"}, set())}), reader)
    assert after == STORED
    assert reader.fetched == set()


def test_a_group_that_came_into_scope_is_read_completely():
    today = DirectoryView({"N": group("N")}, {"x": user("x")}, {"N": {"x"}})
    after = apply_delta(STORED, delta(touched={"N"}), FakeObjects(today, in_scope={"N"}))
    assert after.members == {"A": {"x", "y"}, "N": {"x"}}


def test_a_known_group_that_left_the_scope_says_so():
    today = DirectoryView({"A": group("A", in_scope=False)}, {}, {"A": {"x", "y"}})
    after = apply_delta(STORED, delta(touched={"A"}), FakeObjects(today))
    assert not after.groups["A"].in_scope


def test_a_known_object_that_cannot_be_read_again_stays_until_its_tombstone():
    assert apply_delta(STORED, delta(touched={"A", "x"}), FakeObjects()) == STORED


def test_a_user_whose_primary_group_a_group_becomes_stays_in_it():
    """AD takes the link away then: DirSync says "removed", and the user is as much a member as before."""
    stored = DirectoryView({"A": group("A", rid=1103)}, {"x": user("x")}, {"A": {"x"}})
    reader = FakeObjects(DirectoryView(users={"x": user("x")}), primary={"x": 1103})
    told = delta({"A": (set(), {"x"})}, touched={"x"}, primary={"x": 1103})
    assert apply_delta(stored, told, reader).members == {"A": {"x"}}
    # The same "removed" repeated by another domain controller, without the user's own change.
    assert apply_delta(stored, delta({"A": (set(), {"x"})}), reader).members == {"A": {"x"}}


def test_a_new_user_is_a_member_of_a_primary_group_in_the_view():
    stored = DirectoryView({"A": group("A", rid=513)}, {}, {"A": set()})
    reader = FakeObjects(DirectoryView(users={"n": user("n")}), primary={"n": 513})
    after = apply_delta(stored, delta(touched={"n"}, primary={"n": 513}), reader)
    assert after.members == {"A": {"n"}}
    assert set(after.users) == {"n"}


def test_the_part_that_a_change_needs_is_enough_and_merges_back():
    whole = DirectoryView(
        {"A": group("A"), "B": group("B"), "P": group("P", rid=513), "Z": group("Z")},
        {name: user(name) for name in "xyz"},
        {"A": {"x"}, "B": {"y", "z"}, "P": {"x"}, "Z": {"z"}},
    )
    told = delta({"A": ({"z"}, set())}, touched={"n"}, deleted={"y"}, primary={"n": 513})
    part = part_of(whole, told)
    assert set(part.groups) == {"A", "B", "P"}, "the changed, the one with a deleted member, the primary one"
    reader = FakeObjects(DirectoryView(users={"n": user("n")}), primary={"n": 513})
    after = merged(whole, part, apply_delta(part, told, reader))
    assert after.members == {"A": {"x", "z"}, "B": {"z"}, "P": {"x", "n"}, "Z": {"z"}}
    assert set(after.users) == {"x", "z", "n"}
    assert reader.fetched == {"n"}, "known people are not read again"
