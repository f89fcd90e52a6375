"""Searches of the sandbox directory by name, over plain ldap3."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from typing import Any

import ldap3
from ldap3.utils.conv import escape_filter_chars

from sandbox.active_directory.constants import SandboxError
from sandbox.directory_objects import BASE_DN


def current_time(connection: ldap3.Connection) -> datetime.datetime:
    _, _, response, _ = connection.search("", "(objectClass=*)", search_scope=ldap3.BASE, attributes=["currentTime"])
    text = text_of(response[0], "currentTime") or ""
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%S.0Z").replace(tzinfo=datetime.timezone.utc)


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
