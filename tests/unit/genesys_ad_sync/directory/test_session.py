"""LdapSession against scripted answers: what breaks off must raise, whole answers must come whole."""

import contextlib
import datetime

import pytest
from ldap3.core.exceptions import LDAPInvalidFilterError, LDAPSocketReceiveError
from pyasn1.error import PyAsn1Error

from genesys_ad_sync.directory.entries import DirSyncRefused, generalized_time
from genesys_ad_sync.directory.objects import ObjectReader
from genesys_ad_sync.errors import (
    CursorRejected,
    DirectoryError,
    DirectoryIncomplete,
    DirectoryNotFound,
    DirectoryRefused,
)
from tests.support.directory_stubs import (
    SUCCESS,
    RangeServer,
    Stub,
    dirsync_cookie,
    entry,
    guid_of,
    page_control,
    sync_control,
    value,
)
from tests.support.fake_directory_session import SCOPE

ALL = "(objectClass=*)"


def failure(code, description, **more):
    return {**SUCCESS, "result": code, "description": description, **more}


# -- ranges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 999, 1000, 1001, 1500, 1501, 4999, 5000])
@pytest.mark.parametrize("step", [1000, 1500, 5000])
def test_all_values_come_whatever_step_the_server_chooses(count, step):
    values = [value(n) for n in range(count)]
    server = RangeServer(list(values), step)
    assert server.stub.session().read_values(guid_of(1), "member") == values
    chosen = min(step, 1500) - 1
    assert len(server.stub.asked) == max(1, -(-(count - 1) // chosen)), "as many requests as the ranges need"
    assert all(request["base"] == f"<GUID={guid_of(1)}>" for request in server.stub.asked)


def test_known_values_are_not_read_again():
    values = [value(n) for n in range(3200)]
    server = RangeServer(list(values), 1500)
    assert server.stub.session().read_values(guid_of(1), "member", values[:1500]) == values
    assert [request["attributes"] for request in server.stub.asked] == [
        ["member;range=1499-2998"],
        ["member;range=2998-4497"],
    ]


def test_an_attribute_that_is_absent_has_no_values():
    assert RangeServer([], 1500).stub.session().read_values(guid_of(1), "member") == []


def test_a_missing_range_is_not_the_end():
    def answer(attributes, **_):
        found = entry(1)
        if attributes[0].startswith("member;range=0-"):
            found["raw_attributes"]["member;range=0-999"] = [value(n) for n in range(1000)]
        return SUCCESS, [found]

    with pytest.raises(DirectoryIncomplete, match="a range is missing"):
        Stub(answer).session().read_values(guid_of(1), "member")


def test_a_value_that_moves_into_a_range_already_read_is_not_lost():
    """Taking away an early value moves all later ones down by one; the one at the border would never be asked for."""
    values = [value(n) for n in range(4000)]

    def take_one_away(request):
        if request == 2:
            del server.values[10]

    server = RangeServer(list(values), 1500, take_one_away)
    assert server.stub.session().read_values(guid_of(1), "member") == values[:10] + values[11:]


def test_values_that_never_hold_still_are_incomplete():
    server = RangeServer([value(n) for n in range(4000)], 1500, lambda request: server.values.pop(0))
    with pytest.raises(DirectoryIncomplete):
        server.stub.session().read_values(guid_of(1), "member")


def test_a_group_emptied_while_it_was_read_is_read_again():
    def empty(request):
        if request == 2:
            server.values = [value(7)]

    server = RangeServer([value(n) for n in range(4000)], 1500, empty)
    assert server.stub.session().read_values(guid_of(1), "member") == [value(7)]


def test_an_object_that_is_gone_is_not_an_empty_one():
    with pytest.raises(DirectoryNotFound):
        Stub(lambda **_: (failure(32, "noSuchObject"), [])).session().read_values(guid_of(1), "member")


# -- pages --------------------------------------------------------------------------------------------


def pages(*answers):
    """Return a stub that answers these in turn."""
    waiting = list(answers)
    return Stub(lambda **_: waiting.pop(0) if waiting else (SUCCESS, []))


def page(numbers, cookie):
    return {**SUCCESS, "controls": page_control(cookie)}, [entry(n) for n in numbers]


def test_all_pages_come_and_the_cookie_is_handed_on():
    stub = pages(page([1, 2], b"one"), page([3], b"two"), page([], b""))
    assert [found.guid for found in stub.session().search_paged("DC=t", ALL, ["cn"])] == [guid_of(n) for n in (1, 2, 3)]
    assert [request["paged_cookie"] for request in stub.asked] == [None, b"one", b"two"]


@pytest.mark.parametrize(
    "broken",
    [
        # A stale cookie after a reconnect; the control says "no page follows", as at the end.
        (failure(53, "unwillingToPerform", controls=page_control(b"")), []),
        (failure(4, "sizeLimitExceeded", controls=page_control(b"")), [entry(2)]),
        (failure(51, "busy"), []),
        (SUCCESS, []),  # no control: nobody knows whether a page follows
    ],
)
def test_a_later_page_that_fails_raises_after_the_first(broken):
    stub = pages(page([1], b"one"), broken)
    with pytest.raises(DirectoryIncomplete):
        list(stub.session().search_paged("DC=t", ALL, ["cn"]))
    assert len(stub.asked) == 2, "the dead cookie is not used again"


def test_a_connection_that_breaks_between_pages_raises():
    def answer(paged_cookie, **_):
        if paged_cookie:
            raise LDAPSocketReceiveError("error receiving data: timed out")
        return page([1], b"one")

    with pytest.raises(DirectoryIncomplete, match="LDAPSocketReceiveError"):
        list(Stub(answer).session().search_paged("DC=t", ALL, ["cn"]))


def test_a_search_that_nobody_wants_to_end_is_closed_on_the_server():
    stub = pages(page([1, 2], b"one"))
    found = stub.session().search_paged("DC=t", ALL, ["cn"])
    next(found)
    found.close()
    assert (stub.asked[-1]["paged_size"], stub.asked[-1]["paged_cookie"]) == (0, b"one")


def test_every_search_asks_for_guids_in_its_values_and_is_counted():
    stub = pages(page([1], b"one"), page([2], b""))
    session = stub.session()
    list(session.search_paged("DC=t", ALL, ["cn"]))
    assert session.requests == 2
    for request in stub.asked:
        assert "1.2.840.113556.1.4.529" in [str(control["controlType"]) for control in request["controls"]]


# -- referrals ----------------------------------------------------------------------------------------


def reference(uri):
    return {"type": "searchResRef", "uri": [uri]}


def test_a_part_of_the_base_in_another_domain_is_incomplete():
    stub = pages((SUCCESS, [entry(1), reference("ldap://emea.t/OU=Sales,DC=emea,DC=t")]))
    with pytest.raises(DirectoryIncomplete, match="another domain"):
        stub.session().search("DC=t", ALL, ["cn"])


def test_the_configuration_and_dns_parts_that_ad_always_names_are_no_loss():
    references = [
        reference("ldap://t/CN=Configuration,DC=t"),
        reference("ldap://DomainDnsZones.t/DC=DomainDnsZones,DC=t"),
        reference("ldap://ForestDnsZones.t/DC=ForestDnsZones,DC=t"),
    ]
    stub = pages((SUCCESS, [entry(1), *references]))
    assert len(stub.session().search("DC=t", ALL, ["cn"])) == 1


def test_a_base_in_another_domain_says_where_to_connect():
    stub = pages((failure(10, "referral", referrals=["ldap://other"]), []))
    with pytest.raises(DirectoryIncomplete, match="domain controller of that"):
        stub.session().search("DC=other", ALL, ["cn"])


def test_a_bad_filter_is_named():
    def answer(**_):
        raise LDAPInvalidFilterError("malformed filter")

    with pytest.raises(DirectoryError, match=r"\(\(cn=\*"):
        Stub(answer).session().search("DC=t", "((cn=*", ["cn"])


# -- DirSync ------------------------------------------------------------------------------------------


def test_dirsync_goes_on_while_the_server_has_more_results():
    stub = pages(
        ({**SUCCESS, "controls": sync_control(b"two", more_results=True)}, [entry(1)]),
        ({**SUCCESS, "controls": sync_control(b"three", more_results=True)}, []),  # nothing visible in this part
        ({**SUCCESS, "controls": sync_control(b"four", more_results=False)}, [entry(2)]),
    )
    sync = stub.session().dirsync("DC=t", ALL, ["member"], b"one")
    assert [found.guid for found in sync.entries] == [guid_of(1), guid_of(2)]
    assert sync.cookie == b"four"
    assert [dirsync_cookie(request) for request in stub.asked] == [b"one", b"two", b"three"]


def test_dirsync_asks_for_tombstones():
    stub = pages(({**SUCCESS, "controls": sync_control(b"two", more_results=False)}, []))
    stub.session().dirsync("DC=t", ALL, ["member"], b"one")
    assert "1.2.840.113556.1.4.417" in [str(control["controlType"]) for control in stub.asked[0]["controls"]]


def test_dirsync_that_says_more_and_gives_nothing_does_not_go_on_for_ever():
    stub = Stub(lambda **_: ({**SUCCESS, "controls": sync_control(b"same", more_results=True)}, []))
    with pytest.raises(CursorRejected, match="more results"):
        stub.session().dirsync("DC=t", ALL, ["member"], b"same")


def test_dirsync_without_a_new_cookie_cannot_be_continued():
    with pytest.raises(CursorRejected, match="without a new cookie"):
        pages((SUCCESS, [entry(1)])).session().dirsync("DC=t", ALL, ["member"], b"one")
    with pytest.raises(DirSyncRefused, match="without a new cookie"):
        pages((SUCCESS, [entry(1)])).session().dirsync("DC=t", ALL, ["member"], b"")


@pytest.mark.parametrize("code", [1, 2, 3, 8, 10, 11, 12, 32, 50, 51, 52, 53, 80, 118, 4096])
def test_a_refused_cookie_and_refused_rights_are_told_apart_by_the_request(code):
    """Which codes a server chooses is not known in advance."""
    refused = failure(code, "refused", message="0000203D: LdapErr: DSID-0C09, comment: Error processing control of ann")
    with pytest.raises(CursorRejected, match=rf"refused, code {code}, 0000203D\)") as rejected:
        pages((refused, [])).session().dirsync("DC=t", ALL, ["member"], b"bad")
    assert "ann" not in str(rejected.value)
    with pytest.raises(DirSyncRefused):
        pages((refused, [])).session().dirsync("DC=t", ALL, ["member"], b"")


def test_a_cookie_refused_on_a_later_page_ends_like_one_refused_at_once():
    more = ({**SUCCESS, "controls": sync_control(b"two", more_results=True)}, [entry(1)])
    refused = (failure(2, "protocolError"), [])
    with pytest.raises(CursorRejected):
        pages(more, refused).session().dirsync("DC=t", ALL, ["member"], b"one")
    with pytest.raises(DirSyncRefused):
        pages(more, refused).session().dirsync("DC=t", ALL, ["member"], b"")


def test_a_connection_that_breaks_is_no_refusal_of_the_cookie():
    def answer(**_):
        raise LDAPSocketReceiveError("error receiving data: timed out")

    with pytest.raises(DirectoryIncomplete):
        Stub(answer).session().dirsync("DC=t", ALL, ["member"], b"one")


@pytest.mark.parametrize("code", [32, 50, 12, 80])
def test_a_refused_look_at_deleted_objects_is_no_error(code):
    """They only explain what a reading shows."""
    assert not pages((failure(code, "refused"), [])).session().sees_deleted_objects("DC=t")
    objects = ObjectReader(pages((failure(50, "refused"), [])).session(), SCOPE)
    assert objects.tombstones([guid_of(1)]) == frozenset()


@pytest.mark.parametrize(("values", "days"), [([b"180"], 180), (None, 60), ([b"2147483647"], 36_500)])
def test_the_lifetime_of_tombstones_is_read_from_the_configuration(values, days):
    def answer(base, **_):
        if not base:
            return SUCCESS, [{**entry(1), "raw_attributes": {"configurationNamingContext": [b"CN=Configuration,DC=t"]}}]
        assert base == "CN=Directory Service,CN=Windows NT,CN=Services,CN=Configuration,DC=t"
        return SUCCESS, [entry(1, tombstoneLifetime=values) if values else entry(1)]

    assert Stub(answer).session().tombstone_lifetime().days == days
    assert pages((failure(50, "refused"), [])).session().tombstone_lifetime().days == 60


def test_current_time_is_aware_utc():
    assert generalized_time("20261124053822.0Z") == datetime.datetime(
        2026, 11, 24, 5, 38, 22, tzinfo=datetime.timezone.utc
    )


# -- answers that ldap3 does not understand -----------------------------------------------------------


@pytest.mark.parametrize("code", [22, 70, 100, 500])
def test_a_result_code_without_a_name_is_a_refusal_like_any_other(code):
    """ldap3 looks for the code in a list of its own, and ends with a KeyError."""

    def answer(**_):
        raise KeyError(code)

    with pytest.raises(DirectoryRefused, match=f"code {code}"):
        Stub(answer).session().search("DC=t", ALL, ["cn"])
    with pytest.raises(CursorRejected, match=f"code {code}"):
        Stub(answer).session().dirsync("DC=t", ALL, ["member"], b"cookie")
    with pytest.raises(DirSyncRefused, match=f"code {code}"):
        Stub(answer).session().dirsync("DC=t", ALL, ["member"], b"")


@pytest.mark.parametrize("error", [IndexError("list index"), KeyError("controls"), PyAsn1Error("tag"), OSError("gone")])
def test_an_answer_that_ldap3_does_not_understand_is_no_answer(error):
    def answer(**_):
        raise error

    with pytest.raises(DirectoryIncomplete, match=type(error).__name__) as raised:
        Stub(answer).session().search("DC=t", ALL, ["cn"])
    assert not isinstance(raised.value, DirectoryRefused)
    with pytest.raises(DirectoryIncomplete):
        Stub(answer).session().dirsync("DC=t", ALL, ["member"], b"cookie")


# -- how long an answer is waited for -----------------------------------------------------------------


class FakeSocket:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def gettimeout(self) -> float:
        return self.seconds

    def settimeout(self, seconds: float) -> None:
        self.seconds = seconds


@pytest.mark.parametrize(
    ("cookie", "usual", "waited"),
    [(b"", 60.0, 900.0), (b"", 1200.0, 1200.0), (b"cookie", 60.0, 60.0)],
    ids=["first", "first, with a longer receive_timeout", "later"],
)
@pytest.mark.parametrize("code", [0, 51])
def test_the_first_dirsync_answer_may_take_minutes_and_no_other(cookie, usual, waited, code):
    """In a large domain a server is silent for minutes before it."""
    asked = []

    def answer(**_):
        asked.append(stub.socket.seconds)
        if code:
            return failure(code, "busy"), []
        return {**SUCCESS, "controls": sync_control(b"next", more_results=False)}, []

    stub = Stub(answer)
    stub.socket = FakeSocket(usual)
    with contextlib.suppress(CursorRejected, DirSyncRefused):
        stub.session().dirsync("DC=t", ALL, ["member"], cookie)
    assert (asked, stub.socket.seconds) == ([waited], usual)
