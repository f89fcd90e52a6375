"""Changes since a cursor against scripted answers: what a Samba on one machine cannot be made to say."""

import dataclasses
import datetime

import pytest

from genesys_ad_sync.directory.dirsync import ChangeReader, parse_entries
from genesys_ad_sync.errors import CursorRejected, DirectoryIncomplete
from tests.support.directory_stubs import guid_of, value
from tests.support.fake_directory_session import CURSOR, ROOT, SCOPE, FakeSession, entry


def changes(*entries, scope=SCOPE, **more):
    session = FakeSession(syncs=[list(entries)], **more)
    return ChangeReader(session, scope).changes_since(CURSOR)


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
    with pytest.raises(CursorRejected, match="individual membership changes"):
        changes(entry(1, member=[value(7)]))


def test_a_member_without_guid_is_incomplete():
    with pytest.raises(DirectoryIncomplete, match="extended-DN"):
        changes(entry(1, member_added=[b"CN=x,DC=t"]))


def test_the_attributes_of_the_group_filter_are_watched():
    scope = dataclasses.replace(SCOPE, group_filter="(&(objectClass=group)(description=sync))")
    session = FakeSession(syncs=[[]])
    ChangeReader(session, scope).changes_since(CURSOR)
    assert "description" in session.watched


def test_a_moved_organizational_unit_needs_a_whole_view():
    with pytest.raises(CursorRejected, match="Organizational units"):
        changes(entry(1, name=[b"Sales"]), found=[entry(1)])


class Tree(FakeSession):
    """Has objects below ``parents``. ``looked_into``: where it was asked for them."""

    parents: tuple = ()

    def search_paged(self, base, *_):
        self.looked_into = [*getattr(self, "looked_into", []), base]
        yield from [entry(9)] if base in {f"<GUID={guid_of(number)}>" for number in self.parents} else []


@pytest.mark.parametrize(
    ("attributes", "has_children", "is_container"),
    [
        ({"objectClass": [b"top", b"organization"]}, True, True),
        ({"objectClass": [b"top", b"x-ownContainer"]}, True, True),
        ({"objectClass": [b"top", b"organizationalUnit"]}, False, False),  # empty
        ({"objectClass": [b"top", b"person", b"user"]}, True, False),  # not looked into: AD says nothing of children
        ({"objectClass": [b"user"], "msDS-Approx-Immed-Subordinates": [b"3"]}, True, True),
        ({"objectClass": [b"user"], "msDS-Approx-Immed-Subordinates": [b"0"]}, True, False),
        ({"objectClass": [b"user"], "msDS-Approx-Immed-Subordinates": [b"1"]}, False, False),  # a phone, say
    ],
)
def test_a_container_is_what_has_groups_or_people_in_it(attributes, has_children, is_container):
    session = Tree(syncs=[[entry(1, name=[b"Sales"])]], found=[entry(1, **attributes)])
    session.parents = (1,) if has_children else ()
    reader = ChangeReader(session, SCOPE)
    if is_container:
        with pytest.raises(CursorRejected, match="renamed or moved"):
            reader.changes_since(CURSOR)
    else:
        assert reader.changes_since(CURSOR).touched == {guid_of(1)}


def test_of_many_moved_objects_that_may_be_containers_none_is_looked_into():
    moved = [entry(number, name=[b"x"]) for number in range(1, 60)]
    session = Tree(syncs=[moved], found=moved)
    with pytest.raises(CursorRejected):
        ChangeReader(session, SCOPE).changes_since(CURSOR)
    assert not hasattr(session, "looked_into")


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
    reader = ChangeReader(FakeSession(syncs=[[]], root=root), SCOPE)
    with pytest.raises(CursorRejected, match="went back from 6 to 5"):
        reader.changes_since(CURSOR, {"dc2.t": ("inv-2", 6)})


def test_without_a_cookie_there_is_nothing_to_continue():
    with pytest.raises(CursorRejected):
        ChangeReader(FakeSession(), SCOPE).changes_since(dataclasses.replace(CURSOR, cookie=None))


def test_nobody_left_is_concluded_from_an_answer_with_everything():
    everything = dataclasses.replace(
        entry(1, objectClass=[b"top", b"organizationalUnit"]), dn="OU=Domain Controllers,DC=t"
    )
    with pytest.raises(CursorRejected, match="everything"):
        changes(everything)


