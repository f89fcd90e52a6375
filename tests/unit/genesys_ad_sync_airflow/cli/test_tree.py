"""What all commands have in common."""

from __future__ import annotations

import importlib.metadata
import json
import unicodedata
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync_airflow.cli.output import print_json
from genesys_ad_sync_airflow.cli.tree import main


def _commands(command: click.Command, *names: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _commands(child, *names, name)
    else:
        yield " ".join(names), command


COMMANDS = dict(_commands(main))


def test_the_tree_has_the_documented_commands() -> None:
    assert {"check", "claims", "journal copy", "links"} <= COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_print_json_and_has_help(name: str) -> None:
    assert "--json" in {option for parameter in COMMANDS[name].params for option in parameter.opts}
    helped = CliRunner().invoke(main, [*name.split(), "--help"])
    assert helped.exit_code == 0
    assert COMMANDS[name].help


def test_the_console_script_is_this_tree() -> None:
    [script] = importlib.metadata.entry_points(group="console_scripts", name="genesys-ad-sync") or [None]
    if script is None:
        pytest.skip("installed before the script existed: `make install`; the wheel's tests run it")
    assert script.load() is main


@pytest.mark.parametrize("wrong", [["nonsense"], ["claims", "--nonsense"], ["journal", "copy"]])
def test_a_wrong_call_ends_with_1_because_2_means_changes(wrong: list[str]) -> None:
    done = CliRunner().invoke(main, wrong)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")


def test_an_error_is_said_in_words_and_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise JournalError("the journal is away. Fetch it.")

    monkeypatch.setattr("genesys_ad_sync_airflow.cli.airflow_side.open_journal", fail)
    done = CliRunner().invoke(main, ["claims"])
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "Error: the journal is away. Fetch it.\n")
    done = CliRunner().invoke(main, ["claims", "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout) == {"error": "the journal is away. Fetch it."}


def test_json_commands_no_terminal_and_means_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b[2J\x9b31m\x7f\u202e\u2028\udcffä"
    print_json({name: [name]})
    printed = capsys.readouterr().out
    assert [c for c in printed if (unicodedata.category(c) in ("Cc", "Cs", "Zl") and c != "\n") or c == "\u202e"] == []
    assert "ä" in printed
    assert json.loads(printed) == {name: [name]}
