"""LDAP controls, GUIDs and ranges as bytes, where Active Directory expects more than ldap3 does.

No connection here: everything can be tested on bytes, which matters because Samba accepts what AD refuses.
"""

from __future__ import annotations

import ctypes
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ldap3.protocol.controls import build_control
from ldap3.protocol.microsoft import (
    DirSyncControlRequestValue,
    extended_dn_control,
    show_deleted_control,
)
from ldap3.utils.conv import escape_bytes, escape_filter_chars

from genesys_ad_sync.model import Guid

PAGED_RESULTS = "1.2.840.113556.1.4.319"
DIRSYNC = "1.2.840.113556.1.4.841"
LINK_TTL = "1.2.840.113556.1.4.2309"  # a temporary membership says for how long it lasts
SHOW_RECYCLED = "1.2.840.113556.1.4.2064"  # with the recycle bin on, SHOW_DELETED leaves older deleted objects out

OBJECT_SECURITY = 0x00000001  # an ordinary account may ask, and sees what it may see
INCREMENTAL_VALUES = 0x80000000  # added and removed values, not the whole list
MAX_BYTES = 2**31 - 1  # the server's own limit is smaller; it says "more results" then

_SID_HEAD = 8  # bytes: revision, number of parts, authority
GUIDS_PER_FILTER = 200  # measured: reference/active-directory.md 3i

_EXTENDED_PREFIX = re.compile(r"^<GUID=[^>]*>(?:;<SID=[^>]*>)?(?:;|$)")  # no semicolon where no DN follows
_EXTENDED_GUID = re.compile(rb"^<GUID=([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})>")
# A TTL-DN. Public scripts read `<TTL=60>,CN=…` and write `<TTL=60,CN=…>`. Nobody shows one beside the extended form, so
# that it may come before it, around it, or after GUID and SID. A DN itself has no unescaped `<`.
_TTL_BEFORE = re.compile(rb"^<TTL=(-?\d+)>[,;]?")
_TTL_AROUND = re.compile(rb"^<TTL=(-?\d+)[,;](.*)>$", re.DOTALL)
_TTL_BEHIND = re.compile(rb"^((?:<(?:GUID|SID)=[^>]*>;?)+)<TTL=(-?\d+)>[,;]?")
_RANGE = re.compile(r"^range=(\d+)-(\d+|\*)$", re.IGNORECASE)
_FILTER_ITEM = re.compile(r"\(\s*([^()&|!=]*?)\s*[<>~:]?=")  # the part of each comparison before its operator


def dirsync_control(cookie: bytes) -> Any:
    """Build the critical DirSync control with OBJECT_SECURITY | INCREMENTAL_VALUES.

    ldap3's own ``dir_sync_control`` takes ``ctypes.c_long``, which has 8 bytes on 64-bit Linux: the flags go out as
    the 5-byte integer ``02 05 00 80 00 00 01``. AD wants 4 bytes (cannatag/ldap3#642); Samba accepts both.
    """
    value = DirSyncControlRequestValue()
    value["Flags"] = ctypes.c_int32(OBJECT_SECURITY | INCREMENTAL_VALUES).value
    value["MaxBytes"] = MAX_BYTES
    value["Cookie"] = cookie
    return build_control(DIRSYNC, True, value)


def extended_dn() -> Any:
    """Build the control by which every DN is answered as ``<GUID=…>;<SID=…>;DN``."""
    return extended_dn_control(False, False)


def show_deleted() -> Any:
    """Build the control by which tombstones are answered, too."""
    return show_deleted_control(False)


def show_recycled() -> Any:
    """Build the control by which recycled objects are answered, too."""
    return build_control(SHOW_RECYCLED, False, None)


def link_ttl() -> Any:
    """Build the control by which values of temporary links come as TTL-DNs."""
    return build_control(LINK_TTL, False, None)


