"""`validate`: check sync definitions, without Airflow, Active Directory and Genesys Cloud."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.text import counted
from genesys_ad_sync_airflow.cli.definitions import FILE
from genesys_ad_sync_airflow.cli.output import json_option, print_json

if TYPE_CHECKING:
    from genesys_ad_sync.settings import SyncDefinition


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@json_option
def validate(*, files: Sequence[Path], as_json: bool) -> int:
    """Check sync definitions: each key, rule, schedule and filter.

    Needs neither Airflow nor a network. Ends with 1 if a file has an error.
    """
    results = [_check(path) for path in files]
    if as_json:
        print_json(results)
    for result in () if as_json else results:
        _say(result)
    return 0 if all(result["valid"] for result in results) else 1


def _check(path: Path) -> dict[str, Any]:
    from genesys_ad_sync.settings import load_definition

    try:
        definition = load_definition(path)
    except SettingsError as error:
        return {"file": str(path), "valid": False, "errors": str(error).splitlines()}
    return {"file": str(path), "valid": True, "errors": [], **_facts(definition)}


def _facts(definition: SyncDefinition) -> dict[str, Any]:
    dags = [definition.dag_id, *([definition.full_dag_id] if definition.full_schedule else [])]
    return {
        "name": definition.name,
        "dag_ids": dags,
        "dry_run": definition.dry_run,
        "removals": definition.removals,
        "group_rules": len(definition.groups),
        "user_rules": len(definition.users),
    }


def _say(result: dict[str, Any]) -> None:
    if not result["valid"]:
        for error in result["errors"]:
            click.echo(error)
        return
    click.echo(
        f"{result['file']}: ok. {counted(result['group_rules'], 'group rule')}, "
        f"{counted(result['user_rules'], 'user rule')}, "
        f"removals: {result['removals']}, dry_run: {str(result['dry_run']).lower()}."
    )
    click.echo(f"  DAGs: {', '.join(result['dag_ids'])}")
