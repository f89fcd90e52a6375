"""The preview of a mapping: for those who may edit the DAG."""

from __future__ import annotations

import threading
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from genesys_ad_sync.preview.apart import Order, PreviewFailed, preview_apart
from genesys_ad_sync.preview.mapping import READ, MappingPreview
from genesys_ad_sync_airflow.pages.form_token import is_valid, make_token
from genesys_ad_sync_airflow.pages.page import Page, PageDep

router = APIRouter()

LARGEST_BYTES = 512 * 1024
"""Of the form. A definition with 5,000 rules has a tenth of it."""

BUSY = "Another preview is being made. Try again in a minute."
NO_FILE = "The API server cannot see the file of this sync. Use genesys-ad-sync plan --offline FILE where it is."

_one_at_a_time = threading.Lock()


@router.get("/preview")
def form(page: PageDep, definition: str = "") -> HTMLResponse:
    """Return the empty form."""
    names = _may_edit(page)
    chosen = definition if definition in names else names[0]
    return _answer(page, names, chosen, "")


@router.post("/preview")
async def preview(page: PageDep, request: Request) -> HTMLResponse:
    """Return which memberships would come and go by a text.

    Nothing is written, and nothing is kept of the text.
    """
    given = await _fields(request)
    return await run_in_threadpool(_preview, page, given)


def _preview(page: Page, given: dict[str, str]) -> HTMLResponse:
    names = _may_edit(page)
    if not is_valid(given.get("token", ""), page.viewer):
        raise HTTPException(403, "The form is not from this page, or it is older than eight hours. Open it again.")
    name, text = given.get("definition", ""), given.get("file") or given.get("text", "")
    if name not in names:
        raise HTTPException(403, "Your Airflow account may not edit the DAG of this sync.")
    definition = page.definitions.get(name)
    if definition is None or definition.file is None:
        return _answer(page, names, name, text, error=NO_FILE)
    if not text.strip():
        return _answer(page, names, name, text, error="Paste a definition, or choose a file.")
    if not _one_at_a_time.acquire(blocking=False):
        return _answer(page, names, name, text, error=BUSY, status=429)
    try:
        order = Order(
            page.journal.database.engine.url.render_as_string(hide_password=False),
            name,
            definition.file.read_text(encoding="utf-8"),
            text,
            str(definition.folder),
            page.now.isoformat(),
        )
        return _answer(page, names, name, text, made=preview_apart(order))
    except PreviewFailed as error:
        return _answer(page, names, name, text, error=str(error))
    finally:
        _one_at_a_time.release()


def _may_edit(page: Page) -> list[str]:
    named = page.names("names")  # a preview names people
    names = [name for name in page.names("edit") if name in named]
    if not names:
        raise HTTPException(403, "Your Airflow account may not edit the DAG of a sync, and so preview no mapping.")
    return names


async def _fields(request: Request) -> dict[str, str]:
    """Return the fields of the form as texts.

    Raises an HTTPException for a form that is too large.
    """
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > LARGEST_BYTES:
        raise HTTPException(413, f"The text is too large: a preview takes at most {LARGEST_BYTES // 1024} KB.")
    try:
        async with request.form(max_files=1, max_fields=8, max_part_size=LARGEST_BYTES) as sent:
            return {
                name: (await value.read()).decode("utf-8", "replace") if isinstance(value, UploadFile) else value
                for name, value in sent.items()
            }
    except MultiPartException:
        raise HTTPException(400, "The form cannot be read. Open it again.") from None


def _answer(
    page: Page,
    names: list[str],
    name: str,
    text: str,
    *,
    made: MappingPreview | None = None,
    error: str = "",
    status: int = 200,
) -> HTMLResponse:
    values: dict[str, Any] = {"names": names, "chosen": name, "text": text, "made": made, "error": error}
    answer = page.render(
        "preview.html.j2",
        title="Mapping preview",
        current="Mapping preview",
        read=READ,
        notes=page.notes(made.notes) if made else (),
        token=make_token(page.viewer),
        **values,
    )
    answer.status_code = status if status != 200 or not error else 422  # noqa: PLR2004  as HTTP has them
    return answer
