"""Where the journal is, if the environment says so: then Airflow need not be loaded.

Loading Airflow takes longer than all the rest of a command. It looks for a connection in a secrets backend, then in the
environment, then in its metadata database, and documents this order as fixed ("Secrets Backend", "Search path"). So a
connection in the environment counts where no secrets backend is configured. Whatever is not plain is left to Airflow.
"""

from __future__ import annotations

import configparser
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from sqlalchemy import URL

_BACKEND = "AIRFLOW__SECRETS__BACKEND"
"""How the names of all variables begin that configure a secrets backend."""

_PLAIN_URI = re.compile(
    r"(?=[ -~]*[!-~]\Z)(?!.*://.*://)"  # ASCII, no space at the end, and no address in an address
    r"(?P<type>[a-z][a-z0-9+-]*)://"
    r"(?:(?P<login>[^:/?#@\[\]]+)(?::(?P<password>[^:/?#@\[\]]*))?@)?"
    r"(?P<host>[A-Za-z0-9._-]*)(?::(?P<port>[0-9]{1,4}|[1-5][0-9]{4}))?"
    r"(?:/(?P<schema>[^?#]*))?(?:\?(?P<query>[^#]*))?"
)
_WHOLE_EXTRA = "__extra__"
"""A query with this key holds JSON."""


def journal_in_environment() -> URL | None:
    """Return where the journal is; None: only Airflow can know."""
    from genesys_ad_sync_airflow.journal_url import JOURNAL_CONNECTION

    uri = os.environ.get(f"AIRFLOW_CONN_{JOURNAL_CONNECTION.upper()}")
    return None if uri is None or _may_have_secrets_backend() else plain_url(uri)


def plain_url(uri: str) -> URL | None:
    """Return the URI of a connection as a SQLAlchemy URL.

    None: it is not so plain that Airflow must read it the same way.
    """
    from genesys_ad_sync_airflow.journal_url import url_of_parts

    found = _PLAIN_URI.fullmatch(uri)
    if not found:
        return None
    extra = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
    if _WHOLE_EXTRA in extra:
        return None
    return url_of_parts(
        "postgres" if found["type"] == "postgresql" else found["type"].replace("-", "_"),
        host=found["host"].lower(),
        port=int(found["port"]) if found["port"] else None,
        login=_unquoted(found["login"]),
        password=_unquoted(found["password"]),
        schema=_unquoted(found["schema"] or ""),
        extra=extra,
    )


def _unquoted(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _may_have_secrets_backend() -> bool:
    """Return whether Airflow's configuration names a secrets backend, or cannot be read here."""
    if any(name.startswith(_BACKEND) for name in os.environ):
        return True
    in_home = f"{os.environ.get('AIRFLOW_HOME', '~/airflow')}/airflow.cfg"
    path = os.path.expandvars(os.environ.get("AIRFLOW_CONFIG", in_home))
    configured = configparser.RawConfigParser(strict=False)
    try:
        configured.read_string(Path(path).expanduser().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "$" in path  # a variable within a variable
    except (OSError, RuntimeError, ValueError, configparser.Error):
        return True
    if not configured.has_section("secrets"):
        return False
    return any(value for option, value in configured.items("secrets") if option.startswith("backend"))
