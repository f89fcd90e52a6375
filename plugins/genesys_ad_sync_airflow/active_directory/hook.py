"""Turns an Airflow connection of type ``active_directory`` into a verified, bound LDAP session.

Errors name the fields of the connection form. Reading is the work of ``genesys_ad_sync.directory``.
"""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from genesys_ad_sync.errors import DirectoryError, SettingsError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from genesys_ad_sync.directory.connection import LdapSettings, Transport
    from genesys_ad_sync.directory.hosts import BadHost, Host
    from genesys_ad_sync.directory.session import LdapSession
    from genesys_ad_sync_airflow.logins import LoginAttempt

EXTRAS = ("transport", "ca_certs_file", "ca_certs", "server_name", "base_dn", "connect_timeout", "receive_timeout")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
DEFAULT_CONNECT_TIMEOUT = 10  # seconds
DEFAULT_RECEIVE_TIMEOUT = 60
LONGEST_TIMEOUT = 86_400  # a socket takes no number of any size


class ActiveDirectoryHook(BaseHook):
    """A session with the first domain controller of the connection that answers.

    Connection fields: *host* one or several domain controllers, comma-separated, tried in order; *port* (default 636,
    or 389 without ``ldaps``); *login* as DN or user principal name; *password*. Extra: ``transport`` ``ldaps``
    (default), ``starttls`` or ``plain``, and no scheme in *host* may contradict it; ``ca_certs_file`` PEM file,
    ``ca_certs`` PEM text; ``server_name`` the name in the certificate, if it is not the host, or one for
    each host, comma-separated; ``base_dn`` is only checked to exist; ``connect_timeout``, ``receive_timeout`` seconds.

    :param active_directory_conn_id: the id of the connection
    """

    conn_name_attr = "active_directory_conn_id"
    default_conn_name = "active_directory_default"
    conn_type = "active_directory"
    hook_name = "Active Directory"

    def __init__(
        self,
        active_directory_conn_id: str = default_conn_name,
        *,
        login_attempt: LoginAttempt = lambda _: nullcontext(),
        **kwargs: Any,
    ) -> None:
        """Make a hook. ``login_attempt`` surrounds each bind, and may refuse it."""
        super().__init__(**kwargs)
        self.active_directory_conn_id = active_directory_conn_id
        self._login_attempt = login_attempt

    def get_conn(self) -> LdapSession:
        """Open a bound session; use it as a context manager.

        Raises SettingsError for wrong fields of the connection, and the errors of
        ``genesys_ad_sync.directory.connection.connect``.
        """
        # ldap3 is loaded only for reading: Airflow imports this module to list the connection types.
        from genesys_ad_sync.directory.connection import connect

        settings = self.settings()  # read each time: a new password is used at once
        parts = (
            settings.login,
            settings.password,
            ",".join(settings.hosts),
            str(settings.port),
            settings.transport.value,
        )
        with self._login_attempt(parts):
            return connect(settings)

    def settings(self) -> LdapSettings:
        """Read the Airflow connection. Raises SettingsError with field and remedy."""
        return connection_settings(self.get_connection(self.active_directory_conn_id))

    def warnings(self) -> list[str]:
        """Return what the connection leaves unprotected, for the log and the report."""
        from genesys_ad_sync.directory.connection import Transport
        from genesys_ad_sync.directory.hosts import GLOBAL_CATALOG_PORTS, Host

        settings = self.settings()
        warnings = []
        if settings.transport is Transport.PLAIN:
            warnings.append(
                f"the connection {self.active_directory_conn_id} sends the bind password and what it reads unencrypted "
                "(`transport` is plain). Use ldaps"
            )
        hosts = (host for host in settings.parsed_hosts() if isinstance(host, Host))
        if ports := sorted({host.port for host in hosts} & GLOBAL_CATALOG_PORTS):
            warnings.append(
                f"the connection {self.active_directory_conn_id} uses port {' and '.join(map(str, ports))}, which is "
                "the global catalog: it has only a part of each object's attributes. So it may not show when an "
                "account expires, or a value that rules compare. Use port 636, or 389 with starttls"
            )
        return warnings

    def test_connection(self) -> tuple[bool, str]:
        """Answer the Test button of the form: every host of the connection is tried.

        It ends at the first refused login, because each attempt counts towards locking the account.
        """
        from genesys_ad_sync.directory.connection import HostFailed, each_host, require_base_dn

        answers: list[str] = []
        problems: list[str] = []
        try:
            settings = self.settings()
            for host, outcome in each_host(settings):
                if isinstance(outcome, HostFailed):
                    problems.append(str(outcome))
                    continue
                with outcome as session:
                    require_base_dn(session, settings)
                    answers.append(_description(host, session, settings))
        except (DirectoryError, SettingsError) as error:
            problems.append(str(error))
        return not problems, " ".join([*(f"Problem: {problem}" for problem in problems), *answers])


