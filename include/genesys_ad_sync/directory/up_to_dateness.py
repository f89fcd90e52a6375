"""The up-to-dateness vector: the changes of others that a domain controller has.

It is read from answers of the domain controller. Pure. The vector maps the invocationId of each domain controller to
the USN of its changes up to which the answering one has all. Three answers carry it; see `of_cookie`, `of_cursors` and
`of_attribute`. Each returns None for bytes that are not exactly as described, because a vector that is guessed would
release a doubt.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from genesys_ad_sync.model import Guid, Vector

# The DirSync cookie is opaque to clients by contract. Its form is that of Samba's `ldapControlDirSyncCookie`, which
# follows what Windows sends: a signature, a time, and the same two structures that domain controllers send each other.
_COOKIE = struct.Struct("<4sIQIII24x16s")  # signature, version, time, reserved, reserved, length of the vector, guid
_SIGNATURE, _COOKIE_VERSION = b"MSDS", 3
_HEAD = struct.Struct("<IIII")  # MS-DRSR 5.166: version, reserved, number of entries, reserved
_ENTRY_SIZES = {1: 24, 2: 32}  # by version: invocationId and USN, then (2) the time of the last replication
_ENTRY = struct.Struct("<16sQ")
_GUID_SIZE = 16
_CURSOR_ID = re.compile(r"<uuidSourceDsaInvocationID>\s*\{?([0-9A-Fa-f-]{36})\}?\s*</uuidSourceDsaInvocationID>")
_CURSOR_USN = re.compile(r"<usnAttributeFilter>\s*(\d+)\s*</usnAttributeFilter>")


def of_cookie(cookie: bytes | None) -> Vector | None:
    """Return the vector in a DirSync cookie."""
    if cookie is None or len(cookie) < _COOKIE.size:
        return None
    signature, version, _, _, _, length, _ = _COOKIE.unpack_from(cookie)
    vector = cookie[_COOKIE.size : _COOKIE.size + length]
    if (signature, version, len(vector)) != (_SIGNATURE, _COOKIE_VERSION, length):
        return None
    return of_attribute(vector)


def of_attribute(value: bytes) -> Vector | None:
    """Return the vector in a value of ``replUpToDateVector``."""
    if len(value) < _HEAD.size:
        return None
    version, _, count, _ = _HEAD.unpack_from(value)
    size = _ENTRY_SIZES.get(version)
    if size is None or not count or len(value) != _HEAD.size + count * size:
        return None
    entries = (_ENTRY.unpack_from(value, _HEAD.size + number * size) for number in range(count))
    return {str(UUID(bytes_le=invocation_id)): usn for invocation_id, usn in entries}


def renamed_cookie(cookie: bytes, rename: Callable[[bytes], bytes]) -> bytes | None:
    """Return the known part of a DirSync cookie, with each invocationId replaced by ``rename``.

    None if its form is not known.
    """
    if of_cookie(cookie) is None:
        return None
    length = _COOKIE.unpack_from(cookie)[5]
    vector = renamed_vector(cookie[_COOKIE.size : _COOKIE.size + length], rename)
    head = cookie[: _COOKIE.size - _GUID_SIZE]
    return None if vector is None else head + rename(cookie[len(head) : _COOKIE.size]) + vector


def renamed_vector(value: bytes, rename: Callable[[bytes], bytes]) -> bytes | None:
    """Return a value of ``replUpToDateVector`` like `renamed_cookie`."""
    if of_attribute(value) is None:
        return None
    size = _ENTRY_SIZES[_HEAD.unpack_from(value)[0]]
    entries = (value[at : at + size] for at in range(_HEAD.size, len(value), size))
    return value[: _HEAD.size] + b"".join(rename(entry[:_GUID_SIZE]) + entry[_GUID_SIZE:] for entry in entries)


def of_cursors(values: Iterable[bytes]) -> Vector | None:
    """Return the vector in the values of ``msDS-NCReplCursors``, one piece of XML each."""
    vector: dict[Guid, int] = {}
    for value in values:
        text = value.decode("utf-8", "replace")
        source, usn = _CURSOR_ID.search(text), _CURSOR_USN.search(text)
        if source is None or usn is None:
            return None
        vector[source.group(1).lower()] = int(usn.group(1))
    return vector or None


def merged(one: Vector, other: Vector) -> Vector:
    """Return what two domain controllers know together."""
    return {guid: max(one.get(guid, 0), other.get(guid, 0)) for guid in sorted({*one, *other})}


def missing(vector: Vector, known: Vector) -> Mapping[Guid, int]:
    """Return how many changes of each domain controller ``vector`` lacks of ``known``.

    Empty if ``vector`` covers ``known``.
    """
    return {guid: usn - vector.get(guid, 0) for guid, usn in known.items() if vector.get(guid, 0) < usn}
