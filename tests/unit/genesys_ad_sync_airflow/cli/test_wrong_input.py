"""Commands that are called wrongly, or where something is missing: an exit code, words, and JSON that can be read."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url, text

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal import Journal, tables
from genesys_ad_sync.journal.opening import tables_version
from genesys_ad_sync_airflow.cli.tree import main
from tests.support.journal import journal, journal_url  # noqa: F401 (fixtures)
from tests.support.view_examples import DEFINITION_TEXT, grant, looked_at, map_groups, poll

LOOKING = (
    ["claims"],
    ["explain", "group", "voice"],
    ["explain", "person", "ann"],
    ["links"],
    ["report", "full-voice"],
    ["runs"],
    ["status"],
)
"""The commands that look into the journal and need nothing else to begin with."""


@pytest.fixture(autouse=True)
def world(journal: Journal, journal_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", f"sqlite:///{make_url(journal_url).database}")
    monkeypatch.setenv("GENESYS_AD_SYNC_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setattr("airflow.secrets.metastore.MetastoreBackend.get_connection", lambda *_, **__: None)
    (tmp_path / "config").mkdir()
    definition = DEFINITION_TEXT.replace("file:///nowhere", (tmp_path / "reports").as_uri())
    (tmp_path / "config" / "default.yaml").write_text(definition)
    poll(journal, {"voice": "ann bob"}, ann={"name": "Änn \u2192 Anders"})
    map_groups(journal, "voice")
    grant(journal, "voice", "ann")
    looked_at(journal, "voice", **{"U-mia": "Mia Manual"})
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def failure(*arguments: str) -> str:
    """Return the error of a call with `--json`, which stdout and stderr must agree on."""
    done = call(*arguments, "--json")
    assert done.exit_code == 1
    error = json.loads(done.stdout)["error"]
    assert f"Error: {error}\n" in done.stderr
    assert "Traceback" not in done.stderr
    return str(error)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["runs", "--limit", "-1"], "'--limit': -1 is not in the range"),
        (["runs", "--limit", "0"], "'--limit': 0 is not in the range"),
        (["report", "r1", "--rows", "-1"], "'--rows': -1 is not in the range"),
        (["plan", "--rows", "-1"], "'--rows': -1 is not in the range"),
        (["explain", "group", "voice", "--members", "-1"], "'--members': -1 is not in the range"),
        (
            ["status", "--silent-after", "nan"],
            "'--silent-after': The hours must be a number up to 87,600, which are ten years, not nan.",
        ),
        (
            ["status", "--silent-after", "inf"],
            "'--silent-after': The hours must be a number up to 87,600, which are ten years, not inf.",
        ),
        (
            ["status", "--silent-after", "1e200"],
            "'--silent-after': The hours must be a number up to 87,600, which are ten years, not 1e+200.",
        ),
        (["explain", "person", ""], "no person for ''"),
        (["explain", "person", "00000000-zzzz"], "no person for '00000000-zzzz'"),
        (["explain", "group", " "], "no mapped group for ' '"),
        (["report", ""], "knows no run ''"),
        (["undo", "nowhere/full-voice"], "knows no run 'nowhere/full-voice'"),
        (["plan", "--definition", "other"], "There is no sync definition other. There are: default."),
        (["check", "--definition", "other"], "There is no sync definition other. There are: default."),
        (["plan", "--config", "/nowhere/file.yaml"], "/nowhere/file.yaml: cannot be read"),
        (["plan", "--config", "/"], "is a directory"),
        (["check", "--config", "/nowhere"], "does not exist"),
        (["journal", "copy", "--to", "nonsense"], "URL of the journal cannot be understood"),
        (["journal", "copy", "--to", "mysql://u:secret@host/x"], "cannot be kept in 'mysql'"),
        (["journal", "copy", "--undo"], "was not moved, so there is nothing to undo"),
    ],
)
def test_a_wrong_value_is_an_error_in_words_and_as_json(wrong: list[str], said: str) -> None:
    error = failure(*wrong)
    assert said in error
    assert "secret" not in error


def test_a_missing_connection_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_GENESYS_CLOUD_DEFAULT", raising=False)  # another test of this process has set it
    assert "The conn_id `genesys_cloud_default` isn't defined" in failure("plan")


def test_a_place_that_cannot_be_written_is_named(world: Path) -> None:
    place = world / "nowhere" / "page.html"
    assert failure("check", "--html", str(place)) == f"{place}: No such file or directory."


def test_a_definition_with_an_error_is_no_empty_plan(world: Path) -> None:
    (world / "config" / "bad.yaml").write_text("nonsense: 1")
    for arguments in (["plan", "--definition", "bad"], ["plan"]):
        assert "bad.yaml: `nonsense`" in failure(*arguments)
    assert "Name the other sync definitions with --definition" in failure("plan")


def test_json_names_the_definition_whose_plan_failed(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (world / "config" / "second.yaml").write_text((world / "config" / "default.yaml").read_text())

    def make(definition: object, *_: object, **__: object) -> Mapping[str, object]:
        if definition.name == "second":  # type: ignore[attr-defined]
            raise JournalError("the second one is away.")
        return {"planned": 0}

    monkeypatch.setattr("genesys_ad_sync_airflow.cli.plan._plan", make)
    done = call("plan", "--json")
    answer = {"changes": False, "reports": [{"planned": 0}], "errors": {"second": "the second one is away."}}
    assert (done.exit_code, json.loads(done.stdout)) == (1, answer)


def test_a_defect_is_an_error_as_json_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("voice")

    monkeypatch.setattr("genesys_ad_sync_airflow.cli.airflow_side.open_journal", fail)
    done = call("claims", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["error"].startswith("Unexpected: KeyError.")
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_a_command_that_looks_upgrades_no_journal(journal: Journal, command: list[str]) -> None:
    with journal.database.writing() as connection:
        connection.execute(text(f"UPDATE {tables.VERSION_TABLE} SET version_num = '0019'"))
    assert "The next run of the DAG upgrades it" in failure(*command)
    with journal.database.reading() as connection:
        assert tables_version(connection) == "0019"


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_every_command_that_looks_prints_json(command: list[str]) -> None:
    done = call(*command, "--json")
    assert isinstance(json.loads(done.stdout), dict | list), done.stderr


@pytest.mark.parametrize("group", [[], ["explain"], ["journal"]])
def test_a_group_without_a_command_shows_its_help(group: list[str]) -> None:
    done = call(*group)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Usage: ")
    assert "Commands:" in done.stderr


def process(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    code = "from genesys_ad_sync_airflow.cli.tree import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )


def test_a_terminal_without_all_letters_ends_no_command() -> None:
    shown = process("explain", "person", "ann", PYTHONIOENCODING="latin-1")
    out, err = shown.communicate(timeout=600)
    assert (shown.returncode, b"UnicodeEncodeError" in err) == (0, False)
    assert b"\xc4nn \\u2192 Anders" in out
    as_json = process("explain", "person", "ann", "--json", PYTHONIOENCODING="latin-1")
    out, _ = as_json.communicate(timeout=600)
    assert json.loads(out)["hits"][0]["name"] == "Änn \u2192 Anders"


def test_a_pipe_that_is_closed_ends_the_command_without_a_traceback() -> None:
    """As `| head` does. What is printed is more than a pipe holds."""
    code = (
        "import click\nfrom genesys_ad_sync_airflow.cli.tree import main\n"
        "main.commands['claims'].callback = lambda **_: [click.echo('x' * 1000) for _ in range(1000)] and 0\n"
        "main(['claims'])"
    )
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.read(10)
    running.stdout.close()
    assert running.stderr.read() == b""
    assert running.wait(timeout=600) == 1
