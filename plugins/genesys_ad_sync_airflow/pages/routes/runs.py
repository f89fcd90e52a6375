"""The list of runs."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from genesys_ad_sync.journal.listings import RunFilter
from genesys_ad_sync_airflow.pages.page import PageDep, Position

router = APIRouter()

SHOWN = 50


@router.get("/runs")
def runs(
    page: PageDep,
    definition: str = "",
    kind: Literal["", "live", "dry"] = "",
    mode: Literal["", "auto", "changes", "full"] = "",
    state: Literal["", "success", "failed", "open"] = "",
    text: str = "",
    before: Annotated[int | None, Position] = None,
) -> HTMLResponse:
    """Return a piece of the runs, the newest first.

    ``before``: the journal's id of the last one before it.
    """
    names = page.names()
    wanted = RunFilter(
        [name for name in names if name == definition or not definition],
        page.dag_ids(),
        mode=mode or None,
        dry_run={"": None, "live": False, "dry": True}[kind],
        state=state or None,
        run_id=text.strip(),
    )
    found = page.journal.listings.runs(wanted, before=before, limit=SHOWN + 1)
    listed = page.sources.history(page.journal).listed(page.journal, found[:SHOWN], page.now)
    chosen = {"definition": definition, "kind": kind, "mode": mode, "state": state, "text": text}
    return page.render(
        "runs.html.j2",
        title="Runs",
        current="Runs",
        names=names,
        runs=listed,
        chosen=chosen,
        older=page.links.page("runs", **chosen, before=found[SHOWN - 1].id) if len(found) > SHOWN else None,
        newest=page.links.page("runs", **chosen) if before is not None else None,
    )
