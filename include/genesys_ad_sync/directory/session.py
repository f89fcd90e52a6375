"""A session with one domain controller: what it is, what it knows, and what changed.

Log lines carry counts and ids, never names, DNs or secrets.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import Any

from ldap3.core.results import RESULT_SUCCESS

from genesys_ad_sync.directory import answers, temporary_links
from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.entries import (
    CookieRefused,
    DirSyncRefused,
    DirSyncResult,
    Entry,
    RootDse,
    generalized_time,
)
from genesys_ad_sync.directory.ldap_library import LIBRARY_ERRORS
from genesys_ad_sync.directory.searches import LdapSearches
from genesys_ad_sync.errors import DirectoryIncomplete, DirectoryNotFound, DirectoryRefused

log = logging.getLogger(__name__)

DEFAULT_TOMBSTONE_LIFETIME = timedelta(days=60)  # where the attribute has no value (MS-ADTS 6.1.1.2.4.1.1)
FIRST_DIRSYNC_TIMEOUT = 900.0  # seconds


class LdapSession(LdapSearches):
    """A session with one domain controller. Close it, or use it as a context manager.

    ``elsewhere``: opens a session with another domain controller by its name; None: its host is not a name that several
    may have.
    """

    def __init__(self, connection: Any, host: str) -> None:
        """Take over a bound ldap3 Connection, see `LdapSearches`."""
        super().__init__(connection, host)
        self.elsewhere: Callable[[str], LdapSession | None] | None = None
        self._ttls_in_dirsync = True

    def __enter__(self) -> LdapSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what it is -------------------------------------------------------------------------------------

    def root_dse(self) -> RootDse:
        """Read the root DSE, and the invocationId behind its ``dsServiceName`` (two requests)."""
        names = ["dnsHostName", "defaultNamingContext", "highestCommittedUSN", "dsServiceName", "currentTime"]
        names += ["supportedControl", "domainFunctionality", "forestFunctionality"]
        root = self._only(self.search("", "(objectClass=*)", names, "BASE"), "the root DSE")
        service = self._only(
            self.search(answers.need(root, "dsServiceName"), "(objectClass=*)", ["invocationId"], "BASE"),
            "the NTDS settings of the domain controller",
        )
        invocation = service.attributes.get("invocationid")
        if not invocation:
            raise DirectoryIncomplete(
                f"{self.host} does not show its invocationId. Give the account read access to CN=Sites of the "
                f"configuration partition."
            )
        supported = frozenset(value.decode() for value in root.attributes.get("supportedcontrol", ()))
        self.supported_controls = supported
        return RootDse(
            domain_controller=answers.need(root, "dnsHostName"),
            naming_context=answers.need(root, "defaultNamingContext"),
            highest_committed_usn=int(answers.need(root, "highestCommittedUSN")),
            invocation_id=ctl.guid_of_bytes(invocation[0]),
            current_time=generalized_time(answers.need(root, "currentTime")),
            supported_controls=supported,
            service=root.text("dsServiceName"),
            domain_level=root.number("domainFunctionality"),
            forest_level=root.number("forestFunctionality"),
        )

    def current_time(self) -> datetime:
        """Read the domain controller's clock, cut off to whole seconds (one request)."""
        root = self._only(self.search("", "(objectClass=*)", ["currentTime"], "BASE"), "the root DSE")
        return generalized_time(answers.need(root, "currentTime"))

    def sees_deleted_objects(self, naming_context: str) -> bool:
        """Return whether the account may see tombstones (one request).

        Without List and Read on ``CN=Deleted Objects``, the container is missing or shows none of its attributes.
        Everything in it is then invisible, which would look like "nothing was deleted".
        """
        try:
            container = f"CN=Deleted Objects,{naming_context}"
            found = self.search(container, "(objectClass=*)", ["objectClass"], "BASE", self.deletion_controls())
        except (DirectoryNotFound, DirectoryRefused):
            return False
        return any(entry.classes for entry in found)

    def tombstone_lifetime(self) -> timedelta:
        """Return how long AD remembers deleted objects and removed links (two requests)."""
        try:
            root = self._only(
                self.search("", "(objectClass=*)", ["configurationNamingContext"], "BASE"), "the root DSE"
            )
            service = (
                f"CN=Directory Service,CN=Windows NT,CN=Services,{answers.need(root, 'configurationNamingContext')}"
            )
            found = self.search(service, "(objectClass=*)", ["tombstoneLifetime"], "BASE")
        except (DirectoryNotFound, DirectoryRefused):
            return DEFAULT_TOMBSTONE_LIFETIME
        days = found[0].number("tombstoneLifetime") if found else None
        return DEFAULT_TOMBSTONE_LIFETIME if days is None else timedelta(days=min(days, 36_500))  # some mean "for ever"

    def who_am_i(self) -> str | None:
        """Return the account as the server sees it (RFC 4532); None if unknown."""
        try:
            answer = self._connection.extend.standard.who_am_i()
        except LIBRARY_ERRORS:
            return None
        return str(answer) if answer else None

    def certificate_end(self) -> datetime | None:
        """Return when the server's certificate ends; None without TLS."""
        socket: Any = getattr(self._connection, "socket", None)
        if not isinstance(socket, ssl.SSLSocket):
            return None
        ends = (socket.getpeercert() or {}).get("notAfter")
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(ends)), timezone.utc) if ends else None

    # -- what changed -----------------------------------------------------------------------------------

    def deletion_controls(self) -> tuple[Any, ...]:
        """Return the controls for deleted objects, recycled ones included where that is known."""
        recycled = (ctl.show_recycled(),) if ctl.SHOW_RECYCLED in self.supported_controls else ()
        return (ctl.show_deleted(), *recycled)

    def dirsync(self, naming_context: str, ldap_filter: str, attributes: Sequence[str], cookie: bytes) -> DirSyncResult:
        """Read all changes since ``cookie`` (b"": everything), tombstones included.

        Values come as ``member;range=1-1`` (added) and ``member;range=0-0`` (removed). The base must be a naming
        context. Whatever the server answers instead of changes raises CookieRefused if there was a cookie, and
        DirSyncRefused if there was none: which codes a server chooses for that is not known in advance.
        """
        entries: list[Entry] = []
        refusal = CookieRefused if cookie else DirSyncRefused
        while True:
            controls = (ctl.dirsync_control(cookie), *self.deletion_controls())
            ttls = self._ttls_in_dirsync and self.tells_ends
            # a first answer takes a server minutes in a large domain
            with self._waiting_for(0 if cookie else FIRST_DIRSYNC_TIMEOUT):
                result, response = self._request(
                    naming_context, ldap_filter, attributes, "SUBTREE", controls, ttls=ttls
                )
            page = self._entries(response, naming_context, "ignore")
            failed = result["result"] != RESULT_SUCCESS
            if ttls and (failed or any(map(temporary_links.lacks_guid, page))):
                self._ttls_in_dirsync = False  # how the two controls go together is not documented
                continue
            if failed:
                raise refusal(f"{self.host} refuses {refusal.what} ({answers.error_text(result)}).")
            entries += page
            answer = ((result.get("controls") or {}).get(ctl.DIRSYNC) or {}).get("value")
            if not answer or not answer.get("cookie"):
                raise refusal(f"{self.host} answered {refusal.what} without a new cookie.")
            stuck = answer["cookie"] == cookie and not page
            cookie = bytes(answer["cookie"])
            if not answer["more_results"]:
                log.debug("dirsync: %d entries", len(entries))
                return DirSyncResult(entries, cookie)
            if stuck:
                raise refusal(f"{self.host} says that DirSync has more results, but does not send them.")

    @contextmanager
    def _waiting_for(self, seconds: float) -> Iterator[None]:
        """Wait at least so long for each answer in the block; `receive_timeout` may be longer."""
        socket: Any = getattr(self._connection, "socket", None)
        usual = socket.gettimeout() if socket is not None else None
        if usual is None or usual >= seconds:
            yield
            return
        socket.settimeout(seconds)
        try:
            yield
        finally:
            with suppress(OSError):  # the connection may be gone
                socket.settimeout(usual)
