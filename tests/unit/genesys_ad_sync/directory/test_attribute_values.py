"""Values of people and groups, as rules compare them: read from entries as the domain controller sends them."""

import base64
import dataclasses
import uuid

import pytest

from genesys_ad_sync.directory.objects import ObjectReader
from tests.support.fake_directory_session import SCOPE, FakeSession, entry

ONE = uuid.UUID("7c0b3a10-1111-4222-8333-0123456789ab")


def user(name, *values):
    """Return one person whose attribute has these values."""
    scope = dataclasses.replace(SCOPE, user_attributes=(name.lower(),))
    raw = {"objectClass": [b"user"], "userAccountControl": [b"512"], name: list(values)}
    reader = ObjectReader(FakeSession(found=[entry(7, **raw)]), scope)
    found = reader.fetch(["00000000-0000-0000-0000-000000000007"]).view
    return next(iter(found.users.values()))


def person(name, *values):
    """Return the first value that a rule sees."""
    return user(name, *values).attributes.get(name.lower())


@pytest.mark.parametrize("name", ["mS-DS-ConsistencyGuid", "msExchMailboxGuid"])
def test_a_guid_is_text_in_the_usual_form(name):
    assert person(name, ONE.bytes_le) == str(ONE)
    assert person(name, b"short") is None


@pytest.mark.parametrize("name", ["sIDHistory", "msExchMasterAccountSid"])
def test_a_former_sid_is_text_too(name):
    sid = bytes([1, 2]) + (5).to_bytes(6, "big") + (21).to_bytes(4, "little") + (513).to_bytes(4, "little")
    assert person(name, sid) == "S-1-5-21-513"


@pytest.mark.parametrize(
    "value", [b"", b"\x01", b"\x01\x05\0\0\0\0\0\x05", b"\x01\x01" + b"\0" * 12 + b"zz", b"S-1-5-21"]
)
def test_bytes_of_another_form_are_no_sid(value):
    """Zeros must not be made up for what is missing."""
    assert person("sIDHistory", value) is None


def test_binary_values_that_happen_to_be_utf_8_are_no_text():
    assert person("customId", b"\x01\0\0\x05") is None


def test_two_people_never_become_one_by_bytes_that_are_no_text():
    assert person("customId", b"\xff\xfe") is None
    assert person("customId", b"\xff\xfd") is None
    assert person("customId", base64.b64encode(ONE.bytes_le)) == base64.b64encode(ONE.bytes_le).decode()


def test_a_sid_is_text():
    sid = bytes([1, 2]) + (5).to_bytes(6, "big") + (21).to_bytes(4, "little") + (513).to_bytes(4, "little")
    scope = dataclasses.replace(SCOPE, user_attributes=("objectsid",))
    raw = {"objectClass": [b"user"], "userAccountControl": [b"512"], "objectSid": [sid]}
    found = ObjectReader(FakeSession(found=[entry(7, **raw)]), scope).fetch(["00000000-0000-0000-0000-000000000007"])
    assert next(iter(found.view.users.values())).attributes["objectsid"] == "S-1-5-21-513"


@pytest.mark.parametrize(
    ("values", "address"),
    [
        (["smtp:old@t", "SMTP:ann@t", "X500:/o=t/cn=ann", "SIP:ann@t"], "ann@t"),
        (["smtp:b@t", "smtp:a@t"], "a@t"),
        (["X500:/o=t/cn=ann", "SIP:ann@t"], None),
        (["ann@t"], None),
        (["Smtp:b@t", "sMTP:c@t", "SMTP:ann@t"], "ann@t"),
        (["Smtp:b@t"], "b@t"),
        (["SMTP: ann@t", "smtp:b@t"], "ann@t"),
        (["SMTP:", "smtp:b@t"], "b@t"),
        (["smtp:"], None),
    ],
)
def test_proxy_addresses_are_the_primary_mail_address(values, address):
    assert person("proxyAddresses", *(value.encode() for value in values)) == address


def test_all_mail_addresses_are_kept_the_primary_one_first():
    values = [b"smtp:z@t", b"SMTP:ann@t", b"X500:/o=t", b"smtp:b@t", b"smtp:b@t"]
    assert user("proxyAddresses", *values).ranked_values == {"proxyaddresses": (("ann@t",), ("b@t", "z@t"))}
    assert user("proxyAddresses", b"smtp:b@t", b"smtp:a@t").ranked_values == {"proxyaddresses": (("a@t", "b@t"),)}
    assert user("proxyAddresses", b"SMTP:ann@t").ranked_values == {}


def test_values_of_other_attributes_are_all_kept_whatever_their_order():
    for values in ([b"b@t", b"a@t"], [b"a@t", b"b@t"]):
        assert user("otherMailbox", *values).ranked_values == {"othermailbox": (("a@t", "b@t"),)}
        assert person("otherMailbox", *values) == "a@t"


def test_a_value_that_is_no_text_hides_no_other():
    assert person("customId", b"\xff\xfe", b"ok") == "ok"
