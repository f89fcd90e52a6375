"""`undo` and `release`: both start a DAG run, which does the work under all guards."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone

import click

from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync_airflow.cli.output import json_option, print_json


class TriggerFailed(GroupSyncError):
    """Airflow did not start the run."""


@click.command()
@click.argument("run")
@click.option("--dry-run", is_flag=True, help="Only plan the undo, and report it.")
@json_option
def undo(*, run: str, dry_run: bool, as_json: bool) -> None:
    """Take back what RUN changed in Genesys Cloud: a run id, or DAG id/run id.

    Starts a run of the DAG with the param undo_run. What has changed again since stays. An addition against Active
    Directory asks for approval. It stays undone until AD changes those memberships, or until `release`.
    """
    _start(run, "undo_run", dry_run=dry_run, as_json=as_json)


@click.command()
@click.argument("run")
@json_option
def release(*, run: str, as_json: bool) -> None:
    """Let what was undone or rejected in RUN be done again.

    RUN is a run id, or DAG id/run id. Starts a run of the DAG with the param release_run.
    """
    _start(run, "release_run", dry_run=False, as_json=as_json)


def _start(text: str, param: str, *, dry_run: bool, as_json: bool) -> None:
    from genesys_ad_sync.settings import dag_id_of
    from genesys_ad_sync.views.runs import find_decided, find_run
    from genesys_ad_sync_airflow.cli.airflow_side import open_journal

    with open_journal() as journal:
        if param == "release_run":
            definition, key = find_decided(journal, text)
        else:
            found = find_run(journal, text)
            definition, key = found.definition, found.key
    dag_id = dag_id_of(definition)
    conf = {param: str(key), **({"dry_run": True} if dry_run else {})}
    run_id = f"manual__{datetime.now(timezone.utc).isoformat()}"
    trigger(dag_id, run_id, conf)
    if as_json:
        print_json({"dag_id": dag_id, "run_id": run_id, "conf": conf})
        return
    click.echo(f"Started {dag_id}/{run_id}.")
    click.echo(f"Its report, when it has ended: genesys-ad-sync report {dag_id}/{run_id}")


def trigger(dag_id: str, run_id: str, conf: dict[str, object]) -> None:
    """Start a DAG run by Airflow's own command. Raises TriggerFailed.

    A process of its own: the command sets up Airflow for the metadata database, as this one does not.
    """
    text = json.dumps(conf)
    command = ["dags", "trigger", dag_id, "--run-id", run_id, "--conf", text, "--output", "json"]
    done = subprocess.run(  # noqa: S603  no shell; the ids come from the journal
        [sys.executable, "-m", "airflow", *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise TriggerFailed(
            f"Airflow did not start the run: {lines[-1].strip() if lines else 'it gave no reason'}. Run this where "
            f"Airflow's metadata database is configured, or trigger {dag_id} in Airflow with the configuration {text}"
        )
