"""One verified, bound LDAP connection to a domain controller, and searches that are whole or raise.

Knows LDAP and Active Directory's limits (pages, ranges, DirSync); knows nothing of groups and people.
Log lines carry counts and ids, never names, DNs or secrets.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NoReturn

import ldap3
from ldap3.core.exceptions import LDAPExceptionError, LDAPInvalidFilterError, LDAPObjectClassError
from ldap3.core.results import (
    RESULT_INSUFFICIENT_ACCESS_RIGHTS,
    RESULT_INVALID_CREDENTIALS,
    RESULT_NO_SUCH_OBJECT,
    RESULT_REFERRAL,
    RESULT_STRONGER_AUTH_REQUIRED,
    RESULT_SUCCESS,
    RESULT_UNAVAILABLE_CRITICAL_EXTENSION,
    RESULT_UNWILLING_TO_PERFORM,
)

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.errors import (
    CursorRejected,
    DirectoryBindError,
    DirectoryCertificateError,
    DirectoryError,
    DirectoryIncomplete,
    DirectoryNotFound,
    DirectoryUnreachable,
)
from genesys_ad_sync.model import Guid

log = logging.getLogger(__name__)

PAGE_SIZE = 500  # entries a page; AD's MaxPageSize is 1000
RANGE_SIZE = 1500  # values a range; AD's MaxValRange is 1500, a server may choose less
RANGE_ATTEMPTS = 3  # how often an attribute is read from its start if it changes meanwhile

Scope = Literal["SUBTREE", "LEVEL", "BASE"]
Subordinates = Literal["refuse", "ignore"]

# Parts of the forest below a domain's DN that hold neither groups nor people of it. AD names them in every search
# of the whole domain.
_HARMLESS_REFERENCES = ("cn=configuration,", "cn=schema,", "dc=domaindnszones,", "dc=forestdnszones,")

# "data 52e" and the like in the text of a refused bind: Windows' error numbers, in hexadecimal.
_BIND_REFUSALS = {
    "525": "the account does not exist: check the login",
    "52e": "login or password is wrong",
    "530": "the account may not log in at this time of day",
    "531": "the account may not log in from this computer",
    "532": "the account's password has expired: set a new one",
    "533": "the account is disabled",
    "701": "the account has expired",
    "773": "the account must change its password first",
    "775": "the account is locked out: wait, or have it unlocked",
}


class DirSyncRefused(DirectoryError):
    """The server or the account's rights allow no DirSync at all (not: the cookie is bad)."""


class Transport(str, Enum):
    """How the connection is protected. ``PLAIN`` is not, and most domain controllers refuse it."""

    LDAPS = "ldaps"
    STARTTLS = "starttls"
    PLAIN = "plain"


@dataclass(frozen=True)
class ConnectionSettings:
    """Where and as whom to connect. ``hosts`` are tried in order; timeouts are whole seconds."""

    hosts: tuple[str, ...]
    login: str
    password: str = field(repr=False)
    port: int | None = None  # None: 636 for ldaps, else 389
    transport: Transport = Transport.LDAPS
    ca_certs_file: str | None = None  # None: the system's certificate authorities
    server_name: str | None = None  # the name in the certificate; None: the host
    base_dn: str | None = None  # must exist; None: the domain
    connect_timeout: int = 10
    receive_timeout: int = 60


@dataclass(frozen=True)
class Entry:
    """An answered object. Attribute names are lower-case and keep their options (``member;range=0-1499``)."""

    dn: str
    attributes: dict[str, list[bytes]]

    @property
    def guid(self) -> Guid:
        """Raises DirectoryIncomplete if the answer carries none: without it nothing can be known about the object."""
        values = self.attributes.get("objectguid")
        if not values:
            raise DirectoryIncomplete("Active Directory answered an object without its objectGUID.")
        return ctl.guid_of_bytes(values[0])

    def text(self, name: str) -> str | None:
        """The first value, decoded; a DN without the prefixes of the extended form."""
        values = self.attributes.get(name.lower())
        return ctl.plain_dn(values[0].decode("utf-8", "replace")) if values else None

    def number(self, name: str) -> int | None:
        """The first value as an integer."""
        values = self.attributes.get(name.lower())
        return int(values[0]) if values else None

    @property
    def classes(self) -> frozenset[str]:
        """``objectClass``, lower-case."""
        return frozenset(value.decode().lower() for value in self.attributes.get("objectclass", ()))


