"""From settings to a bound LDAP session: TLS, certificate, login, and failover between hosts."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import ldap3
from ldap3.core.results import RESULT_SUCCESS

from genesys_ad_sync.directory.entries import InvalidDn
from genesys_ad_sync.directory.hosts import BadHost, Host, Transport, is_address, parse_hosts
from genesys_ad_sync.directory.known_controller import is_name_of
from genesys_ad_sync.directory.ldap_library import LIBRARY_ERRORS, require_usable_library, result_without_name
from genesys_ad_sync.directory.refusals import bind_refusal, certificate_problem
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import (
    DirectoryBindError,
    DirectoryCertificateError,
    DirectoryError,
    DirectoryNotFound,
    DirectoryUnreachable,
    SettingsError,
)

__all__ = ["LdapSettings", "Transport", "connect"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LdapSettings:
    """Hosts, login and protection. Timeouts are whole seconds.

    ``hosts`` are tried in order, as ``parse_hosts`` reads them. ``server_name``: the name in the certificates, or one
    name for each host, comma-separated; None: the host's own.
    """

    hosts: tuple[str, ...]
    login: str
    password: str = field(repr=False)
    port: int | None = None  # None: 636 for ldaps, else 389
    transport: Transport = Transport.LDAPS
    ca_certs_file: str | None = None  # PEM file. Without it and `ca_certs`: the system's certificate authorities
    ca_certs: str | None = None  # PEM text, in addition
    server_name: str | None = None
    base_dn: str | None = None  # must exist; None: the domain
    connect_timeout: int = 10
    receive_timeout: int = 60

    @property
    def ca_source(self) -> str | None:
        """Return the fields with the certificate authorities, for messages."""
        named = [f"`ca_certs_file` ({self.ca_certs_file})"] if self.ca_certs_file is not None else []
        if self.ca_certs is not None:
            named.append("`ca_certs`")
        return " and ".join(named) or None

    def parsed_hosts(self) -> list[Host | BadHost]:
        """Parse ``hosts``. Raises SettingsError if nothing may be sent to any of them."""
        return parse_hosts(self.hosts, self.port, self.transport, self.server_name)


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


class HostFailed(Exception):
    """A domain controller could not be used. The next one may work."""


class NotAHost(HostFailed):
    """The entry of ``host`` must be a name or an address."""


class NoLogin(HostFailed):
    """It answered, and did not check the login."""


class CertificateFailed(HostFailed):
    """Its certificate does not verify."""


def connect(settings: LdapSettings) -> LdapSession:
    """Bind to the first domain controller that answers, and check that ``base_dn`` exists.

    Raises:
    - SettingsError, before anything is sent, if the hosts contradict the rest of the settings; or if none is a host.
    - DirectoryBindError at the first refused login. The next host is not tried, because each attempt counts towards
      locking the account.
    - DirectoryCertificateError if no host could be used, and at least one failed because of its certificate.
    - DirectoryUnreachable if no host could be used for other reasons.
    - DirectoryNotFound for a missing ``base_dn``.
    """
    failures: list[HostFailed] = []
    for _, outcome in each_host(settings):
        if isinstance(outcome, HostFailed):
            log.warning("domain controller skipped: %s", outcome)
            failures.append(outcome)
            continue
        require_base_dn(outcome, settings)
        return outcome
    raise _nobody_answered(failures)


def each_host(settings: LdapSettings) -> Iterator[tuple[Host | BadHost, LdapSession | HostFailed]]:
    """Bind to one domain controller after the other, as the caller asks for more.

    Raises SettingsError before anything is sent, and DirectoryBindError at the first refused login.
    """
    require_usable_library()
    hosts = settings.parsed_hosts()
    context = _tls_context(settings) if settings.transport is not Transport.PLAIN else None
    for host in hosts:
        try:
            yield host, _connect_to(host, settings, context)
        except HostFailed as failure:
            yield host, failure


def _nobody_answered(failures: list[HostFailed]) -> SettingsError | DirectoryError:
    text = "; ".join(map(str, failures))
    if any(isinstance(failure, CertificateFailed) for failure in failures):
        return DirectoryCertificateError(f"No trusted connection to Active Directory. {text}")
    if failures and all(isinstance(failure, NotAHost) for failure in failures):
        return SettingsError(f"`host` of the connection names no domain controller. {text}. Correct it.")
    if failures and all(isinstance(failure, NoLogin) for failure in failures):
        remedy = "Each one was reached, but did not check the login. The codes say why; another login need not help."
    else:
        remedy = "Check host, port and `transport` of the connection, and the firewall."
    return DirectoryUnreachable(f"No domain controller could be used. {text or 'The connection names none'}. {remedy}")


def _tls_context(settings: LdapSettings) -> ssl.SSLContext:
    if settings.ca_certs_file is not None and not Path(settings.ca_certs_file).is_file():
        raise DirectoryCertificateError(
            f"`ca_certs_file` of the connection does not exist: {settings.ca_certs_file}. It must be a PEM file that "
            f"this worker can read, with the certificate authority of the domain controllers."
        )
    try:
        context = ssl.create_default_context(cafile=settings.ca_certs_file, cadata=settings.ca_certs)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise DirectoryCertificateError(
            f"{settings.ca_source} of the connection cannot be read as PEM certificates ({error})."
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _connect_to(host: Host | BadHost, settings: LdapSettings, context: ssl.SSLContext | None) -> LdapSession:
    if isinstance(host, BadHost):
        raise NotAHost(f"{host}: {host.problem}")
    tls = _VerifiedTls(context, host.server_name) if context is not None else None
    try:
        connection = _connection(host, settings, tls)
        connection.open(read_server_info=False)
        _send_at_once(connection)
        if settings.transport is Transport.STARTTLS:
            connection.start_tls(read_server_info=False)
        _require_protection(connection, host, settings)
        result = _bind(connection)
    except LIBRARY_ERRORS as error:
        if tls is not None and tls.certificate_error is not None:
            problem = certificate_problem(tls.certificate_error, settings.ca_source)
            raise CertificateFailed(f"{host}: {problem}") from error
        raise HostFailed(f"{host}: {str(error) or type(error).__name__}") from error
    if result["result"] != RESULT_SUCCESS:
        connection.unbind()
        _refuse_bind(host, result, settings.transport)
    session = LdapSession(connection, host.name)
    if context is not None and not is_address(host.name):
        session.elsewhere = lambda name: _open_known(name, host, settings, context)
    return session


def _send_at_once(connection: Any) -> None:
    """Let the login not wait until the domain controller has acknowledged the handshake before it.

    Nagle's algorithm and the delayed acknowledgement (40 ms on Linux, up to 200 ms on Windows) wait for each other.
    """
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _open_known(name: str, host: Host, settings: LdapSettings, context: ssl.SSLContext) -> LdapSession | None:
    """Open a session with a domain controller by its own name.

    None: the connection leaves no choice, or the session fails. Its certificate must carry that name. Without
    certificates no name is believed that the connection does not have.
    """
    if any(isinstance(own, Host) and is_name_of(own.name, name) for own in settings.parsed_hosts()):
        return None
    (known,) = parse_hosts((name,), host.port, settings.transport)
    try:
        return _connect_to(known, settings, context)
    except (HostFailed, DirectoryBindError) as failure:
        log.warning("the domain controller that was read last is not used: %s", failure)
        return None


def _connection(host: Host, settings: LdapSettings, tls: _VerifiedTls | None) -> Any:
    server = ldap3.Server(
        host.name,
        port=host.port,
        use_ssl=settings.transport is Transport.LDAPS,
        tls=tls,
        get_info=ldap3.NONE,
        connect_timeout=settings.connect_timeout,
    )
    if (server.host, server.port, server.ssl) != (host.name, host.port, settings.transport is Transport.LDAPS):
        raise HostFailed(f"{host}: ldap3 understands another host than this one")
    return ldap3.Connection(
        server,
        user=settings.login,
        password=settings.password.encode("utf-8"),  # ldap3 alters a text (SASLprep), and sends bytes as they are
        authentication=ldap3.SIMPLE,
        client_strategy=ldap3.SAFE_SYNC,
        auto_referrals=False,
        auto_range=False,
        return_empty_attributes=False,
        check_names=False,
        raise_exceptions=False,
        receive_timeout=settings.receive_timeout,
    )


def _bind(connection: Any) -> dict[str, Any]:
    """Log in, and return the result, whatever it is.

    Raises one of ``LIBRARY_ERRORS`` if there is none.
    """
    try:
        _, result, _, _ = connection.bind(read_server_info=False)
    except KeyError as error:
        result = result_without_name(error)
        if result is None:
            raise
    return dict(result)


def _require_protection(connection: Any, host: Host, settings: LdapSettings) -> None:
    """Look at the socket itself before the password goes out.

    Nothing else proves that the connection is TLS.
    """
    if settings.transport is Transport.PLAIN or isinstance(connection.socket, ssl.SSLSocket):
        return
    connection.strategy.close()
    raise HostFailed(f"{host}: TLS did not start, so the login was not sent")


def _refuse_bind(host: Host, result: dict[str, Any], transport: Transport) -> NoReturn:
    refusal = bind_refusal(result["result"], result["description"], str(result.get("message") or ""), transport)
    if refusal.about_login:
        raise DirectoryBindError(f"{host} {refusal.text}")
    raise NoLogin(f"{host}: {refusal.text}")


def require_base_dn(session: LdapSession, settings: LdapSettings) -> None:
    """Check that ``base_dn`` exists, if there is one. Raises DirectoryNotFound, and closes the session."""
    if settings.base_dn is None:
        return
    try:
        session.search(settings.base_dn, "(objectClass=*)", ["1.1"], "BASE")
    except InvalidDn as error:
        session.close()
        raise SettingsError(
            f"`base_dn` of the connection is not a distinguished name to Active Directory: {settings.base_dn}. "
            f"Correct it, or leave it out to use the whole domain."
        ) from error
    except DirectoryError as error:
        session.close()
        if not isinstance(error, DirectoryNotFound):
            raise
        raise DirectoryNotFound(
            f"`base_dn` of the connection does not exist, or the account may not see it: {settings.base_dn}. "
            f"Correct it, or leave it out to use the whole domain."
        ) from error
