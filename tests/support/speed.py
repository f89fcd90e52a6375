"""Keep a long run of the tests as quick as a single test: two costs that grow, or repeat, with each test.

- Airflow's secrets masker compiles one pattern of all secrets that a process has ever seen, at each new one: with 2,000
  secrets that is 0.1 s, and a millisecond for each line of log.
- Each new journal would go through all migrations, and most of that is loading and compiling. They are run once per
  process and kind of database. The statements that they sent are sent again for the other new journals. An older
  journal is upgraded by the migrations.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, event, inspect

_MASKERS = ("airflow._shared.secrets_masker.secrets_masker", "airflow.sdk._shared.secrets_masker.secrets_masker")


@pytest.fixture(autouse=True)
def forgotten_secrets() -> Iterator[None]:
    """Forget the secrets of a test after it: the next one has others."""
    yield
    for name in _MASKERS:
        if (module := sys.modules.get(name)) is not None:
            module._secrets_masker().reset_masker()


@pytest.fixture(scope="session", autouse=True)
def quick_new_journals() -> Iterator[None]:
    """Make the tables of new journals by the statements that the migrations sent for the first one."""
    migrate = command.upgrade
    sent: dict[str, list[tuple[str, Any]]] = {}  # by kind of database

    def upgrade(config: Any, revision: str, *arguments: Any, **options: Any) -> None:
        connection = config.attributes.get("connection")
        if revision != "head" or connection is None or inspect(connection).get_table_names():
            migrate(config, revision, *arguments, **options)
        elif (kind := connection.dialect.name) in sent:
            for statement, parameters in sent[kind]:
                connection.exec_driver_sql(statement, parameters or None)
        else:
            sent[kind] = _statements(connection, lambda: migrate(config, revision, *arguments, **options))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "upgrade", upgrade)
        yield


def _statements(connection: Connection, run: Callable[[], None]) -> list[tuple[str, Any]]:
    """Return what ``run`` sends that changes the database, with its parameters."""
    found: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "SHOW", "WITH")):
            found.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", keep)
    try:
        run()
    finally:
        event.remove(connection, "before_cursor_execute", keep)
    return found
