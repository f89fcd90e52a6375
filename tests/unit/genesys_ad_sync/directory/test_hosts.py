"""Hosts of the connection: read by us, once, and exactly."""

import pytest

from genesys_ad_sync.directory.hosts import BadHost, Host, Transport, parse_hosts
from genesys_ad_sync.errors import SettingsError


def parsed(text, port=None, transport=Transport.LDAPS, server_name=None):
    return parse_hosts([text], port, transport, server_name)[0]


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("dc1", "dc1", 636),
        (" dc1.example.com ", "dc1.example.com", 636),
        ("dc1.example.com.", "dc1.example.com.", 636),
        ("DC_1.example.com:1636", "DC_1.example.com", 1636),
        ("10.0.0.1", "10.0.0.1", 636),
        ("10.0.0.1:3269", "10.0.0.1", 3269),
        ("::1", "::1", 636),
        ("[fd00::1]", "fd00::1", 636),
        ("[fd00::1]:1636", "fd00::1", 1636),
        ("ldaps://dc1", "dc1", 636),
        ("LDAPS://dc1:1636/", "dc1", 1636),
        ("ldaps://[fd00::1]:1636", "fd00::1", 1636),
    ],
)
def test_names_addresses_and_ports(text, name, port):
    assert parsed(text) == Host(name, port, name.rstrip("."))


def test_the_port_of_the_connection_counts_where_the_host_has_none():
    assert parsed("dc1", port=1636).port == 1636
    assert parsed("dc1:2636", port=1636).port == 2636
    assert [parsed("ldap://dc1", transport=t).port for t in (Transport.STARTTLS, Transport.PLAIN)] == [389, 389]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ":636",
            "dc1:",
            "dc1:abc",
            "dc1:0",
            "dc1:65536",
            "dc1:-1",
            "dc1:6 36",
            "dc1:\uff16\uff13\uff16",
            "dc1:636:636",
        ),
        *("dc 1", "dc1/x", "dc1?x", "dc1#x", "dc1;dc2", "dc1\nx", "-dc1", "dc1-", "dc1..example.com", ".dc1", "dc1\\x"),
        *("a" * 64, ".".join(["a" * 60] * 5), "münchen.example.com", "dc\uff11", "\uff44c1"),
        *("10.0.0.256", "10.1", "2130706433", "0x7f000001", "127.0.0.0x1", "010.0.0.1"),
        *("[::1", "::1]", "[dc1]", "[10.0.0.1]", "[::1]636", "[::1]:", "[::g]", "fe80::1%eth0", "[fe80::1%eth0]:636"),
        *("ldaps://", "ldaps://ldap://dc1", "ldaps://dc1/dc=x", "ldaps:dc1", "//dc1", "ldaps:/dc1"),
    ],
)
def test_everything_else_is_bad_and_says_why(text):
    found = parsed(text)
    assert isinstance(found, BadHost)
    assert found.problem


def test_what_may_hold_a_password_is_not_shown():
    found = parsed("ldaps://svc:s3cret@dc1")
    assert isinstance(found, BadHost)
    assert "s3cret" not in f"{found} {found.problem}"


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_wrong_port_of_the_connection_is_named(port):
    with pytest.raises(SettingsError, match="`port`"):
        parsed("dc1", port=port)


def test_one_server_name_for_all_or_one_for_each():
    hosts = ["10.0.0.1", "10.0.0.2", "dc3.t"]

    def names(text):
        return [host.server_name for host in parse_hosts(hosts, None, Transport.LDAPS, text)]

    assert names(None) == hosts
    assert names("dc.t") == ["dc.t"] * 3
    assert names("dc1.t, dc2.t,") == ["dc1.t", "dc2.t", "dc3.t"]
    with pytest.raises(SettingsError, match="2 names for 3 hosts"):
        names("dc1.t,dc2.t")
    with pytest.raises(SettingsError, match="not a DNS name"):
        names("https://dc.t")


@pytest.mark.parametrize(
    ("name", "remedy"), [("*.example.com", "full name of the host"), ("[fd00::1]", "without brackets")]
)
def test_a_name_that_was_copied_from_a_certificate_gets_a_remedy_that_helps(name, remedy):
    with pytest.raises(SettingsError, match=remedy):
        parsed("dc1", server_name=name)


def test_what_cannot_be_seen_in_a_host_is_shown():
    assert str(parsed("dc1\u200b")) == "dc1\u27e8U+200B\u27e9"
    assert "\n" not in str(parsed("dc1\ndc2"))


@pytest.mark.parametrize("given", ["dc1.example.com.", " dc1.example.com. "])
def test_a_dot_at_the_end_of_a_name_is_in_no_certificate(given):
    for host, server_name in ((given, None), ("10.0.0.1", given)):
        (parsed,) = parse_hosts([host], None, Transport.LDAPS, server_name)
        assert parsed.server_name == "dc1.example.com"
