"""The overview: how each sync does, and what waits."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from genesys_ad_sync_airflow.pages.page import PageDep

router = APIRouter()


@router.get("/")
def overview(page: PageDep) -> HTMLResponse:
    """Return the overview of each sync definition that the viewer may see."""
    return page.render("overview.html.j2", title="Overview", current="Overview", names=page.names())
