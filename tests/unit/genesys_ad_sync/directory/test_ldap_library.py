"""What ldap3 must not alter, as bytes on the wire: names of attributes with options, and escaped values in filters.

ldap3 2.10.2rc4 alters both (`make test-ldap3`): additions would count as removals, and nobody would be found.
"""

from __future__ import annotations

import uuid

import pytest

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory import ldap_library
from genesys_ad_sync.directory.connection import LdapSettings, Transport, connect
from genesys_ad_sync.errors import SettingsError
from tests.support.ldap_listener import BIND, accept_login, listening

SEARCH, ENTRY, DONE = 0x63, 0x64, 0x65
OBJECT = uuid.UUID(int=1)


def tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes([tag, 0x82]) + len(body).to_bytes(2, "big") + body


def attribute(name: str, *values: bytes) -> bytes:
    return tlv(0x30, tlv(0x04, name.encode()), tlv(0x31, *(tlv(0x04, value) for value in values)))


def server(*attributes: bytes):
    """Answer a login, and every search with one entry of these attributes."""

    def answer(request: bytes) -> bytes | None:
        at = 2 + (request[1] & 0x7F if request[1] & 0x80 else 0)
        message_id, operation = request[at : at + 2 + request[at + 1]], request[at + 2 + request[at + 1]]
        if operation == BIND:
            return accept_login(request)
        if operation != SEARCH:
            return None
        entry = tlv(ENTRY, tlv(0x04, b"CN=x,DC=t"), tlv(0x30, *attributes))
        done = tlv(DONE, bytes([0x0A, 1, 0, 4, 0, 4, 0]))
        return tlv(0x30, message_id, entry) + tlv(0x30, message_id, done)

    return answer


def attributes_of(*attributes: bytes) -> dict[str, list[bytes]]:
    with listening(server(*attributes)) as listener:
        settings = LdapSettings(("127.0.0.1",), "reader", "x", port=listener.port, transport=Transport.PLAIN)
        with connect(settings) as session:
            (entry,) = session.search("DC=t", "(objectClass=*)", ["member"])
    return entry.attributes


def test_added_and_removed_members_of_one_group_stay_apart() -> None:
    found = attributes_of(attribute("member;range=1-1", b"new"), attribute("member;range=0-0", b"old", b"older"))
    assert found == {"member;range=1-1": [b"new"], "member;range=0-0": [b"old", b"older"]}


def test_a_range_beside_the_empty_attribute_stays_a_range() -> None:
    found = attributes_of(attribute("member"), attribute("member;range=0-1499", b"one"))
    assert found == {"member": [], "member;range=0-1499": [b"one"]}


def test_a_guid_in_a_filter_goes_out_as_bytes() -> None:
    with listening(server(attribute("objectGUID", OBJECT.bytes_le))) as listener:
        settings = LdapSettings(("127.0.0.1",), "reader", "x", port=listener.port, transport=Transport.PLAIN)
        with connect(settings) as session:
            session.search("DC=t", ctl.guid_filter([str(OBJECT)]), ["objectGUID"])
        assert OBJECT.bytes_le in listener.everything


def test_a_library_that_alters_filters_is_refused_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldap_library, "prepare_filter_for_sending", lambda text: text.encode())
    with listening(server()) as listener:
        settings = LdapSettings(("127.0.0.1",), "reader", "x", port=listener.port, transport=Transport.PLAIN)
        with pytest.raises(SettingsError, match="Install ldap3"):
            connect(settings)
        assert listener.received == []


def test_names_of_attributes_count_in_lower_case() -> None:
    assert attributes_of(attribute("objectGUID", OBJECT.bytes_le)) == {"objectguid": [OBJECT.bytes_le]}
