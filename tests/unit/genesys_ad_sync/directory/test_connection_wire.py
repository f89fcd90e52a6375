"""The bytes that a connection sends, kept by a listener: a password never leaves the machine in clear by accident."""

import ldap3
import pytest

from genesys_ad_sync.directory.connection import LdapSettings, Transport, connect
from genesys_ad_sync.errors import DirectoryUnreachable, GroupSyncError, SettingsError
from tests.support.ldap_listener import accept_login, listening

PASSWORD = "s3cret-word"
LOGIN = "svc@example.com"


def settings(*hosts, port=None, transport=Transport.LDAPS, password=PASSWORD, **more):
    return LdapSettings(hosts, LOGIN, password, port=port, transport=transport, receive_timeout=1, **more)


@pytest.mark.parametrize(
    ("scheme", "transport"),
    [
        ("ldap://", Transport.LDAPS),
        ("LDAP://", Transport.LDAPS),
        ("ldapi://", Transport.LDAPS),
        ("ldaps://", Transport.STARTTLS),
        ("ldaps://", Transport.PLAIN),
        ("http://", Transport.LDAPS),
    ],
)
@pytest.mark.parametrize("position", ["only", "first", "second"])
def test_a_scheme_that_contradicts_the_transport_sends_nothing_to_anybody(scheme, transport, position):
    with listening() as listener:
        odd, good = f"{scheme}127.0.0.1:{listener.port}", f"127.0.0.1:{listener.port}"
        hosts = {"only": [odd], "first": [odd, good], "second": [good, odd]}[position]
        with pytest.raises(SettingsError, match="transport"):
            connect(settings(*hosts, transport=transport))
        assert listener.received == []


@pytest.mark.parametrize("transport", [Transport.LDAPS, Transport.STARTTLS])
@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "ldap://127.0.0.1:{port}", "ldaps://127.0.0.1:{port}"])
def test_no_way_of_writing_a_host_sends_the_password_in_clear(transport, host):
    with listening() as listener:
        with pytest.raises(GroupSyncError):
            connect(settings(host.format(port=listener.port), transport=transport))
        assert PASSWORD.encode() not in listener.everything
        assert LOGIN.encode() not in listener.everything


def test_a_start_of_tls_that_did_not_happen_ends_before_the_login(monkeypatch):
    from genesys_ad_sync.directory import connection

    monkeypatch.setattr(connection.ldap3.Connection, "start_tls", lambda *_, **__: False)
    with listening() as listener:
        with pytest.raises(GroupSyncError, match="TLS"):
            connect(settings("127.0.0.1", port=listener.port, transport=Transport.STARTTLS))
        assert PASSWORD.encode() not in listener.everything


@pytest.mark.parametrize(
    "password",
    [
        "s²cret",
        "5 \u00b5m",
        "\ufb01ne",
        "a\u00a0b",
        "soft\u00adhyphen",
        "\uff41bc",
        "\u05e9\u05dc\u05d5\u05dd1",
        "e\u0301",
        "tab\there",
        "\ue000",
        "Å",
    ],
)
def test_the_password_goes_as_the_utf_8_bytes_that_were_typed(password):
    with listening() as listener:
        with connect(settings("127.0.0.1", port=listener.port, transport=Transport.PLAIN, password=password)):
            pass
        sent = password.encode("utf-8")
        # [0] simple, its length, the bytes: at the end of the bind request
        assert listener.received[0].startswith(b"0")
        assert bytes([0x80, len(sent)]) + sent in listener.received[0]


@pytest.mark.parametrize("sent_before", [126, 127, 254, 255, 70_000], ids=lambda number: f"{number} requests before")
def test_the_listener_knows_a_bind_however_many_requests_the_process_sent_before(monkeypatch, sent_before):
    # ldap3 counts message IDs for the whole process, so a long-lived test worker sends IDs of two and three bytes.
    monkeypatch.setattr(ldap3.Server, "_message_counter", sent_before)
    with listening() as listener, connect(settings("127.0.0.1", port=listener.port, transport=Transport.PLAIN)):
        pass


CUT_OFF = b"0\x03\x02\x01\x01"  # a message with an id and nothing else


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: accept_login(request, 51),  # busy
        lambda request: accept_login(request, 52),  # unavailable
        lambda request: accept_login(request, 53),  # unwillingToPerform
        lambda request: accept_login(request, 11),  # adminLimitExceeded
        lambda request: accept_login(request, 22),  # a code that LDAP does not define
        lambda request: accept_login(request, 100),
        lambda _: CUT_OFF,
        lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
        lambda _: b"0\x00",
    ],
    ids=["busy", "unavailable", "unwilling", "admin limit", "code 22", "code 100", "cut off", "http", "empty"],
)
def test_the_next_host_is_tried_whatever_a_host_answers_that_is_not_about_the_login(answer):
    with listening(answer) as odd, listening() as good:
        hosts = (f"127.0.0.1:{odd.port}", f"127.0.0.1:{good.port}")
        with connect(settings(*hosts, transport=Transport.PLAIN)):
            assert PASSWORD.encode() in good.everything
        with pytest.raises(DirectoryUnreachable):
            connect(settings(hosts[0], transport=Transport.PLAIN))
