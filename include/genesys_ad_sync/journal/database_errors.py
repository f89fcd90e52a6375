"""Say what a database's error means, and what to do."""

from __future__ import annotations

import re

BUSY_TIMEOUT_SECONDS = 30
"""So long a writer waits for the others."""

_REMEDIES = (
    # part of the database's own message -> what to do
    ("file is not a database", "The file is something else or is damaged: give another path, or restore a backup."),
    ("malformed", "The file is damaged: restore a backup."),
    ("readonly database", "Give the account that runs Airflow's tasks the right to write the file and its folder."),
    (
        "unable to open database file",
        "Create the folder, and give the account that runs Airflow's tasks the right to write in it.",
    ),
    ("disk is full", "Make room on the disk."),
    ("No space left", "Make room on the disk."),
    (
        "database is locked",
        f"Another process has been writing for more than {BUSY_TIMEOUT_SECONDS} s. Let the task be retried; "
        "if it happens often, use PostgreSQL (connection group_sync_journal).",
    ),
    (
        "lock timeout",
        f"Another process has been writing for more than {BUSY_TIMEOUT_SECONDS} s. Let the task be retried.",
    ),
    ("authentication failed", "Correct login and password in the connection group_sync_journal."),
    ("no password supplied", "Give the password in the connection group_sync_journal."),
    ("permission denied", "Give this login the right to create and use tables, preferably in a database of its own."),
    (
        "no schema has been selected",
        "Give this login the right to create and use tables, preferably in a database of its own.",
    ),
    ("constraint", "This is a defect of genesys-ad-sync: nothing was written. Report it with this message."),
    ("does not exist", "Create that database, or correct its name and login in the connection group_sync_journal."),
    ("could not translate host name", "Correct the host in the connection group_sync_journal."),
)


def explain(error: BaseException, name: str) -> str:
    """Say what is wrong and what to do.

    Only the first line of the database's message is quoted, without a value at its end: it carries no password and no
    name.
    """
    cause = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    cause = re.sub(r': "[^\n]*', ": (not shown)", cause)
    remedy = next(
        (remedy for part, remedy in _REMEDIES if part in cause),
        "Check that the database runs, and that this machine reaches it by host and port of the connection "
        "group_sync_journal.",
    )
    return f"The journal ({name}) cannot be used: {cause.splitlines()[0].rstrip('.')}. {remedy}"
