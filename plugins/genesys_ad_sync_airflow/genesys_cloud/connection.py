"""The Airflow connection of type ``genesys_cloud``, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync_airflow.genesys_cloud.regions import region_domain

DEFAULT_TIMEOUT = 30.0  # seconds, to connect and between two bytes of an answer

_OWN_EXTRAS = frozenset({"api_url", "login_url", "timeout", "requests_per_minute"})
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


def read_connection(connection_id: str, connection: Any) -> GenesysConnection:
    """Check an Airflow connection. Raises SettingsError or RegionUnknown with the field to correct."""
    extra = dict(connection.extra_dejson or {})
    extra = {key: value for key, value in extra.items() if value not in (None, "")}  # fields left empty in the form
    urls = {key: _url(connection_id, key, extra.get(key)) for key in ("api_url", "login_url")}
    if not (urls["api_url"] and urls["login_url"]):
        domain = region_domain(connection.host)
        urls["api_url"] = urls["api_url"] or f"https://api.{domain}"
        urls["login_url"] = urls["login_url"] or f"https://login.{domain}"
    if not connection.login or not connection.password:
        raise SettingsError(
            f"Connection {connection_id}: set Login to the OAuth client's id and Password to its secret"
        )
    rate = _positive(connection_id, extra, "requests_per_minute")
    return GenesysConnection(
        connection_id=connection_id,
        api_url=urls["api_url"],
        login_url=urls["login_url"],
        client_id=connection.login,
        client_secret=connection.password,
        timeout=_positive(connection_id, extra, "timeout") or DEFAULT_TIMEOUT,
        requests_per_minute=max(1, int(rate)) if rate else None,
        http_extra={key: _true_or_false(value) for key, value in extra.items() if key in _HTTP_EXTRAS},
        unknown_extra=tuple(sorted(extra.keys() - _OWN_EXTRAS - _HTTP_EXTRAS)),
    )


def _url(connection_id: str, key: str, value: Any) -> str:
    if value is None:
        return ""
    parts = urlsplit(str(value).strip())
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise SettingsError(f"Connection {connection_id}: `{key}` must be a URL like https://host[:port][/path]")
    return str(value).strip().rstrip("/")


def _positive(connection_id: str, extra: Mapping[str, Any], key: str) -> float | None:
    if key not in extra:
        return None
    try:
        number = float(extra[key])
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise SettingsError(f"Connection {connection_id}: `{key}` must be a positive number")
    return number


def _true_or_false(value: Any) -> Any:
    """Convert the form's text to a bool, because requests takes text as a CA file."""
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value
