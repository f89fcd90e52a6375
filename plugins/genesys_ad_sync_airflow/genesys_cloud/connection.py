"""The Airflow connection of type ``genesys_cloud``, read and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.this_machine import is_loopback
from genesys_ad_sync_airflow.genesys_cloud.regions import region_domain

ENCRYPTED, PLAIN = "https", "plain"
"""Values of the extra `transport`."""
LARGEST_NUMBER = 1_000_000
DEFAULT_TIMEOUT = 30.0  # seconds, to connect and between two bytes of an answer

_ENDING = re.compile(r"(/api/v2|/oauth/token|/oauth)/*$", re.IGNORECASE)
_OWN_EXTRAS = frozenset({"api_url", "login_url", "timeout", "requests_per_minute", "transport"})
_HTTP_EXTRAS = frozenset({"verify", "verify_ssl", "cert", "proxies", "proxy", "trust_env"})


@dataclass(frozen=True)
class GenesysConnection:
    """An Airflow connection, checked. URLs end without a slash."""

    connection_id: str
    api_url: str
    login_url: str
    client_id: str
    client_secret: str = field(repr=False)
    timeout: float = DEFAULT_TIMEOUT
    requests_per_minute: int | None = None
    http_extra: Mapping[str, Any] = field(default_factory=dict)  # those of HttpHook that make sense here
    unknown_extra: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # what the connection leaves unprotected, for the log and the report
    proxy_secrets: tuple[str, ...] = field(default=(), repr=False)  # must not get into logs


def read_connection(connection_id: str, connection: Any) -> GenesysConnection:
    """Check an Airflow connection. Raises SettingsError or RegionUnknown with the field to correct."""
    extra = dict(connection.extra_dejson or {})
    extra = {key: value for key, value in extra.items() if value not in (None, "")}  # fields left empty in the form
    transport = _transport(connection_id, extra)
    urls = {key: _url(connection_id, key, extra.get(key), transport) for key in ("api_url", "login_url")}
    if not (urls["api_url"] and urls["login_url"]):
        domain = region_domain(connection.host)
        urls["api_url"] = urls["api_url"] or f"https://api.{domain}"
        urls["login_url"] = urls["login_url"] or f"https://login.{domain}"
    if not connection.login or not connection.password:
        raise SettingsError(
            f"Connection {connection_id}: set Login to the OAuth client's id and Password to its secret"
        )
    rate = _positive(connection_id, extra, "requests_per_minute")
    http_extra = _http_extra(connection_id, extra)
    return GenesysConnection(
        connection_id=connection_id,
        api_url=urls["api_url"],
        login_url=urls["login_url"],
        client_id=connection.login,
        client_secret=connection.password,
        timeout=_positive(connection_id, extra, "timeout") or DEFAULT_TIMEOUT,
        requests_per_minute=max(1, int(rate)) if rate else None,
        http_extra=http_extra,
        unknown_extra=tuple(sorted(extra.keys() - _OWN_EXTRAS - _HTTP_EXTRAS)),
        warnings=tuple(_warnings(connection_id, urls, http_extra)),
        proxy_secrets=tuple(_secrets_of_proxies(http_extra)),
    )


def with_new_secret(settings: GenesysConnection, connection: Any) -> GenesysConnection:
    """Return the settings with the secret that the connection has now.

    Another client is for the next run: a run must not go on in another organisation.
    """
    newest = read_connection(settings.connection_id, connection)
    is_same = (newest.login_url, newest.client_id) == (settings.login_url, settings.client_id)
    return replace(settings, client_secret=newest.client_secret) if is_same else settings


def _transport(connection_id: str, extra: Mapping[str, Any]) -> str:
    value = str(extra.get("transport", ENCRYPTED)).strip().lower()
    if value not in (ENCRYPTED, PLAIN):
        raise SettingsError(f"Connection {connection_id}: `transport` must be {ENCRYPTED} or {PLAIN}")
    return value


def _url(connection_id: str, key: str, value: Any, transport: str) -> str:
    """Return the URL without a slash at its end.

    It becomes part of keys of the journal, and is shown in logs.
    """
    if value is None:
        return ""
    text = str(value).strip()
    must_be = f"Connection {connection_id}: `{key}` must be a URL like https://host[:port][/path]"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SettingsError(must_be) from None
    if "@" in text:
        raise SettingsError(f"{must_be}, without a login: remove the part before the @")
    if parts.scheme not in ("http", "https") or not host or re.search(r"[?#\s\\]", text):
        raise SettingsError(must_be)
    if ending := _ENDING.search(text):
        raise SettingsError(f"{must_be}, without {ending.group(1)}: that is added to it")
    if parts.scheme == "http" and transport != PLAIN and not is_loopback(host):
        raise SettingsError(
            f"Connection {connection_id}: `{key}` would send the client secret and the access token unencrypted. Use "
            f"https://, or set the extra `transport` to {PLAIN} if the network between is your own. Nothing was sent."
        )
    return text.rstrip("/")


def _http_extra(connection_id: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the extras of HttpHook, checked.

    The library requests notices what is wrong with them only when it sends.
    """
    found = {key: _true_or_false(value) for key, value in extra.items() if key in _HTTP_EXTRAS}
    for key in found.keys() & {"verify", "verify_ssl", "cert"}:
        value = found[key]
        for file in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(file, str) and not Path(file).exists():
                raise SettingsError(
                    f"Connection {connection_id}: `{key}` does not exist on this machine: {file}. Every worker needs "
                    f"that file."
                )
    for key in found.keys() & {"proxies", "proxy"}:
        found[key] = _proxies(connection_id, key, found[key])
    return found


