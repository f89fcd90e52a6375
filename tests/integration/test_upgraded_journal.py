"""A journal that an older version wrote is upgraded: nobody is removed for that, and nothing is read without need.

The rows are those of a real run; the tables are those of an older version, made by its migrations. A value that is in
no older column is lost, as in a journal of that time.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync.model import Scope
from sandbox.directory_objects import AddMember, Delete, RemoveMember
from tests.support.pipeline import Pipeline
from tests.support.small_company import members, rows, small
from tests.support.temporary_links import TemporaryLinks

__all__ = ["small"]

BEFORE_EXPIRED_USERS = ("0002", "0006")
VERSIONS = (*BEFORE_EXPIRED_USERS, "0007", "0009")


@pytest.fixture
def upgrade(small: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that replaces the pipeline's journal by one that was written at a version, and upgraded."""
    opened = []

    def upgrade(version: str) -> None:
        old = tmp_path / f"journal-{version}.db"
        command = importlib.import_module("alembic.command")
        honest = command.upgrade
        with monkeypatch.context() as patch:
            patch.setattr(command, "upgrade", lambda config, _: honest(config, version))
            Journal.open(f"sqlite:///{old}").close()
        _copy_rows(tmp_path / "journal.db", old)
        if version in BEFORE_EXPIRED_USERS:
            _without_expired_users(old)
        small.journal = Journal.open(f"sqlite:///{old}")
        opened.append(small.journal)

    yield upgrade
    for journal in opened:
        journal.close()


def _copy_rows(source: Path, target: Path) -> None:
    with sqlite3.connect(target, isolation_level=None) as connection:
        connection.execute("ATTACH DATABASE ? AS new", (str(source),))
        connection.execute("PRAGMA foreign_keys = OFF")
        tables = connection.execute(
            "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name LIKE 'journal_%'"
        )
        for (table,) in tables.fetchall():
            if table == "journal_version":
                continue
            columns = [
                {row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({table})")}
                for schema in ("main", "new")
            ]
            names = ", ".join(sorted(columns[0] & columns[1]))
            connection.execute(f"DELETE FROM main.{table}")
            connection.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM new.{table}")
    connection.close()


def _without_expired_users(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        (scope,) = connection.execute("SELECT scope FROM journal_cursor").fetchone()
        former = replace(Scope.of_fingerprint(scope), expired_users="keep").fingerprint
        assert former.startswith("DC="), "the text with bars that older versions wrote"
        connection.execute("UPDATE journal_cursor SET scope = ?", (former,))
    connection.close()


def whole_views(report: dict[str, Any]) -> list[str]:
    return [note for note in report["notes"] if "read completely again" in note]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_upgraded_journal_takes_nobody_away_and_goes_on(small: Pipeline, upgrade: Any, version: str) -> None:
    small.run()
    small.directory.apply([RemoveMember("voice", "bob"), AddMember("voice", "fay")])
    small.run()
    writes = len(small.genesys.writes())
    upgrade(version)
    report = small.run()
    assert rows(report) == []
    assert len(small.genesys.writes()) == writes
    needed = version in BEFORE_EXPIRED_USERS  # another policy, which only everything shows
    assert bool(whole_views(report)) is needed
    small.directory.apply([RemoveMember("voice", "cid"), AddMember("voice", "dan"), Delete("ann")])
    report = small.run()
    assert whole_views(report) == []
    assert sorted(row[0] + row[2] for row in rows(report)) == ["addsuccess", "removesuccess", "removesuccess"]
    assert members(small, "Voice") == {"dan", "fay", "mia"}
    assert rows(small.run(mode="full")) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_what_changed_before_the_upgrade_and_was_not_polled_is_carried_out_once(
    small: Pipeline, upgrade: Any, version: str
) -> None:
    small.run()
    small.directory.apply([RemoveMember("voice", "bob"), AddMember("voice", "fay")])
    upgrade(version)
    assert sorted(rows(small.run())) == [
        ("add", "fay", "success", None, None),
        ("remove", "bob", "success", None, None),
    ]
    assert rows(small.run()) == []


@pytest.mark.parametrize("version", ["0007", "0009"])
def test_ends_are_known_after_the_next_reading(small: Pipeline, upgrade: Any, version: str) -> None:
    links = TemporaryLinks()
    small.directory_hook = links.session
    links.ends["Cid"] = small.directory.clock() + timedelta(hours=1)
    small.run()
    upgrade(version)
    assert rows(small.run()) == []
    assert small.journal.of("default").announced.links(small.directory.clock() + timedelta(days=1)) == {}
    assert rows(small.run(mode="full")) == []
    links.later = timedelta(hours=2)
    assert rows(small.run()) == [("remove", "cid", "success", None, None)]
