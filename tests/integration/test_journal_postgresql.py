"""The tests of the journal once more, on a real PostgreSQL, and what can be wrong with one."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import URL, make_url, text

from genesys_ad_sync.errors import JournalConflict, JournalError, LeaseBusy
from genesys_ad_sync.journal import Journal, RunKey, database, views
from tests.support.journal import DEFINITION, T0, advance, begin, view
from tests.support.postgresql import WITH_TABLES, new_database, postgresql_server  # noqa: F401 (fixtures)
from tests.unit.genesys_ad_sync.journal.test_changes import *  # noqa: F403 (all its tests)
from tests.unit.genesys_ad_sync.journal.test_copying import *  # noqa: F403
from tests.unit.genesys_ad_sync.journal.test_full_looks import *  # noqa: F403
from tests.unit.genesys_ad_sync.journal.test_leases import *  # noqa: F403
from tests.unit.genesys_ad_sync.journal.test_opening import *  # noqa: F403
from tests.unit.genesys_ad_sync.journal.test_ownership import *  # noqa: F403
from tests.unit.genesys_ad_sync.journal.test_questions import *  # noqa: F403
from tests.unit.genesys_ad_sync.journal.test_refusals import *  # noqa: F403
from tests.unit.genesys_ad_sync.journal.test_renaming import *  # noqa: F403
from tests.unit.genesys_ad_sync.journal.test_runs import *  # noqa: F403
from tests.unit.genesys_ad_sync.journal.test_scratch import *  # noqa: F403
from tests.unit.genesys_ad_sync.journal.test_shared import *  # noqa: F403
from tests.unit.genesys_ad_sync.journal.test_size import *  # noqa: F403
from tests.unit.genesys_ad_sync.journal.test_views import *  # noqa: F403
from tests.unit.genesys_ad_sync.run.test_journal_identity import *  # noqa: F403
from tests.unit.genesys_ad_sync.views.test_group import *  # noqa: F403
from tests.unit.genesys_ad_sync.views.test_person import *  # noqa: F403
from tests.unit.genesys_ad_sync.views.test_search import *  # noqa: F403
from tests.unit.genesys_ad_sync.views.test_status import *  # noqa: F403
from tests.unit.genesys_ad_sync.views.test_todo import *  # noqa: F403


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest, postgresql_server: URL) -> Iterator[str]:
    """Return the URL of a database: empty for the tests of opening, with the tables of a new journal for the others."""
    template = "template1" if request.function.__module__.endswith("test_opening") else WITH_TABLES
    with new_database(postgresql_server, template) as url:
        yield url


@pytest.fixture
def journal_url(postgresql_url: str) -> str:
    """In place of the SQLite file of the unit tests."""
    return postgresql_url


@pytest.mark.quick
def test_these_tests_run_on_postgresql(journal: Journal) -> None:
    assert journal._database.engine.dialect.name == "postgresql"


def test_a_wrong_password_is_said_and_not_shown(postgresql_url: str) -> None:
    url = make_url(postgresql_url).set(password="hunter2")
    with pytest.raises(JournalError, match=r"authentication failed.*Correct login and password") as failed:
        Journal.open(url)
    assert "hunter2" not in f"{failed.value} {failed.value.__cause__!r}"


def test_a_database_that_does_not_exist_is_named(postgresql_url: str) -> None:
    with pytest.raises(JournalError, match=r"\"nowhere\" does not exist\. Create that database"):
        Journal.open(make_url(postgresql_url).set(database="nowhere"))


def test_a_server_that_does_not_answer_is_named(postgresql_url: str) -> None:
    url = make_url(postgresql_url).set(port=1)
    with pytest.raises(JournalError, match=r"PostgreSQL 127\.0\.0\.1:1/journal_.*Check that the database runs"):
        Journal.open(url)


def test_a_login_that_may_not_create_tables_is_told_so(journal_url: str, journal: Journal) -> None:
    with journal._database.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
        connection.execute(text("DROP ROLE IF EXISTS guest"))
        connection.execute(text("CREATE ROLE guest LOGIN PASSWORD 'guest'"))
    with pytest.raises(JournalError, match="right to create and use tables"):
        Journal.open(make_url(journal_url).set(username="guest", password="guest"))


def test_a_connection_that_the_server_closed_is_opened_again(journal: Journal, postgresql_url: str) -> None:
    name = journal.identity()[0]
    with Journal.open(postgresql_url) as other, other._database.engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert journal.identity()[0] == name


def test_a_server_that_the_network_loses_is_given_up_after_a_minute(journal: Journal, postgresql_url: str) -> None:
    """By the kernel's own settings, a task would hang for a quarter of an hour, or for two hours."""

    def in_force(journal: Journal) -> dict[str, str]:
        with journal._database.engine.connect() as connection:
            found: dict[str, str] = connection.connection.dbapi_connection.info.dsn_parameters  # type: ignore[union-attr]
        return found

    assert in_force(journal)["tcp_user_timeout"] == "60000"
    assert in_force(journal)["keepalives_idle"] == "30"
    own = make_url(postgresql_url).update_query_dict({"tcp_user_timeout": "5000"})
    with Journal.open(own) as other:
        assert in_force(other)["tcp_user_timeout"] == "5000"


