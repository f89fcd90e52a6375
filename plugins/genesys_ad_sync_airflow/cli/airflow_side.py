"""Airflow's connections and the journal, for a command outside of a task.

The connections name the journal.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync_airflow.cli.environment import journal_in_environment

if TYPE_CHECKING:
    from sqlalchemy import URL

    from genesys_ad_sync.journal import Journal

_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


def use_airflow() -> None:
    """Let connections come from where `airflow connections get` has them: the metadata database included.

    Airflow's own commands set the same variable. What Airflow logs goes to stderr: stdout is the command's.
    """
    os.environ.setdefault(_CONTEXT, "server")
    with redirect_stdout(sys.stderr):
        import airflow.sdk  # noqa: F401  reads the configuration and sets up logging
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)
    # `plan` makes the tables of a journal that it throws away: a line for each migration would only alarm.
    logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)


@contextmanager
def logs_to_stderr() -> Iterator[None]:
    """Let Airflow's logs go to stderr meanwhile.

    Some of its loggers write to stdout, which is the command's.
    """
    with redirect_stdout(sys.stderr):
        yield


def dags_folder() -> Path:
    """Return Airflow's DAG folder."""
    use_airflow()
    from airflow.sdk.configuration import conf

    return Path(conf.get("core", "dags_folder"))


def journal_address() -> URL:
    """Return where Airflow's tasks have the journal. Raises JournalError if that cannot be known."""
    in_environment = journal_in_environment()
    if in_environment is not None:
        return in_environment
    use_airflow()
    from genesys_ad_sync_airflow import journal_connection
    from genesys_ad_sync_airflow.journal_url import JOURNAL_CONNECTION

    with logs_to_stderr():
        address = journal_connection.journal_address()
    if address.database == str(journal_connection.airflow_home() / journal_connection.JOURNAL_FILE):
        _refuse_guess(JOURNAL_CONNECTION)
    return address


def open_journal() -> Journal:
    """Open the journal of Airflow's tasks. Raises JournalError.

    It is neither made nor upgraded here: what changes anything is a run.
    """
    from genesys_ad_sync.journal import Journal

    return Journal.open(journal_address(), create=False, upgrade=False)


def _refuse_guess(connection_id: str) -> None:
    """Refuse if "there is no such connection" only means that Airflow's database was not read.

    Airflow passes over a backend that fails, so the default file would be taken for the journal.
    """
    from airflow.secrets.metastore import MetastoreBackend

    if f"AIRFLOW_CONN_{connection_id.upper()}" in os.environ:
        return
    try:
        MetastoreBackend().get_connection(connection_id)
    except Exception as error:  # whatever Airflow or the database raises, the place of the journal is not known
        raise JournalError(
            f"Airflow's metadata database cannot be read ({type(error).__name__}), so it is not known whether the "
            f"connection {connection_id} exists. Run this where Airflow's database is configured, or set "
            f"AIRFLOW_CONN_{connection_id.upper()} to the journal's URL."
        ) from error
