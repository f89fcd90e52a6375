"""`journal copy`: move the journal to another database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from genesys_ad_sync_airflow.cli.output import json_option, print_json

if TYPE_CHECKING:
    from genesys_ad_sync.model import RunKey


@click.group()
def journal() -> None:
    """Move the journal, which is the product's own database."""


@journal.command("copy")
@click.option(
    "--to",
    metavar="URL",
    envvar="GENESYS_AD_SYNC_COPY_TO",
    help="SQLAlchemy URL of an empty database: postgresql://login:password@host/database or sqlite:////absolute/"
    "path.db. Or set GENESYS_AD_SYNC_COPY_TO, which other users of this machine cannot see.",
)
@click.option("--undo", is_flag=True, help="Free the source again. Do not use the copy after that.")
@click.option(
    "--gone",
    multiple=True,
    metavar="DAG_ID/RUN_ID",
    help="An open run that Airflow no longer has, or that will never end. May be given several times.",
)
@json_option
def copy(*, to: str | None, undo: bool, gone: Sequence[str], as_json: bool) -> None:
    """Copy the journal into an empty database, and mark the source as moved.

    Refused while a run is open. Afterwards every task that opens the source fails with the new place, until the
    connection group_sync_journal names it.
    """
    if undo:
        _undo(as_json=as_json)
    elif to is None:
        raise click.UsageError("Say where to copy the journal: --to URL. Or free the source again: --undo.")
    else:
        _copy(to, [_run_key(text) for text in gone], as_json=as_json)


def _copy(to: str, gone: Sequence[RunKey], *, as_json: bool) -> None:
    from genesys_ad_sync.journal.copying import copy_journal
    from genesys_ad_sync.journal.opening import open_database
    from genesys_ad_sync_airflow.cli.airflow_side import journal_address

    source = open_database(journal_address(), create=False, moved_too=True)
    try:
        copied = copy_journal(source, to, at=datetime.now(timezone.utc), gone=gone)
    finally:
        source.engine.dispose()
    if as_json:
        print_json({"source": copied.source, "target": copied.target, "rows": copied.rows})
        return
    click.echo(f"Copied {sum(copied.rows.values()):,} rows of {copied.source} to {copied.target}.")
    click.echo(f"{copied.source} is marked as moved: no task can use it any more.")
    click.echo("Now set the connection group_sync_journal to the new place, and unpause the DAGs.")


def _undo(*, as_json: bool) -> None:
    from genesys_ad_sync.journal.copying import undo_copy
    from genesys_ad_sync.journal.opening import open_database
    from genesys_ad_sync_airflow.cli.airflow_side import journal_address

    source = open_database(journal_address(), create=False, moved_too=True)
    try:
        copy_at = undo_copy(source)
    finally:
        source.engine.dispose()
    if as_json:
        print_json({"source": source.name, "freed_from": copy_at})
        return
    click.echo(f"{source.name} can be used again.")
    click.echo(f"Remove the copy in {copy_at}: whichever of the two a run uses second is distrusted.")


def _run_key(text: str) -> RunKey:
    from genesys_ad_sync.model import RunKey

    dag_id, slash, run_id = text.partition("/")
    if not slash or not dag_id or not run_id:
        raise click.UsageError(f"--gone must be DAG_ID/RUN_ID, not {text!r}: copy it from the message.")
    return RunKey(dag_id, run_id)
