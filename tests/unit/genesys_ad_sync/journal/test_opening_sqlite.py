"""A journal in a SQLite file: what can be wrong with the file, and what becomes of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal import Journal
from tests.support.journal import begin


def _open(path: Path) -> None:
    Journal.open(f"sqlite:///{path}").close()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"the folder .*missing does not exist\. Create it"):
        _open(tmp_path / "missing" / "journal.db")


def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="that is a folder"):
        _open(tmp_path)


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_text("schedule: '*/15 * * * *'\n" * 100)
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"file is not a database\. The file is something else or is damaged"):
        _open(path)
    assert path.read_bytes() == before


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder that every account may enter (``tmp_path`` is ours alone)."""
    folder = Path(tempfile.mkdtemp(prefix="journal-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


_OPEN = """
import os, sys
url, account = sys.argv[1:]
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.errors import JournalError
import alembic.command, alembic.config, alembic.script, sqlite3, sqlalchemy.dialects.sqlite.pysqlite
if account:
    os.setgid(int(account)); os.setuid(int(account))
try:
    Journal.open(url).close()
except JournalError as error:
    print(error)
"""


@pytest.mark.parametrize("exists", [True, False], ids=["a file", "a folder"])
def test_what_may_not_be_written_is_named(open_folder: Path, exists: bool) -> None:
    path = open_folder / "journal.db"
    if exists:
        _open(path)
    path.chmod(0o444) if exists else open_folder.chmod(0o555)
    # root may write everything, so another account has to try
    account = "65534" if os.getuid() == 0 else ""
    shown = subprocess.run(
        [sys.executable, "-c", _OPEN, f"sqlite:///{path}", account], capture_output=True, text=True, check=True
    )
    assert "may not be written. Give the account that runs Airflow's tasks the right" in shown.stdout


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    with Journal.open(url) as one, Journal.open(url) as two, one._database.writing():
        assert two.identity() == one.identity()


def test_a_writer_that_waits_in_vain_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genesys_ad_sync.journal.opening.BUSY_TIMEOUT_SECONDS", 0.1)
    path = tmp_path / "journal.db"
    with Journal.open(f"sqlite:///{path}") as journal:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match=r"database is locked\. Another process has been writing.*PostgreSQL"):
            begin(journal)
        other.execute("ROLLBACK")
        begin(journal)
        other.close()


def test_a_restored_backup_has_counted_fewer_runs(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(f"sqlite:///{path}") as journal:
        begin(journal, "r1")
        backup = sqlite3.connect(tmp_path / "backup.db")
        source = sqlite3.connect(path)
        source.backup(backup)
        source.close()
        backup.close()
        begin(journal, "r2")
        name, count = journal.identity()
    with Journal.open(f"sqlite:///{tmp_path / 'backup.db'}") as restored:
        assert restored.identity() == (name, count - 1)


def test_the_files_of_a_new_journal_are_for_its_account_alone(open_folder: Path) -> None:
    path = open_folder / "journal.db"
    old = os.umask(0o022)
    try:
        with Journal.open(f"sqlite:///{path}") as journal:
            begin(journal)
            modes = {file.name: file.stat().st_mode & 0o777 for file in open_folder.iterdir()}
            assert journal.warnings == ()
    finally:
        os.umask(old)
    assert modes == {"journal.db": 0o600, "journal.db-wal": 0o600, "journal.db-shm": 0o600}


def test_an_older_journal_that_others_may_read_is_warned_of_and_left(open_folder: Path) -> None:
    path = open_folder / "journal.db"
    _open(path)
    path.chmod(0o644)
    with Journal.open(f"sqlite:///{path}") as journal:
        assert len(journal.warnings) == 1
        assert f"chmod go-rwx '{path}'*" in journal.warnings[0]
        assert journal.of("default").warnings == journal.warnings
    assert path.stat().st_mode & 0o777 == 0o644
    open_folder.chmod(0o700)
    with Journal.open(f"sqlite:///{path}") as journal:
        assert journal.warnings == ()  # nobody else can reach it


def test_the_tests_make_new_journals_as_the_migrations_do(tmp_path: Path) -> None:
    """Guard the short way of `tests.support.speed`. A file with any table goes through the migrations."""
    with closing(sqlite3.connect(tmp_path / "migrated.db")) as database:
        database.execute("CREATE TABLE somebody_elses (id INTEGER)")
    made = []
    for name in ("migrated", "first", "short"):  # the first one of a process is migrated, too
        Journal.open(f"sqlite:///{tmp_path / name}.db").close()
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as database:
            schema = "SELECT type, name, sql FROM sqlite_master WHERE name != 'somebody_elses' ORDER BY 1, 2"
            tables = [table for kind, table, _ in database.execute(schema) if kind == "table"]
            rows = {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
            [meta] = rows.pop("journal_meta")
            made.append((database.execute(schema).fetchall(), rows, meta[2:]))
    assert made[0] == made[1] == made[2]
    assert made[0][1]["sqlite_stat1"]
