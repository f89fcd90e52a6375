"""The same tree of commands as `airflow genesys-sync …`, made from the click commands.

Airflow's command line is argparse's. Each click option and argument becomes one of its own, and what was given goes
back to click, which checks it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand

NAME = "genesys-sync"
_Arg: Callable[..., Arg] = Arg  # untyped in Airflow


def get_genesys_sync_commands() -> list[CLICommand]:
    """Return the commands, as the provider's `cli` entry names them."""
    from genesys_ad_sync_airflow.cli.tree import main

    return [GroupCommand(NAME, _first_line(main), list(_commands(main, ())))]


def _commands(group: click.Group, path: tuple[str, ...]) -> Iterator[CLICommand]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield GroupCommand(name, _first_line(command), list(_commands(command, (*path, name))))
        else:
            yield _action(command, (*path, name))


def _action(command: click.Command, path: tuple[str, ...]) -> ActionCommand:
    def run(given: argparse.Namespace) -> None:
        from genesys_ad_sync_airflow.cli.tree import main

        sys.exit(main.main([*path, *_as_given(command, given)], prog_name=f"airflow {NAME}", standalone_mode=False))

    text = (command.help or "").replace("\b\n", "").replace("%", "%%")
    return ActionCommand(path[-1], _first_line(command), run, [_arg(one) for one in command.params], description=text)


def _first_line(command: click.Command) -> str:
    return (command.help or "").strip().splitlines()[0].replace("%", "%%")


def _arg(parameter: click.Parameter) -> Arg:
    assert parameter.name is not None  # noqa: S101  for mypy
    if isinstance(parameter, click.Argument):
        many = {"nargs": "+" if parameter.required else "*"} if parameter.nargs == -1 else {}
        return _Arg((parameter.name,), metavar=parameter.make_metavar(click.Context(click.Command("x"))), **many)
    assert isinstance(parameter, click.Option)  # noqa: S101  for mypy
    flags = tuple(parameter.opts)
    about: dict[str, Any] = {"help": (parameter.help or "").replace("%", "%%"), "dest": parameter.name}
    if parameter.is_flag:
        return _Arg(flags, action="store_true", **about)
    return _Arg(
        flags, action="append" if parameter.multiple else None, metavar=parameter.metavar, default=None, **about
    )


def _as_given(command: click.Command, given: argparse.Namespace) -> Iterator[str]:
    """Return the arguments for click.

    An argument that looks like an option, but is none, stays behind `--`.
    """
    positional: list[str] = []
    for parameter in command.params:
        value = getattr(given, parameter.name or "", None)
        values = value if isinstance(value, list) else [value]
        if isinstance(parameter, click.Argument):
            positional += [str(one) for one in values if one is not None]
        elif isinstance(parameter, click.Option) and parameter.is_flag:
            yield from [parameter.opts[0]] if value else []
        else:
            for one in values:
                yield from () if one is None else (parameter.opts[0], str(one))
    yield from ("--", *positional) if positional else ()
