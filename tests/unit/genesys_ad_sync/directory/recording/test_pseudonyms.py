"""Keyed hashes keep equality and structure, and nothing else."""

from __future__ import annotations

import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesys_ad_sync import names
from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory import up_to_dateness
from genesys_ad_sync.directory.recording.pseudonyms import Pseudonyms

P = Pseudonyms(bytes(32))
GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
OTHER_GUID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
SID = "S-1-5-21-11-22-33-4711"


def test_equal_names_stay_equal_and_others_differ() -> None:
    assert P.name("Ann Example") == P.name("ann  EXAMPLE")
    assert P.name("Ann") != P.name("Anna")
    assert P.name("") == ""


def test_another_key_gives_other_pseudonyms() -> None:
    other = Pseudonyms(b"k" * 32)
    assert other.name("Ann") != P.name("Ann")
    assert other.guid(GUID) != P.guid(GUID)
    assert other.sid(SID) != P.sid(SID)
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonyms(b"short")


def test_a_dn_keeps_types_depth_and_parents() -> None:
    child, parent = P.dn("CN=Ann,OU=Sales,DC=corp,DC=test"), P.dn("ou=SALES, dc=Corp,DC=test")
    assert names.is_below(names.normal_dn(child), names.normal_dn(parent))
    assert [rdn[0][0] for rdn in names.normal_dn(child)] == ["cn", "ou", "dc", "dc"]
    assert "ann" not in child.lower()
    assert P.dn("CN=a+OU=b,DC=c").count("+") == 1


def test_commas_in_names_stay_in_one_part() -> None:
    assert len(names.normal_dn(P.dn(r"CN=Example\, Ann,DC=test"))) == 2
    assert P.dn(r"CN=Example\, Ann,DC=test") == P.dn(r"CN=Example\2C Ann,DC=test")


def test_names_of_every_forest_stay() -> None:
    assert P.dn("CN=Deleted Objects,DC=corp").startswith("CN=Deleted Objects,DC=x")
    assert P.dn("OU=domain controllers,DC=corp").startswith("OU=Domain Controllers,")


def test_a_text_that_is_no_dn_is_one_name() -> None:
    assert P.dn("Ann Example") == P.name("Ann Example")
    assert "salary" not in P.dn("salary=100,DC=corp")
    assert "john" not in P.dn("<JOHN=smith>;CN=a").replace("JOHN", "")


def test_a_tombstone_keeps_its_form() -> None:
    found = P.dn(rf"CN=Ann\0ADEL:{GUID},CN=Deleted Objects,DC=corp")
    assert found == rf"CN={P.name('Ann')}\0ADEL:{P.guid(GUID)},CN=Deleted Objects,DC={P.name('corp')}"


def test_an_extended_dn_keeps_its_prefixes() -> None:
    found = P.dn(f"<TTL=3600>,<GUID={GUID}>;<SID={SID}>;CN=Ann,DC=corp")
    assert found == f"<TTL=3600>,<GUID={P.guid(GUID)}>;<SID={P.sid(SID)}>;{P.dn('CN=Ann,DC=corp')}"
    assert P.dn(f"<GUID={GUID}>") == f"<GUID={P.guid(GUID)}>"
    assert "secret" not in P.dn("<GUID=secret>;<SID=secret>;<TTL=secret>;CN=a,DC=b")


def test_a_guid_is_the_same_as_text_and_as_bytes() -> None:
    assert ctl.guid_of_bytes(P.guid_bytes(uuid.UUID(GUID).bytes_le)) == P.guid(GUID) == P.guid(GUID.upper())
    nobody = str(uuid.UUID(int=0))
    assert P.guid(nobody) == nobody
    assert P.text(GUID) == P.guid(GUID)


def test_a_sid_keeps_its_domain_and_matches_the_primary_group() -> None:
    one, other = P.sid(SID).split("-"), P.sid("S-1-5-21-11-22-33-4712").split("-")
    assert one[:-1] == other[:-1]
    assert one[-1] != other[-1]
    assert one[-1] == str(P.rid(4711))
    assert P.sid("S-1-5-21-11-22-33-513").endswith("-513")
    assert P.sid("S-1-5-21-11-22-34-4711").split("-")[4:7] != one[4:7]


@pytest.mark.parametrize("sid", ["S-1-5-32-544", "S-1-5-11", "S-1-1-0"])
def test_sids_of_every_domain_stay(sid: str) -> None:
    assert P.sid(sid) == sid


@pytest.mark.parametrize("sid", ["S-1-12-1-111-222-333-444", "S-1-5-80-1111-2222", "S-1-5-32-99999", "S-1-22-1-1000"])
def test_other_sids_are_hashed_in_their_length(sid: str) -> None:
    assert P.sid(sid) != sid
    assert P.sid(sid).count("-") == sid.count("-")


def test_a_sid_is_the_same_as_text_and_as_bytes() -> None:
    raw = bytes([1, 5]) + (5).to_bytes(6, "big") + struct.pack("<5I", 21, 11, 22, 33, 4711)
    assert ctl.sid_of_bytes(P.sid_bytes(raw)) == P.sid(SID)
    for bad in (b"", raw[:-1], b"\1\0" + bytes(6)):
        with pytest.raises(ValueError, match="SID"):
            P.sid_bytes(bad)


@given(st.sets(st.integers(min_value=1000, max_value=2**32 - 1), min_size=2))
def test_different_rids_stay_different(rids: set[int]) -> None:
    found = {P.rid(rid) for rid in rids}
    assert len(found) == len(rids)
    assert min(found) >= 1000


def test_a_rid_never_becomes_one_that_every_domain_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(P, "_permuted", {4711: 512, 512: 513, 513: 60000}.__getitem__)
    assert P.rid(4711) == 60000


def test_mails_keep_prefix_and_parts() -> None:
    found = P.mail("SMTP:ann@Corp.test")
    assert found == f"SMTP:{P.name('ann')}@{P.name('corp')}.{P.name('test')}"
    assert P.mail("groß@a") != P.mail("gross@a")
    assert P.mail("ann") == P.name("ann")
    assert P.mail('"a@b"@corp.test').count("@") == 1


def cookie(*invocations: str, tail: bytes = b"") -> bytes:
    vector = struct.pack("<IIII", 1, 0, len(invocations), 0)
    vector += b"".join(uuid.UUID(guid).bytes_le + struct.pack("<Q", 40 + at) for at, guid in enumerate(invocations))
    head = struct.pack("<4sIQIII24x16s", b"MSDS", 3, 99, 0, 0, len(vector), uuid.UUID(GUID).bytes_le)
    return head + vector + tail


def test_a_cookie_keeps_its_structure() -> None:
    found = P.cookie(cookie(GUID, OTHER_GUID))
    assert up_to_dateness.of_cookie(found) == {P.guid(GUID): 40, P.guid(OTHER_GUID): 41}
    assert uuid.UUID(GUID).bytes_le not in found


@pytest.mark.parametrize("odd", [b"MSDS" + b"secret" * 20, b"secret", cookie(GUID, tail=b"secret"), cookie()])
def test_a_cookie_of_an_unknown_form_is_hashed_in_its_length(odd: bytes) -> None:
    found = P.cookie(odd)
    assert len(found) == len(odd)
    assert b"secret" not in found
    assert found == P.cookie(odd)
    assert P.cookie(b"") == b""
