"""What a person may have to do, by cause.

It names people: only definitions whose runs the viewer may read.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from genesys_ad_sync.journal.listings import MOST_COUNTED
from genesys_ad_sync.settings import dag_id_of
from genesys_ad_sync.views.overview import NEW
from genesys_ad_sync.views.todo import MOST, Item, causes, contradicted_links, group_names, items, left_behind, refusals
from genesys_ad_sync_airflow.pages.page import Page, PageDep, Position

router = APIRouter()

FIRST = 5
"""Changes of each cause that the list of all causes shows."""

AT_ONCE = 10
"""Entries of a list of other things than changes that are seen at once; the others unfold."""

SHOWN = 100


@router.get("/todo")
def todo(page: PageDep) -> HTMLResponse:
    """Return what waits in each definition, the first few changes of each cause among it."""
    return page.render(
        "todo.html.j2", title="To do", current="To do", syncs=[_of(page, name) for name in page.names("names")]
    )


@router.get("/todo/cause")
def cause(
    page: PageDep, definition: str, status: str, reason: str = "", after: Annotated[int, Position] = 0
) -> HTMLResponse:
    """Return a piece of the changes of one cause.

    ``after``: id of the last change of the piece before.
    """
    page.must("names", definition)
    found = items(page.journal, definition, status, reason, after=after, limit=SHOWN + 1, named=page.names())
    shown = found[:SHOWN]
    here = {"definition": definition, "status": status, "reason": reason}
    return page.render(
        "cause.html.j2",
        title=f"{status} in {definition}",
        current="To do",
        status=status,
        reason=reason,
        name=definition,
        dag_id=dag_id_of(definition),
        items=shown,
        next=page.links.page("todo/cause", **here, after=shown[-1].id) if len(found) > SHOWN else None,
    )


def _of(page: Page, name: str) -> dict[str, object]:
    found = causes(page.journal, name, new_since=page.now - NEW)
    refused = refusals(page.journal, name)
    return {
        "name": name,
        "dag_id": dag_id_of(name),
        "causes": [(cause, _first(page, name, cause.status, cause.reason)) for cause in found],
        "contradicted": contradicted_links(page.journal, name),
        "refusals": refused,
        "left_behind": left_behind(page.journal, name),
        "group_names": group_names(page.journal, name, {one.genesys_group_id for one in refused}),
        "most": MOST,
        "at_once": AT_ONCE,
        "most_counted": MOST_COUNTED,
    }


def _first(page: Page, name: str, status: str, reason: str | None) -> list[Item]:
    return items(page.journal, name, status, reason, limit=FIRST, named=page.names())
