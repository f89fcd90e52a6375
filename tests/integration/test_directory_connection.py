"""Connecting to a real domain controller (Samba): verified, or refused with one clear message."""

import dataclasses
import json
import socket
import time
from pathlib import Path

import ldap3
import pytest

from genesys_ad_sync.directory.connection import LdapSettings, Transport, connect
from genesys_ad_sync.errors import (
    DirectoryBindError,
    DirectoryCertificateError,
    DirectoryIncomplete,
    DirectoryNotFound,
    DirectoryUnreachable,
    SettingsError,
)
from genesys_ad_sync_airflow.active_directory.hook import ActiveDirectoryHook


@pytest.fixture
def settings(shared_directory) -> LdapSettings:
    directory = shared_directory
    return LdapSettings(
        hosts=(directory.host,),
        login=directory.reader_login,
        password=directory.reader_password,
        ca_certs_file=directory.ca_certs_file,
        server_name=directory.server_name,
        base_dn=directory.base_dn,
        connect_timeout=60,
        receive_timeout=300,
    )


@pytest.fixture
def nobody():
    """Return an address where nothing listens."""
    return "127.3.2.1"


def test_verified_ldaps_tells_who_answers(settings, shared_directory):
    before = int(time.time())  # whole seconds, as currentTime
    with connect(settings) as session:
        root = session.root_dse()
    assert root.domain_controller == shared_directory.server_name
    assert root.naming_context == shared_directory.base_dn
    assert root.highest_committed_usn > 0
    assert len(root.invocation_id) == 36
    assert before <= root.current_time.timestamp() <= time.time()
    assert "1.2.840.113556.1.4.841" in root.supported_controls


def test_starttls_is_verified_too(settings, shared_directory):
    starttls = dataclasses.replace(settings, transport=Transport.STARTTLS)
    with connect(starttls) as session:
        assert session.root_dse().naming_context == shared_directory.base_dn
    wrong = dataclasses.replace(starttls, ca_certs_file=shared_directory.untrusted_ca_certs_file)
    with pytest.raises(DirectoryCertificateError):
        connect(wrong)


@pytest.mark.parametrize("transport", [Transport.LDAPS, Transport.STARTTLS])
def test_the_login_does_not_wait_for_an_acknowledgement(settings, transport):
    with connect(dataclasses.replace(settings, transport=transport)) as session:
        assert session.connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_address_in_the_certificate_is_enough_without_a_server_name(settings):
    with connect(dataclasses.replace(settings, server_name=None)) as session:
        assert session.requests == 1  # the look at base_dn


@pytest.mark.parametrize("transport", [Transport.LDAPS, Transport.STARTTLS])
def test_a_foreign_certificate_authority_is_refused_with_the_remedy(settings, shared_directory, transport):
    foreign = dataclasses.replace(settings, transport=transport, ca_certs_file=shared_directory.untrusted_ca_certs_file)
    with pytest.raises(DirectoryCertificateError, match="ca_certs_file"):
        connect(foreign)
    with pytest.raises(DirectoryCertificateError, match="authorities of this system are used"):
        connect(dataclasses.replace(foreign, ca_certs_file=None))


def test_the_certificate_authority_as_text_is_enough(settings, shared_directory):
    text = Path(shared_directory.ca_certs_file).read_text()
    with connect(dataclasses.replace(settings, ca_certs_file=None, ca_certs=text)):
        pass


def test_another_name_in_the_certificate_is_refused_with_the_remedy(settings):
    with pytest.raises(DirectoryCertificateError, match="Set `server_name`"):
        connect(dataclasses.replace(settings, server_name="dc9.example.com"))


def test_a_missing_or_broken_ca_file_is_named(settings, tmp_path):
    with pytest.raises(DirectoryCertificateError, match=r"does not exist.*gone\.pem"):
        connect(dataclasses.replace(settings, ca_certs_file=str(tmp_path / "gone.pem")))
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(DirectoryCertificateError, match=r"bad\.pem"):
        connect(dataclasses.replace(settings, ca_certs_file=str(tmp_path / "bad.pem")))


def test_a_certificate_error_is_not_hidden_behind_an_unreachable_one(settings, nobody):
    both = dataclasses.replace(settings, hosts=(*settings.hosts, nobody), server_name="dc9.example.com")
    with pytest.raises(DirectoryCertificateError, match=nobody):
        connect(both)


def test_a_wrong_password_is_said_and_shown_to_nobody(settings):
    with pytest.raises(DirectoryBindError, match="login or password is wrong") as refused:
        connect(dataclasses.replace(settings, password="Wr0ng!secret"))
    assert "Wr0ng!secret" not in str(refused.value)


def test_an_unprotected_login_is_refused_by_the_server_and_explained(settings):
    with pytest.raises(DirectoryBindError, match="ldaps or starttls"):
        connect(dataclasses.replace(settings, transport=Transport.PLAIN))


def test_unreachable_names_every_domain_controller_and_why(settings, nobody):
    with pytest.raises(DirectoryUnreachable, match=rf"{nobody}.*refused.*dc\.invalid"):
        connect(dataclasses.replace(settings, hosts=(nobody, "dc.invalid")))


def test_the_next_domain_controller_is_used(settings, nobody, caplog):
    with connect(dataclasses.replace(settings, hosts=(nobody, *settings.hosts))) as session:
        assert session.host == settings.hosts[0]
    assert nobody in caplog.text


