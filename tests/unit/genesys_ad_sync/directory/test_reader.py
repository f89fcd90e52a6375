"""DirectoryReader and apply_delta against scripted answers: what a Samba on one machine cannot be made to say."""

import dataclasses
import datetime
import uuid

import pytest

from genesys_ad_sync.directory.apply_delta import apply_delta, merged
from genesys_ad_sync.directory.reader import DirectoryReader, Found
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.directory.session import DirSyncRefused, Entry, RootDse, Sync
from genesys_ad_sync.errors import CursorRejected, DirectoryIncomplete, DirectoryNotFound
from genesys_ad_sync.model import Cursor, DirectoryGroup, DirectoryUser, PrincipalKind, Scope, View
from tests.support.directory_stubs import guid_of, part_of, value

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
SCOPE = Scope("DC=t", "OU=cc,DC=t", "(objectClass=group)", True, "remove", (), ())
ROOT = RootDse("dc1.t", "DC=t", 100, "inv-1", NOW, frozenset())
CURSOR = Cursor("dc1.t", "inv-1", 90, b"cookie", NOW)


def entry(number, **attributes):
    """``member_added=…`` is ``member;range=1-1``, ``member_removed=…`` is ``member;range=0-0``."""
    names = {"member_added": "member;range=1-1", "member_removed": "member;range=0-0"}
    raw = {"objectguid": [uuid.UUID(int=number).bytes_le]}
    raw.update({names.get(name, name.lower()): values for name, values in attributes.items()})
    return Entry(f"CN=x{number},DC=t", raw)


@dataclasses.dataclass
class FakeSession:
    """Answers what it was told. ``syncs``: DirSync answers, or exceptions, in turn."""

    syncs: list = dataclasses.field(default_factory=list)
    found: list = dataclasses.field(default_factory=list)
    root: RootDse = ROOT
    host: str = "dc1"
    requests: int = 0

    def root_dse(self):
        return self.root

    def current_time(self):
        return self.root.current_time

    def dirsync(self, naming_context, ldap_filter, attributes, cookie):
        answer = self.syncs.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self.watched = attributes
        return Sync(answer, b"next")

    def search(self, *_, **__):
        return self.found

    def search_paged(self, *_, **__):
        return iter(self.found)


def changes(*entries, scope=SCOPE, **more):
    session = FakeSession(syncs=[list(entries)], **more)
    return DirectoryReader(session, scope).changes_since(CURSOR)


# -- changes ------------------------------------------------------------------------------------------


def test_added_and_removed_values_are_told_by_group():
    delta = changes(entry(1, member_added=[value(7), value(8)], member_removed=[value(9)]))
    assert delta.member_changes == {guid_of(1): (frozenset({guid_of(7), guid_of(8)}), frozenset({guid_of(9)}))}
    assert (delta.touched, delta.deleted, delta.entries) == (frozenset(), frozenset(), 1)
    assert delta.cursor.cookie == b"next"


def test_of_two_entries_for_one_group_the_later_counts():
    delta = changes(entry(1, member_added=[value(7)]), entry(1, member_removed=[value(7)]))
    assert delta.member_changes == {guid_of(1): (frozenset(), frozenset({guid_of(7)}))}


def test_a_tombstone_is_a_deletion_and_nothing_else():
    delta = changes(entry(1, isDeleted=[b"TRUE"], name=[b"x\nDEL:1"], member_removed=[value(7)]))
    assert (delta.deleted, delta.touched, delta.member_changes) == (frozenset({guid_of(1)}), frozenset(), {})


def test_an_attribute_that_was_cleared_touches_the_object():
    assert changes(entry(1, mail=[])).touched == {guid_of(1)}


def test_whole_member_lists_mean_that_the_flag_was_ignored():
    with pytest.raises(CursorRejected, match="single membership changes"):
        changes(entry(1, member=[value(7)]))


def test_a_member_without_guid_is_incomplete():
    with pytest.raises(DirectoryIncomplete, match="extended-DN"):
        changes(entry(1, member_added=[b"CN=x,DC=t"]))


def test_the_attributes_of_the_group_filter_are_watched():
    scope = dataclasses.replace(SCOPE, group_filter="(&(objectClass=group)(description=sync))")
    session = FakeSession(syncs=[[]])
    DirectoryReader(session, scope).changes_since(CURSOR)
    assert "description" in session.watched