def _description(host: Host | BadHost, session: LdapSession, settings: LdapSettings) -> str:
    root = session.root_dse()
    account = session.who_am_i() or settings.login
    return (
        f"{host}: connected to {root.domain_controller} ({settings.transport.value}) as {account}. "
        f"Naming context: {root.naming_context}."
    )


def connection_settings(connection: Connection) -> LdapSettings:
    """Check an Airflow connection.

    Raises SettingsError with the connection, the field and the remedy. Never shows the password.
    """
    from genesys_ad_sync.directory.connection import LdapSettings

    name = connection.conn_id
    extra = connection.extra_dejson
    unknown = sorted(set(extra) - set(EXTRAS))
    if unknown:
        raise SettingsError(f"Connection {name}: unknown extra {', '.join(unknown)}. Known are {', '.join(EXTRAS)}.")
    hosts = tuple(host.strip() for host in (connection.host or "").split(",") if host.strip())
    if not hosts:
        raise SettingsError(f"Connection {name}: host is empty. Give one or several domain controllers.")
    if not connection.login or not connection.password:
        raise SettingsError(f"Connection {name}: login and password are needed. AD is not read anonymously.")
    settings = LdapSettings(
        hosts=hosts,
        login=connection.login,
        password=connection.password,
        port=connection.port,
        transport=_transport(name, extra),
        ca_certs_file=_ca_certs_file(name, extra),
        ca_certs=_ca_certs(name, extra),
        server_name=_text(extra, "server_name"),
        base_dn=_text(extra, "base_dn"),
        connect_timeout=_seconds(name, extra, "connect_timeout", DEFAULT_CONNECT_TIMEOUT),
        receive_timeout=_seconds(name, extra, "receive_timeout", DEFAULT_RECEIVE_TIMEOUT),
    )
    try:
        settings.parsed_hosts()
    except SettingsError as error:
        raise SettingsError(f"Connection {name}: {error}") from None
    return settings


def _transport(name: str, extra: dict[str, Any]) -> Transport:
    from genesys_ad_sync.directory.connection import Transport

    value = _text(extra, "transport") or Transport.LDAPS.value
    try:
        return Transport(value.lower())
    except ValueError:
        known = ", ".join(transport.value for transport in Transport)
        raise SettingsError(f"Connection {name}: `transport` is {value!r}. Choose one of {known}.") from None


def _ca_certs_file(name: str, extra: dict[str, Any]) -> str | None:
    value = _text(extra, "ca_certs_file")
    if value is not None and not Path(value).is_file():
        raise SettingsError(
            f"Connection {name}: `ca_certs_file` does not exist on this machine: {value}. Every worker needs that file."
        )
    return value


def _ca_certs(name: str, extra: dict[str, Any]) -> str | None:
    """Return the PEM text with its line breaks.

    Forms with one line take them out, and environment variables often have ``\\n`` in their place.
    """
    value = _text(extra, "ca_certs")
    if value is None:
        return None
    blocks = [re.sub(r"\\n|\\r|\s", "", block) for block in _CERTIFICATE.findall(value)]
    if not blocks or any(not re.fullmatch(r"[A-Za-z0-9+/]+=*", block) for block in blocks):
        raise SettingsError(
            f"Connection {name}: `ca_certs` must be one or several PEM certificates, from -----BEGIN CERTIFICATE----- "
            f"to -----END CERTIFICATE-----."
        )
    wrapped = ("\n".join(block[at : at + 64] for at in range(0, len(block), 64)) for block in blocks)
    return "".join(f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n" for text in wrapped)


def _seconds(name: str, extra: dict[str, Any], key: str, default: int) -> int:
    value = _text(extra, key)
    if value is None:
        return default
    try:
        number = float(value)  # the form stores a number, which may come as 10.0
    except ValueError:
        number = 0.0
    if not 1 <= number <= LONGEST_TIMEOUT or not number.is_integer():
        raise SettingsError(
            f"Connection {name}: `{key}` is {value!r}. Give whole seconds, at least 1 and at most {LONGEST_TIMEOUT}."
        )
    return int(number)


def _text(extra: dict[str, Any], key: str) -> str | None:
    """Return a stripped field; None for null or an empty text.

    The form stores an empty field so.
    """
    value = extra.get(key)
    return None if value is None or str(value).strip() == "" else str(value).strip()
