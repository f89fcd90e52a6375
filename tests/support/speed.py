"""Keep a long run of the tests as quick as a single test: two costs that grow, or repeat, with each test.

- Airflow's secrets masker compiles one pattern of all secrets that a process has ever seen, at each new one: with 2,000
  secrets that is 0.1 s, and a millisecond for each line of log.
- Each journal would go through all migrations. They are run once per process, and their result is copied into the
  other new SQLite journals. An older journal is upgraded by the migrations.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import create_engine, inspect

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
    """Make the tables of new SQLite journals by the statements that the migrations led to."""
    migrate, statements = command.upgrade, []

    def upgrade(config: Any, revision: str, *arguments: Any, **options: Any) -> None:
        connection = config.attributes.get("connection")
        of_sqlite = connection is not None and connection.dialect.name == "sqlite"
        if revision != "head" or not of_sqlite or inspect(connection).get_table_names():
            migrate(config, revision, *arguments, **options)
            return
        if not statements:
            statements.extend(_statements_of_migrations(config, migrate))
        for statement in statements:
            connection.exec_driver_sql(statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "upgrade", upgrade)
        yield


def _statements_of_migrations(config: Any, migrate: Any) -> list[str]:
    """Return what makes the tables of this version in an empty database."""
    connection = config.attributes["connection"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        engine = create_engine(f"sqlite:///{path}")
        try:
            with engine.begin() as config.attributes["connection"]:
                migrate(config, "head")
        finally:
            engine.dispose()
            config.attributes["connection"] = connection
        with sqlite3.connect(path) as template:
            lines = list(template.iterdump())
        template.close()
    return [line for line in lines if line not in {"BEGIN TRANSACTION;", "COMMIT;"}]
