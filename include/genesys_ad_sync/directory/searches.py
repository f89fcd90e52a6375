"""Searches over one bound LDAP connection: each answer is complete or an exception.

Knows LDAP and Active Directory's limits (pages, ranges); knows nothing of groups and users.
Log lines carry counts and ids, never names, DNs or secrets.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Literal

from ldap3.core.exceptions import LDAPInvalidFilterError, LDAPObjectClassError

from genesys_ad_sync.directory import answers, ranges, temporary_links
from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.entries import Entry
from genesys_ad_sync.directory.ldap_library import LIBRARY_ERRORS, result_without_name
from genesys_ad_sync.directory.recording import recorded
from genesys_ad_sync.directory.temporary_links import is_member_attribute
from genesys_ad_sync.errors import DirectoryError, DirectoryIncomplete, DirectoryNotFound, DirectoryRefused
from genesys_ad_sync.model import Guid

log = logging.getLogger(__name__)

PAGE_SIZE = 500  # entries per page; AD's MaxPageSize is 1000

SearchScope = Literal["SUBTREE", "LEVEL", "BASE"]
ReferralPolicy = Literal["refuse", "ignore", "note"]


class LdapSearches:
    """Searches over one bound connection, and its end.

    ``requests`` counts the searches sent. Every search carries the extended-DN control. ``parts_elsewhere``: DNs below
    the bases of searches that other servers hold, as far as the searches were to note them. ``supported_controls``: as
    the root DSE lists them; nothing before it was read.
    Every method raises DirectoryIncomplete when an answer breaks off, and DirectoryNotFound for a missing base.
    """

    def __init__(self, connection: Any, host: str) -> None:
        """Take over a bound ldap3 Connection.

        It must use the strategy SAFE_SYNC, with ``auto_range`` and ``return_empty_attributes`` off: ldap3 otherwise
        truncates ranges and invents empty attributes.
        """
        self._connection = recorded(connection)
        self.host = host
        self.requests = 0
        self.parts_elsewhere: set[str] = set()
        self.supported_controls: frozenset[str] = frozenset()

    @property
    def connection(self) -> Any:
        """Return the connection for calls that are not searches; their answers are not checked."""
        return self._connection

    def close(self) -> None:
        """Unbind. Calling it twice is harmless."""
        try:
            self._connection.unbind()
        except LIBRARY_ERRORS:
            log.debug("the connection was already closed by the domain controller")

    @property
    def tells_ends(self) -> bool:
        """Return True if the domain controller can say when a temporary membership ends."""
        return ctl.LINK_TTL in self.supported_controls

    def search(
        self,
        base: str,
        ldap_filter: str,
        attributes: Sequence[str],
        scope: SearchScope = "SUBTREE",
        controls: Sequence[Any] = (),
        subordinates: ReferralPolicy = "refuse",
    ) -> list[Entry]:
        """Search without pages, for answers that are small by construction.

        AD answers at most 1000 entries. ``subordinates``: what to do when the server refers to another domain below
        the base.
        """
        result, response = self._request(base, ldap_filter, attributes, scope, controls)
        answers.require_success(result, base, self.host)
        return self._readable(self._entries(response, base, subordinates), base if scope == "BASE" else None)

    def search_paged(
        self,
        base: str,
        ldap_filter: str,
        attributes: Sequence[str],
        page_size: int = PAGE_SIZE,
        subordinates: ReferralPolicy = "refuse",
    ) -> Generator[Entry, None, None]:
        """Search the whole subtree page by page. The iteration ends only when every page came.

        A failed page cannot be requested again: its cookie dies with the connection, and a server that gets a stale
        cookie answers code 53. Any failure therefore raises DirectoryIncomplete; start again from the first page.
        """
        cookie: bytes = b""
        pages = count = 0
        try:
            while True:
                asked, cookie = cookie, b""  # a used cookie cannot close the search any more
                result, response = self._request(
                    base,
                    ldap_filter,
                    attributes,
                    "SUBTREE",
                    (),
                    paged_size=page_size,
                    paged_criticality=True,
                    paged_cookie=asked or None,
                )
                answers.require_success(result, base, self.host)
                cookie = self._next_page(result)
                entries = self._readable(self._entries(response, base, subordinates))
                pages, count = pages + 1, count + len(entries)
                yield from entries
                if not cookie:
                    log.debug("paged search: %d entries in %d pages", count, pages)
                    return
        finally:
            if cookie:
                self._close_paged_search(base, ldap_filter, cookie)

    def read_values(self, guid: Guid, attribute: str, seen: Sequence[bytes] = ()) -> list[bytes]:
        """Read all values of an object's attribute, range by range; [] if it has none.

        ``seen``: the values from index 0 on that are already known. Raises DirectoryIncomplete if the values kept
        changing or a range is missing, DirectoryNotFound if the object does not exist.
        """

        def ask(ranged: str) -> dict[str, list[bytes]]:
            found = self.search(f"<GUID={guid}>", "(objectClass=*)", [ranged], "BASE")
            return self._only(found, f"the object {guid}").attributes

        values = ranges.read_values(ask, attribute, seen)
        if values is None:
            raise DirectoryIncomplete(
                f"{self.host} did not return all values of {attribute} of the object {guid}: a range is missing, or "
                f"the values kept changing while they were read. The partial result was discarded. Run again."
            )
        return values

    def read_ranges(self, guid: Guid, attribute: str) -> Iterator[list[bytes]]:
        """Yield the values of an object's attribute, range by range; nothing if it has none.

        For values that may differ each time they are read, so that ranges cannot overlap; the values of one moment
        they are not. Raises DirectoryRefused if a range is missing or has other borders than its name says,
        DirectoryNotFound if the object does not exist.
        """

        def ask(ranged: str) -> dict[str, list[bytes]]:
            found = self.search(f"<GUID={guid}>", "(objectClass=*)", [ranged], "BASE")
            return self._only(found, f"the object {guid}").attributes

        try:
            yield from ranges.read_ranges(ask, attribute)
        except ValueError as error:
            raise DirectoryRefused(
                f"{self.host} did not return all values of {attribute} of the object {guid}: {error}."
            ) from error

    # -- requests and answers -------------------------------------------------------------------------

    def _request(
        self,
        base: str,
        ldap_filter: str,
        attributes: Sequence[str],
        scope: SearchScope,
        controls: Sequence[Any],
        *,
        ttls: bool = True,
        **paging: Any,
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        self.requests += 1
        if ttls and self.tells_ends and any(map(is_member_attribute, attributes)):
            controls = [*controls, ctl.link_ttl()]
        try:
            _, result, response, _ = self._connection.search(
                base,
                ldap_filter,
                scope,
                attributes=list(attributes),
                controls=[*controls, ctl.extended_dn()],
                **paging,
            )
        except (LDAPInvalidFilterError, LDAPObjectClassError) as error:
            raise DirectoryError(f"Not a valid LDAP filter: {ldap_filter}. Check `directory.group_filter`.") from error
        except LIBRARY_ERRORS as error:
            if without_name := result_without_name(error):
                return without_name, []
            raise DirectoryIncomplete(
                f"The connection to {self.host} broke while Active Directory was being read "
                f"({type(error).__name__}). The partial result was discarded. Run again."
            ) from error
        return result, response or []

    def _entries(self, response: list[dict[str, Any]], base: str, subordinates: ReferralPolicy) -> list[Entry]:
        entries, references = answers.entries_of(response)
        if references and subordinates == "note":
            self.parts_elsewhere.update(map(answers.dn_of_reference, references))
        elif references and subordinates == "refuse":
            raise DirectoryIncomplete(
                f"A part of {base} lies in another domain, which {self.host} does not hold. Choose a "
                f"`directory.group_base` that lies in one domain only."
            )
        return entries

    def _readable(self, entries: Sequence[Entry], base: str | None = None) -> list[Entry]:
        """Return the entries, with members read again if the answer lacks their GUID.

        ``base``: of a single entry.
        """
        return [self._read_again(entry, base) if temporary_links.lacks_guid(entry) else entry for entry in entries]

    def _read_again(self, entry: Entry, base: str | None) -> Entry:
        base = base or f"<GUID={entry.guid}>"
        attributes = [name for name in entry.attributes if entry.attributes[name] and is_member_attribute(name)]
        result, response = self._request(base, "(objectClass=*)", attributes, "BASE", (), ttls=False)
        answers.require_success(result, base, self.host)
        plain = self._only(self._entries(response, base, "ignore"), "a group that it has just shown")
        return temporary_links.rejoined(entry, plain)

    def _next_page(self, result: dict[str, Any]) -> bytes:
        answer = ((result.get("controls") or {}).get(ctl.PAGED_RESULTS) or {}).get("value")
        if answer is None:
            raise DirectoryIncomplete(f"{self.host} answered a paged search without saying whether a page follows.")
        return bytes(answer["cookie"] or b"")

    def _close_paged_search(self, base: str, ldap_filter: str, cookie: bytes) -> None:
        # RFC 2696: size 0 with the last cookie lets the server forget the search.
        try:
            self._request(base, ldap_filter, ["1.1"], "SUBTREE", (), paged_size=0, paged_cookie=cookie)
        except DirectoryError:
            log.debug("the open paged search was lost with the connection")

    def _only(self, entries: list[Entry], what: str) -> Entry:
        if len(entries) != 1:
            raise DirectoryNotFound(f"{self.host} does not show {what}.")
        return entries[0]