def test_a_moved_unit_does_not_matter_to_a_reading_that_only_looks_for_evidence():
    session = FakeSession(syncs=[[entry(1, name=[b"Sales"])]], found=[entry(1)])
    assert ChangeReader(session, SCOPE).changes_since(CURSOR, even_if_moved=True).touched == {guid_of(1)}


# -- what the account may not read (E3, E4): after Samba's test suite (source4/dsdb/tests/python/dirsync.py), whose
# expectations are those of Windows -----------------------------------------------------------------------------------


def at(dn, found):
    return dataclasses.replace(found, dn=dn)


def test_an_object_that_the_account_cannot_see_any_more_is_named_and_nothing_else():
    delta = changes(at("", entry(1)), at("", entry(2, instanceType=[b"4"], name=[])))
    assert delta.unseen == {guid_of(1), guid_of(2)}
    assert (delta.deleted, delta.touched) == (frozenset(), frozenset())


def test_a_member_attribute_without_values_says_nothing():
    delta = changes(entry(1, **{"member": [], "member;range=1-1": []}), entry(2, **{"member;range=0-*": []}))
    assert all(not added and not removed for added, removed in delta.member_changes.values())


@pytest.mark.parametrize("container", ["CN=Deleted Objects,DC=t", "cn=deleted objects, dc=T"])
def test_a_tombstone_whose_attributes_are_unreadable_is_a_deletion(container):
    for hidden in ({}, {"isDeleted": []}):
        assert changes(at(f"CN=x\\0ADEL:1,{container}", entry(1, **hidden))).deleted == {guid_of(1)}


def test_an_object_beside_the_deleted_ones_is_restored():
    with pytest.raises(CursorRejected, match="restored"):
        changes(at("CN=x,OU=Not Deleted Objects,DC=t", entry(1, isDeleted=[])))


# -- old cookies (E6) ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "lifetime", "is_old"),
    [
        (0.9, 2, False),
        (1.1, 2, True),
        (29, 60, False),
        (31, 60, True),
        (31, 180, True),
        (29, 180, False),
        (400, 180, True),
    ],
)
def test_a_cookie_that_ad_may_have_outlived_needs_a_whole_view(days, lifetime, is_old):
    later = dataclasses.replace(ROOT, current_time=CURSOR.polled_at + datetime.timedelta(days=days))
    session = FakeSession(syncs=[[]], root=later)
    session.lifetime = datetime.timedelta(days=lifetime)
    reader = ChangeReader(session, SCOPE)
    if is_old:
        with pytest.raises(CursorRejected, match="days ago"):
            reader.changes_since(CURSOR)
    else:
        assert reader.changes_since(CURSOR).cursor.cookie == b"next"


# -- entries ------------------------------------------------------------------------------------------


def test_parsed_changes_are_net_and_by_object():
    raw = parse_entries(
        [
            entry(1, member_added=[value(7), value(8)], mail=[b"x"]),
            entry(2, primaryGroupID=[b"513"], objectClass=[b"user"], instanceType=[b"4"]),
            entry(1, member_removed=[value(8)], name=[b"new name"]),
        ],
        "DC=t",
    )
    assert (raw.added, raw.removed) == ({guid_of(1): {guid_of(7)}}, {guid_of(1): {guid_of(8)}})
    assert raw.touched == {guid_of(1), guid_of(2)}
    assert raw.primary_groups == {guid_of(2): 513}
    assert raw.renamed == {guid_of(1)}


def test_parsed_entries_that_cannot_be_followed_are_set_apart():
    unit = entry(1, name=[b"Sales"], objectClass=[b"top", b"organizationalUnit"])
    raw = parse_entries(
        [unit, entry(2, isDeleted=[]), entry(3, member=[value(7)]), entry(4, isDeleted=[b"TRUE"])], "DC=t"
    )
    assert raw.appeared == [unit.dn]
    assert (raw.restored, raw.unranged, raw.deleted) == ({guid_of(2)}, {guid_of(3)}, {guid_of(4)})
    assert raw.touched == raw.renamed == set()


def test_an_object_that_comes_back_after_its_tombstone_is_not_deleted():
    assert parse_entries([entry(1, isDeleted=[b"TRUE"]), entry(1, mail=[b"x"])], "DC=t").deleted == set()
