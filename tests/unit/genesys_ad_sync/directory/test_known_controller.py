"""Which domain controller goes first where the connection's host is a name of several."""

import dataclasses

import pytest

from genesys_ad_sync.directory import connection
from genesys_ad_sync.directory.connection import LdapSettings, _open_known
from genesys_ad_sync.directory.hosts import Host, Transport
from genesys_ad_sync.directory.known_controller import on_known_controller
from tests.support.fake_directory_session import ROOT, FakeSession

DC1 = dataclasses.replace(ROOT, domain_controller="DC1.example.com", naming_context="DC=example,DC=com")
DC2 = dataclasses.replace(DC1, domain_controller="dc2.example.com")


@dataclasses.dataclass
class Session(FakeSession):
    """``reaches``: names -> sessions that can be opened."""

    host: str = "example.com"
    reaches: dict = dataclasses.field(default_factory=dict)
    closed: bool = False

    def __post_init__(self):
        self.tried = []
        self.elsewhere = self._open

    def _open(self, name):
        self.tried.append(name)
        return self.reaches.get(name)

    def close(self):
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def chosen(session, name):
    with on_known_controller(session, name) as used:
        return used


def test_the_known_one_is_used_and_closed():
    other = Session(root=DC1)
    assert chosen(Session(root=DC2, reaches={"dc1.example.com": other}), "dc1.example.com") is other
    assert other.closed


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("example.com", "dc2.example.com"),  # it answered by itself
        ("dc2.example.com", "dc1.example.com"),  # the connection names the one that answered
        ("DC2.example.com.", "dc1.example.com"),
        ("DC2", "dc1.example.com"),  # by the first part of its name
        ("dc1", "dc1.example.com"),
        ("example.com", "dc1.attacker.test"),
        ("example.com", "dc1.notexample.com"),
        ("example.com", None),
    ],
)
def test_nothing_else_is_tried_where_there_is_no_choice(host, name):
    session = Session(root=DC2, host=host)
    assert chosen(session, name) is session
    assert session.tried == []


def test_where_another_one_answers_under_its_name_the_given_host_is_used():
    other = Session(root=DC2)
    session = Session(root=DC2, reaches={"dc1.example.com": other})
    assert chosen(session, "dc1.example.com") is session
    assert other.closed


def test_where_it_does_not_answer_the_given_host_is_used():
    session = Session(root=DC2)
    assert chosen(session, "dc1.example.com") is session
    assert session.tried == ["dc1.example.com"]


def test_a_session_by_address_asks_nothing():
    session = Session(root=DC2)
    session.elsewhere = None
    session.root_dse = None
    assert chosen(session, "dc1.example.com") is session


def test_port_and_protection_are_those_of_the_host_and_the_certificate_must_carry_the_name(monkeypatch):
    opened = []
    monkeypatch.setattr(connection, "_connect_to", lambda host, *_: opened.append(host))
    settings = LdapSettings(("example.com:3269",), "reader", "x", transport=Transport.LDAPS, server_name="example.com")
    _open_known("dc1.example.com", Host("example.com", 3269, "example.com"), settings, None)
    assert opened == [Host("dc1.example.com", 3269, "dc1.example.com")]


@pytest.mark.parametrize(
    "own", ["DC1.example.com", "dc1.example.com:636", "ldaps://dc1.example.com.", "dc1", "DC1:636"]
)
def test_hosts_that_the_connection_names_keep_their_order(monkeypatch, own):
    monkeypatch.setattr(connection, "_connect_to", lambda *_: pytest.fail("not to be tried"))
    settings = LdapSettings(("example.com", own), "reader", "x")
    assert _open_known("dc1.example.com", Host("example.com", 636, "example.com"), settings, None) is None
