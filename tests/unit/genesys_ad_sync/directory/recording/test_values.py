"""No value of a person gets into a recording, whatever its attribute is."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesys_ad_sync.directory.accounts import state_of
from genesys_ad_sync.directory.entries import Entry
from genesys_ad_sync.directory.link_metadata import parse_known
from genesys_ad_sync.directory.recording import values as module
from genesys_ad_sync.directory.recording.pseudonyms import Pseudonyms
from genesys_ad_sync.directory.recording.values import Values
from genesys_ad_sync.model import AccountState

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)
P = Pseudonyms(bytes(32))
V = Values(P, lambda: NOW)
GUID = uuid.UUID(int=4711)
SECRET = "Geheimnis"
NAMED = [
    *sorted(module._OBJECT_NAMES | module._GUIDS | module._SIDS | module._DNS_NAMES | module._RIDS | module._METADATA),
    *("objectclass", "useraccountcontrol", "accountexpires", "repluptodatevector"),
]


def one(attribute: str, value: bytes) -> bytes:
    (found,) = V.replaced(attribute, [value])
    return found


@pytest.mark.parametrize("attribute", [*NAMED, "cn", "mail", "info", "employeeNumber", "unicodePwd", "jpegPhoto"])
@pytest.mark.parametrize(
    "text",
    [
        SECRET, f"CN={SECRET},DC=x", f"{SECRET}@{SECRET}.test", f"<GUID={SECRET}>;CN={SECRET}", f"SMTP:{SECRET}",
        f"<A>\n<pszObjectDn>{SECRET}</pszObjectDn><ftimeX>{SECRET} x</ftimeX>{SECRET}<B>{SECRET}</B></A>",
        f"S-1-5-{SECRET}", f"{SECRET}={SECRET}", f"\x00{SECRET}\xff",
    ],
)  # fmt: skip
def test_no_secret_comes_through(attribute: str, text: str) -> None:
    for raw in (text.encode(), text.encode("utf-16-le"), text.encode("latin-1")):
        found = one(attribute, raw)
        assert SECRET.lower().encode() not in found.lower()
        assert SECRET.encode("utf-16-le") not in found


@given(st.text(min_size=8))
def test_a_value_of_an_unknown_attribute_is_never_itself(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    assert one("extensionAttribute1", raw) != raw or not text.strip()


def test_options_do_not_hide_the_attribute() -> None:
    value = f"<GUID={GUID}>;CN=Ann,DC=corp".encode()
    assert one("member;range=0-1499", value) == one("MEMBER;range=1-1", value) == P.dn(value.decode()).encode()


def test_what_every_server_has_stays() -> None:
    for attribute, value in (("currentTime", b"20261130142402.0Z"), ("objectClass", b"user"), ("isDeleted", b"TRUE")):
        assert one(attribute, value) == value
    assert one("objectClass", b"contosoBadge") != b"contosoBadge"


def test_equal_values_are_equal_in_different_attributes() -> None:
    assert one("cn", b"Ann") == one("displayName", b"ANN") == P.name("ann").encode()
    assert one("objectGUID", GUID.bytes_le) == one("mS-DS-ConsistencyGuid", GUID.bytes_le)
    assert one("extensionAttribute1", str(GUID).encode()) == P.guid(str(GUID)).encode()


def test_of_an_account_only_its_kind_and_whether_it_is_disabled_stay() -> None:
    assert one("userAccountControl", b"66050") == b"514"  # with "password never expires"
    assert one("userAccountControl", b"4096") == b"4096"


@pytest.mark.parametrize(
    ("days", "state"), [(-1, AccountState.EXPIRED), (1, AccountState.ENABLED), (None, AccountState.ENABLED)]
)
def test_of_the_end_of_an_account_only_stays_whether_it_is_over(days: int | None, state: AccountState) -> None:
    begun = datetime(1601, 1, 1, tzinfo=timezone.utc)
    ticks = 0 if days is None else (NOW + timedelta(days=days) - begun) // timedelta(microseconds=1) * 10
    found = one("accountExpires", str(ticks).encode())
    assert (found == str(ticks).encode()) is (days is None)
    entry = Entry("CN=a", {"useraccountcontrol": [b"512"], "accountexpires": [found]})
    assert state_of(entry, NOW) is state


def test_times_of_memberships_can_still_be_read() -> None:
    value = (
        b"<DS_REPL_VALUE_META_DATA>\n\t<pszAttributeName>member</pszAttributeName>\n\t<pszObjectDn>CN=A & B,DC=corp"
        b"</pszObjectDn>\n\t<cbData>0</cbData>\n\t<pbData></pbData>\n\t<ftimeDeleted>1601-01-01T00:00:00Z</ftimeDeleted>"
        b"\n\t<ftimeCreated>2026-01-02T03:04:05Z</ftimeCreated>\n\t<dwVersion>3</dwVersion>\n\t"
        b"<ftimeLastOriginatingChange>2026-01-02T03:04:05Z</ftimeLastOriginatingChange>\n\t"
        b"<uuidLastOriginatingDsaInvocationID>0f8fad5b-d9cb-469f-a165-70867728950e</uuidLastOriginatingDsaInvocationID>"
        b"\n</DS_REPL_VALUE_META_DATA>\n\x00"
    )
    found = one("msDS-ReplValueMetaData;range=0-*", value)
    (before,), (after,) = parse_known([value])[0], parse_known([found])[0]
    assert after.member_dn == P.dn("CN=A & B,DC=corp")
    assert (after.created_at, after.changed_at, after.version) == (before.created_at, before.changed_at, 3)
    assert found.endswith(b"\x00")
    assert b"0f8fad5b" not in found
