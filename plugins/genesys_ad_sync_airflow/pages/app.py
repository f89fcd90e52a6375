"""The app: its routes, all behind Airflow's login, and its answers to what goes wrong."""

from __future__ import annotations

import logging
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from genesys_ad_sync.errors import GroupSyncError, JournalMissing, JournalOutdated, RunUnknown
from genesys_ad_sync.preview.apart import OUTDATED
from genesys_ad_sync_airflow.pages.page import html, links_of
from genesys_ad_sync_airflow.pages.routes import assets, group, overview, person, preview, run, runs, search, todo
from genesys_ad_sync_airflow.pages.safety import Safety
from genesys_ad_sync_airflow.pages.sources import Sources

log = logging.getLogger(__name__)

ROUTERS = tuple(module.router for module in (assets, overview, runs, run, todo, group, person, search, preview))

_TITLES = {
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible",
    413: "Too large",
    422: "Not understood",
}
_NOT_ALLOWED = "Your Airflow account may not see this page. Whoever administers Airflow can give you the right."
_TEXTS = {
    401: "Log in to Airflow, then open the page again.",
    403: _NOT_ALLOWED,
    404: "There is no such page.",
    405: "The page cannot be used in this way.",
    422: "The address of the page has a value that it does not know. Go back, and choose again.",
}
_NO_JOURNAL = "No run has made the journal yet, or the API server cannot see it. Start the DAG; see docs/pages.md."
_UNREADABLE = "The journal, or the report, cannot be read. The log of Airflow's API server says why and what to do."
_DEFECT = "The page could not be made. The log of Airflow's API server says why."


def create_app(sources: Sources | None = None) -> Secured:
    """Return the ASGI app. ``sources``: what it reads; default: Airflow's journal and definitions.

    The app has no routes of its own for a schema: those would ask for no login.
    """
    app = FastAPI(
        title="Genesys AD sync",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(get_user)],
        redirect_slashes=False,
    )
    app.state.sources = sources or Sources()
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, lambda request, _: _error(request, 422, _TEXTS[422]))
    for kind in (GroupSyncError, Exception):
        app.add_exception_handler(kind, _failed)
    return Secured(app)


class Secured(Safety):
    """The app within the middleware. ``inner`` has the table of routes, for tests."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(app)
        self.inner = app


def _refused(request: Request, error: Exception) -> Response:
    """Answer a request that is refused.

    A browser without a login goes to Airflow's login page.
    """
    assert isinstance(error, HTTPException)  # noqa: S101  for mypy
    if error.status_code == 401 and request.method == "GET" and "text/html" in request.headers.get("accept", ""):  # noqa: PLR2004
        links = links_of(request)
        asked = f"{links.root}{request.url.path.removeprefix(links.root)}"
        asked += f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{links.airflow}/api/v2/auth/login?next={quote(asked, safe='')}", 303)
    # Airflow's own texts, such as "Invalid JWT token", say nothing to a person.
    text = error.detail if error.status_code in {400, 403, 404, 413} and error.detail.endswith(".") else None
    return _error(request, error.status_code, text or _TEXTS.get(error.status_code, _DEFECT))


def _failed(request: Request, error: Exception) -> Response:
    """Answer a request whose route raised.

    Its text may name hosts, files and people: it is in the log only.
    """
    if isinstance(error, RunUnknown):
        return _error(request, 404, "The journal knows no such run. The oldest are forgotten after report.keep_days.")
    if isinstance(error, GroupSyncError):
        log.error("A page of genesys-ad-sync cannot be shown: %s", error)
        texts: dict[type[Exception], str] = {JournalMissing: _NO_JOURNAL, JournalOutdated: OUTDATED}
        return _error(request, 503, texts.get(type(error), _UNREADABLE))
    return _error(request, 500, _DEFECT)


def _error(request: Request, status: int, text: str) -> HTMLResponse:
    title = _TITLES.get(status, "Out of order")
    return HTMLResponse(html("error.html.j2", links_of(request), title=title, text=text), status)