def _proxies(connection_id: str, key: str, value: Any) -> dict[str, str]:
    """Return the proxies by scheme.

    A single one is for both schemes. A proxy may hold a login, so it is not shown.
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):  # the form has only text
        with suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, str):
        value = {"http": value, "https": value}
    if not isinstance(value, Mapping) or not all(isinstance(url, str) and "://" in url for url in value.values()):
        raise SettingsError(
            f"Connection {connection_id}: `{key}` must be a URL like http://proxy.example.com:3128, or an object like "
            f'{{"https": "http://proxy.example.com:3128"}}'
        )
    return dict(value)


def _warnings(connection_id: str, urls: Mapping[str, str], http_extra: Mapping[str, Any]) -> Iterator[str]:
    for key, url in urls.items():
        parts = urlsplit(url)
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            yield (
                f"the connection {connection_id} sends client secret and token unencrypted (`{key}` is http). "
                "Use https://"
            )
    if not http_extra.get("verify", http_extra.get("verify_ssl", True)):
        yield (
            f"the connection {connection_id} does not verify the certificate of Genesys Cloud (`verify` is false), so "
            "anybody on the way can read the client secret. Set `verify` to the file of your CA"
        )


def _secrets_of_proxies(http_extra: Mapping[str, Any]) -> Iterator[str]:
    proxies = http_extra.get("proxies", http_extra.get("proxy"))
    for url in proxies.values() if isinstance(proxies, Mapping) else [proxies]:
        login, at, _ = str(url).rpartition("@")
        password = login.partition("://")[2].partition(":")[2]
        if at and password:
            yield password
            yield unquote(password)


def _positive(connection_id: str, extra: Mapping[str, Any], key: str) -> float | None:
    if key not in extra:
        return None
    try:
        number = float(extra[key])
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number <= LARGEST_NUMBER:  # a socket takes no timeout of any size
        raise SettingsError(f"Connection {connection_id}: `{key}` must be a positive number, at most {LARGEST_NUMBER}")
    return number


def _true_or_false(value: Any) -> Any:
    """Convert the form's text to a bool, because requests takes text as a CA file."""
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value
