"""A large first view is written in parts: others write in between, and an unfinished one is nothing."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, select

from genesys_ad_sync.errors import JournalConflict, JournalError
from genesys_ad_sync.journal import Journal, database, first_view, tables
from genesys_ad_sync.model import DirectoryView
from genesys_ad_sync.views.search import find_people
from tests.support.journal import (
    DEFINITION,
    advance,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    view,
)

COMPANY = view({"a": "u1 u2 u3 n", "b": "u1 u2 u3 u4", "n": "u5"}, nested_only="n", unseen="u4")
OTHER = view({"a": "u1 u6", "c": "u7"})


@pytest.fixture
def in_parts(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], list[int]]:
    """Write parts of three rows; return a function that says what happens between two of them, and counts."""
    if not journal.database.writes_in_parts:
        pytest.skip("one transaction keeps nobody waiting there")
    monkeypatch.setattr(first_view, "ROWS_OF_A_PART", 3)
    monkeypatch.setattr(database, "TURN_SECONDS", 0)

    def between(happens: Callable[[], Any]) -> list[int]:
        times: list[int] = []

        def sleep(_seconds: float) -> None:
            times.append(len(times))
            happens()

        monkeypatch.setattr(database.time, "sleep", sleep)
        return times

    return between


def rows(journal: Journal) -> dict[str, set[tuple[Any, ...]]]:
    found = {}
    for table in (tables.cursor, tables.group, tables.user, tables.membership):
        columns = [column for column in table.c if column.name not in {"attributes", "cookie"}]
        with journal.database.reading() as connection:
            found[table.name] = {tuple(row) for row in connection.execute(select(*columns))}
    return found


def test_a_view_in_parts_is_stored_as_in_one_transaction(
    journal: Journal, in_parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = in_parts(lambda: None)
    assert advance(journal, COMPANY, complete=["a"]) == 1
    written = rows(journal)
    assert len(parts) > 5
    assert journal.of(DEFINITION).views.load() == COMPANY
    with journal.database.writing() as connection:
        for table in (tables.cursor, tables.known_dc, tables.group, tables.user, tables.membership):
            connection.execute(table.delete())
    monkeypatch.setattr(first_view, "ROWS_OF_A_PART", 1000)
    advance(journal, COMPANY, complete=["a"])
    assert rows(journal) == written


def test_others_write_between_two_parts_and_see_no_view(journal: Journal, journal_url: str, in_parts: Any) -> None:
    with Journal.open(journal_url) as other:

        def write() -> None:
            assert other.of(DEFINITION).views.cursor() is None
            advance(other, view({"x": "y"}), definition=f"other {len(parts)}")

        parts = in_parts(write)
        longest = _rows_of_the_longest_transaction(journal)
        advance(journal, COMPANY)
    assert len(parts) > 5
    assert 0 < max(longest) <= 3


def _rows_of_the_longest_transaction(journal: Journal) -> list[int]:
    """Collect how many rows of the view each transaction inserts."""
    inserted = [0]

    def count(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if statement.startswith("BEGIN"):
            inserted.append(0)
        if statement.startswith(("INSERT INTO journal_user", "INSERT INTO journal_group")):
            inserted[-1] += len(parameters) if many else 1
        if statement.startswith("INSERT INTO journal_membership"):
            for of_group in parameters if many else [parameters]:
                inserted[-1] += sum(str(value).count('"') // 2 for value in of_group if str(value).startswith("["))

    event.listen(journal.database.engine, "before_cursor_execute", count)
    return inserted


@pytest.mark.parametrize("who", ["u1", "u1@example.com"], ids=["guid", "mail"])
def test_nobody_is_explained_by_half_a_view(journal: Journal, in_parts: Any, who: str) -> None:
    found: list[Any] = []
    in_parts(lambda: found.append(find_people(journal, who, [DEFINITION])))
    advance(journal, COMPANY)
    assert found
    assert not any(found)
    assert find_people(journal, who, [DEFINITION])


@pytest.mark.parametrize("ends_after", range(6))
def test_an_unfinished_view_is_nothing_to_the_next_poll(
    journal: Journal, in_parts: Any, monkeypatch: pytest.MonkeyPatch, ends_after: int
) -> None:
    def die() -> None:
        if len(parts) > ends_after:
            raise KeyboardInterrupt

    parts = in_parts(die)
    with pytest.raises(KeyboardInterrupt):
        advance(journal, COMPANY)
    mine = journal.of(DEFINITION).views
    assert mine.cursor() is None
    in_parts(lambda: None)
    for rows_of_a_part in (2, 1000):  # in parts again, or in one transaction
        monkeypatch.setattr(first_view, "ROWS_OF_A_PART", rows_of_a_part)
        assert advance(journal, OTHER) == 1
        assert mine.load() == OTHER
        assert mine.load_with_gone(["a", "b", "c", "n"]) == OTHER
        with journal.database.writing() as connection:
            connection.execute(tables.cursor.delete())


def test_who_finished_meanwhile_keeps_the_view(
    journal: Journal, journal_url: str, in_parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refused_since_another_finished(3, journal, journal_url, in_parts, monkeypatch)
    assert journal.of(DEFINITION).views.load_with_gone(["a", "b", "c", "n"]) == OTHER
    assert _people(journal) == {"u1", "u6", "u7"}


@pytest.mark.parametrize("deleted_parts", [1, 2])
def test_who_finished_while_an_unfinished_view_is_deleted_keeps_the_view(
    journal: Journal, journal_url: str, in_parts: Any, monkeypatch: pytest.MonkeyPatch, deleted_parts: int
) -> None:
    def die() -> None:
        if len(parts) == 5:
            raise KeyboardInterrupt

    parts = in_parts(die)
    with pytest.raises(KeyboardInterrupt):
        advance(journal, COMPANY)
    _refused_since_another_finished(deleted_parts, journal, journal_url, in_parts, monkeypatch)
    assert journal.of(DEFINITION).views.load() == OTHER
    assert _people(journal) == {"u1", "u6", "u7"}


def _refused_since_another_finished(
    after: int, journal: Journal, journal_url: str, in_parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Write a first view that is refused: another poll finishes its own after so many parts."""
    with Journal.open(journal_url) as other:

        def finish() -> None:
            if len(parts) == after:
                with monkeypatch.context() as patch:
                    patch.setattr(first_view, "ROWS_OF_A_PART", 1000)
                    advance(other, OTHER)

        parts = in_parts(finish)
        with pytest.raises(JournalConflict):
            advance(journal, COMPANY)


def _people(journal: Journal) -> set[str]:
    return {user.guid for user in journal.of(DEFINITION).views.all_users()}


def test_two_first_views_of_one_definition_wait_for_each_other(
    journal: Journal, journal_url: str, in_parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parts(lambda: None)
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0)
    with Journal.open(journal_url) as other:
        with other.database.alone(DEFINITION):
            with pytest.raises(JournalError, match="another run is writing its first view"):
                advance(journal, COMPANY)
            with pytest.raises(JournalError), journal.together("new name", DEFINITION):
                """A renaming moves views, too."""
            advance(journal, COMPANY, definition="another")
        assert advance(journal, COMPANY) == 1
    assert journal.of(DEFINITION).views.load() == COMPANY == journal.of("another").views.load()


def test_nothing_is_left_of_a_view_in_a_block_of_one_transaction(journal: Journal, in_parts: Any) -> None:
    parts = in_parts(lambda: None)

    def undone() -> None:
        with journal.together():
            advance(journal, COMPANY)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        undone()
    assert not parts
    assert rows(journal)["journal_user"] == set()
    assert journal.of(DEFINITION).views.load() == DirectoryView()
