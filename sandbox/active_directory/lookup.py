"""Connections to the sandbox directory and searches by name, over plain ldap3."""

from __future__ import annotations

import datetime
import socket
import ssl
import time
import uuid
from typing import TYPE_CHECKING, Any

import ldap3
from ldap3.core.exceptions import LDAPBindError
from ldap3.utils.conv import escape_filter_chars

from sandbox.active_directory.constants import SandboxError, Transport
from sandbox.directory_objects import BASE_DN

if TYPE_CHECKING:
    from collections.abc import Mapping


def bound_connection(
    host: str, server_name: str, ca_certs_file: str, transport: Transport, login: str, password: str
) -> ldap3.Connection:
    """Connect, verify the server's certificate, and bind. Raises LDAPException."""
    secure = transport == "ldaps"
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca_certs_file, valid_names=[server_name])
    server = ldap3.Server(
        host, port=636 if secure else 389, use_ssl=secure, tls=tls, get_info=ldap3.NONE, connect_timeout=60
    )
    connection = ldap3.Connection(
        server,
        user=login,
        password=password,
        client_strategy=ldap3.SAFE_SYNC,
        receive_timeout=60,
        auto_range=False,
        return_empty_attributes=False,
    )
    connection.open(read_server_info=False)
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the login waits for 40 ms
    if transport == "starttls":
        connection.start_tls(read_server_info=False)
    is_bound, result, _, _ = connection.bind(read_server_info=False)
    if not is_bound:
        connection.unbind()
        raise LDAPBindError(f"{result['description']} {result['message']}")
    return connection


def current_time(connection: ldap3.Connection) -> datetime.datetime:
    text = _of_root(connection, "currentTime")
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%S.0Z").replace(tzinfo=datetime.timezone.utc)


def highest_usn(connection: ldap3.Connection) -> int:
    return int(_of_root(connection, "highestCommittedUSN"))


def _of_root(connection: ldap3.Connection, attribute: str) -> str:
    """Return an attribute of the root DSE."""
    _, _, response, _ = connection.search("", "(objectClass=*)", search_scope=ldap3.BASE, attributes=[attribute])
    return text_of(response[0], attribute) or ""


def next_second(connection: ldap3.Connection) -> datetime.datetime:
    """Wait until the clock shows another second; return that second."""
    before = now = current_time(connection)
    while now == before:
        time.sleep(0.02)
        now = current_time(connection)
    return now


def search(connection: ldap3.Connection, base: str, search_filter: str, attributes: list[str]) -> list[dict[str, Any]]:
    # Samba has no limit of entries or values in one answer (reference §3g): neither pages nor ranges are needed.
    ok, result, response, _ = connection.search(base, search_filter, attributes=["objectGUID", *attributes])
    if not ok and result["result"] != 0:
        raise SandboxError(f"search below {base}: {result['description']} {result['message']}")
    return [entry for entry in response if entry["type"] == "searchResEntry"]


def find(connection: ldap3.Connection, name: str) -> dict[str, Any]:
    value = escape_filter_chars(name)
    found = search(connection, BASE_DN, f"(|(sAMAccountName={value})(&(objectClass=contact)(cn={value})))", [])
    if len(found) != 1:
        raise SandboxError(f"{len(found)} objects are called {name!r} in the sandbox directory")
    return found[0]


def dn_of(connection: ldap3.Connection, name: str) -> str:
    return str(find(connection, name)["dn"])


def guid_of(entry: Mapping[str, Any]) -> str:
    return str(uuid.UUID(bytes_le=entry["raw_attributes"]["objectGUID"][0]))


def text_of(entry: Mapping[str, Any], attribute: str) -> str | None:
    values = entry["raw_attributes"].get(attribute, [])
    return values[0].decode() if values else None
