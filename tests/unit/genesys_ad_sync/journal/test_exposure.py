"""What is said about a journal that others can read, and what its errors keep to themselves."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from sqlalchemy import insert, make_url, text

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal import Journal, tables
from genesys_ad_sync.journal.database_errors import explain
from genesys_ad_sync.journal.exposure import warnings_of

SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGSSLMODE", "PGHOST"):
        monkeypatch.delenv(name, raising=False)


def warned(place: str) -> str:
    return " ".join(warnings_of(make_url(f"postgresql+psycopg2://{place}"), "PostgreSQL db"))


@pytest.mark.parametrize(
    "place",
    [
        f"ann:{SECRET}@db.example.com/x",
        f"ann:{SECRET}@db.example.com/x?sslmode=prefer",
        f"ann:{SECRET}@10.1.1.1/x?sslmode=allow",
        f"ann:{SECRET}@10.1.1.1/x?sslmode=disable",
        f"ann:{SECRET}@/x?host=db.example.com",
        f"ann:{SECRET}@/x?host=localhost,db.example.com",
        f"ann:{SECRET}@localhost/x?hostaddr=10.1.1.1",
    ],
)
def test_a_remote_journal_without_tls_is_warned_of(place: str) -> None:
    assert "sslmode=verify-full" in warned(place)
    assert SECRET not in warned(place)


@pytest.mark.parametrize(
    "place",
    [
        "ann@db.example.com/x?sslmode=require",
        "ann@db.example.com/x?sslmode=verify-ca",
        "ann@db.example.com/x?sslmode=verify-full",
        "ann@localhost/x",
        "ann@127.0.0.1/x",
        "ann@[::1]/x",
        "ann@/x",
        "ann@/x?host=/var/run/postgresql",
        "/x?service=journal",
    ],
)
def test_tls_and_this_machine_are_not_warned_of(place: str) -> None:
    assert warned(place) == ""


def test_the_environment_of_the_library_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example.com")
    assert "sslmode=prefer" in warned("ann@/x")
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert warned("ann@/x") == ""


# -- errors of the database ---------------------------------------------------------------------------


def test_a_refused_row_shows_no_value_in_the_error_or_its_traceback(tmp_path: Path) -> None:
    database = Journal.open(f"sqlite:///{tmp_path}/journal.db").runs._database
    row = {"definition": "d", "dry_run": False, "due_at": None, "dag_id": "Mia Stone", "run_id": "r", "noted_at": None}
    with pytest.raises(JournalError) as refused, database.writing() as connection:
        connection.execute(insert(tables.definition), [row])
    shown = "".join(traceback.format_exception(refused.value))
    assert "constraint failed" in shown
    assert "defect" in shown
    assert "Mia" not in shown


def test_what_postgresql_adds_about_the_row_is_left_out() -> None:
    error = ValueError(
        'duplicate key value violates unique constraint "x"\nDETAIL:  Key (mail)=(mia@x) already exists.'
    )
    assert "mia" not in explain(error, "PostgreSQL db")
    assert "mia" not in explain(ValueError('invalid input syntax for type integer: "mia@x"\nLINE 1'), "PostgreSQL db")


def test_a_broken_statement_shows_no_parameter(tmp_path: Path) -> None:
    database = Journal.open(f"sqlite:///{tmp_path}/journal.db").runs._database
    with pytest.raises(JournalError) as refused, database.reading() as connection:
        connection.execute(text("SELECT * FROM nowhere WHERE name = :name"), {"name": "Mia Stone"})
    assert "Mia" not in "".join(traceback.format_exception(refused.value))
