"""The fields of an Airflow connection → the URL of the journal.

Loads nothing of Airflow.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import URL

from genesys_ad_sync.errors import JournalError

JOURNAL_CONNECTION = "group_sync_journal"
_DRIVERS = {"postgres": "postgresql+psycopg2", "postgresql_psycopg2": "postgresql+psycopg2"}


def url_of_parts(
    conn_type: str,
    *,
    host: str | None,
    port: int | None,
    login: str | None,
    password: str | None,
    schema: str | None,
    extra: Mapping[str, object],
) -> URL:
    """Return the fields of an Airflow connection as a SQLAlchemy URL.

    Any database has a URL; `Journal.open` refuses all but SQLite and PostgreSQL. Raises JournalError for a connection
    without a type.
    """
    driver = _DRIVERS.get(conn_type, conn_type.replace("_", "+", 1))
    if not driver:
        raise JournalError(f"connection {JOURNAL_CONNECTION} has no type: give it a postgresql:// or sqlite:// URL")
    if driver.startswith("sqlite"):
        path = schema or host or ""
        return URL.create(driver, database=path if path.startswith("/") else f"/{path}")
    query = {key: str(value) for key, value in extra.items()}
    return URL.create(driver, username=login, password=password, host=host, port=port, database=schema, query=query)
