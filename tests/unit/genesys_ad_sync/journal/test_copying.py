"""The journal in another database: copied whole, and never two of them that tasks can open."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Integer, LargeBinary, String, Table, insert, select
from sqlalchemy.types import TypeEngine

from genesys_ad_sync.errors import JournalError, JournalMissing, JournalMoved
from genesys_ad_sync.journal import Journal, RunKey, copying, tables
from genesys_ad_sync.journal.copying import Copied, copy_journal, undo_copy
from genesys_ad_sync.journal.database import Database
from genesys_ad_sync.journal.opening import open_database
from tests.support.journal import T0, begin, change, journal, journal_url, recorded  # noqa: F401 (fixtures)

Databases = tuple[Database, Database]


@pytest.fixture
def target_url(tmp_path: Path) -> str:
    """Of the database to copy to."""
    return f"sqlite:///{tmp_path / 'copy.db'}"


@pytest.fixture
def databases(journal: Journal, journal_url: str, target_url: str) -> Iterator[Databases]:
    """Open the source and the target as the command does."""
    source = open_database(journal_url, create=False, moved_too=True)
    target = open_database(target_url, moved_too=True)
    yield source, target
    source.engine.dispose()
    target.engine.dispose()


def copy(source: Database, target: Database, **more: Any) -> Copied:
    return copy_journal(source, target.engine.url, **more)


def _value(column: Any, number: int) -> Any:
    kind: TypeEngine[Any] = column.type
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if isinstance(kind, Integer):
        return number
    if isinstance(kind, JSON):
        return [{"ä": [number, None]}, "\u2028"]
    if isinstance(kind, LargeBinary):
        return bytes([0, number, 255])
    if isinstance(kind, String):
        return f"ärger {column.name} {number}"
    return T0 + timedelta(microseconds=number)


def _fill(database: Database) -> None:
    """Put three rows into every table; where it may be null, the last of them is."""
    with database.writing() as connection:
        for table in tables.metadata.sorted_tables:
            if table is not tables.meta:
                connection.execute(
                    insert(table),
                    [
                        {c.name: None if number == 3 and c.nullable else _value(c, number) for c in table.c}
                        for number in (1, 2, 3)
                    ],
                )
        connection.execute(tables.run.update().values(finished_at=T0))
        connection.execute(tables.fact.update().where(tables.fact.c.run == 2).values(value=None))


def _content(database: Database, table: Table) -> list[Any]:
    with database.reading() as connection:
        return sorted(map(repr, connection.execute(select(table))))


def test_every_row_of_every_table_is_copied(databases: Databases) -> None:
    source, target = databases
    _fill(source)
    before = {table.name: _content(source, table) for table in tables.metadata.sorted_tables}
    copied = copy(source, target, at=T0 + timedelta(days=1))
    left_behind = {"journal_meta", "journal_lease", "journal_lease_holder"}
    assert copied.rows == {name: 3 for name in before if name not in left_behind}
    for table in tables.metadata.sorted_tables:
        if table.name not in left_behind:
            assert _content(target, table) == before[table.name]
            assert _content(source, table) == before[table.name]


def test_the_copy_continues_the_journal(journal: Journal, databases: Databases, target_url: str) -> None:
    run = begin(journal)
    journal.runs.finish(run, "success", T0)
    recorded(journal, change("g", "u1"), change("g", "u2"))
    with journal._database.writing() as connection:  # its id was given out, and must not be given out again
        connection.execute(tables.change.delete().where(tables.change.c.id == 2))
    copy(*databases, at=T0)
    with Journal.open(target_url, create=False) as copied:
        assert copied.identity() == (journal.identity()[0], 1)
        assert copied.generation() == 2
        assert copied.runs.exists(run.key, 1, T0)
        assert [one.id for one in recorded(copied, change("g", "u3"))] == [3]
        assert begin(copied, "r2").id == run.id + 1


def test_nothing_can_be_done_with_a_journal_that_was_moved(
    journal: Journal, databases: Databases, journal_url: str
) -> None:
    copy(*databases, at=T0)
    told = rf"was moved to {databases[1].name} at 2024-05-01T12:00:00\+00:00\. Set the connection group_sync_journal"
    with pytest.raises(JournalMoved, match=told):
        Journal.open(journal_url)
    with pytest.raises(JournalMoved, match=told):  # a task that had opened it before
        begin(journal)
    with pytest.raises(JournalMoved, match=told):
        journal.leases.acquire("org", RunKey("dag", "r"), "patch", now=T0, ttl=timedelta(minutes=5))


def test_a_copy_is_refused_while_a_run_is_open(journal: Journal, databases: Databases) -> None:
    ended = begin(journal, "ended")
    journal.runs.finish(ended, "success", T0)
    waiting = begin(journal, "waiting")
    begin(journal, "gone")
    with pytest.raises(JournalError, match=r"while runs are open: dag/waiting \(since 2024-05-01.*dag/gone") as refused:
        copy(*databases, at=T0)
    assert "ended" not in str(refused.value).split("Pause")[0]
    with pytest.raises(JournalError, match="dag/waiting"):
        copy(*databases, at=T0, gone=[RunKey("dag", "gone")])
    journal.runs.finish(waiting, "success", T0)
    copy(*databases, at=T0, gone=[RunKey("dag", "gone")])


@pytest.mark.parametrize("why", ["a run is open", "a task writes", "it was moved"])
def test_a_refused_copy_makes_nothing_at_the_target(
    journal: Journal, journal_url: str, target_url: str, tmp_path: Path, why: str
) -> None:
    source = open_database(journal_url, create=False, moved_too=True)
    if why == "a run is open":
        begin(journal)
    elif why == "a task writes":
        journal.leases.acquire("org", RunKey("dag", "r"), "patch", now=T0, ttl=timedelta(minutes=5))
    else:
        copy_journal(source, f"sqlite:///{tmp_path / 'first.db'}", at=T0)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(JournalError):
        copy_journal(source, target_url, at=T0)
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(JournalMissing):
        open_database(target_url, create=False, moved_too=True)
    source.engine.dispose()


def test_the_last_attempt_says_whether_a_run_is_open(journal: Journal, databases: Databases) -> None:
    begin(journal, "cleared")  # before its report: this attempt never ends
    again = begin(journal, "cleared", clear_number=1)
    with pytest.raises(JournalError, match="dag/cleared"):
        copy(*databases, at=T0)
    journal.runs.finish(again, "success", T0)
    copy(*databases, at=T0)


def test_a_copy_is_refused_while_a_task_writes_to_genesys(journal: Journal, databases: Databases) -> None:
    journal.leases.acquire("org", RunKey("dag", "r"), "patch", now=T0, ttl=timedelta(minutes=5))
    with pytest.raises(JournalError, match=r"run dag/r is writing to org until 2024-05-01T12:05:00\+00:00"):
        copy(*databases, at=T0 + timedelta(minutes=4))
    copy(*databases, at=T0 + timedelta(minutes=6))


def test_a_copy_does_not_mix_two_journals(journal: Journal, databases: Databases, target_url: str) -> None:
    with Journal.open(target_url) as other:
        other.of("default").claims.take("org", ["G"], T0)
    with pytest.raises(JournalError, match=r"already holds a journal \(journal_claim is not empty\)"):
        copy(*databases, at=T0)
    assert begin(journal).attempt == 1  # nothing was marked


def test_a_journal_is_not_copied_to_itself(databases: Databases) -> None:
    with pytest.raises(JournalError, match="is the journal that would be copied"):
        copy(databases[0], databases[0], at=T0)


class _Killed(Exception):
    pass


def _kill(*_: object, **__: object) -> None:
    raise _Killed


@pytest.mark.parametrize("at_moment", ["copy_table", "_identity_of_copy"])
def test_a_copy_that_was_killed_early_leaves_the_source_as_it_was(
    journal: Journal, databases: Databases, target_url: str, monkeypatch: pytest.MonkeyPatch, at_moment: str
) -> None:
    recorded(journal, change("g", "u1"))
    monkeypatch.setattr(copying, at_moment, _kill)
    with pytest.raises(_Killed):
        copy(*databases, at=T0)
    monkeypatch.undo()
    recorded(journal, change("g", "u2"))
    copy(*databases, at=T0)
    with Journal.open(target_url) as copied:
        assert [one.user_guid for one in copied.of("default").changes.unsettled()] == ["u1", "u2"]


def test_a_copy_that_was_killed_before_the_source_was_marked_is_made_again(
    journal: Journal, databases: Databases, target_url: str
) -> None:
    source, target = databases
    recorded(journal, change("g", "u1"))
    real, killed = source.writing, _KilledAtItsEnd(source)
    source.writing = killed.writing  # type: ignore[method-assign]
    with pytest.raises(_Killed):
        copy(source, target, at=T0)
    source.writing = real  # type: ignore[method-assign]
    with pytest.raises(JournalError, match=rf"unfinished copy of {source.name}\. Set the connection"):
        Journal.open(target_url)
    recorded(journal, change("g", "u2"))  # the source is the journal
    copy(source, target, at=T0)
    with Journal.open(target_url) as copied:
        assert [one.user_guid for one in copied.of("default").changes.unsettled()] == ["u1", "u2"]


class _KilledAtItsEnd:
    """A database whose next writing transaction is rolled back when its block ends."""

    def __init__(self, database: Database) -> None:
        self._writing = database.writing

    def writing(self) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def block() -> Iterator[Any]:
            with self._writing() as connection:
                yield connection
                raise _Killed

        return block()


def test_a_copy_that_was_killed_before_it_could_be_opened_is_finished(
    journal: Journal, databases: Databases, target_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(journal, change("g", "u1"))
    monkeypatch.setattr(copying, "_finish", _kill)
    with pytest.raises(_Killed):
        copy(*databases, at=T0)
    monkeypatch.undo()
    with pytest.raises(JournalMoved):
        begin(journal)
    with pytest.raises(JournalError, match="unfinished copy"):
        Journal.open(target_url)
    assert copy(*databases, at=T0).rows["journal_change"] == 1
    with Journal.open(target_url) as copied:
        assert len(copied.of("default").changes.unsettled()) == 1


def test_a_journal_that_was_moved_is_not_moved_to_a_third_place(databases: Databases, tmp_path: Path) -> None:
    copy(*databases, at=T0)
    third = open_database(f"sqlite:///{tmp_path / 'third.db'}", moved_too=True)
    with pytest.raises(JournalError, match=rf"was moved to {databases[1].name} already"):
        copy(databases[0], third, at=T0)
    third.engine.dispose()


def test_a_move_can_be_undone(journal: Journal, databases: Databases, journal_url: str) -> None:
    with pytest.raises(JournalError, match="was not moved, so there is nothing to undo"):
        undo_copy(databases[0])
    copy(*databases, at=T0)
    assert undo_copy(databases[0]) == databases[1].name
    with Journal.open(journal_url) as freed:
        assert freed.generation() == 3  # the copy has 2: reports find out if both are used
    assert begin(journal).attempt == 1
