"""A Genesys group."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from genesys_ad_sync.settings import dag_id_of
from genesys_ad_sync.views.group_page import Asked, find_group, group_page
from genesys_ad_sync_airflow.pages.page import PageDep, not_found

router = APIRouter()


@router.get("/group")
def group(
    page: PageDep,
    definition: str,
    id: str,
    origin: Literal["", "ad", "to add", "to remove", "by hand", "not certain"] = "",
    text: str = "",
    number: int = 1,
) -> HTMLResponse:
    """Return a Genesys group with one page of its members.

    A viewer that may not see names of people gets counts.
    """
    page.must("see", definition)
    hit = find_group(page.journal, definition, id)
    if hit is None:
        raise not_found("No rule of this sync maps an AD group to that Genesys group, now or earlier.")
    names = page.viewer.may("names", dag_id_of(definition))
    asked = Asked(origin or None, text.strip() if names else "", number)
    found = group_page(page.journal, hit, page.definitions, asked, now=page.now)
    chosen = {"definition": definition, "id": id, "origin": origin, "text": text.strip()}
    return page.render(
        "group.html.j2",
        title=hit.genesys_group_name,
        found=found,
        group=found.answer,
        names=names,
        seen=page.names(),
        dag_id=dag_id_of(definition),
        chosen=chosen,
        earlier=page.links.page("group", **chosen, number=found.page - 1) if found.page > 1 else None,
        later=page.links.page("group", **chosen, number=found.page + 1) if found.page < found.pages else None,
    )
