"""`msDS-ReplValueMetaData`: how it is read, and what it tells about the past. No server; see test_link_metadata."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ldap3.core.exceptions import LDAPSocketReceiveError

from genesys_ad_sync.directory import link_metadata
from genesys_ad_sync.directory.link_metadata import (
    ATTRIBUTE,
    LinkHistory,
    LinkRecord,
    MetadataReader,
    guids_by_dn,
    parse,
    parse_known,
    time_of,
)
from genesys_ad_sync.directory.membership import MembershipPolicy
from genesys_ad_sync.directory.past import rebuild_changes
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.errors import DirectoryIncomplete
from genesys_ad_sync.model import Action, Change
from genesys_ad_sync.names import dn_key
from tests.support.directory_stubs import SUCCESS, RangeServer, Stub, entry, guid_of
from tests.support.journal import T0, cursor, minutes, view

NEVER = "1601-01-01T00:00:00Z"


def xml(dn: str = "CN=Ann,DC=t", *, deleted: str = NEVER, version: int = 1, attribute: str = "member") -> bytes:
    return (
        f"<DS_REPL_VALUE_META_DATA>\n\t<pszAttributeName>{attribute}</pszAttributeName>\n"
        f"\t<pszObjectDn>{dn}</pszObjectDn>\n\t<cbData>0</cbData>\n\t<pbData></pbData>\n"
        f"\t<ftimeDeleted>{deleted}</ftimeDeleted>\n\t<ftimeCreated>2026-01-01T10:00:00Z</ftimeCreated>\n"
        f"\t<dwVersion>{version}</dwVersion>\n"
        "\t<ftimeLastOriginatingChange>2026-01-02T11:00:00Z</ftimeLastOriginatingChange>\n"
        "</DS_REPL_VALUE_META_DATA>\n\0"
    ).encode()


def test_a_present_member_has_the_time_of_its_last_change_and_was_never_deleted() -> None:
    (record,) = parse([xml()])
    assert record.member_dn == "CN=Ann,DC=t"
    assert record.changed_at == datetime(2026, 1, 2, 11, tzinfo=timezone.utc)
    assert record.created_at == datetime(2026, 1, 1, 10, tzinfo=timezone.utc)
    assert record.deleted_at is None


def test_a_removed_member_tells_when() -> None:
    (record,) = parse([xml(deleted="2026-01-02T11:00:00Z", version=2)])
    assert record.deleted_at == datetime(2026, 1, 2, 11, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("CN=R&D,DC=t", "CN=R&D,DC=t"),
        ("CN=R&amp;D,DC=t", "CN=R&D,DC=t"),
        ("CN=A <b>,DC=t", "CN=A <b>,DC=t"),
        ("CN=Arndt\\, Ann,DC=t", "CN=Arndt\\, Ann,DC=t"),
    ],
)
def test_a_dn_is_read_whether_or_not_it_was_escaped_for_xml(written: str, meant: str) -> None:
    assert parse([xml(written)])[0].member_dn == meant


def test_other_attributes_and_what_cannot_be_read_are_left_out() -> None:
    assert parse([xml(attribute="msDS-RevealedDSAs"), b"", b"<DS_REPL_VALUE_META_DATA>\0", xml()]) == parse([xml()])


@pytest.mark.parametrize(("version", "removed", "hidden"), [(1, False, 0), (2, True, 0), (3, False, 2), (4, True, 2)])
def test_the_version_tells_how_many_changes_have_no_time(version: int, removed: bool, hidden: int) -> None:
    (record,) = parse([xml(version=version, deleted="2026-01-02T11:00:00Z" if removed else NEVER)])
    assert record.changes_hidden == hidden


def test_all_ranges_are_read_and_the_unranged_name_beside_them_is_no_empty_attribute() -> None:
    server = RangeServer([xml(f"CN=u{number},DC=t") for number in range(2500)], step=1000)
    reader = MetadataReader(server.stub.session(), "DC=t")
    assert len(reader.records(guid_of(1))) == 2500
    assert reader.supported
    assert len(server.stub.asked) == 3
    assert all(request["attributes"][0].startswith("msDS-ReplValueMetaData;range=") for request in server.stub.asked)


def server_of_ranges(*parts: tuple[str, list[bytes]], code: int = 0, fail_at: int = 99) -> Stub:
    """Answer one (range, values) after the other, whatever is asked; ``fail_at``: the answer with ``code``."""
    waiting = list(parts)

    def answer(**_: object) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        if len(parts) - len(waiting) == fail_at:
            return {**SUCCESS, "result": code, "description": "broken"}, []
        found = entry(1)
        if waiting:
            low_high, values = waiting.pop(0)
            found["raw_attributes"][f"{ATTRIBUTE};range={low_high}"] = values
        return SUCCESS, [found]

    return Stub(answer)


def test_values_that_differ_from_request_to_request_are_read_all_the_same() -> None:
    """The XML carries usnLocalChange and the like, so that a value that is read twice need not be equal."""
    first, second = [xml(f"CN=u{n},DC=t") for n in range(3)], [xml(f"CN=u{n},DC=t", version=3) for n in range(3, 5)]
    reader = MetadataReader(server_of_ranges(("0-2", first), ("3-*", second)).session(), "DC=t")
    assert [record.member_dn for record in reader.records(guid_of(1))] == [f"CN=u{n},DC=t" for n in range(5)]


@pytest.mark.parametrize(
    "stub",
    [
        server_of_ranges(("0-9", [xml()])),  # not as many as the range says
        server_of_ranges(("0-0", [xml()]), ("5-*", [xml()])),  # a range that was not asked for
        server_of_ranges(("0-0", [xml()])),  # a later range that is missing
        *(server_of_ranges(code=code, fail_at=0) for code in (1, 2, 11, 16, 50, 53, 80)),
        server_of_ranges(("0-0", [xml()]), code=3, fail_at=1),
    ],
)
def test_times_that_cannot_be_read_are_no_error_but_counted(stub: Stub) -> None:
    reader = MetadataReader(stub.session(), "DC=t")
    assert reader.records(guid_of(1)) == []
    assert reader.unreadable == {guid_of(1)}
    assert "1 AD groups" in reader.notes()[0]


def test_a_broken_connection_is_an_error() -> None:
    def answer(**_: object) -> None:
        raise LDAPSocketReceiveError("timed out")

    with pytest.raises(DirectoryIncomplete):
        MetadataReader(Stub(answer).session(), "DC=t").records(guid_of(1))


@pytest.mark.parametrize("time", ["134399723640000000", "2026-01-02T11:00:00.123Z", "02.01.2026 11:00", ""])
def test_records_in_another_form_are_counted_and_said(time: str) -> None:
    odd = xml().replace(b"2026-01-02T11:00:00Z", time.encode())
    reader = MetadataReader(server_of_ranges(("0-*", [xml(), odd, odd, xml(attribute="x")])).session(), "DC=t")
    assert len(reader.records(guid_of(1))) == 1
    assert reader.supported
    assert "1 of 3 records" in reader.notes()[0]


@pytest.mark.parametrize("time", ["134399723640000000", "2026-01-02T11:00:00.5Z", "garbage"])
def test_a_removed_link_whose_end_cannot_be_read_is_no_present_one(time: str) -> None:
    """Else a window of the past would miss the removal without a word."""
    assert parse_known([xml(deleted=time, version=2)]) == ([], 1)
    assert parse_known([xml().replace(b"2026-01-01T10:00:00Z", time.encode())]) == ([], 1)


def test_an_odd_version_is_no_error() -> None:
    assert [record.version for record in parse([xml().replace(b"<dwVersion>1<", "<dwVersion>²<".encode())])] == [1]


def test_records_of_no_known_form_at_all_are_said_too() -> None:
    reader = MetadataReader(server_of_ranges(("0-*", [b"\x01binary", b"<x/>"])).session(), "DC=t")
    assert reader.records(guid_of(1)) == []
    assert "0 of 2 records" in reader.notes()[0]


def test_a_reading_ends_when_all_records_that_matter_have_come() -> None:
    """One added member in a group of 50,000 is no reason to read the times of all that ever were members."""
    dns = [f"CN=u{number},DC=t" for number in range(5000)]
    server = RangeServer([xml(dn) for dn in dns], step=1000)
    known = {dn_key(dn): guid_of(number) for number, dn in enumerate(dns)}
    reader = MetadataReader(server.stub.session(), "DC=t")
    history = reader.history({guid_of(7): {guid_of(10), guid_of(1500)}}, lambda: known)
    assert {guid_of(10), guid_of(1500)} <= history.members[guid_of(7)].keys()
    assert len(server.stub.asked) == 2


def test_a_large_group_is_not_read_to_its_end_for_a_time() -> None:
    server = RangeServer([xml(f"CN=u{number},DC=t") for number in range(50_000)], step=1000)
    reader = MetadataReader(server.stub.session(), "DC=t")
    reader.history({guid_of(7): {guid_of(9)}}, dict)
    assert len(server.stub.asked) == link_metadata.RANGES_FOR_TIMES
    assert "1 AD groups" in reader.notes()[0]


def test_a_server_without_the_attribute_is_asked_once() -> None:
    stub = Stub(lambda **_: (SUCCESS, [entry(1)]))
    reader = MetadataReader(stub.session(), "DC=t")
    assert [reader.records(guid_of(number)) for number in (1, 2, 3)] == [[], [], []]
    assert reader.supported is False
    assert len(stub.asked) == 2, "and whether the group has members at all"


def test_a_group_without_links_does_not_tell_whether_the_server_keeps_times() -> None:
    """Domain Users, say: everybody is in it by `primaryGroupID`."""
    stub = Stub(lambda **request: (SUCCESS, [] if request["ldap_filter"] == "(member=*)" else [entry(1)]))
    reader = MetadataReader(stub.session(), "DC=t")
    assert reader.records(guid_of(1)) == []
    assert reader.supported is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=Ann,DC=T", "cn=ann,dc=t"),
        ("CN=Arndt\\, Ann,DC=t", "CN=Arndt\\2C Ann,DC=t"),
        ("CN=J\\c3\\bcrgen,DC=t", "CN=Jürgen,DC=t"),
    ],
)
def test_the_same_dn_is_the_same_however_it_is_escaped(one: str, other: str) -> None:
    assert dn_key(one) == dn_key(other)


# -- times of changes --


def at(minute: float) -> datetime:
    return T0 + minutes(minute)


def link(changed: float, *, created: float | None = None, removed: bool = False, version: int = 1) -> LinkRecord:
    return LinkRecord("", at(changed if created is None else created), at(changed) if removed else None,
                      at(changed), version)  # fmt: skip


def delta(**links: str) -> Delta:
    """Build a delta from ``g="+u1 -u2"``."""
    changes = {
        group: tuple(frozenset(word[1:] for word in words.split() if word[0] == sign) for sign in "+-")
        for group, words in links.items()
    }
    return Delta(cursor(), T0, changes, frozenset(), frozenset(), {}, len(changes))  # type: ignore[arg-type]


def a_change(action: Action, *path: str, user: str = "u") -> Change:
    return Change(path[0], user, action, observed_at=at(10), observed_after=at(5), path=path)


def test_an_add_has_the_time_of_the_last_link_that_was_added_on_its_path() -> None:
    history = LinkHistory({"g": {"n": link(8)}, "n": {"u": link(7)}})
    change = a_change(Action.ADD, "g", "n")
    assert time_of(change, history, delta(g="+n", n="+u")) == at(8)
    assert time_of(change, history, delta(n="+u")) == at(7)


def test_a_removal_has_the_time_of_the_first_link_that_was_removed_on_its_path() -> None:
    history = LinkHistory({"g": {"n": link(8, removed=True)}, "n": {"u": link(7, removed=True)}})
    assert time_of(a_change(Action.REMOVE, "g", "n"), history, delta(g="-n", n="-u")) == at(7)


def test_a_change_for_another_reason_than_a_link_has_no_time() -> None:
    history = LinkHistory({"g": {"u": link(-5000)}})
    assert time_of(a_change(Action.ADD, "g"), history, delta()) is None  # was enabled, say
    assert time_of(a_change(Action.ADD, "g"), history, None) is None  # long before the last poll
    assert time_of(a_change(Action.REMOVE, "g"), history, delta(g="-u")) is None  # AD says: still a member


# -- the past --


def told(history: LinkHistory, start: float, end: float, now: dict[str, str], roots: str = "g") -> list[tuple]:
    policy = MembershipPolicy(nested=True, disabled_users="remove")
    changes = rebuild_changes(view(now), history, roots.split(), policy, start=at(start), end=at(end))
    assert all(change.origin == "metadata" for change in changes)
    return [
        (change.action.value, change.group_guid, change.user_guid, (change.changed_at - T0) / timedelta(minutes=1))
        for change in changes
        if change.changed_at
    ]


def test_the_past_is_rebuilt_from_links_and_the_window_is_half_open() -> None:
    history = LinkHistory({"g": {"u1": link(1), "u2": link(5, created=2, removed=True)}})
    now = {"g": "u1", "other": "u2"}
    assert told(history, 0, 10, now) == [("add", "g", "u1", 1), ("add", "g", "u2", 2), ("remove", "g", "u2", 5)]
    assert told(history, 1, 5, now) == [("add", "g", "u1", 1), ("add", "g", "u2", 2)]
    assert told(history, 5, 6, now) == [("remove", "g", "u2", 5)]
    assert told(history, 6, 10, now) == []


def test_a_nested_group_that_came_and_went_takes_its_people_with_it() -> None:
    history = LinkHistory({"g": {"n": link(6, created=3, removed=True)}, "n": {"u1": link(1), "u2": link(4)}})
    now = {"g": "", "n": "u1 u2"}
    assert told(history, 0, 10, now) == [
        ("add", "g", "u1", 3),
        ("add", "g", "u2", 4),
        ("remove", "g", "u1", 6),
        ("remove", "g", "u2", 6),
    ]


def test_a_member_without_a_record_was_always_there() -> None:
    assert told(LinkHistory({"g": {"u1": link(1)}}), 0, 10, {"g": "u1 u2"}) == [("add", "g", "u1", 1)]


def test_one_who_is_still_in_by_another_way_did_not_leave() -> None:
    history = LinkHistory({"g": {"u1": link(5, created=1, removed=True), "n": link(2)}, "n": {"u1": link(0)}})
    assert told(history, 0, 10, {"g": "n", "n": "u1"}) == [("add", "g", "u1", 1)]


def test_objects_are_known_by_their_dn() -> None:
    assert guids_by_dn(view({"g": "u1"})) == {"cn=g,dc=example": "g", "cn=u1,dc=example": "u1"}
