"""What runs leave in Airflow for everybody to read, and a search of it for names and secrets."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from cryptography.fernet import Fernet

from sandbox import company
from sandbox.active_directory.constants import ADMIN_PASSWORD, LIMITED_PASSWORD, READER_PASSWORD
from tests.support.stack import Stack

Trace = tuple[str, str, str]
"""(kind, where, text)."""

_TABLES = {
    "xcom": "xcom",
    "rendered_task_instance_fields": "xcom",
    "dag_run": "xcom",
    "asset_event": "asset event",
    "import_error": "service log",
}
_SHORTEST_NAME = 6
_SHORTEST_SECRET = 8


def traces(stack: Stack) -> list[Trace]:
    """Return all task logs, logs of services, XComs, rendered fields, params of runs and asset events."""
    home = stack.airflow.home
    found = [("task log", str(path), path.read_text(errors="replace")) for path in stack.log_files()]
    found += [("service log", str(path), path.read_text(errors="replace")) for path in sorted(home.glob("*.log"))]
    return [*found, *_rows(home / "airflow.db")]


def _rows(database: Path) -> Iterator[Trace]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as connection:
        for table, kind in _TABLES.items():
            for number, row in enumerate(connection.execute(f"SELECT * FROM {table}")):
                text = " ".join(
                    value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in row
                )
                yield kind, f"{table} {number}: {text[:200]}", text


def names_of_people(stack: Stack) -> set[str]:
    """Return names, account names and mail addresses of everybody in AD and in Genesys Cloud."""
    directory = [
        value
        for user in company.content().users
        for value in (user.cn.strip(), user.sam if "." in user.sam else "", user.mail or "", user.upn or "")
    ]
    genesys = [user[key] for user in stack.genesys.snapshot()["users"] for key in ("name", "email", "username")]
    return {name for name in (*directory, *genesys) if name and len(name) >= _SHORTEST_NAME}


def secrets_of(stack: Stack) -> set[str]:
    """Return each password, key and token of the sandbox."""
    airflow = stack.airflow
    fernet = airflow.env["AIRFLOW__CORE__FERNET_KEY"]
    known = {
        *(ADMIN_PASSWORD, READER_PASSWORD, LIMITED_PASSWORD, stack.genesys.client_secret, airflow.password, fernet),
        *(airflow.env["AIRFLOW__API__SECRET_KEY"], airflow.env["AIRFLOW__API_AUTH__JWT_SECRET"]),
    }
    with closing(sqlite3.connect(airflow.home / "group_sync_journal.db", timeout=60)) as journal:
        kept = journal.execute("SELECT value FROM journal_shared_secret WHERE value IS NOT NULL").fetchall()
    tokens = {json.loads(Fernet(fernet).decrypt(value))["token"] for (value,) in kept}
    return {secret for secret in known | tokens if len(secret) >= _SHORTEST_SECRET}


def leaks(found: Iterable[Trace], words: Collection[str]) -> list[str]:
    """Return where one of the words is found, whatever its case, also as JSON escapes it."""
    forms = {form.casefold(): word for word in words for form in (word, json.dumps(word)[1:-1])}
    leaked = []
    for kind, where, text in found:
        folded = text.casefold()
        leaked += [f"{kind} {where}: {word!r}" for form, word in forms.items() if form in folded]
    return leaked
