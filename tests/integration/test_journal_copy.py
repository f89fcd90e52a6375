"""The journal moves from SQLite to a real PostgreSQL: the tests of the copy once more, and the command."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from genesys_ad_sync.errors import JournalMoved
from genesys_ad_sync.journal import Journal
from genesys_ad_sync_airflow.cli.tree import main
from tests.support.journal import begin, change, recorded
from tests.support.postgresql import postgresql_server, postgresql_url  # noqa: F401 (fixtures)
from tests.unit.genesys_ad_sync.journal.test_copying import *  # noqa: F403 (all its tests)


@pytest.fixture
def target_url(postgresql_url: str) -> str:
    """In place of the SQLite file of the unit tests."""
    return postgresql_url


def test_the_command_moves_the_journal_to_postgresql_and_shows_no_password(
    journal_url: str, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", f"sqlite:///{make_url(journal_url).database}")
    password = make_url(postgresql_url).password
    assert password
    with Journal.open(journal_url) as journal:
        journal.runs.finish(begin(journal), "success", change("g", "u").observed_at)
        recorded(journal, change("g", "u"))
    done = CliRunner().invoke(main, ["journal", "copy", "--to", postgresql_url, "--json"])
    assert done.exit_code == 0, done.output
    place = json.loads(done.stdout)["target"]
    assert place.startswith("PostgreSQL 127.0.0.1:")
    with pytest.raises(JournalMoved, match=place) as moved:
        Journal.open(journal_url)
    assert str(password) not in done.output + str(moved.value)
    with Journal.open(postgresql_url) as copy:
        assert [one.user_guid for one in copy.of("default").changes.unsettled()] == ["u"]