def plain_dn(dn: str) -> str:
    """Return the DN without the prefixes of the extended-DN control."""
    return _EXTENDED_PREFIX.sub("", dn)


def guid_of_value(value: bytes) -> Guid | None:
    """Return the GUID of a DN value; None if the server ignored the extended-DN control."""
    found = _EXTENDED_GUID.match(split_ttl(value)[0])
    return found.group(1).decode().lower() if found else None


def split_ttl(value: bytes) -> tuple[bytes, int | None]:
    """Return a link value without its TTL, and the seconds left.

    None: the link has no end. One that has ended, and is still there, has 0 seconds left.
    """
    if b"<TTL=" not in value:
        return value, None
    if found := _TTL_BEFORE.match(value):
        return value[found.end() :], max(0, int(found.group(1)))
    if found := _TTL_AROUND.match(value):
        return found.group(2), max(0, int(found.group(1)))
    if found := _TTL_BEHIND.match(value):
        return found.group(1) + value[found.end() :], max(0, int(found.group(2)))
    return value, None


def with_ttl(value: bytes, seconds: int) -> bytes:
    """Return a link value in extended form as a TTL-DN."""
    return b"<TTL=%d>,%s" % (seconds, value)


def guid_of_bytes(value: bytes) -> Guid:
    """Return an ``objectGUID`` or ``invocationId`` as text."""
    return str(uuid.UUID(bytes_le=value))


def guid_filter(guids: Iterable[Guid]) -> str:
    """Return ``(|(objectGUID=…)…)`` with the GUIDs as escaped bytes."""
    terms = "".join(f"(objectGUID={escape_bytes(uuid.UUID(guid).bytes_le)})" for guid in guids)
    return f"(|{terms})"


def dn_filter(dns: Iterable[str]) -> str:
    """Return ``(|(distinguishedName=…)…)``."""
    return f"(|{''.join(f'(distinguishedName={escape_filter_chars(dn)})' for dn in dns)})"


def filter_attributes(ldap_filter: str) -> frozenset[str]:
    """Return the attribute names that a filter asks about, lower-case, without options and matching rules.

    Object identifiers are names, too; a comparison without attribute has the name "".
    """
    return frozenset(re.split("[:;]", item)[0].strip().lower() for item in _FILTER_ITEM.findall(ldap_filter))


def is_sid(value: bytes) -> bool:
    """Return True for bytes that have the form of a SID (MS-DTYP 2.4.2.2)."""
    return len(value) >= _SID_HEAD and value[0] == 1 and len(value) == _SID_HEAD + 4 * value[1]


def sid_of_bytes(value: bytes) -> str:
    """Return ``objectSid`` as ``S-1-5-21-…`` (MS-DTYP 2.4.2.2)."""
    authority = int.from_bytes(value[2:8], "big")
    parts = [int.from_bytes(value[at : at + 4], "little") for at in range(8, 8 + 4 * value[1], 4)]
    return "-".join(["S", str(value[0]), str(authority), *map(str, parts)])


@dataclass(frozen=True)
class Range:
    """A part of a multi-valued attribute. ``last``: it reaches to the end."""

    low: int
    values: list[bytes]
    last: bool


def find_range(attributes: dict[str, list[bytes]], name: str) -> Range | None:
    """Return the part of ``name`` in an entry (``member;range=0-1499``); None if there is none.

    AD may send an empty plain ``member`` beside the ranged one; a plain one with values is the whole attribute.
    Raises ValueError if the number of values is not what the range says.
    """
    name = name.lower()
    for key, values in attributes.items():
        base, _, option = key.partition(";")
        found = _RANGE.match(option) if base.lower() == name else None
        if found is None:
            continue
        low, high = int(found.group(1)), found.group(2)
        if high != "*" and len(values) != int(high) - low + 1:
            raise ValueError(f"{key} came with {len(values)} values")
        return Range(low, values, last=high == "*")
    plain = attributes.get(name)
    return Range(0, plain, last=True) if plain else None
