"""`runs` and `report`: what runs did."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from genesys_ad_sync.errors import ReportPathError, SettingsError
from genesys_ad_sync_airflow.cli.definitions import load_all
from genesys_ad_sync_airflow.cli.output import json_option, moment, print_json, print_table, rows_option

if TYPE_CHECKING:
    from genesys_ad_sync.model import RunRecord

_COLUMNS = ("run", "mode", "started", "ended", "state", "rows")


@click.command()
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option("--definition", metavar="NAME", help="Only of this sync definition.")
@json_option
def runs(*, limit: int, definition: str | None, as_json: bool) -> None:
    """List the newest runs that the journal knows, with their numbers of rows by status."""
    from genesys_ad_sync.views.runs import list_runs
    from genesys_ad_sync_airflow.cli.airflow_side import open_journal

    with open_journal() as journal:
        listed = list_runs(journal, limit=limit, definition=definition)
    if as_json:
        print_json([asdict(run) for run in listed])
        return
    rows = [
        (
            run.key if run.attempt == 1 else f"{run.key} (attempt {run.attempt})",
            f"{run.mode}{', dry run' if run.dry_run else ''}{', window' if run.bounded else ''}",
            moment(run.started_at),
            moment(run.finished_at) if run.finished_at else None,
            run.state or "not ended",
            ", ".join(f"{count} {status}" for status, count in run.counts.items()) or "none",
        )
        for run in listed
    ]
    of = f" of the sync definition {definition}" if definition else ""
    print_table(_COLUMNS, rows, empty=f"The journal has no run{of}.", unbroken=_COLUMNS[:1])


@click.command()
@click.argument("run")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: one line per change, most urgent first.")
@rows_option
@json_option
def report(*, run: str, as_csv: bool, rows: int, as_json: bool) -> None:
    """Print the reconciliation report of RUN: a run id, or DAG id/run id.

    With --csv, cells that a spreadsheet would take for a formula begin with an apostrophe.
    """
    from genesys_ad_sync.report.csv_table import render_csv
    from genesys_ad_sync.report.summary import render_summary

    if as_csv and as_json:
        raise click.UsageError("Give --csv or --json, not both.")
    document = _read(run)
    if as_json:
        print_json(document)
    elif as_csv:
        click.echo(render_csv(document), nl=False)
    else:
        click.echo(render_summary(document, max_rows=rows, people=True))


def _read(text: str) -> dict[str, Any]:
    from genesys_ad_sync.views.runs import find_run
    from genesys_ad_sync_airflow.cli.airflow_side import logs_to_stderr, open_journal
    from genesys_ad_sync_airflow.task_context import report_store

    with open_journal() as journal:
        run = find_run(journal, text)
    definition = load_all().definitions.get(run.definition)
    if definition is None:
        raise SettingsError(
            f"The run is of the sync definition {run.definition}, whose file is not there or has an error. It says "
            "where the reports are: correct it, or open the report there."
        )
    with logs_to_stderr():
        store = report_store(definition)
        document = store.read(run.key.dag_id, run.key.run_id)
    if document is None:
        raise ReportPathError(_missing(run, str(store.path_for(run.key.dag_id, run.key.run_id))))
    return document


def _missing(run: RunRecord, path: str) -> str:
    why = "the run has not ended" if run.finished_at is None else "it was removed, or report.path was another one"
    return f"There is no report in {path}: {why}."
