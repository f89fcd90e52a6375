"""Requests and answers as JSON: filters, controls, referrals and what servers say."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone
from typing import Any

import pytest

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.recording.exchange import Exchanges, as_json, from_json, said
from genesys_ad_sync.directory.recording.pseudonyms import Pseudonyms
from genesys_ad_sync.directory.recording.values import Values
from tests.support.directory_stubs import page_control, sync_control

P = Pseudonyms(bytes(32))
E = Exchanges(P, Values(P, lambda: datetime(2026, 1, 1, tzinfo=timezone.utc)))
GUIDS = [str(uuid.UUID(int=number)) for number in (1, 2)]


def answer(*entries: dict[str, Any], **result: Any) -> dict[str, Any]:
    found = {"result": 0, "description": "success", "message": "", "controls": {}, **result}
    return E.answer(found, entries)


def test_a_filter_by_guid_asks_for_the_pseudonyms() -> None:
    assert E.filter(ctl.guid_filter(GUIDS)) == ctl.guid_filter([P.guid(guid) for guid in GUIDS])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(&(objectClass=group)(!(cn=Ann*)))", f"(&(objectClass=group)(!(cn={P.name('Ann')}*)))"),
        ("(objectClass=*)", "(objectClass=*)"),
        ("(| (cn=a)\n(cn=b))", f"(| (cn={P.name('a')})\n(cn={P.name('b')}))"),
        ("(memberOf:1.2.840.113556.1.4.1941:=CN=Ann,DC=x)",
         f"(memberOf:1.2.840.113556.1.4.1941:={P.dn('CN=Ann,DC=x')})"),
        ("(primaryGroupID=513)", "(primaryGroupID=513)"),
    ],
)  # fmt: skip
def test_values_in_a_filter_are_replaced(text: str, expected: str) -> None:
    assert E.filter(text) == expected


@pytest.mark.parametrize("text", ["cn=Ann", "(cn=Ann", "(cn=Ann))x", "(&(cn=a)Ann(cn=b))", "((cn=Ann))Ann"])
def test_a_filter_that_cannot_be_taken_apart_is_hashed(text: str) -> None:
    assert "Ann" not in E.filter(text)


def test_a_dirsync_request_keeps_flags_and_cookie_apart_from_names() -> None:
    control = [ctl.dirsync_control(b"opaque-cookie"), ctl.show_deleted(), ctl.extended_dn()]
    found = E.request("DC=corp", "(objectClass=*)", "SUBTREE", {"attributes": ["cn"], "controls": control})
    sync, deleted, extended = found["controls"]
    assert sync["flags"] == -(2**31) + 1
    assert from_json(sync["cookie"]) == P.opaque(b"opaque-cookie")
    assert deleted == {"oid": "1.2.840.113556.1.4.417", "critical": False}
    assert extended["value"]
    assert found["base"] == P.dn("DC=corp")


def test_pages_have_cookies_of_their_own() -> None:
    asked = E.request("DC=c", "(cn=*)", "SUBTREE", {"paged_size": 500, "paged_cookie": b"page"})
    answered = answer(controls=page_control(b"page"))["controls"][ctl.PAGED_RESULTS]
    assert asked["page"] == {"size": 500, "cookie": answered["cookie"]}
    assert from_json(answered["cookie"]) == P.opaque(b"page")


def test_an_answer_keeps_dirsync_ranges_and_empty_attributes() -> None:
    entry = {
        "type": "searchResEntry",
        "dn": f"<GUID={GUIDS[0]}>;CN=Ann,DC=corp",
        "raw_attributes": {"member;range=1-1": [f"<GUID={GUIDS[1]}>;CN=Bob,DC=corp".encode()], "isDeleted": None},
    }
    found = answer(entry, controls=sync_control(b"next", more_results=True))
    assert found["entries"] == [
        {
            "dn": P.dn(entry["dn"]),
            "attributes": {"member;range=1-1": [P.dn(f"<GUID={GUIDS[1]}>;CN=Bob,DC=corp")], "isDeleted": None},
        }
    ]
    assert found["controls"][ctl.DIRSYNC]["more_results"] is True


def test_a_control_of_an_unknown_kind_leaves_no_value() -> None:
    assert answer(controls={"1.2.3": {"value": b"Ann", "description": "Ann"}})["controls"] == {"1.2.3": {}}


def test_referrals_keep_their_shape() -> None:
    reference = {"type": "searchResRef", "uri": ["ldap://child.corp.test:389/DC=child,DC=corp,DC=test??sub"]}
    found = answer(reference, dn="OU=Ann,DC=corp", referrals=["ldaps://dc.corp.test/CN=Ann", "Ann"])
    text = json.dumps(found)
    for name in ("Ann", "corp", "child"):
        assert name not in text
    (uri,) = found["entries"][0]["references"]
    assert uri.startswith(f"ldap://{P.name('child')}.{P.name('corp')}.{P.name('test')}:389/DC=x")
    assert uri.endswith("??sub")


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("0000203D: LdapErr: DSID-0C090F0F, comment: Error processing control, data 0, v4563\x00",
         "0000203D, LdapErr, DSID-0C090F0F, comment: Error processing control, data 0"),
        ("0000208D: NameErr: DSID-0310028B, problem 2001 (NO_OBJECT), data 0, best match of:\n\t'OU=Ann,DC=corp'",
         "0000208D, NameErr, DSID-0310028B, problem 2001 (NO_OBJECT), data 0"),
        ("No such Base DN: CN=Ann,DC=corp", ""),
        (None, ""),
    ],
)  # fmt: skip
def test_what_a_server_says_is_kept_without_names(message: str | None, kept: str) -> None:
    assert said(message) == kept


def test_a_refusal_is_recorded_without_names() -> None:
    found = answer(
        result=32, description="noSuchObject", message="0000208D: NameErr: best match of 'OU=Ann'", dn="OU=Ann"
    )
    assert found["result"] == 32
    assert found["message"] == "0000208D, NameErr"
    assert found["matched"] == P.dn("OU=Ann")


@pytest.mark.parametrize("value", [b"", b"text", "grün\n".encode(), b"\x00", b"\xff\xfe", b'{"base64":""}'])
def test_bytes_come_back_from_json(value: bytes) -> None:
    assert from_json(json.loads(json.dumps(as_json(value)))) == value