def test_a_moved_organizational_unit_needs_a_whole_view():
    with pytest.raises(CursorRejected, match="organizational units"):
        changes(entry(1, name=[b"Sales"]), found=[entry(1)])


def test_a_new_organizational_unit_is_no_reason_for_a_whole_view():
    new = entry(1, name=[b"Sales"], objectClass=[b"top", b"organizationalUnit"])
    assert changes(new, found=[new]).touched == frozenset()


def test_an_object_from_the_recycle_bin_needs_a_whole_view():
    """Its memberships come back with it, and no group tells of them."""
    with pytest.raises(CursorRejected, match="restored"):
        changes(entry(1, isDeleted=[], name=[b"ann"]))


def test_a_restored_domain_controller_is_noticed():
    for root in (
        dataclasses.replace(ROOT, invocation_id="inv-2"),
        dataclasses.replace(ROOT, highest_committed_usn=89),
    ):
        with pytest.raises(CursorRejected, match=r"dc1\.t"):
            changes(root=root)


def test_another_domain_controller_is_compared_with_its_own_record_only():
    root = dataclasses.replace(ROOT, domain_controller="dc2.t", invocation_id="inv-2", highest_committed_usn=5)
    assert changes(root=root).cursor.domain_controller == "dc2.t"
    reader = DirectoryReader(FakeSession(syncs=[[]], root=root), SCOPE)
    with pytest.raises(CursorRejected, match="went back from 6 to 5"):
        reader.changes_since(CURSOR, {"dc2.t": ("inv-2", 6)})


def test_without_a_cookie_there_is_nothing_to_continue():
    with pytest.raises(CursorRejected):
        DirectoryReader(FakeSession(), SCOPE).changes_since(dataclasses.replace(CURSOR, cookie=None))


# -- the whole view -----------------------------------------------------------------------------------


def test_where_dirsync_is_refused_the_view_comes_without_cookie_and_with_the_remedy():
    reading = DirectoryReader(FakeSession(syncs=[DirSyncRefused("dc1 refuses DirSync.")]), SCOPE).snapshot()
    assert reading.cursor.cookie is None
    assert "Replicating Directory Changes" in reading.warnings[0]


def test_a_filter_whose_answer_changes_silently_is_polled_as_a_whole():
    scope = dataclasses.replace(SCOPE, group_filter="(memberOf=CN=all,DC=t)")
    reading = DirectoryReader(FakeSession(), scope).snapshot()
    assert reading.cursor.cookie is None
    assert "memberof" in reading.warnings[0]


def test_no_group_at_all_is_a_warning():
    reading = DirectoryReader(FakeSession(syncs=[[], []]), SCOPE).snapshot()
    assert "No group matches" in reading.warnings[0]
    assert reading.cursor.cookie == b"next"


def test_a_missing_group_base_is_named():
    class Missing(FakeSession):
        def search_paged(self, *_, **__):
            raise DirectoryNotFound("x")

    with pytest.raises(DirectoryNotFound, match=r"directory\.group_base.*OU=cc,DC=t"):
        DirectoryReader(Missing(syncs=[[]]), SCOPE).snapshot()


def test_a_directory_that_never_holds_still_is_incomplete():
    syncs = [[], CursorRejected("moved")] * 3
    with pytest.raises(DirectoryIncomplete):
        DirectoryReader(FakeSession(syncs=syncs), SCOPE).snapshot()


# -- applying changes ---------------------------------------------------------------------------------


def group(guid, rid=None, in_scope=True):
    sid = f"S-1-5-21-1-2-3-{rid}" if rid else None
    return DirectoryGroup(guid, f"CN={guid}", guid, guid, sid, in_scope)


def user(guid, disabled=False):
    return DirectoryUser(guid, f"CN={guid}", PrincipalKind.USER, guid, guid, disabled)


