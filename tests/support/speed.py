"""Keep a long run of the tests as quick as a single test: costs that grow, or repeat, with each test.

- Airflow's secrets masker compiles one pattern of all secrets that a process has ever seen, at each new one: with 2,000
  secrets that is 0.1 s, and a millisecond for each line of log.
- Each new journal would go through all migrations, and most of that is loading and compiling. They are run once per
  process and kind of database. For the other new journals, the statements that they sent are sent again, and in SQLite
  the tables are made at once as they are in the end. An older journal is upgraded by the migrations.
- SQLAlchemy keeps compiled statements by engine, and each journal has an engine of its own: a tenth of all CPU.
- A journal in SQLite waits for the disk at each commit, so that it outlives a power cut. No test cuts the power.
- Python's garbage collector looks through all modules and all collected tests again and again: a seventh of all CPU.
- On a fresh clone pytest rewrites the assertions of all test modules: half of the collection, which each worker does.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, Engine, event, inspect
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from genesys_ad_sync.journal import opening
from genesys_ad_sync.journal.tables import HEAD, VERSION_TABLE

_MASKERS = ("airflow._shared.secrets_masker.secrets_masker", "airflow.sdk._shared.secrets_masker.secrets_masker")


_OUTCOMES = (pytest.skip.Exception, pytest.fail.Exception, pytest.xfail.Exception)

gc.set_threshold(50_000, 20, 20)  # Python's own: 700, 10, 10


def pytest_collection(session: pytest.Session) -> None:
    """Import the test modules, each worker from another one on.

    Workers would rewrite the same module at the same time otherwise. They share what is rewritten through files.
    """
    worker: dict[str, Any] = getattr(session.config, "workerinput", {})
    if not worker:
        return
    names = _test_modules(session.config)
    first = len(names) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
    for name in (*names[first:], *names[:first]):
        with suppress(Exception, *_OUTCOMES):  # the collection says it
            importlib.import_module(name)


def _test_modules(config: pytest.Config) -> list[str]:
    """Return the names of the test modules that the collection imports."""
    left_out = set(config.getini("norecursedirs"))
    asked = [config.invocation_params.dir / argument.split("::")[0] for argument in config.args]
    files = [file for path in asked for file in sorted([path, *path.rglob("*")]) if file.match("test_*.py")]
    within = (file for file in files if file.is_relative_to(config.rootpath))
    inside = [file.relative_to(config.rootpath).with_suffix("") for file in within]
    return [".".join(file.parts) for file in inside if not left_out & {*file.parts}]


def pytest_collection_finish() -> None:
    """Leave out modules and tests when garbage is looked for: none of them becomes garbage."""
    gc.collect()
    gc.freeze()


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
        if revision == "head" and connection is not None and _has_tables_of_a_template(connection):
            connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} VALUES ('{HEAD}')")
        elif revision != "head" or connection is None or inspect(connection).get_table_names():
            migrate(config, revision, *arguments, **options)
        elif (kind := connection.dialect.name) in sent:
            for statement, parameters in sent[kind]:
                connection.exec_driver_sql(statement, parameters or None)
        else:
            statements = _statements(connection, lambda: migrate(config, revision, *arguments, **options))
            sent[kind] = _tables(connection) if kind == "sqlite" else statements

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "upgrade", upgrade)
        yield


@pytest.fixture(scope="session", autouse=True)
def shared_compiled_statements() -> Iterator[None]:
    """Let all journals of a kind of database share their compiled statements.

    A key holds the dialect, which each engine has an equal of.
    """
    engine_of, compiled = opening._engine, LRUCache(5000)

    def sharing(*arguments: Any) -> Engine:
        engine = engine_of(*arguments)
        engine._compiled_cache = compiled
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _no_power_cut)
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "_engine", sharing)
        for kind in (SQLiteDialect_pysqlite, PGDialect_psycopg2):
            patch.setattr(kind, "__hash__", lambda self: hash(type(self)), raising=False)
            patch.setattr(kind, "__eq__", lambda self, other: type(self) is type(other), raising=False)
        yield


def _has_tables_of_a_template(connection: Connection) -> bool:
    """Return True for a database in PostgreSQL with tables of no version: see `tests.support.postgresql`."""
    if connection.dialect.name != "postgresql" or not inspect(connection).has_table(VERSION_TABLE):
        return False
    return connection.exec_driver_sql(f"SELECT count(*) FROM {VERSION_TABLE}").scalar() == 0


def _no_power_cut(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = OFF")


def _tables(connection: Connection) -> list[tuple[str, Any]]:
    """Return what makes a new SQLite journal at once: migrations make many of its tables several times."""
    schema = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' ORDER BY rowid"
    made = [(sql, None) for sql in connection.exec_driver_sql(schema).scalars()]
    figures = "ANALYZE sqlite_master"  # makes the table sqlite_stat1, and then reads what is in it
    for table in (VERSION_TABLE, "sqlite_stat1"):
        rows = connection.exec_driver_sql(f"SELECT * FROM {table}").all()
        made += [(figures, None)]
        made += [(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", tuple(row)) for row in rows]
    return [*made, (figures, None)]


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