@dataclass(frozen=True)
class RootDse:
    """What a domain controller says of itself. ``current_time`` is its clock, whole seconds."""

    domain_controller: str
    naming_context: str
    highest_committed_usn: int
    invocation_id: Guid
    current_time: datetime
    supported_controls: frozenset[str]


@dataclass(frozen=True)
class Sync:
    """A whole DirSync answer, and the cookie from which the next one starts."""

    entries: list[Entry]
    cookie: bytes


class LdapSession:
    """Searches over one bound connection. Close it, or use it as a context manager.

    ``requests`` counts the searches sent. Every search carries the extended-DN control.
    Every method raises DirectoryIncomplete when an answer breaks off, DirectoryNotFound when a base does not exist.
    """

    def __init__(self, connection: Any, host: str) -> None:
        """``connection``: an ldap3 Connection, bound, with strategy SAFE_SYNC, ``auto_range`` and
        ``return_empty_attributes`` off (on, ldap3 truncates ranges and invents empty attributes)."""
        self._connection = connection
        self.host = host
        self.requests = 0

    def __enter__(self) -> LdapSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        try:
            self._connection.unbind()
        except LDAPExceptionError:
            log.debug("the connection was already closed by the domain controller")

    # -- searches -------------------------------------------------------------------------------------

    def root_dse(self) -> RootDse:
        """Two requests: the root DSE, and the invocationId behind its ``dsServiceName``."""
        names = ["dnsHostName", "defaultNamingContext", "highestCommittedUSN", "dsServiceName", "currentTime"]
        names.append("supportedControl")
        root = self._only(self.search("", "(objectClass=*)", names, "BASE"), "the root DSE")
        service = self._only(
            self.search(_need(root, "dsServiceName"), "(objectClass=*)", ["invocationId"], "BASE"),
            "the NTDS settings of the domain controller",
        )
        invocation = service.attributes.get("invocationid")
        if not invocation:
            raise DirectoryIncomplete(
                f"{self.host} does not show its invocationId. Give the account read access to CN=Sites of the "
                f"configuration partition."
            )
        return RootDse(
            domain_controller=_need(root, "dnsHostName"),
            naming_context=_need(root, "defaultNamingContext"),
            highest_committed_usn=int(_need(root, "highestCommittedUSN")),
            invocation_id=ctl.guid_of_bytes(invocation[0]),
            current_time=generalized_time(_need(root, "currentTime")),
            supported_controls=frozenset(value.decode() for value in root.attributes.get("supportedcontrol", ())),
        )

    def current_time(self) -> datetime:
        """The domain controller's clock, whole seconds (cut off). One request."""
        root = self._only(self.search("", "(objectClass=*)", ["currentTime"], "BASE"), "the root DSE")
        return generalized_time(_need(root, "currentTime"))

    def search(
        self,
        base: str,
        ldap_filter: str,
        attributes: Sequence[str],
        scope: Scope = "SUBTREE",
        controls: Sequence[Any] = (),
        subordinates: Subordinates = "refuse",
    ) -> list[Entry]:
        """One unpaged search; for answers that are small by construction (AD gives no more than 1000 entries).

        ``subordinates``: what to do when the server refers to another domain below the base.
        """
        result, response = self._request(base, ldap_filter, attributes, scope, controls)
        self._require_success(result, base)
        return self._entries(response, base, subordinates)

    def search_paged(
        self,
        base: str,
        ldap_filter: str,
        attributes: Sequence[str],
        page_size: int = PAGE_SIZE,
        subordinates: Subordinates = "refuse",
    ) -> Generator[Entry, None, None]:
        """A search of the whole subtree, page by page. The end of the iteration means that every page came.

        A page that fails cannot be asked for again: the cookie dies with the connection, and a server that gets a
        stale one answers code 53. So any failure raises DirectoryIncomplete; start again from the first page.
        """
        cookie: bytes = b""
        pages = count = 0
        try:
            while True:
                asked, cookie = cookie, b""  # a cookie that was used is of no more use for closing
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
                self._require_success(result, base)
                cookie = self._next_page(result)
                entries = self._entries(response, base, subordinates)
                pages, count = pages + 1, count + len(entries)
                yield from entries
                if not cookie:
                    log.debug("paged search: %d entries in %d pages", count, pages)
                    return
        finally:
            if cookie:
                self._close_paged_search(base, ldap_filter, cookie)

    def read_values(self, guid: Guid, attribute: str, seen: Sequence[bytes] = ()) -> list[bytes]:
        """All values of one attribute of one object, range by range; [] if the object has none.

        ``seen``: the values from index 0 on that are already known. Each range begins with the last value known, so
        that a value which moved to a lower index meanwhile (because another was taken away) is noticed and not
        skipped; then the attribute is read again from its start, at most ``RANGE_ATTEMPTS`` times.
        Raises DirectoryIncomplete if it never came to the end, DirectoryNotFound if the object does not exist.
        """
        for attempt in range(RANGE_ATTEMPTS):
            values = list(seen) if attempt == 0 else []
            if self._read_to_the_end(guid, attribute, values):
                return values
            log.debug("range retrieval of %s of %s starts again", attribute, guid)
        raise DirectoryIncomplete(
            f"{self.host} did not give all values of {attribute} of the object {guid}: a range is missing, or it kept "
            f"changing while it was read. Nothing was concluded from the part that came; run again."
        )

    def dirsync(self, naming_context: str, ldap_filter: str, attributes: Sequence[str], cookie: bytes) -> Sync:
        """What changed since ``cookie`` (b"": everything), tombstones included, until the server has no more.

        Values come as ``member;range=1-1`` (added) and ``member;range=0-0`` (removed). The base must be a naming
        context. Raises CursorRejected for a bad cookie, DirSyncRefused if the server or the account's rights forbid it.
        """
        entries: list[Entry] = []
        first = not cookie
        while True:
            result, response = self._request(
                naming_context,
                ldap_filter,
                attributes,
                "SUBTREE",
                (ctl.dirsync_control(cookie), ctl.show_deleted()),
            )
            self._require_dirsync(result, naming_context, "first" if first else "later")
            page = self._entries(response, naming_context, "ignore")
            entries += page
            answer = ((result.get("controls") or {}).get(ctl.DIRSYNC) or {}).get("value")
            if not answer or not answer.get("cookie"):
                raise DirectoryIncomplete(f"{self.host} answered a DirSync search without a cookie.")
            stuck = answer["cookie"] == cookie and not page
            cookie = bytes(answer["cookie"])
            if not answer["more_results"]:
                log.debug("dirsync: %d entries", len(entries))
                return Sync(entries, cookie)
            if stuck:
                raise DirectoryIncomplete(f"{self.host} says that DirSync has more results, but gives none.")
            first = False

    def sees_deleted_objects(self, naming_context: str) -> bool:
        """Whether the account may see tombstones. One request.

        Without List and Read on ``CN=Deleted Objects`` the container is not there, or shows none of its attributes,
        and everything in it is invisible: "nothing was deleted" and "may not be seen" look the same otherwise.
        """
        try:
            container = f"CN=Deleted Objects,{naming_context}"
            found = self.search(container, "(objectClass=*)", ["objectClass"], "BASE", (ctl.show_deleted(),))
        except DirectoryNotFound:
            return False
        return any(entry.classes for entry in found)

    def who_am_i(self) -> str | None:
        """The account as the server sees it (RFC 4532); None if it does not say."""
        try:
            answer = self._connection.extend.standard.who_am_i()
        except LDAPExceptionError:
            return None
        return str(answer) if answer else None

    # -- parts of them --------------------------------------------------------------------------------

    def _request(
        self,
        base: str,
        ldap_filter: str,
        attributes: Sequence[str],
        scope: Scope,
        controls: Sequence[Any],
        **paging: Any,
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        self.requests += 1
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
        except LDAPExceptionError as error:
            raise DirectoryIncomplete(
                f"The connection to {self.host} broke while Active Directory was being read "
                f"({type(error).__name__}). Nothing was concluded from the part that came; run again."
            ) from error
        return result, response or []

    def _entries(self, response: list[dict[str, Any]], base: str, subordinates: Subordinates) -> list[Entry]:
        entries = []
        for item in response:
            if item["type"] == "searchResEntry":
                raw: Mapping[str, list[bytes] | None] = item["raw_attributes"]
                # ldap3 gives None for an attribute that came without values.
                attributes = {name.lower(): list(values or ()) for name, values in raw.items()}
                entries.append(Entry(ctl.plain_dn(item["dn"]), attributes))
            elif item["type"] == "searchResRef" and subordinates == "refuse" and not _harmless(item["uri"]):
                raise DirectoryIncomplete(
                    f"A part of {base} lies in another domain, which {self.host} does not hold. Choose a "
                    f"`directory.group_base` that lies in one domain only."
                )
        return entries

    def _require_success(self, result: dict[str, Any], base: str) -> None:
        code = result["result"]
        if code == RESULT_SUCCESS:
            return
        if code == RESULT_NO_SUCH_OBJECT:
            raise DirectoryNotFound(f"{base} does not exist, or the account may not see it.")
        if code == RESULT_REFERRAL:
            raise DirectoryIncomplete(
                f"{base} lies in a domain that {self.host} does not hold. Connect to a domain controller of that "
                f"domain."
            )
        self._refuse(result)

    def _require_dirsync(self, result: dict[str, Any], base: str, request: Literal["first", "later"]) -> None:
        code = result["result"]
        refused = code in (
            RESULT_INSUFFICIENT_ACCESS_RIGHTS,
            RESULT_UNAVAILABLE_CRITICAL_EXTENSION,
            RESULT_UNWILLING_TO_PERFORM,
        )
        if refused and request == "first":
            raise DirSyncRefused(f"{self.host} refuses DirSync ({result['description']}).")
        if refused:
            raise CursorRejected(f"{self.host} does not accept the DirSync cookie ({result['description']}).")
        self._require_success(result, base)

    def _refuse(self, result: dict[str, Any]) -> NoReturn:
        raise DirectoryIncomplete(
            f"{self.host} broke off a search: {result['description']} (code {result['result']}). "
            f"Nothing was concluded from the part that came; run again."
        )

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
            log.debug("the open paged search went with the connection")

    def _read_to_the_end(self, guid: Guid, attribute: str, values: list[bytes]) -> bool:
        """Appends to ``values``. False: they shifted meanwhile, or a range is missing."""
        while True:
            low = max(len(values) - 1, 0)
            asked = f"{attribute};range={low}-{low + RANGE_SIZE - 1}"
            entry = self._only(self.search(f"<GUID={guid}>", "(objectClass=*)", [asked], "BASE"), f"the object {guid}")
            try:
                part = ctl.find_range(entry.attributes, attribute)
            except ValueError:
                return False
            if part is None:
                return not values  # an object without values; or, further on, a range that should be there
            if part.low != low or (values and part.values[:1] != values[low:]):
                return False
            fresh = part.values[1:] if values else part.values
            values += fresh
            if part.last:
                return True
            if not fresh:
                return False

    def _only(self, entries: list[Entry], what: str) -> Entry:
        if len(entries) != 1:
            raise DirectoryNotFound(f"{self.host} does not show {what}.")
        return entries[0]


def _harmless(uris: Sequence[str]) -> bool:
    return all(uri.split("/", 3)[-1].lower().startswith(_HARMLESS_REFERENCES) for uri in uris)


def _need(entry: Entry, name: str) -> str:
    value = entry.text(name)
    if value is None:
        raise DirectoryIncomplete(f"The root DSE carries no {name}: this is no Active Directory domain controller.")
    return value


def generalized_time(text: str) -> datetime:
    """``20261124053822.0Z`` as an aware datetime in UTC."""
    return datetime.strptime(text.split(".")[0].rstrip("Z"), "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)


# -- connecting ---------------------------------------------------------------------------------------


class _VerifiedTls(ldap3.Tls):
    """Leaves the check of certificate and name to Python's ``ssl``.

    ldap3's own check ignores IP addresses in certificates, and turns a certificate error into a mere socket error.
    """

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self._server_name = server_name
        self.certificate_error: ssl.SSLCertVerificationError | None = None

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        try:
            connection.socket = self._context.wrap_socket(connection.socket, server_hostname=self._server_name)
        except ssl.SSLCertVerificationError as error:
            self.certificate_error = error
            raise


class _Failed(Exception):
    """One domain controller could not be used; the next one may."""


class _CertificateFailed(_Failed):
    pass


def connect(settings: ConnectionSettings) -> LdapSession:
    """Binds to the first domain controller that answers, and makes sure that ``base_dn`` exists.

    Raises DirectoryCertificateError if none could be used and at least one because of its certificate,
    DirectoryUnreachable if none answered, DirectoryBindError at the first refused password (it is not tried on the
    next one: each try counts towards locking the account), DirectoryNotFound for a missing ``base_dn``.
    """
    context = _tls_context(settings) if settings.transport is not Transport.PLAIN else None
    failures: list[_Failed] = []
    for host in settings.hosts:
        try:
            session = _connect_to(host, settings, context)
        except _Failed as failure:
            log.warning("domain controller skipped: %s", failure)
            failures.append(failure)
            continue
        _require_base_dn(session, settings)
        return session
    text = "; ".join(map(str, failures))
    if any(isinstance(failure, _CertificateFailed) for failure in failures):
        raise DirectoryCertificateError(f"No trusted connection to Active Directory. {text}")
    raise DirectoryUnreachable(
        f"No domain controller answered. {text or 'The connection names none.'} "
        f"Check host, port and `transport` of the connection, and the firewall."
    )


def _tls_context(settings: ConnectionSettings) -> ssl.SSLContext:
    if settings.ca_certs_file is not None and not Path(settings.ca_certs_file).is_file():
        raise DirectoryCertificateError(
            f"`ca_certs_file` of the connection does not exist: {settings.ca_certs_file}. It must be a PEM file that "
            f"this worker can read, with the certificate authority of the domain controllers."
        )
    try:
        context = ssl.create_default_context(cafile=settings.ca_certs_file)
    except (ssl.SSLError, OSError) as error:
        raise DirectoryCertificateError(
            f"`ca_certs_file` of the connection cannot be read as PEM certificates: {settings.ca_certs_file} ({error})."
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _connect_to(host: str, settings: ConnectionSettings, context: ssl.SSLContext | None) -> LdapSession:
    tls = _VerifiedTls(context, settings.server_name or host) if context is not None else None
    server = ldap3.Server(
        host,
        port=settings.port or (636 if settings.transport is Transport.LDAPS else 389),
        use_ssl=settings.transport is Transport.LDAPS,
        tls=tls,
        get_info=ldap3.NONE,
        connect_timeout=settings.connect_timeout,
    )
    connection = ldap3.Connection(
        server,
        user=settings.login,
        password=settings.password,
        authentication=ldap3.SIMPLE,
        client_strategy=ldap3.SAFE_SYNC,
        auto_referrals=False,
        auto_range=False,
        return_empty_attributes=False,
        check_names=False,
        raise_exceptions=False,
        receive_timeout=settings.receive_timeout,
    )
    try:
        connection.open(read_server_info=False)
        if settings.transport is Transport.STARTTLS:
            connection.start_tls(read_server_info=False)
        _, result, _, _ = connection.bind(read_server_info=False)
    except LDAPExceptionError as error:
        if tls is not None and tls.certificate_error is not None:
            raise _CertificateFailed(_certificate_text(host, tls.certificate_error, settings)) from error
        raise _Failed(f"{host}: {error}") from error
    if result["result"] != RESULT_SUCCESS:
        connection.unbind()
        _refuse_bind(host, result)
    return LdapSession(connection, host)


def _certificate_text(host: str, error: ssl.SSLCertVerificationError, settings: ConnectionSettings) -> str:
    reason = error.verify_message or str(error)
    if "mismatch" in reason.lower():
        remedy = "Set `server_name` of the connection to the name that stands in the certificate."
    elif settings.ca_certs_file is None:
        remedy = "Set `ca_certs_file` of the connection to a PEM file with the certificate authority that signed it."
    else:
        remedy = f"`ca_certs_file` ({settings.ca_certs_file}) is not the certificate authority that signed it."
    return f"{host}: the certificate does not verify: {reason.rstrip('.')}. {remedy}"


def _refuse_bind(host: str, result: dict[str, Any]) -> NoReturn:
    code, message = result["result"], str(result.get("message") or "")
    if code == RESULT_INVALID_CREDENTIALS:
        number = message.partition("data ")[2].partition(",")[0].strip().lower()
        reason = _BIND_REFUSALS.get(number, "login or password is wrong")
        raise DirectoryBindError(
            f"{host} refuses the login: {reason}. No other domain controller was tried, because each attempt counts "
            f"towards locking the account. Check login and password of the connection."
        )
    if code == RESULT_STRONGER_AUTH_REQUIRED:
        raise DirectoryBindError(
            f"{host} refuses a login over an unprotected connection. Set `transport` of the connection to ldaps or "
            f"starttls."
        )
    raise _Failed(f"{host}: bind refused: {result['description']} (code {code})")


def _require_base_dn(session: LdapSession, settings: ConnectionSettings) -> None:
    if settings.base_dn is None:
        return
    try:
        session.search(settings.base_dn, "(objectClass=*)", ["1.1"], "BASE")
    except DirectoryError as error:
        session.close()
        if not isinstance(error, DirectoryNotFound):
            raise
        raise DirectoryNotFound(
            f"`base_dn` of the connection does not exist, or the account may not see it: {settings.base_dn}. "
            f"Correct it, or leave it out to use the whole domain."
        ) from error
