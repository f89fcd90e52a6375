"""The overview: how each sync does, and what waits."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from genesys_ad_sync.settings import dag_id_of
from genesys_ad_sync.views.overview import Overview, overview
from genesys_ad_sync_airflow.pages.bars import bars
from genesys_ad_sync_airflow.pages.page import Page, PageDep, full_dag_id_of

router = APIRouter()


@router.get("/")
def of_all(page: PageDep) -> HTMLResponse:
    """Return the overview of each sync definition that the viewer may see."""
    return _render(page, page.names(), "Overview")


@router.get("/dag")
def of_dag(page: PageDep, dag_id: str) -> HTMLResponse:
    """Return the overview of the sync of a DAG: the tab of the DAG."""
    page.viewer.must("see", dag_id)
    name = page.definition_of(dag_id)
    if name is None:
        return page.render("no_sync.html.j2", title=dag_id, dag_id=dag_id)
    return _render(page, [name], dag_id)


def _render(page: Page, names: list[str], title: str) -> HTMLResponse:
    found = [_overview(page, name) for name in names]
    return page.render(
        "overview.html.j2",
        title=title,
        current="Overview",
        syncs=[(one, bars(one.days), dag_id_of(one.status.definition)) for one in found],
    )


def _overview(page: Page, name: str) -> Overview:
    allowed = [dag_id for dag_id in (dag_id_of(name), full_dag_id_of(name)) if page.viewer.may("see", dag_id)]
    return overview(
        page.journal,
        name,
        page.definitions.get(name),
        dag_ids=allowed,
        history=page.sources.history(page.journal),
        now=page.now,
    )
