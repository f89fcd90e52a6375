"""`plan`: what a run would change, without a trace."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genesys_ad_sync.errors import GroupSyncError, JournalMissing, SettingsError
from genesys_ad_sync_airflow.cli.definitions import FILE, chosen, load_all, load_as
from genesys_ad_sync_airflow.cli.output import json_option, print_json, rows_option

if TYPE_CHECKING:
    from genesys_ad_sync.journal import Journal
    from genesys_ad_sync.settings import SyncDefinition

CHANGES = 2


@click.command()
@click.option("--definition", "names", multiple=True, metavar="NAME", help="Only this sync definition. Default: all.")
@click.option("--config", type=FILE, metavar="FILE", help="Plan with this file instead of the installed definition.")
@click.option(
    "--offline", type=FILE, metavar="FILE", help="Plan with this file and what the journal knows; no network is used."
)
@click.option("--as", "name", metavar="NAME", help="The definition that FILE would replace. Default: the file's name.")
@click.option("--full", is_flag=True, help="Compare every mapped group, as the DAG of the full comparison does.")
@click.option(
    "--groups", multiple=True, metavar="PATTERN", help="Only AD groups of that name; may be given several times."
)
@rows_option
@click.option("-v", "--verbose", is_flag=True, help="Print on stderr what is being read.")
@json_option
def plan(  # noqa: PLR0913  one for each option
    *,
    names: Sequence[str],
    config: Path | None,
    offline: Path | None,
    name: str | None,
    full: bool,
    groups: Sequence[str],
    rows: int,
    verbose: bool,
    as_json: bool,
) -> int:
    """Show what a run would change now, without leaving a trace.

    The answer is that of a dry run. Active Directory and Genesys Cloud are read. The plan is made on a copy of the
    journal that is thrown away, so nothing is written to Genesys Cloud, to the journal or to the reports.

    \b
    Exit codes:
      0  nothing would be changed
      2  there are changes
      1  error
    """
    wanted = _definitions(names, config, offline, name)
    say = _to_stderr if verbose else _to_nobody
    request = {"full": full or offline is not None, "groups": tuple(groups)}
    documents: list[dict[str, Any]] = []
    errors: dict[str, str] = {}
    for definition in wanted:
        try:
            documents.append(_plan(definition, request, say, offline=offline is not None))
        except GroupSyncError as error:
            if len(wanted) == 1:
                raise
            errors[definition.name] = str(error)  # one definition does not hide the others
            click.echo(f"Error: {definition.name}: {error}", err=True)
    changes = any(document["planned"] for document in documents)
    if as_json:
        print_json({"changes": changes, "reports": documents, "errors": errors})
    else:
        _print(documents, rows)
    return 1 if errors else CHANGES if changes else 0


def _definitions(
    names: Sequence[str], config: Path | None, offline: Path | None, name: str | None
) -> list[SyncDefinition]:
    path = config or offline
    if config and offline:
        raise click.UsageError("Give --config FILE or --offline FILE, not both.")
    if path and names:
        raise click.UsageError("--definition is for installed definitions. Beside a FILE, use --as NAME.")
    if path:
        return [load_as(path, name)]
    if name:
        raise click.UsageError("--as NAME needs --config FILE or --offline FILE.")
    loaded = load_all()
    if loaded.errors and not names:
        raise SettingsError(
            "\n".join((*loaded.errors, "Name the other sync definitions with --definition to plan them alone."))
        )
    return chosen(names, loaded)


def _plan(
    definition: SyncDefinition, asked: dict[str, Any], say: Callable[[str], None], *, offline: bool
) -> dict[str, Any]:
    from genesys_ad_sync.model import Mode, RunRequest
    from genesys_ad_sync.preview.plan import preview_offline, preview_plan
    from genesys_ad_sync_airflow.cli import plan_context
    from genesys_ad_sync_airflow.cli.airflow_side import logs_to_stderr

    now = datetime.now(timezone.utc)
    mode = Mode.FULL if asked["full"] else Mode.AUTO
    request = RunRequest(run_type="manual", mode=mode, dry_run=True, groups=asked["groups"])
    make = plan_context.offline_tasks if offline else plan_context.tasks
    preview = preview_offline if offline else preview_plan
    with (
        tempfile.TemporaryDirectory(prefix="genesys-ad-sync-plan-") as folder,
        _scratch(Path(folder), now) as scratch,
        logs_to_stderr(),
    ):
        return preview(make(definition, scratch, now, say), request)


@contextmanager
def _scratch(folder: Path, now: datetime) -> Iterator[Journal]:
    """Open a copy of the journal.

    It is empty where no run has made a journal yet.
    """
    from genesys_ad_sync.journal import Journal
    from genesys_ad_sync.journal.scratch import scratch_journal
    from genesys_ad_sync_airflow.cli.airflow_side import open_journal

    try:
        journal = open_journal()
    except JournalMissing as error:
        click.echo(f"Note: this is planned as the very first run. {error}", err=True)
        with Journal.open(f"sqlite:///{folder / 'journal.db'}") as empty:
            yield empty
        return
    with journal, scratch_journal(journal, folder, now=now) as scratch:
        yield scratch


def _print(documents: Sequence[dict[str, Any]], rows: int) -> None:
    from genesys_ad_sync.report.summary import render_summary

    for document in documents:
        click.echo(render_summary(document, max_rows=rows, people=True))
        click.echo()
    planned = sum(document["planned"] for document in documents)
    held = sum(document["held"] for document in documents)
    left = f" {held:,} {'is' if held == 1 else 'are'} held." if held else ""
    click.echo(f"{planned:,} change{'' if planned == 1 else 's'} would be made.{left} Nothing was written.")


def _to_stderr(text: str) -> None:
    click.echo(text, err=True)


def _to_nobody(_: str) -> None:
    pass
