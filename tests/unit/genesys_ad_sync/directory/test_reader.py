"""DirectoryReader against scripted answers: what a Samba on one machine cannot be made to say."""

import dataclasses

import pytest

from genesys_ad_sync.directory.entries import CookieRefused, DirSyncRefused
from genesys_ad_sync.directory.objects import guids_of
from genesys_ad_sync.directory.reader import DirectoryReader
from genesys_ad_sync.errors import CursorRejected, DirectoryIncomplete, DirectoryNotFound
from tests.support.fake_directory_session import SCOPE, FakeSession, entry


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


def test_a_new_cookie_that_is_refused_leaves_a_view_without_cookie():
    reading = DirectoryReader(FakeSession(syncs=[[], CookieRefused("dc1 refuses it.")]), SCOPE).snapshot()
    assert reading.cursor.cookie is None
    assert "dc1 refuses it" in reading.warnings[0]


def test_an_answer_with_everything_does_not_overtake_a_view():
    """A full answer is legal at any time; everything that it names is read again."""
    everything = dataclasses.replace(
        entry(1, objectClass=[b"top", b"organizationalUnit"]), dn="OU=Domain Controllers,DC=t"
    )
    reading = DirectoryReader(FakeSession(syncs=[[], [everything]] * 3), SCOPE).snapshot()
    assert reading.cursor.cookie == b"next"


def test_a_directory_that_never_holds_still_is_incomplete():
    syncs = [[], CursorRejected("moved")] * 3
    with pytest.raises(DirectoryIncomplete, match="moved"):
        DirectoryReader(FakeSession(syncs=syncs), SCOPE).snapshot()


def test_a_member_of_many_groups_is_one_string():
    value = b"<GUID=11111111-1111-1111-1111-111111111111>;CN=Ann,DC=t"
    (first,), (second,) = guids_of([value]), guids_of([value])
    assert first is second
