"""One run, and its report.

Both name people: the viewer must be allowed to read the DAG's runs.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response

from genesys_ad_sync.model import RunKey, RunRecord, Status
from genesys_ad_sync.report.csv_table import render_csv
from genesys_ad_sync.report.page import render_page
from genesys_ad_sync.views.claims import hide_in_report
from genesys_ad_sync.views.run_plan import Piece, run_plan
from genesys_ad_sync_airflow.pages.page import Page, PageDep, not_found
from genesys_ad_sync_airflow.pages.safety import FRAMES, POLICY_HEADER

router = APIRouter()

SHOWN = 100
TASKS = (
    "poll",
    "map_groups",
    "resolve_users",
    "plan",
    "patch",
    "approve_removals",
    "patch_approved",
    "report",
    "check",
)

_ITS_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]+)"')


@router.get("/run")
def run(
    page: PageDep,
    dag_id: str,
    run_id: str,
    status: Annotated[Status | None, Query()] = None,
    group: str = "",
    after: str = "",
) -> HTMLResponse:
    """Return the plan of a run and what came of it."""
    page.viewer.must("names", dag_id)
    if page.definition_of(dag_id) is None:
        return page.render("no_sync.html.j2", title=run_id, dag_id=dag_id)
    wanted = status.value if status else None
    plan = run_plan(
        page.journal,
        _record(page, dag_id, run_id),
        page.sources.history(page.journal),
        now=page.now,
        limit=SHOWN,
        piece=Piece(wanted, group or None, after),
        named=page.names(),
    )
    here = {"dag_id": dag_id, "run_id": run_id}
    return page.render(
        "run.html.j2",
        title=run_id,
        current="Runs",
        plan=plan,
        notes=page.notes(plan.notes),
        status=wanted,
        group=group,
        here=here,
        tasks=TASKS,
        next=page.links.page("run", **here, status=wanted, group=group, after=plan.after) if plan.after else None,
    )


@router.get("/report")
def report(page: PageDep, dag_id: str, run_id: str) -> HTMLResponse:
    """Return the page of the run's report, made of its JSON file wherever `report.path` is."""
    html = render_page(_report(page, dag_id, run_id))
    policy = _ITS_POLICY.search(html)
    # The page's own policy: its style and script are inline, and allowed by their hash.
    headers = {POLICY_HEADER: f"{policy.group(1)}; {FRAMES}"} if policy else {}
    return HTMLResponse(html, headers=headers)


@router.get("/report.csv")
def report_csv(page: PageDep, dag_id: str, run_id: str) -> Response:
    """Return all rows of the run's report as CSV, for a spreadsheet."""
    table = render_csv(_report(page, dag_id, run_id)).encode("utf-8-sig", errors="backslashreplace")
    headers = {"Content-Disposition": 'attachment; filename="report.csv"'}
    return Response(table, media_type="text/csv; charset=utf-8", headers=headers)


def _record(page: Page, dag_id: str, run_id: str) -> RunRecord:
    """Return the last attempt of a run. Raises RunUnknown."""
    return page.journal.runs.get(RunKey(dag_id, run_id))


def _report(page: Page, dag_id: str, run_id: str) -> dict[str, Any]:
    page.viewer.must("names", dag_id)
    name = page.definition_of(dag_id)
    if name is None:
        raise not_found("This DAG belongs to no sync definition.")
    definition = page.definitions.get(name)
    if definition is None:
        raise not_found(
            "The API server cannot read the file of this sync definition, so it does not know where the reports are. "
            "The page of the run shows the same from the journal."
        )
    document = page.sources.reports(definition).read(dag_id, run_id)
    if document is None:
        raise not_found("There is no report file: the run has not ended, or the API server does not see the file.")
    return hide_in_report({**document, "notes": list(page.notes(document["notes"]))}, page.names())
