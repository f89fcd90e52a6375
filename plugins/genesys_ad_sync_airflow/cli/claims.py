"""`claims`: which sync definition feeds which Genesys group."""

from __future__ import annotations

from dataclasses import asdict

import click

from genesys_ad_sync_airflow.cli.output import json_option, print_list

_COLUMNS = ("definition", "genesys_group_name", "genesys_group_id", "since", "organisation")


@click.command()
@json_option
def claims(*, as_json: bool) -> None:
    """List which sync definition feeds which Genesys group.

    A claim ends when its definition no longer maps the group, when the definition's file is gone, or when a person
    releases it: trigger the DAG that is to feed the group with {"release_claim": ["GENESYS GROUP ID"]}.
    """
    from genesys_ad_sync_airflow.cli.airflow_side import open_journal

    with open_journal() as journal:
        rows = [asdict(claim) for claim in journal.claims.list()]
    print_list(_COLUMNS, rows, as_json=as_json, empty="No sync definition feeds a Genesys group.")
