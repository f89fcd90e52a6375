"""What is said about a journal in a database that is reached without TLS."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

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
