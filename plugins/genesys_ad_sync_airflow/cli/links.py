"""`links`: which Genesys user each AD account is."""

from __future__ import annotations

import click

from genesys_ad_sync_airflow.cli.output import json_option, print_list

_COLUMNS = ("name", "mail", "guid", "genesys_user_id", "matched_by", "contradicted_since", "relink")


@click.command()
@click.option("--contradicted", is_flag=True, help="Only links that the rules of users: contradict.")
@json_option
def links(*, contradicted: bool, as_json: bool) -> None:
    """List which Genesys user each AD account is.

    A link is contradicted if its Genesys user carries none of the values that the account has now. Column relink is
    what the rules suggest. To settle who is who, trigger the DAG with {"relink": ["objectGUID=Genesys user id"]}: a
    person must approve it.
    """
    from genesys_ad_sync.run.listed_links import listed_links
    from genesys_ad_sync_airflow.cli.airflow_side import open_journal

    with open_journal() as journal:
        rows = [link.as_json() for link in listed_links(journal, contradicted=contradicted)]
    empty = "No link is contradicted." if contradicted else "No AD account is linked to a Genesys user yet."
    print_list(_COLUMNS, rows, as_json=as_json, empty=empty)
