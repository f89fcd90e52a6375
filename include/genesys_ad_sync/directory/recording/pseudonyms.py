"""Keyed hashes in place of names and identifiers.

They keep equality and structure, and nothing else. Pure. What is not known to be harmless is hashed. Without the key
nobody can tell which name a hash belongs to, nor test a guess. Equality is that of Active Directory: case does not
count.
"""

from __future__ import annotations

import hashlib
import re
import struct
import uuid
from collections.abc import Callable

from genesys_ad_sync import names
from genesys_ad_sync.directory import up_to_dateness
from genesys_ad_sync.model import Guid

KEY_BYTES = 32

# Names that every forest has, and that the product looks for.
_OF_EVERY_FOREST = {
    name.casefold(): name
    for name in (
        *("Deleted Objects", "Domain Controllers", "ForeignSecurityPrincipals", "Users", "Computers", "Builtin"),
        *("Configuration", "Schema", "Sites", "Servers", "NTDS Settings", "Services", "Windows NT"),
        *("Directory Service", "Query-Policies", "Default Query Policy", "Partitions", "Optional Features"),
        *("Recycle Bin Feature", "LostAndFound", "System", "DomainDnsZones", "ForestDnsZones"),
    )
}
_RDN_TYPES = frozenset({"cn", "ou", "dc", "o", "l", "st", "c", "uid", "street"})
_PREFIX = re.compile(r"<([A-Z]+)=([^<>]*)>([;,]?)")  # of an extended DN
_TTL = re.compile(r"-?\d+")
_SID = re.compile(r"S-1-\d+(?:-\d+)+", re.IGNORECASE)
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_RENAMED_BY_AD = re.compile(r"(.*)\n(del|cnf):([0-9a-f-]{36})", re.DOTALL | re.IGNORECASE)
_SCHEME = re.compile(r"(smtp|sip|x500|eum):(.*)", re.IGNORECASE | re.DOTALL)

_FIRST_RID = 1000  # below it are the accounts and groups of every domain
_RIDS = 2**32
_DOMAIN_SIDS = 21
_SMALL_AUTHORITIES = 20  # S-1-5-11 and the like: the same everywhere
_BUILTIN = 32


