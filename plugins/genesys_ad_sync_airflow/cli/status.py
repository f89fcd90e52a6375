"""`status`: does the sync run, and what waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import click

from genesys_ad_sync_airflow.cli.definitions import known_definitions
from genesys_ad_sync_airflow.cli.output import json_option, moment, print_json, print_table

if TYPE_CHECKING:
    from genesys_ad_sync.views.status import DefinitionStatus

STALE = 1
_MOST_HOURS = 10 * 365 * 24


@click.command()
@click.option(
    "--silent-after",
    type=click.FloatRange(min=0, min_open=True),
    metavar="HOURS",
    help="A DAG is silent after so many hours. Default: three intervals of its schedule, and not before two hours.",
)
@click.option(
    "--gone",
    multiple=True,
    metavar="NAME",
    help="A sync definition whose file was removed on purpose: it is left out. May be given several times.",
)
@json_option
def status(*, silent_after: float | None, gone: Sequence[str], as_json: bool) -> int:
    """Show the last runs, what waits, and which runs ask for an answer.

    Ends with 1 if a DAG is silent: no run was completed for too long. For a watcher outside of Airflow, which
    sees a dead scheduler, too.
    """
    from genesys_ad_sync.views.status import status as view
    from genesys_ad_sync_airflow.cli.airflow_side import open_journal

    if silent_after is not None and not silent_after <= _MOST_HOURS:  # "nan" and "inf" are numbers, too
        text = f"The hours must be a number up to {_MOST_HOURS:,}, which are ten years, not {silent_after}."
        raise click.BadParameter(text, param_hint="'--silent-after'")
    limit = None if silent_after is None else timedelta(hours=silent_after)
    with open_journal() as journal:
        loaded = known_definitions()
        if there := sorted(loaded.names.intersection(gone)):
            raise click.BadParameter(f"The sync definition {', '.join(there)} has a file.", param_hint="'--gone'")
        every = view(journal, loaded.definitions, now=datetime.now(timezone.utc), silent_after=limit)
    found = [one for one in every if one.definition not in gone]
    stale = not found or any(one.stale for one in found)
    if as_json:
        print_json({"stale": stale, "definitions": [{"stale": one.stale, **asdict(one)} for one in found]})
        return STALE if stale else 0
    if not found:
        click.echo("No sync definition has run yet.")
    for one in found:
        _print(one, is_gone=bool(loaded.names) and one.definition not in loaded.names)
    return STALE if stale else 0


def _print(one: DefinitionStatus, *, is_gone: bool) -> None:
    click.echo(f"Sync definition {one.definition}{' (dry run)' if one.dry_run else ''}")
    if is_gone:
        click.echo(f"  Its file is gone. Put it back, or if it was removed on purpose, use --gone {one.definition}.")
    if one.directory_read_at:
        click.echo(f"  Active Directory was read at {moment(one.directory_read_at)} from {one.domain_controller}.")
    if one.doubted_since:
        click.echo(f"  That domain controller may lag behind since {moment(one.doubted_since)}.")
    if one.distrusted:
        click.echo(
            "  The journal was lost or restored: each change needs approval until everything was compared again."
        )
    for dag in one.dags:
        click.echo(f"  {dag.dag_id}: {dag.words}")
        if dag.last:
            counts = ", ".join(f"{count} {status}" for status, count in dag.last.counts.items()) or "no rows"
            click.echo(f"    last run {dag.last.run_id}: {dag.last.state or 'not ended'}; {counts}")
    for question in one.questions:
        changes = f"{question.changes} change{'' if question.changes == 1 else 's'}"
        click.echo(
            f"  Run {question.run} asks about {changes} since {moment(question.asked_at)}: answer in its task "
            f"approve_removals until {moment(question.until)}."
        )
    print_table(
        ("status", "reason", "changes", "oldest since", "meaning"),
        [(wait.status, wait.reason, f"{wait.count:,}", moment(wait.since), wait.words) for wait in one.waits],
        empty="  Nothing waits.",
    )
