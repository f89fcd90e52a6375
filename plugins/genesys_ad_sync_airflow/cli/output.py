"""The output of commands: a table for people, or JSON for programs.

Nothing else goes to stdout.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import click
from rich import box
from rich.console import Console
from rich.table import Table

from genesys_ad_sync.text import one_line

_Function = TypeVar("_Function", bound=Callable[..., Any])

_WIDTH_WITHOUT_TERMINAL = 200
_WIDTH_OF_LONG_TEXTS = 130

_HARMFUL = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON need not escape, and a terminal may obey. The escaped form means the same to a program."""


def write_whatever_the_terminal_takes() -> None:
    """Let no name or sign end a command.

    A letter that the terminal lacks is printed in an escaped form.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _takes_all_letters() -> bool:
    """Return whether stdout has all letters; else JSON must escape them in its own form."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def json_option(function: _Function) -> _Function:
    """Add the option `--json`, which every command has, as parameter ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(function)


def rows_option(function: _Function) -> _Function:
    """Add the option `--rows`, which each command with a report has, as parameter ``rows``."""
    return click.option(
        "--rows",
        type=click.IntRange(min=0),
        default=50,
        show_default=True,
        help="How many of the rows that are not done are listed.",
    )(function)


def print_json(value: object) -> None:
    """Print a value as JSON; times in RFC 3339, durations in ISO 8601."""
    text = json.dumps(value, indent=2, ensure_ascii=not _takes_all_letters(), default=_as_text)
    click.echo(_HARMFUL.sub(_escaped, text))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str, unbroken: Collection[str] = ()
) -> None:
    """Print rows below their headings; ``empty`` if there are none.

    :param unbroken: the columns that are never broken into lines, such as ids that people copy.
    """
    lines = [[one_line("" if cell is None else _as_text(cell)) for cell in row] for row in rows]
    if not lines:
        click.echo(empty)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in unbroken)
    for line in lines:
        table.add_row(*line)
    # Names are data: no markup, no emoji, no colours.
    console = Console(markup=False, emoji=False, highlight=False, color_system=None)
    if not console.is_terminal:
        console = Console(markup=False, emoji=False, highlight=False, color_system=None, width=_WIDTH_WITHOUT_TERMINAL)
    with console.capture() as printed:
        console.print(table)
    for text in printed.get().splitlines():
        click.echo(text.rstrip())


def print_rich(table: Table) -> None:
    """Print a table whose cells are `Text` made safe; with colours on a terminal."""
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, emoji=False, highlight=False, color_system=None, width=_WIDTH_OF_LONG_TEXTS)
    with console.capture() as printed:
        console.print(table)
    for text in printed.get().splitlines():
        click.echo(text.rstrip())


def moment(time: datetime | None) -> str:
    """Return a time for people: to the second, in UTC."""
    return "an unknown time" if time is None else f"{time.astimezone(timezone.utc):%Y-%m-%d %H:%M:%SZ}"


def print_list(columns: Sequence[str], rows: Sequence[Mapping[str, object]], *, as_json: bool, empty: str) -> None:
    """Print mappings with the keys ``columns``, as a table or as a JSON list."""
    if as_json:
        print_json(list(rows))
    else:
        print_table(columns, [[row[column] for column in columns] for row in rows], empty=empty)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _as_text(value: object) -> str:
    if isinstance(value, timedelta):
        from pydantic import TypeAdapter

        return str(TypeAdapter(timedelta).dump_python(value, mode="json"))
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)
