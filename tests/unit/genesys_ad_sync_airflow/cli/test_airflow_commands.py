"""The same tree as `airflow genesys-sync …`: one definition of commands."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from airflow.cli.cli_config import ActionCommand, GroupCommand
from airflow.cli.cli_parser import AirflowHelpFormatter, _add_command

from genesys_ad_sync_airflow.cli.airflow_commands import get_genesys_sync_commands
from genesys_ad_sync_airflow.cli.tree import main
from genesys_ad_sync_airflow.provider import get_provider_info


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="airflow", formatter_class=AirflowHelpFormatter)
    commands = made.add_subparsers(dest="subcommand")
    for command in get_genesys_sync_commands():
        _add_command(commands, command)
    return made


def leaves(command: Any, *path: str) -> Iterator[str]:
    if isinstance(command, GroupCommand):
        for child in command.subcommands:
            yield from leaves(child, *path, child.name)
    else:
        yield " ".join(path)


def click_leaves(command: click.Command, *path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from click_leaves(child, *path, name)
    else:
        yield " ".join(path)


def call(*arguments: str) -> Any:
    given = parser().parse_args(["genesys-sync", *arguments])
    with pytest.raises(SystemExit) as ended:
        given.func(given)
    return ended.value.code


def test_airflow_finds_the_commands_by_the_providers_entry() -> None:
    [path] = get_provider_info()["cli"]
    assert path == f"{get_genesys_sync_commands.__module__}.{get_genesys_sync_commands.__name__}"


def test_both_trees_have_the_same_commands() -> None:
    [tree] = get_genesys_sync_commands()
    assert set(leaves(tree)) == set(click_leaves(main))
    assert [isinstance(one, ActionCommand | GroupCommand) for one in tree.subcommands]


@pytest.mark.parametrize("path", sorted(click_leaves(main)))
def test_every_command_has_help(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["genesys-sync", *path.split(), "--help"])
    assert ended.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_options_and_arguments_reach_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "-odd name.yaml"
    bad.write_text("nonsense: 1")
    assert call("validate", "--json", str(bad), str(tmp_path / "missing.yaml")) == 1
    results = json.loads(capsys.readouterr().out)
    assert [Path(result["file"]).name for result in results] == ["-odd name.yaml", "missing.yaml"]


def test_options_that_may_be_given_several_times(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(main.commands["plan"], "callback", lambda **given: seen.append(given))
    call("plan", "--definition", "a", "--definition", "b", "--full", "--rows", "3")
    assert (seen[0]["names"], seen[0]["full"], seen[0]["rows"], seen[0]["offline"]) == (("a", "b"), True, 3, None)
