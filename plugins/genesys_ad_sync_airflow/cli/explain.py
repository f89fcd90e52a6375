"""The command `explain`: it explains memberships.

It says why a person is in a group or not, and who is in a group through what.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync_airflow.cli import explain_text
from genesys_ad_sync_airflow.cli.definitions import known_definitions
from genesys_ad_sync_airflow.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genesys_ad_sync.views.search import GroupHit, PersonHit


class NotFound(GroupSyncError):
    """Nobody and nothing in the journal is meant by the text."""


@click.group()
def explain() -> None:
    """Say why a person is in a Genesys group or not.

    Or say which people are in a group, and through what.
    """


@explain.command("person")
@click.argument("who")
@json_option
def person(*, who: str, as_json: bool) -> None:
    """Explain each mapped group for one person.

    WHO is a name or a part of it, a mail address, a login, an objectGUID or a Genesys user id. If several people are
    meant, they are listed.
    """
    from genesys_ad_sync.views.person import explain_genesys_user, explain_person
    from genesys_ad_sync.views.search import find_people
    from genesys_ad_sync_airflow.cli.airflow_side import open_journal

    with open_journal() as journal:
        hits = find_people(journal, who)
        if not hits:
            raise NotFound(
                f"The journal has no person for {who!r}. It has the members of the AD groups below group_base, and the "
                "members added by hand that the last run in mode full listed."
            )
        answers = []
        if len(hits) == 1:
            hit, now = hits[0], datetime.now(timezone.utc)
            answers = (
                explain_person(journal, hit.guid, known_definitions().definitions, now=now)
                if hit.guid
                else explain_genesys_user(journal, hit.genesys_user_id or "")
            )
    if as_json:
        print_json({"hits": [asdict(hit) for hit in hits], "answers": [asdict(answer) for answer in answers]})
    elif len(hits) > 1:
        _list_people(hits)
    for answer in () if as_json else answers:
        explain_text.print_person(answer)


@explain.command("group")
@click.argument("which")
@click.option(
    "--members",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="How many members are listed; JSON has all of them.",
)
@json_option
def group(*, which: str, members: int, as_json: bool) -> None:
    """Explain one Genesys group: what feeds it, who is in it through what, what waits.

    WHICH is the name or id of a Genesys group, or the name, DN or objectGUID of an AD group that feeds it. If several
    groups are meant, they are listed.
    """
    from genesys_ad_sync.views.group import explain_group
    from genesys_ad_sync.views.search import find_groups
    from genesys_ad_sync_airflow.cli.airflow_side import open_journal

    with open_journal() as journal:
        hits = find_groups(journal, which)
        if not hits:
            raise NotFound(f"The journal has no mapped group for {which!r}. `genesys-ad-sync claims` lists them.")
        same = len({hit.genesys_group_id for hit in hits}) == 1
        now, answers = datetime.now(timezone.utc), []
        if same:
            definitions = known_definitions().definitions
            most = None if as_json else max(0, members)
            answers = [explain_group(journal, hit, definitions, now=now, most=most) for hit in hits]
    if as_json:
        print_json({"hits": [asdict(hit) for hit in hits], "answers": [asdict(answer) for answer in answers]})
    elif not same:
        _list_groups(hits)
    for answer in () if as_json else answers:
        explain_text.print_group(answer)


def _list_people(hits: Sequence[PersonHit]) -> None:
    click.echo(f"{len(hits):,} people match. Ask again with one of these ids.")
    rows = [(hit.name, hit.mail, hit.guid or hit.genesys_user_id, ", ".join(hit.definitions)) for hit in hits[:_LISTED]]
    print_table(("name", "mail", "id", "definition"), rows, empty="")
    _say_left_out(len(hits))


def _list_groups(hits: Sequence[GroupHit]) -> None:
    click.echo(f"{len(hits):,} groups match. Ask again with one of these ids.")
    rows = [(hit.genesys_group_name, hit.genesys_group_id, hit.definition) for hit in hits[:_LISTED]]
    print_table(("group", "id", "definition"), rows, empty="")
    _say_left_out(len(hits))


_LISTED = 50


def _say_left_out(count: int) -> None:
    if count > _LISTED:
        click.echo(f"… and {count - _LISTED:,} more")
