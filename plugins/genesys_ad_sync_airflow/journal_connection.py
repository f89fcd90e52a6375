"""Airflow connection `group_sync_journal` → an open journal."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from sqlalchemy import URL

from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync.this_machine import this_host
from genesys_ad_sync_airflow.journal_url import JOURNAL_CONNECTION, url_of_parts

if TYPE_CHECKING:
    from airflow.sdk import Connection

JOURNAL_FILE = "group_sync_journal.db"

_journals: dict[str, Journal] = {}


def open_journal() -> Journal:
    """Return the journal of connection `group_sync_journal`; without it, the SQLite file in AIRFLOW_HOME.

    Raises JournalError, also for a SQLite file that another host uses.
    """
    key = journal_address().render_as_string(hide_password=False)
    if key not in _journals:
        journal = Journal.open(key)
        journal.refuse_other_host(this_host(), datetime.now(timezone.utc))
        _journals[key] = journal
    return _journals[key]


def journal_address() -> URL:
    """Return where the journal is: the connection `group_sync_journal`, else the SQLite file in AIRFLOW_HOME."""
    try:
        connection: Connection = BaseHook.get_connection(JOURNAL_CONNECTION)
    except AirflowNotFoundException:
        return URL.create("sqlite", database=str(airflow_home() / JOURNAL_FILE))
    return journal_url(connection)


def journal_url(connection: Connection) -> URL:
    """Return an Airflow connection as a SQLAlchemy URL.

    Raises JournalError for a connection without a type.
    """
    return url_of_parts(
        connection.conn_type or "",
        host=connection.host,
        port=connection.port,
        login=connection.login,
        password=connection.password,
        schema=connection.schema,
        extra=connection.extra_dejson,
    )


def airflow_home() -> Path:
    return Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
