"""Stylesheet and script. Also these are only for people that are logged in."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

router = APIRouter()

_FOLDER = Path(__file__).parents[1] / "static"
_KEEP = {"Cache-Control": "private, max-age=300"}


@router.get("/style.css")
def style() -> FileResponse:
    """Return the stylesheet of all pages."""
    return FileResponse(_FOLDER / "style.css", media_type="text/css", headers=_KEEP)


@router.get("/page.js")
def script() -> FileResponse:
    """Return the script of all pages, which are readable without it."""
    return FileResponse(_FOLDER / "page.js", media_type="text/javascript", headers=_KEEP)