def test_a_machine_whose_clock_is_wrong_takes_no_lease_that_another_one_holds(journal: Journal) -> None:
    def right() -> datetime:
        return datetime.now(timezone.utc)

    def wrong() -> datetime:
        return right() + timedelta(minutes=10)

    ttl = timedelta(minutes=5)
    there, here = journal.clock(right), journal.clock(wrong)
    journal.leases.acquire("org", RunKey("dag", "one"), "patch", now=there(), ttl=ttl)
    with pytest.raises(LeaseBusy):
        journal.leases.acquire("org", RunKey("dag", "two"), "patch", now=here(), ttl=ttl)


def test_a_writer_that_waits_in_vain_says_so(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 1)
    with (
        journal._database.writing(),
        pytest.raises(JournalError, match=r"lock timeout\. Another process has been writing"),
    ):
        begin(journal)
    begin(journal)


def test_threads_may_share_a_journal(journal: Journal) -> None:
    threads = [threading.Thread(target=begin, args=(journal, f"r{number}")) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.identity()[1] == 12


def test_a_poll_that_writes_its_view_keeps_nobody_from_writing(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_view = views.write_view

    def slowly(*given: Any) -> None:
        write_view(*given)
        begin(journal, "meanwhile")  # gives up when it waits too long for the writers' lock

    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(views, "write_view", slowly)
    assert advance(journal, view({"a": "u1"})) == 1
    assert journal.runs.get(RunKey("dag", "meanwhile")).attempt == 1


def test_a_definition_that_was_renamed_while_its_view_was_written_keeps_the_other_view(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance(journal, view({"a": "u1"}), definition="former")
    write_view = views.write_view

    def slowly(*given: Any) -> None:
        write_view(*given)
        with journal.database.writing() as connection:  # as `Renaming.take_over` moves it
            connection.execute(text(f"UPDATE journal_cursor SET definition = '{DEFINITION}'"))

    monkeypatch.setattr(views, "write_view", slowly)
    with pytest.raises(JournalConflict):
        advance(journal, view({"b": "u2"}))
    assert journal.of(DEFINITION).views.known_groups() == frozenset()


@pytest.mark.parametrize("polling", ["former", DEFINITION])
def test_a_rename_and_a_poll_wait_for_each_other_in_one_order(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, polling: str
) -> None:
    """PostgreSQL ended one of the two with "deadlock detected"."""
    advance(journal, view({"a": "u1"}), definition="former")
    advance(journal, view({"a": "u1"}), definition=DEFINITION)
    write_view, errors = views.write_view, []

    def rename() -> None:
        try:
            with journal.together("former", DEFINITION):
                journal.of(DEFINITION).renaming.take_over("former", run=RunKey("dag", "r"), at=T0)
        except JournalError as error:
            errors.append(error)

    renaming = threading.Thread(target=rename)

    def with_a_rename(*given: Any) -> None:
        write_view(*given)
        renaming.start()
        with journal.database.engine.connect() as connection:
            waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            while renaming.is_alive() and not connection.execute(waiting).scalar():
                connection.rollback()

    monkeypatch.setattr(views, "write_view", with_a_rename)
    advance(journal, view({"a": "u1 u2"}), definition=polling)
    renaming.join()
    assert errors == []
