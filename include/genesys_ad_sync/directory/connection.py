"""From settings to a bound LDAP session: TLS, certificate, login, and failover between hosts."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

import ldap3
from ldap3.core.exceptions import LDAPExceptionError
from ldap3.core.results import RESULT_INVALID_CREDENTIALS, RESULT_STRONGER_AUTH_REQUIRED, RESULT_SUCCESS

from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import (
    DirectoryBindError,
    DirectoryCertificateError,
    DirectoryError,
    DirectoryNotFound,
    DirectoryUnreachable,
)

log = logging.getLogger(__name__)

# A refused bind carries "data 52e" or the like in its text: Windows' error numbers, in hexadecimal.
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


class Transport(str, Enum):
    """Protection of the connection. ``PLAIN`` has none, and most domain controllers refuse it."""

    LDAPS = "ldaps"
    STARTTLS = "starttls"
    PLAIN = "plain"


@dataclass(frozen=True)
class LdapSettings:
    """Hosts, login and protection. ``hosts`` are tried in order; timeouts are whole seconds."""

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


class _VerifiedTls(ldap3.Tls):  # type: ignore[misc]  # ldap3 has no types
    """Leave the check of certificate and name to Python's ``ssl``.

    ldap3's own check ignores IP addresses in certificates, and turns a certificate error into a mere socket error.
    """

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self._server_name = server_name
        self.certificate_error: ssl.SSLCertVerificationError | None = None

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: ARG002, FBT001  ldap3's signature
        try:
            connection.socket = self._context.wrap_socket(connection.socket, server_hostname=self._server_name)
        except ssl.SSLCertVerificationError as error:
            self.certificate_error = error
            raise


class _HostFailed(Exception):
    """A domain controller could not be used. The next one may work."""


class _CertificateFailed(_HostFailed):
    """Its certificate does not verify."""


def connect(settings: LdapSettings) -> LdapSession:
    """Bind to the first domain controller that answers, and check that ``base_dn`` exists.

    Raises:
    - DirectoryBindError at the first refused login. The next host is not tried, because each attempt counts towards
      locking the account.
    - DirectoryCertificateError if no host could be used, and at least one failed because of its certificate.
    - DirectoryUnreachable if no host could be used for other reasons.
    - DirectoryNotFound for a missing ``base_dn``.
    """
    context = _tls_context(settings) if settings.transport is not Transport.PLAIN else None
    failures: list[_HostFailed] = []
    for host in settings.hosts:
        try:
            session = _connect_to(host, settings, context)
        except _HostFailed as failure:
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


def _tls_context(settings: LdapSettings) -> ssl.SSLContext:
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


def _connect_to(host: str, settings: LdapSettings, context: ssl.SSLContext | None) -> LdapSession:
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
        raise _HostFailed(f"{host}: {error}") from error
    if result["result"] != RESULT_SUCCESS:
        connection.unbind()
        _refuse_bind(host, result)
    return LdapSession(connection, host)


def _certificate_text(host: str, error: ssl.SSLCertVerificationError, settings: LdapSettings) -> str:
    reason = error.verify_message or str(error)
    if "mismatch" in reason.lower():
        remedy = "Set `server_name` of the connection to the name in the certificate."
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
    raise _HostFailed(f"{host}: bind refused: {result['description']} (code {code})")


def _require_base_dn(session: LdapSession, settings: LdapSettings) -> None:
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