class FakeReader:
    """Knows today's objects; ``fetch`` gives those asked for."""

    def __init__(self, today=None, in_scope=(), primary=None):
        self.today = today or View()
        self.scope_now = frozenset(in_scope)
        self.primary = primary or {}
        self.fetched = set()

    def in_scope(self, guids):
        return self.scope_now & set(guids)

    def fetch(self, guids, known=()):
        self.fetched |= set(guids)
        asked = set(guids)
        return Found(
            View(
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


STORED = View({"A": group("A")}, {"x": user("x"), "y": user("y")}, {"A": {"x", "y"}})


def test_repeated_changes_change_nothing():
    repeated = delta({"A": ({"x"}, {"q"})})
    once = apply_delta(STORED, repeated, FakeReader())
    assert once == STORED
    assert apply_delta(once, repeated, FakeReader()) == STORED


def test_the_stored_part_is_left_as_it_was():
    apply_delta(STORED, delta({"A": (set(), {"x"})}, deleted={"y"}), FakeReader())
    assert STORED.members == {"A": {"x", "y"}}


def test_a_deleted_user_leaves_every_group_without_a_change_of_the_group():
    after = apply_delta(STORED, delta(deleted={"x"}), FakeReader())
    assert after.members == {"A": {"y"}}
    assert set(after.users) == {"y"}


def test_members_of_groups_outside_the_view_are_not_fetched():
    reader = FakeReader(View(users={"q": user("q")}))
    after = apply_delta(STORED, delta({"Z": ({"q"}, set())}), reader)
    assert after == STORED
    assert reader.fetched == set()


def test_a_group_that_came_into_scope_is_read_completely():
    today = View({"N": group("N")}, {"x": user("x")}, {"N": {"x"}})
    after = apply_delta(STORED, delta(touched={"N"}), FakeReader(today, in_scope={"N"}))
    assert after.members == {"A": {"x", "y"}, "N": {"x"}}


def test_a_known_group_that_left_the_scope_says_so():
    today = View({"A": group("A", in_scope=False)}, {}, {"A": {"x", "y"}})
    after = apply_delta(STORED, delta(touched={"A"}), FakeReader(today))
    assert not after.groups["A"].in_scope


def test_a_known_object_that_cannot_be_read_again_stays_until_its_tombstone():
    assert apply_delta(STORED, delta(touched={"A", "x"}), FakeReader()) == STORED


def test_a_user_whose_primary_group_a_group_becomes_stays_in_it():
    """AD takes the link away then: DirSync says "removed", and the user is as much a member as before."""
    stored = View({"A": group("A", rid=1103)}, {"x": user("x")}, {"A": {"x"}})
    reader = FakeReader(View(users={"x": user("x")}), primary={"x": 1103})
    told = delta({"A": (set(), {"x"})}, touched={"x"}, primary={"x": 1103})
    assert apply_delta(stored, told, reader).members == {"A": {"x"}}
    # The same "removed" repeated by another domain controller, without the user's own change.
    assert apply_delta(stored, delta({"A": (set(), {"x"})}), reader).members == {"A": {"x"}}


def test_a_new_user_is_a_member_of_a_primary_group_in_the_view():
    stored = View({"A": group("A", rid=513)}, {}, {"A": set()})
    reader = FakeReader(View(users={"n": user("n")}), primary={"n": 513})
    after = apply_delta(stored, delta(touched={"n"}, primary={"n": 513}), reader)
    assert after.members == {"A": {"n"}}
    assert set(after.users) == {"n"}


def test_the_part_that_a_change_needs_is_enough_and_merges_back():
    whole = View(
        {"A": group("A"), "B": group("B"), "P": group("P", rid=513), "Z": group("Z")},
        {name: user(name) for name in "xyz"},
        {"A": {"x"}, "B": {"y", "z"}, "P": {"x"}, "Z": {"z"}},
    )
    told = delta({"A": ({"z"}, set())}, touched={"n"}, deleted={"y"}, primary={"n": 513})
    part = part_of(whole, told)
    assert set(part.groups) == {"A", "B", "P"}, "the changed, the one with a deleted member, the primary one"
    reader = FakeReader(View(users={"n": user("n")}), primary={"n": 513})
    after = merged(whole, part, apply_delta(part, told, reader))
    assert after.members == {"A": {"x", "z"}, "B": {"z"}, "P": {"x", "n"}, "Z": {"z"}}
    assert set(after.users) == {"x", "z", "n"}
    assert reader.fetched == {"n"}, "known people are not read again"
