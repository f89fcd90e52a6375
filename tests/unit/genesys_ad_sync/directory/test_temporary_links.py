"""TTL-DNs in every form in which a domain controller may send them, and what is asked where their GUID is missing.

Public scripts read ``<TTL=60>,CN=…`` (output of Get-ADGroup -ShowMemberTimeToLive) and write ``<TTL=60,CN=…>``. How one
looks beside the extended form is not documented.
"""

import datetime

import pytest

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory import ranges
from genesys_ad_sync.directory.entries import CookieRefused, Entry
from genesys_ad_sync.directory.temporary_links import ends_of, lacks_guid, rejoined, seconds_left
from tests.support.directory_stubs import (
    SUCCESS,
    Stub,
    dirsync_cookie,
    entry,
    guid_of,
    page_control,
    sync_control,
    value,
)

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
DN = b"CN=x7,DC=t"
GUID = f"<GUID={guid_of(7)}>".encode()
SID = b"<SID=S-1-5-21-1-2-3-1107>"


@pytest.mark.parametrize(
    "form",
    [
        b"<TTL=60>," + GUID + b";" + SID + b";" + DN,
        b"<TTL=60>;" + GUID + b";" + DN,
        b"<TTL=60," + GUID + b";" + SID + b";" + DN + b">",
        GUID + b";" + SID + b";<TTL=60>," + DN,
        GUID + b";<TTL=60>;" + DN,
        GUID + b";" + SID + b";<TTL=60>",
    ],
)
def test_guid_and_seconds_of_a_temporary_member_are_read(form):
    assert ctl.guid_of_value(form) == guid_of(7)
    assert seconds_left([form, value(8)]) == {guid_of(7): 60}
    plain, _ = ctl.split_ttl(form)
    assert b"TTL" not in plain
    assert ctl.split_ttl(ctl.with_ttl(plain, 60)) == (plain, 60)


@pytest.mark.parametrize("seconds", [b"0", b"-1", b"-99999999999999999999"])
def test_a_member_whose_time_is_over_has_no_seconds_left(seconds):
    form = b"<TTL=" + seconds + b">," + GUID + b";" + DN
    assert ctl.guid_of_value(form) == guid_of(7)
    assert ends_of(seconds_left([form]), NOW) == {guid_of(7): NOW}


@pytest.mark.parametrize("form", [value(7), b"<GUID=1>;CN=a\\<TTL\\=5\\>\\,b,DC=t", GUID + b";CN=\\<TTL=5\\>,DC=t"])
def test_a_name_that_looks_like_a_ttl_is_none(form):
    assert ctl.split_ttl(form) == (form, None)


@pytest.mark.parametrize("form", [b"<TTL=60>,CN=x7,DC=t", b"<TTL=60,CN=x7,DC=t>"])
def test_a_temporary_member_without_its_guid_is_noticed(form):
    assert lacks_guid(Entry("CN=g", {"member;range=0-*": [value(8), form]}))
    assert not lacks_guid(Entry("CN=g", {"member;range=0-*": [value(8)], "description": [form]}))


def test_seconds_become_times_by_the_clock_of_the_domain_controller():
    assert ends_of({"a": 60, "b": 10**12}, NOW) == {"a": NOW + datetime.timedelta(minutes=1)}


def test_ttls_are_put_into_what_is_read_without_them():
    first = Entry("CN=g", {"member": [], "member;range=0-*": [value(8), b"<TTL=60>,CN=X7, DC=t"], "cn": [b"g"]})
    plain = Entry("CN=g", {"member;range=0-*": [value(8), value(7)]})
    both = rejoined(first, plain)
    assert both.attributes["cn"] == [b"g"]
    assert seconds_left(both.attributes["member;range=0-*"]) == {guid_of(7): 60}
    assert {ctl.guid_of_value(one) for one in both.attributes["member;range=0-*"]} == {guid_of(7), guid_of(8)}


def test_seconds_that_run_down_between_two_ranges_are_no_shift():
    members = [value(number) for number in range(2500)]
    requests = []

    def ask(ranged):
        requests.append(ranged)
        low = int(ranged.split("=")[1].split("-")[0])
        part = [ctl.with_ttl(one, 1000 - len(requests)) for one in members[low : low + 1500]]
        end = "*" if low + 1500 >= len(members) else str(low + 1499)
        return {f"member;range={low}-{end}": part}

    found = ranges.read_values(ask, "member")
    assert len(seconds_left(found)) == 2500
    assert requests == ["member;range=0-1499", "member;range=1499-2998"]


