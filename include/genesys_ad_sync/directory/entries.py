"""Answers of a domain controller as plain data. No connection here."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime, timezone

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.errors import CursorRejected, DirectoryError, DirectoryIncomplete, SettingsError
from genesys_ad_sync.model import Guid


class DirSyncRefused(DirectoryError):
    """The server or the account's rights allow no DirSync at all."""

    what = "DirSync"


class CookieRefused(CursorRejected):
    """The server does not continue from a DirSync cookie.

    Another domain controller, one of another Windows version, or an old cookie may be the reason; Microsoft's page on
    DirSync asks clients to read everything then.
    """

    what = "to continue from the DirSync cookie"


class InvalidDn(SettingsError):
    """The server does not understand the base of a search. All bases come from settings."""


@dataclass(frozen=True)
class Entry:
    """An object in an answer.

    Attribute names are lower-case and keep their options (``member;range=0-1499``).
    """

    dn: str
    attributes: dict[str, list[bytes]]

    @property
    def guid(self) -> Guid:
        """The objectGUID.

        Raises DirectoryIncomplete if the entry has none: nothing can be concluded about an object without it.
        """
        values = self.attributes.get("objectguid")
        if not values:
            raise DirectoryIncomplete("Active Directory returned an object without its objectGUID.")
        return ctl.guid_of_bytes(values[0])

    def text(self, name: str) -> str | None:
        """Return the first value, decoded; a DN without the prefixes of the extended form."""
        values = self.attributes.get(name.lower())
        return ctl.plain_dn(values[0].decode("utf-8", "replace")) if values else None

    def number(self, name: str) -> int | None:
        """Return the first value as an integer."""
        values = self.attributes.get(name.lower())
        return int(values[0]) if values else None

    @property
    def classes(self) -> frozenset[str]:
        """``objectClass``, lower-case."""
        return _classes_of(tuple(self.attributes.get("objectclass", ())))


@dataclass(frozen=True)
class RootDse:
    """What a domain controller says about itself.

    ``current_time`` is its clock, whole seconds. The functional levels are numbers (MS-ADTS, rootDSE attributes).
    """

    domain_controller: str
    naming_context: str
    highest_committed_usn: int
    invocation_id: Guid
    current_time: datetime
    supported_controls: frozenset[str]
    service: str | None = None  # DN of its NTDS settings
    domain_level: int | None = None
    forest_level: int | None = None


@dataclass(frozen=True)
class DirSyncResult:
    """A complete DirSync answer, and the cookie from which the next search starts."""

    entries: list[Entry]
    cookie: bytes


@functools.lru_cache(maxsize=256)  # a domain has few kinds of object, and their classes are asked for again and again
def _classes_of(values: tuple[bytes, ...]) -> frozenset[str]:
    return frozenset(value.decode().lower() for value in values)


def generalized_time(text: str) -> datetime:
    """Parse ``20261124053822.0Z`` into an aware datetime in UTC."""
    return datetime.strptime(text.split(".", maxsplit=1)[0].rstrip("Z"), "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
