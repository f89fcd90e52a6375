"""Search over people and groups."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from genesys_ad_sync.views.search import find_groups, find_people
from genesys_ad_sync_airflow.pages.page import PageDep

router = APIRouter()

SHOWN = 50
LOOKED_AT = 500
"""Of a text that many people carry, so many are looked at: the page says that there are more."""

LONGEST = 200


@router.get("/search")
def search(page: PageDep, q: str = "", kind: Literal["", "people", "groups"] = "") -> HTMLResponse:
    """Return the people and the Genesys groups that a text means.

    Only those of the definitions that the viewer may see are found and counted.
    """
    text = q.strip()[:LONGEST]
    seen, named = page.names(), page.names("names")
    people = find_people(page.journal, text, named, limit=LOOKED_AT) if named and kind != "groups" else []
    groups = find_groups(page.journal, text, seen) if kind != "people" else []
    return page.render(
        "search.html.j2",
        title=f"Search: {text}" if text else "Search",
        current="Search",
        text=text,
        kind=kind,
        may_see_people=bool(named),
        people=people[:SHOWN],
        people_found=len(people),
        people_cut=sum(len(hit.definitions) for hit in people) >= LOOKED_AT,
        groups=groups[:SHOWN],
        groups_found=len(groups),
    )