@pytest.mark.parametrize("bad", ["dc1:abc", "dc..example.com", "dc 1", "[::1", "127.1"])
def test_a_host_that_is_none_is_skipped_like_a_dead_one(settings, bad, caplog):
    with connect(dataclasses.replace(settings, hosts=(bad, *settings.hosts))) as session:
        assert session.host == settings.hosts[0]
    assert bad in caplog.text
    with pytest.raises(SettingsError, match="names no domain controller"):
        connect(dataclasses.replace(settings, hosts=(bad,)))


def test_each_host_is_compared_with_its_own_server_name(settings, nobody):
    hosts = (nobody, settings.hosts[0])
    with connect(dataclasses.replace(settings, hosts=hosts, server_name=f"dc9.example.com,{settings.server_name}")):
        pass
    with pytest.raises(DirectoryCertificateError):
        connect(dataclasses.replace(settings, hosts=hosts, server_name=f"{settings.server_name},dc9.example.com"))


def test_a_scheme_that_agrees_with_the_transport_is_harmless(settings):
    host = settings.hosts[0]
    with connect(dataclasses.replace(settings, hosts=(f"ldaps://{host}:636/",))):
        pass
    with connect(dataclasses.replace(settings, hosts=(f"ldap://{host}",), transport=Transport.STARTTLS)):
        pass


@pytest.mark.parametrize("password", ["\u00b5²-Passw0rd", "Pa\u00a0ss w0rd-\ufb01", "עברית-Latin1"])
def test_a_password_with_unusual_letters_logs_in(directory, password):
    admin = directory.ldap("admin")
    _, _, found, _ = admin.search(directory.base_dn, f"(userPrincipalName={directory.reader_login})")
    quoted = f'"{password}"'.encode("utf-16-le")
    done, result, _, _ = admin.modify(found[0]["dn"], {"unicodePwd": [(ldap3.MODIFY_REPLACE, [quoted])]})
    assert done, result
    with connect(
        LdapSettings((directory.host,), directory.reader_login, password, ca_certs_file=directory.ca_certs_file)
    ) as session:
        assert session.root_dse().naming_context == directory.base_dn


def test_a_base_dn_that_does_not_exist_is_named_with_the_remedy(settings):
    with pytest.raises(DirectoryNotFound, match=r"`base_dn`.*OU=Nowhere,DC=example,DC=com.*Correct it"):
        connect(dataclasses.replace(settings, base_dn="OU=Nowhere,DC=example,DC=com"))


def test_a_server_that_accepts_and_says_nothing_is_given_up_in_time(settings):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        started = time.monotonic()
        settings = dataclasses.replace(settings, connect_timeout=3600)
        with pytest.raises(DirectoryUnreachable, match="timed out"):
            connect(dataclasses.replace(settings, hosts=("127.0.0.1",), port=port, receive_timeout=1))
    assert time.monotonic() - started < 300


def test_a_domain_controller_that_freezes_or_dies_in_the_middle_is_incomplete(settings, directory):
    own = dataclasses.replace(
        settings, hosts=(directory.host,), ca_certs_file=directory.ca_certs_file, receive_timeout=5
    )
    pages = connect(own).search_paged(directory.base_dn, "(objectClass=user)", ["cn"], 100)
    next(pages)
    directory.freeze()
    with pytest.raises(DirectoryIncomplete):
        list(pages)
    directory.thaw()
    pages = connect(own).search_paged(directory.base_dn, "(objectClass=user)", ["cn"], 100)
    next(pages)
    directory.kill()
    with pytest.raises(DirectoryIncomplete):
        list(pages)


# -- the hook -----------------------------------------------------------------------------------------


def test_the_hook_connects_by_an_environment_variable_alone(shared_directory, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AD", json.dumps(shared_directory.connection()))
    ok, message = ActiveDirectoryHook("ad").test_connection()
    assert ok, message
    account = shared_directory.reader_login.partition("@")[0]  # newer Sambas, as Windows, say u:DOMAIN\account
    for said in (shared_directory.server_name, shared_directory.base_dn, account, "ldaps"):
        assert said in message
    with ActiveDirectoryHook("ad").get_conn() as session:
        assert session.root_dse().naming_context == shared_directory.base_dn


def test_the_test_button_says_what_is_wrong(shared_directory, monkeypatch):
    connection = {**shared_directory.connection(), "password": "Wr0ng!secret"}
    monkeypatch.setenv("AIRFLOW_CONN_AD", json.dumps(connection))
    ok, message = ActiveDirectoryHook("ad").test_connection()
    assert not ok
    assert "password" in message
    assert "Wr0ng!secret" not in message


def test_the_test_button_tries_every_host(shared_directory, nobody, monkeypatch):
    good = shared_directory.host
    connection = {**shared_directory.connection(), "host": f"{good},{nobody}"}
    monkeypatch.setenv("AIRFLOW_CONN_AD", json.dumps(connection))
    ok, message = ActiveDirectoryHook("ad").test_connection()
    assert not ok
    assert f"Problem: {nobody}" in message
    assert f"{good}: connected to {shared_directory.server_name}" in message
    monkeypatch.setenv("AIRFLOW_CONN_AD", json.dumps({**connection, "host": f"{good},{good}"}))
    ok, message = ActiveDirectoryHook("ad").test_connection()
    assert ok
    assert message.count("connected to") == 2
