"""Domain controllers as the connection names them. Parsed here and nowhere else. Pure.

A library that parses a host again may see something else in it: to ldap3, ``ldap://dc1`` means "without TLS",
whatever its other parameters say. So it gets only names and addresses that have nothing in them to parse.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.text import visible

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}\.?", re.ASCII)
_NUMBER_AT_THE_END = re.compile(r"(?:^|\.)(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?$")  # such names resolve to addresses
_LONGEST_NAME = 253
_LARGEST_PORT = 65535
GLOBAL_CATALOG_PORTS = frozenset({3268, 3269})


class Transport(str, Enum):
    """Protection of the connection. ``PLAIN`` has none, and most domain controllers refuse it."""

    LDAPS = "ldaps"
    STARTTLS = "starttls"
    PLAIN = "plain"


_SCHEME_OF = {Transport.LDAPS: "ldaps", Transport.STARTTLS: "ldap", Transport.PLAIN: "ldap"}
_DEFAULT_PORT = {Transport.LDAPS: 636, Transport.STARTTLS: 389, Transport.PLAIN: 389}


@dataclass(frozen=True)
class Host:
    """A domain controller: DNS name or address, port, and the name in its certificate.

    Its certificate must carry that name.
    """

    name: str
    port: int
    server_name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class BadHost:
    """An entry of ``host`` that names no domain controller, and why.

    Nothing can be sent to it.
    """

    text: str
    problem: str

    def __str__(self) -> str:
        return visible(self.text)


def parse_hosts(
    texts: Sequence[str], port: int | None, transport: Transport, server_name: str | None = None
) -> list[Host | BadHost]:
    """Parse the entries of ``host``: ``name``, ``address`` or ``[v6]``, each with an optional ``:port``.

    ``port``: for entries without one of their own. ``server_name``: one for all, or one for each, comma-separated.

    A scheme never decides about protection. Raises SettingsError if one contradicts ``transport``, and for a wrong
    ``port`` or ``server_name``: nothing may be sent to any host then.
    """
    if port is not None and not 0 < port <= _LARGEST_PORT:
        raise SettingsError(f"`port` is {port}. It must be a number from 1 to {_LARGEST_PORT}, or empty.")
    server_names = _server_names(server_name, len(texts))
    for text in texts:
        _require_agreeing_scheme(text, transport)
    default = port or _DEFAULT_PORT[transport]
    return [_parse(text.strip(), default, name) for text, name in zip(texts, server_names, strict=True)]


def _server_names(text: str | None, hosts: int) -> list[str | None]:
    names = [name.strip() or None for name in (text or "").split(",")]
    if len(names) == 1:
        names *= hosts
    if len(names) != hosts:
        raise SettingsError(
            f"`server_name` has {len(names)} names for {hosts} hosts. Give one name for all, or one for each host in "
            f"the same order."
        )
    for name in names:
        if name is not None and _host_problem(name) is not None:
            raise SettingsError(
                f"`server_name` contains {name!r}, which is not a DNS name or an IP address. Copy a name from the "
                f"certificate. Where that has an asterisk, as in *.example.com, write the full name of the host "
                f"instead; write an IP address without brackets."
            )
    return names


def _require_agreeing_scheme(text: str, transport: Transport) -> None:
    found = _SCHEME.match(text.strip())
    if found is not None and found.group(1).lower() != _SCHEME_OF[transport]:
        raise SettingsError(
            f"`host` contains the scheme {found.group(1)}://, but `transport` is {transport.value}. Nothing was sent. "
            f"Remove the scheme: `transport` alone decides how the connection is protected."
        )


def _parse(text: str, default_port: int, server_name: str | None) -> Host | BadHost:
    if "@" in text:  # a password may be in front of it
        return BadHost("(not shown)", "login and password do not belong in `host`")
    rest = text
    scheme = _SCHEME.match(text)
    if scheme is not None:
        rest = text[scheme.end() :].removesuffix("/")
    name, port_text = _split_port(rest)
    problem = _host_problem(name)
    if problem is not None:
        return BadHost(text, problem)
    port = default_port if port_text is None else _port(port_text)
    if port is None:
        return BadHost(text, f"the port must be a number from 1 to {_LARGEST_PORT}")
    return Host(name, port, (server_name or name).rstrip("."))  # no certificate has the dot


def _split_port(text: str) -> tuple[str, str | None]:
    """Split off the port. An IPv6 address needs brackets to have one."""
    if text.startswith("["):
        address, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in address or (rest and not rest.startswith(":")):
            return text, None  # no host has a bracket
        return address, rest[1:] if rest else None
    if text.count(":") == 1:
        name, _, port = text.partition(":")
        return name, port
    return text, None


def _port(text: str) -> int | None:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII):
        return None
    return int(text) if 0 < int(text) <= _LARGEST_PORT else None


def is_address(name: str) -> bool:
    """Return True for an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _host_problem(name: str) -> str | None:
    """Return why ``name`` is neither a DNS name nor an address; None if valid."""
    if ":" in name or _NUMBER_AT_THE_END.search(name):
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return "it is not an IP address"
        return "an address with a zone cannot be used" if "%" in name else None
    if not name.isascii():
        return "a name with letters outside ASCII must be written in its xn-- form"
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        return "it is not a DNS name or an IP address"
    return None