class Pseudonyms:
    """The pseudonyms of one recording. ``key``: `KEY_BYTES` random bytes, kept apart from it."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key must have {KEY_BYTES} bytes")
        self._key = key

    def _hash(self, kind: str, data: bytes, size: int) -> bytes:
        return hashlib.blake2b(data, digest_size=size, key=self._key, person=kind.encode()).digest()

    # -- text -----------------------------------------------------------------------------------------

    def text(self, text: str) -> str:
        """Replace a text by what it looks like: identifier, mail address or name."""
        if _SID.fullmatch(text):
            return self.sid(text)
        return self.guid(text) if _GUID.fullmatch(text) else self.mail(text)

    def name(self, text: str) -> str:
        """Replace a name or any other text."""
        folded = names.normal_name(text)
        return f"x{self._hash('name', folded.encode('utf-8', 'surrogateescape'), 8).hex()}" if folded else ""

    def mail(self, text: str) -> str:
        """Replace a mail address or user name, but keep its structure.

        A prefix such as ``SMTP:``, the ``@`` and the dots stay.
        """
        prefixed = _SCHEME.fullmatch(text)
        if prefixed is not None:
            return f"{prefixed[1]}:{self.mail(prefixed[2])}"
        local, at, domain = text.rpartition("@")
        return f"{self._local(local)}@{self.dns_name(domain)}" if at else self.name(text)

    def _local(self, text: str) -> str:
        # not case folded: ``ß`` and ``ss`` are different mailboxes
        folded = names.normal_mail(text)
        return f"x{self._hash('name', folded.encode('utf-8', 'surrogateescape'), 8).hex()}" if folded else ""

    def dns_name(self, text: str) -> str:
        """Replace each label. An RDN ``DC=`` of the same name has the same pseudonym."""
        return ".".join(self.name(label) for label in text.split("."))

    # -- identifiers ----------------------------------------------------------------------------------

    def guid(self, text: str) -> Guid:
        """Replace a GUID. The one without any bit stays. Raises ValueError for another text."""
        found = uuid.UUID(text)
        if not found.int:
            return str(found)
        return str(uuid.UUID(bytes=self._hash("guid", found.bytes, 16)))

    def guid_bytes(self, value: bytes) -> bytes:
        """Replace a GUID in Active Directory's order of bytes."""
        return uuid.UUID(self.guid(str(uuid.UUID(bytes_le=value)))).bytes_le

    def rid(self, rid: int) -> int:
        """Replace the last part of a SID.

        Different parts stay different. Parts that every domain has stay as they are.
        """
        if not _FIRST_RID <= rid < _RIDS:
            return rid
        while True:  # until it is one that no domain begins with
            rid = self._permuted(rid)
            if rid >= _FIRST_RID:
                return rid

    def _permuted(self, number: int) -> int:
        """Permute the numbers of 32 bits, so that each number has one image.

        The method is a Feistel network of four rounds.
        """
        left, right = number >> 16, number & 0xFFFF
        for step in range(4):
            mixed = self._hash("rid", bytes([step, *right.to_bytes(2, "big")]), 2)
            left, right = right, left ^ int.from_bytes(mixed, "big")
        return left << 16 | right

    def sid(self, text: str) -> str:
        """Replace a SID; its domain and its last part keep their own equality.

        Raises ValueError for another text.
        """
        if not _SID.fullmatch(text):
            raise ValueError("not a SID")
        authority, *parts = (int(part) for part in text.split("-")[2:])
        return "-".join(["S", "1", str(authority), *map(str, self._parts(authority, parts))])

    def _parts(self, authority: int, parts: list[int]) -> list[int]:
        first, rest = parts[0], parts[1:]
        nt = 5
        small = all(part < _FIRST_RID for part in rest)
        if not rest and first <= _SMALL_AUTHORITIES and authority <= nt:
            return parts
        if (authority, first) == (nt, _BUILTIN) and small:
            return parts
        if (authority, first) == (nt, _DOMAIN_SIDS) and len(rest) in (3, 4):
            domain = self._hash("domain", struct.pack("<3Q", *rest[:3]), 12)
            return [first, *struct.unpack("<3I", domain), *(self.rid(part) for part in rest[3:])]
        whole = repr((authority, parts)).encode()
        return [int.from_bytes(self._hash("sid", whole + bytes([at % 256]), 4), "big") for at in range(len(parts))]

    def sid_bytes(self, value: bytes) -> bytes:
        """Replace a SID as bytes (MS-DTYP 2.4.2.2). Raises ValueError for other bytes."""
        count = value[1] if len(value) > 1 else 0
        if not count or len(value) != 8 + 4 * count:
            raise ValueError("not a SID")
        parts = list(struct.unpack(f"<{count}I", value[8:]))
        return value[:8] + struct.pack(f"<{count}I", *self._parts(int.from_bytes(value[2:8], "big"), parts))

    # -- distinguished names --------------------------------------------------------------------------

    def dn(self, text: str) -> str:
        """Replace a DN, with the prefixes of its extended form.

        A text that is not a DN is replaced as one name.
        """
        head, rest = "", text
        while (prefix := _PREFIX.match(rest)) is not None:
            head += f"<{prefix[1]}={self._prefix_value(prefix[1], prefix[2])}>{prefix[3]}"
            rest = rest[prefix.end() :]
        return head + self._plain_dn(rest)

    def _prefix_value(self, kind: str, value: str) -> str:
        try:
            if kind == "GUID":
                return self.guid(value)
            if kind == "SID":
                return self.sid(value)
        except ValueError:
            return self.name(value)
        return value if kind == "TTL" and _TTL.fullmatch(value) else self.name(value)

    def _plain_dn(self, text: str) -> str:
        if not text:
            return ""
        try:
            rdns = names.normal_dn(text)
        except ValueError:
            return self.name(text)
        return ",".join("+".join(f"{self._type(kind)}={self._rdn_value(value)}" for kind, value in rdn) for rdn in rdns)

    def _type(self, kind: str) -> str:
        return kind.upper() if kind in _RDN_TYPES else self.name(kind)

    def _rdn_value(self, value: str) -> str:
        renamed = _RENAMED_BY_AD.fullmatch(value)
        if renamed is not None and _GUID.fullmatch(renamed[3]):
            return f"{self.name(renamed[1])}\\0A{renamed[2].upper()}:{self.guid(renamed[3])}"
        return _OF_EVERY_FOREST.get(value) or self.text(value)

    # -- bytes ----------------------------------------------------------------------------------------

    def opaque(self, value: bytes) -> bytes:
        """Replace bytes of an unknown form by as many others."""
        blocks = (self._hash("opaque", bytes([number % 256, number // 256]) + value, 64) for number in range(65536))
        result = b""
        while len(result) < len(value):
            result += next(blocks)
        return result[: len(value)]

    def cookie(self, value: bytes) -> bytes:
        """Replace the identifiers in a DirSync cookie.

        A cookie of an unknown form becomes other bytes.
        """
        return self._with_guids(up_to_dateness.renamed_cookie, value)

    def vector(self, value: bytes) -> bytes:
        """Replace the identifiers in a value of ``replUpToDateVector``."""
        return self._with_guids(up_to_dateness.renamed_vector, value)

    def _with_guids(self, renamed: Callable[[bytes, Callable[[bytes], bytes]], bytes | None], value: bytes) -> bytes:
        found = renamed(value, self.guid_bytes)
        known = found or b""
        return known + self.opaque(value[len(known) :])
