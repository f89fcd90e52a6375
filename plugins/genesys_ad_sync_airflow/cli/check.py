"""`check`: try everything that a run needs, from here."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.table import Table
from rich.text import Text

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.text import counted, one_line
from genesys_ad_sync_airflow.cli.output import json_option, print_json, print_rich

if TYPE_CHECKING:
    from genesys_ad_sync.doctor import Line

FAILED = 1
_COLOURS = {"problem": "bold red", "not proven": "yellow", "note": "cyan", "ok": "green"}
_DETAILS = 12  # names that the terminal shows of a line


@click.command()
@click.option("--definition", metavar="NAME", help="Only this sync definition; default: all in the folder.")
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH",
    help="A file, or a folder of files; default: where the DAG file finds them.",
)
@click.option("--all", "everything", is_flag=True, help="Print the lines that are ok, too.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the table as an HTML page."
)
@click.option(
    "--scratch-group", metavar="ID", help="Write to this Genesys group, made for it, to test what only a write shows."
)
@click.option("--yes-change", metavar="ID", help="The id of the scratch group again, to confirm.")
@click.option("--test-user", multiple=True, metavar="ID", help="One of the scratch group's two test users; give both.")
@json_option
def check(  # noqa: PLR0913  one for each option
    *,
    definition: str | None,
    config: Path | None,
    everything: bool,
    html: Path | None,
    scratch_group: str | None,
    yes_change: str | None,
    test_user: Sequence[str],
    as_json: bool,
) -> int:
    """Try everything that a run needs: connections, rights, journal, reports, mapping.

    What counts is what Airflow's workers reach: run it there, or trigger the DAG with {"mode": "check"}. Writes nothing
    to Genesys Cloud, except with --scratch-group. Names of groups are printed; no names of people.

    \b
    Exit codes:
      0    no line is a problem
      1    a line is a problem, or an error
    """
    from genesys_ad_sync_airflow.cli.airflow_side import use_airflow

    use_airflow()
    paths = _files(config, definition)
    if scratch_group is not None:
        documents = [_scratch(paths, scratch_group, yes_change, test_user)]
    elif yes_change is not None or test_user:
        raise click.UsageError("--yes-change and --test-user belong to --scratch-group.")
    else:
        documents = [_check(path) for path in paths]
    if html is not None:
        _write_page(html, documents)
    if as_json:
        print_json(documents)
    else:
        for document in documents:
            _print(document, everything=everything or scratch_group is not None)
    return FAILED if any(document["counts"]["problem"] for document in documents) else 0


def _files(config: Path | None, definition: str | None) -> list[Path]:
    """Return the files of the definitions to check. Raises SettingsError."""
    from genesys_ad_sync.settings import find_definitions
    from genesys_ad_sync_airflow.cli.definitions import definitions_folder

    if config is not None and config.is_file():
        found = [config]
    else:
        found = find_definitions(config or definitions_folder())
    chosen = [path for path in found if definition in (None, path.stem)]
    if not chosen:
        names = ", ".join(path.stem for path in found)
        raise SettingsError(f"There is no sync definition {definition}. There are: {names}.")
    return chosen


def _check(path: Path) -> dict[str, Any]:
    """Check one definition; a file that cannot be read is a line, too."""
    from genesys_ad_sync.doctor.lines import problem
    from genesys_ad_sync.settings import dag_id_of, load_definition
    from genesys_ad_sync_airflow.check_all import check_all
    from genesys_ad_sync_airflow.cli.airflow_side import journal_address

    try:
        definition = load_definition(path)
    except SettingsError as error:
        return _document(path.stem, dag_id_of(path.stem), [problem("airflow.definition", str(error))])
    return _document(definition.name, definition.dag_id, check_all(definition, journal_address))


def _scratch(paths: Sequence[Path], group_id: str, yes_change: str | None, test_users: Sequence[str]) -> dict[str, Any]:
    """Try what only writes show, on a group made for it."""
    from genesys_ad_sync.settings import find_definitions, load_definition
    from genesys_ad_sync_airflow.cli.airflow_side import journal_address
    from genesys_ad_sync_airflow.scratch import ScratchRequest, try_scratch_group

    if len(paths) > 1:
        names = ", ".join(path.stem for path in paths)
        raise click.UsageError(
            f"Choose the definition whose connection is used to write: --definition, one of {names}."
        )
    every = [load_definition(path) for path in find_definitions(paths[0].parent)]
    chosen = next(one for one in every if one.name == paths[0].stem)
    asked = ScratchRequest(group_id, yes_change, tuple(test_users))
    return _document(chosen.name, chosen.dag_id, try_scratch_group(chosen, every, asked, journal_address))


def _document(definition: str, dag_id: str, lines: Sequence[Line]) -> dict[str, Any]:
    from genesys_ad_sync.doctor.document import CheckedBy, document_of

    now = datetime.now(timezone.utc)
    by = CheckedBy(definition, dag_id, f"command line, {now:%Y-%m-%d %H:%M:%S}", 1, "check", socket.gethostname(), now)
    return document_of(by, lines)


def _write_page(path: Path, documents: Sequence[dict[str, Any]]) -> None:
    from genesys_ad_sync.doctor.page import render_check_page

    for document in documents:
        place = path if len(documents) == 1 else path.with_name(f"{path.stem}.{document['definition']}{path.suffix}")
        place.write_text(render_check_page(document), encoding="utf-8", errors="xmlcharrefreplace")
        click.echo(f"Page: {place}", err=True)


def _print(document: dict[str, Any], *, everything: bool) -> None:
    """Print the table. Lines that are ok are counted; with ``everything`` they are printed, too."""
    from genesys_ad_sync.doctor.lines import AFTER_ANOTHER
    from genesys_ad_sync.doctor.page import headline

    click.echo(f"{document['definition']}: {headline(document)[1]}")
    waiting = sum(row["remedy"] == AFTER_ANOTHER for row in document["lines"])
    shown = [
        row for row in document["lines"] if everything or (row["outcome"] != "ok" and row["remedy"] != AFTER_ANOTHER)
    ]
    if shown:
        print_rich(_table(shown))
    if waiting and not everything:
        click.echo(f"{counted(waiting, 'line')} could not be tried because of these problems: --all lists them.")
    counts = ", ".join(f"{count} {outcome}" for outcome, count in document["counts"].items() if count)
    click.echo(f"{counts}." + ("" if everything else " Lines that are ok: --all."))


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the table for a terminal, one section for each part."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column, width in (("", 10), ("line", 26), ("what was found, and what to do", None)):
        table.add_column(column, min_width=width, overflow="fold")
    parts = list(dict.fromkeys(row["part"] for row in rows))
    for part in parts:
        table.add_row("", Text(part, "bold"), "")
        for row in rows:
            if row["part"] == part:
                table.add_row(*_cells(row))
        table.add_section()
    return table


def _cells(row: dict[str, Any]) -> tuple[Text, Text, Text]:
    colour = _COLOURS[row["outcome"]]
    line = Text(row["check"])
    if row["about"]:
        line.append(f"\n{one_line(row['about'])}", "dim")
    found = Text(one_line(row["text"]))
    for detail in row["details"][:_DETAILS]:
        found.append(f"\n  - {one_line(detail)}", "dim")
    if len(row["details"]) > _DETAILS:
        found.append(f"\n  … {len(row['details']) - _DETAILS} more (--json)", "dim")
    if row["remedy"]:
        found.append(f"\n→ {one_line(row['remedy'])}", colour)
    return Text(row["outcome"], colour), line, found