# -- the session --------------------------------------------------------------------------------------


def carries_ttl(request):
    return any(str(control["controlType"]) == ctl.LINK_TTL for control in request["controls"])


def supporting(answer):
    stub = Stub(answer)
    session = stub.session()
    session.supported_controls = frozenset({ctl.LINK_TTL, ctl.SHOW_RECYCLED})
    return stub, session


def test_only_searches_for_members_carry_the_control():
    stub, session = supporting(lambda **_: (SUCCESS, []))
    session.search("DC=t", "(cn=x)", ["cn"])
    session.search("DC=t", "(cn=x)", ["cn", "member;range=0-1499"])
    assert [carries_ttl(request) for request in stub.asked] == [False, True]
    (control,) = [c for c in stub.asked[1]["controls"] if str(c["controlType"]) == ctl.LINK_TTL]
    assert not control["criticality"]
    assert not control["controlValue"].hasValue()


def test_a_server_that_does_not_list_the_control_is_not_sent_it():
    stub = Stub(lambda **_: (SUCCESS, []))
    stub.session().search("DC=t", "(cn=x)", ["member"])
    assert not carries_ttl(stub.asked[0])


@pytest.mark.parametrize("paged", [False, True])
def test_members_without_guid_are_read_again_without_the_control(paged):
    def answer(**request):
        found = entry(1)
        one = b"<TTL=60>,CN=x7,DC=t" if carries_ttl(request) else value(7)
        found["raw_attributes"] |= {"member": None, "member;range=0-*": [value(8), one]}
        return {**SUCCESS, "controls": page_control(b"")}, [found]

    stub, session = supporting(answer)
    asked = ("DC=t", "(objectClass=group)", ["objectGUID", "member;range=0-1499"])
    (found,) = list(session.search_paged(*asked)) if paged else session.search(*asked)
    assert seconds_left(found.attributes["member;range=0-*"]) == {guid_of(7): 60}
    assert [request["base"] for request in stub.asked] == ["DC=t", f"<GUID={guid_of(1)}>"]
    assert stub.asked[1]["attributes"] == ["member;range=0-*"]


@pytest.mark.parametrize("how", ["refused", "without guid"])
def test_dirsync_goes_on_without_the_control_where_the_two_do_not_go_together(how):
    def answer(**request):
        if carries_ttl(request) and how == "refused":
            return {"result": 12, "description": "unavailableCriticalExtension", "message": ""}, []
        one = b"<TTL=60>,CN=x7,DC=t" if carries_ttl(request) else value(7)
        done = {**SUCCESS, "controls": sync_control(b"next", more_results=False)}
        return done, [entry(1, member__1_1=[one])]

    stub, session = supporting(answer)
    for _ in range(2):
        found = session.dirsync("DC=t", "(objectClass=*)", ["member"], b"cookie")
        assert found.cookie == b"next"
        assert len(found.entries) == 1
    assert [carries_ttl(request) for request in stub.asked] == [True, False, False]
    assert {dirsync_cookie(request) for request in stub.asked} == {b"cookie"}


def test_a_cookie_that_is_refused_without_the_control_is_refused():
    stub, session = supporting(lambda **_: ({"result": 2, "description": "protocolError", "message": ""}, []))
    with pytest.raises(CookieRefused):
        session.dirsync("DC=t", "(objectClass=*)", ["member"], b"cookie")
    assert len(stub.asked) == 2


def test_recycled_objects_are_asked_for_where_they_can_be():
    stub, session = supporting(lambda **_: ({**SUCCESS, "controls": sync_control(b"next", more_results=False)}, []))
    session.dirsync("DC=t", "(objectClass=*)", ["cn"], b"cookie")
    session.supported_controls = frozenset()
    session.dirsync("DC=t", "(objectClass=*)", ["cn"], b"cookie")
    sent = [{str(control["controlType"]) for control in request["controls"]} for request in stub.asked]
    assert [ctl.SHOW_RECYCLED in types for types in sent] == [True, False]
