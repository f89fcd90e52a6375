"""What Samba's own test suite states of DirSync. It is written to pass against Windows, too.

Source of each: `source4/dsdb/tests/python/dirsync.py` of Samba (commit 4614f04b), by the name of its test. Answers that
it describes are put here as entries; what it says of requests is compared with what is sent.
"""

import dataclasses

import pytest

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.dirsync import NOTHING, ChangeReader, parse_entries
from genesys_ad_sync.directory.entries import DirSyncRefused
from genesys_ad_sync.errors import CursorRejected, DirectoryIncomplete
from tests.support.directory_stubs import SUCCESS, Stub, dirsync_cookie, guid_of, sync_control, value
from tests.support.fake_directory_session import CURSOR, SCOPE, FakeSession, entry

ALWAYS = {"instanceType": [b"4"], "parentGUID": [b"\0" * 16]}


def watched(scope=SCOPE):
    session = FakeSession(syncs=[[]])
    ChangeReader(session, scope).changes_since(CURSOR)
    return session.watched


def changes(*entries, **more):
    return ChangeReader(FakeSession(syncs=[list(entries)], **more), SCOPE).changes_since(CURSOR)


def test_dirsync_attributes_of_which_cn_is_none_that_is_answered():
    """For `cn` (and `parentGUID`) alone nothing is answered of an object whose RDN is CN: `name` must be watched."""
    assert "name" in watched()


def test_dirsync_attributes_that_come_unasked_touch_nothing():
    """`instanceType`, `objectGUID` and `parentGUID` come with every entry."""
    assert changes(entry(1, **ALWAYS)).touched == frozenset()


def test_dirsync_attributes_of_an_objectguid_alone_answer_no_object():
    """So a first cookie costs no answer, whatever its filter: the product asks for nothing else."""
    session = FakeSession(syncs=[[]])
    cursor = ChangeReader(session, SCOPE).first_cursor([])
    assert (session.watched, cursor.cookie) == (["objectGUID"], b"next")
    assert NOTHING.startswith("(objectGUID=")


def test_dirsync_attributes_that_are_back_links_are_not_answered():
    """A filter by `memberOf` can therefore not be followed."""
    scope = dataclasses.replace(SCOPE, group_filter="(memberOf=CN=x,DC=t)")
    assert ChangeReader(FakeSession(), scope).first_cursor(warnings := []).cookie is None
    assert "memberof" in warnings[0]


def test_dirsync_send_delta_of_a_rename():
    """A renamed object comes with `name` and `parentGUID`, and not with its classes."""
    delta = changes(entry(1, name=[b"new"], **ALWAYS), found=[])
    assert delta.touched == {guid_of(1)}


def test_dirsync_send_delta_of_a_cleared_attribute():
    """It comes without values, beside `instanceType` and `objectGUID`."""
    assert changes(entry(1, mail=[], **ALWAYS)).touched == {guid_of(1)}


def test_dirsync_send_delta_without_changes():
    delta = changes()
    assert (delta.entries, delta.mentioned) == (0, frozenset())


def test_dirsync_linkedattributes():
    """With INCREMENTAL_VALUES: added members as range 1-1, removed ones as 0-0, and never both for one member."""
    delta = changes(entry(1, member_added=[value(7), value(8)]), entry(2, member_removed=[value(7), value(9)]))
    assert delta.member_changes == {
        guid_of(1): (frozenset({guid_of(7), guid_of(8)}), frozenset()),
        guid_of(2): (frozenset(), frozenset({guid_of(7), guid_of(9)})),
    }


def test_dirsync_linkedattributes_range():
    """Asked for `member;range=1-1`, a server answers plain `member`: the product asks for `member`."""
    asked = [name.lower() for name in watched()]
    assert "member" in asked
    assert not [name for name in asked if ";" in name]


def test_dirsync_linkedattributes_object_security():
    """Without INCREMENTAL_VALUES whole lists come. They do not show who left."""
    with pytest.raises(CursorRejected, match="individual membership changes"):
        changes(entry(1, member=[value(7), value(8)]))


def test_dirsync_deleted_items():
    """A tombstone has `isDeleted` and `name`."""
    delta = changes(entry(1, isDeleted=[b"TRUE"], name=[b"x\nDEL:1"], **ALWAYS))
    assert (delta.deleted, delta.touched) == ({guid_of(1)}, frozenset())


def test_dirsync_deleted_items_object_security():
    """To an ordinary account it comes with an empty DN and its objectGUID only."""
    delta = changes(dataclasses.replace(entry(1), dn=""))
    assert (delta.unseen, delta.deleted) == ({guid_of(1)}, frozenset())


def test_cookie_from_others():
    """The cookie of another domain controller is accepted: it is sent as it is, whoever answers."""
    stub = Stub(lambda **_: ({**SUCCESS, "controls": sync_control(b"next", more_results=False)}, []))
    stub.session().dirsync("DC=t", "(objectClass=*)", ["member"], b"of another one")
    assert dirsync_cookie(stub.asked[0]) == b"of another one"


@pytest.mark.parametrize("code", [50, 53])
def test_dirsync_errors(code):
    """insufficientAccessRights without the right, unwillingToPerform for a base that is no naming context."""
    stub = Stub(lambda **_: ({"result": code, "description": "refused", "message": ""}, []))
    with pytest.raises(DirSyncRefused):
        stub.session().dirsync("DC=t", "(objectClass=*)", ["member"], b"")
    refused = FakeSession(syncs=[DirSyncRefused("refused")])
    assert ChangeReader(refused, SCOPE).first_cursor(warnings := []).cookie is None
    assert "Replicating Directory Changes" in warnings[0]


def test_dirsync_extended_dn():
    """Option 1 gives `<GUID=…>;<SID=S-1-5-…>;DN`, option 0 the bytes in hexadecimal, which are no GUID here."""
    control = ctl.extended_dn()
    assert bytes(control["controlValue"]) == bytes.fromhex("30 03 02 01 01")
    assert ctl.guid_of_value(f"<GUID={guid_of(7)}>;<SID=S-1-5-21-1>;CN=x".encode()) == guid_of(7)
    hexadecimal = b"<GUID=3b4ba9bb8f3d38489bd70ac3dd7dd652>;<SID=010500000000000515000000>;CN=x"
    with pytest.raises(DirectoryIncomplete):
        changes(entry(1, member_added=[hexadecimal]))


def test_dirsync_othernc():
    """Heads of other naming contexts come as entries, too. They are strangers, and no container that was moved."""
    head = entry(1, name=[b"Configuration"], objectClass=[b"top", b"configuration"], **ALWAYS)
    assert changes(head, found=[]).touched == {guid_of(1)}
    assert parse_entries([head], "DC=t").renamed == set()


@pytest.mark.parametrize("attribute", ["mail", "userAccountControl", "primaryGroupID", "accountExpires"])
@pytest.mark.parametrize("hidden", [{}, {"empty": True}])
def test_dirsync_object_security_of_unreadable_attributes(attribute, hidden):
    """A confidential attribute is missing or without values (`ConfidentialDirsyncTests`, insist_on_empty_element).

    Without values, `userAccountControl` tells nothing of the account's state: AD never clears it.
    """
    attributes = {attribute: []} if hidden else {}
    delta = changes(entry(1, sAMAccountName=[b"ann"], **attributes))
    assert delta.touched == {guid_of(1)}
    assert (delta.states, delta.primary_groups) == (frozenset(), {})
