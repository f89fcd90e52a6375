"""The commands that read and move the journal of Airflow's tasks."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url

from genesys_ad_sync.errors import JournalMoved
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import GroupPair, Link
from genesys_ad_sync_airflow.cli.tree import main
from tests.support.journal import T0, begin, journal, journal_url  # noqa: F401 (fixtures)


@pytest.fixture(autouse=True)
def connection(journal_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", f"sqlite:///{make_url(journal_url).database}")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_claims_lists_groups_with_their_names(journal: Journal) -> None:
    journal.of("b").claims.take("https://api.mypurecloud.de", ["G1"], T0)
    journal.of("a").claims.take("https://api.mypurecloud.de", ["G2"], T0)
    journal.of("a").pairs.replace([GroupPair("ad", "G2", "[red]Voice", 0, has_baseline=False)], T0)
    assert json.loads(call("claims", "--json").stdout) == [
        {
            "definition": definition,
            "genesys_group_name": name,
            "genesys_group_id": group,
            "since": "2024-05-01T12:00:00+00:00",
            "organisation": "https://api.mypurecloud.de",
        }
        for definition, name, group in (("a", "[red]Voice", "G2"), ("b", None, "G1"))
    ]
    lines = call("claims").stdout.splitlines()
    assert any("[red]Voice" in line and "G2" in line for line in lines)


def test_claims_says_that_there_are_none(journal: Journal) -> None:
    assert call("claims").stdout == "No sync definition feeds a Genesys group.\n"
    assert json.loads(call("claims", "--json").stdout) == []


def test_links_lists_accounts_and_what_contradicts_them(journal: Journal) -> None:
    mine = journal.of("default")
    mine.links.save([Link("ann", "x-ann", "mail=email", T0), Link("bob", "x-old", "mail=email", T0)])
    mine.links.replace([replace(mine.links.all()["bob"], contradicted_since=T0, others=("x-bob",))])
    assert [(link["guid"], link["relink"]) for link in json.loads(call("links", "--json").stdout)] == [
        ("ann", None),
        ("bob", "bob=x-bob"),
    ]
    lines = call("links", "--contradicted").stdout
    assert "bob=x-bob" in lines
    assert "x-ann" not in lines


def test_links_says_that_none_is_contradicted(journal: Journal) -> None:
    assert call("links", "--contradicted").stdout == "No link is contradicted.\n"


def test_a_command_makes_no_journal(journal_url: str, tmp_path: Path) -> None:
    for arguments in (["claims"], ["journal", "copy", "--to", f"sqlite:///{tmp_path / 'copy.db'}"]):
        done = call(*arguments)
        assert done.exit_code == 1
        assert f"There is no journal in {tmp_path / 'journal.db'}." in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_journal_is_moved_and_freed(journal: Journal, journal_url: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    run = begin(journal)
    refused = call("journal", "copy", "--to", f"sqlite:///{copy}")
    assert refused.exit_code == 1
    assert "dag/r1" in refused.stderr
    assert not copy.exists()
    journal.runs.finish(run, "success", T0)
    done = call("journal", "copy", "--to", f"sqlite:///{copy}")
    assert done.exit_code == 0
    assert f"to {copy}.\n" in done.stdout
    assert "Now set the connection group_sync_journal to the new place" in done.stdout
    with pytest.raises(JournalMoved):
        Journal.open(journal_url)
    assert json.loads(call("journal", "copy", "--undo", "--json").stdout)["freed_from"] == str(copy)
    Journal.open(journal_url).close()


def test_a_run_that_is_gone_may_be_named(journal: Journal, tmp_path: Path) -> None:
    begin(journal)
    target = ["journal", "copy", "--to", f"sqlite:///{tmp_path / 'copy.db'}"]
    assert "--gone must be DAG_ID/RUN_ID, not 'r1'" in call(*target, "--gone", "r1").stderr
    assert call(*target, "--gone", "dag/r1").exit_code == 0


def test_a_metadata_database_that_cannot_be_read_is_no_missing_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError("secret")

    monkeypatch.delenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setattr("airflow.secrets.metastore.MetastoreBackend.get_connection", fail)
    Journal.open(f"sqlite:///{tmp_path / 'group_sync_journal.db'}").close()  # not taken for the journal
    done = call("claims")
    assert done.exit_code == 1
    assert "metadata database cannot be read (ConnectionError), so it is not known whether" in done.stderr
    assert "secret" not in done.stderr
    monkeypatch.setattr("airflow.secrets.metastore.MetastoreBackend.get_connection", lambda *_: None)
    assert call("claims").exit_code == 0
