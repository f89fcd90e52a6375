"""How pages are rendered: all values escaped, on one line; times in UTC."""

from __future__ import annotations

import functools
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from genesys_ad_sync.report.page import environment
from genesys_ad_sync.report.wording import STATUS_WORDS
from genesys_ad_sync.text import counted, one_line
from genesys_ad_sync_airflow.pages.links import configuration


def at(moment: datetime | None) -> Markup:
    """Format a time for people: to the minute, in UTC.

    The page's script adds the viewer's own as its title.
    """
    if moment is None:
        return Markup("")
    utc = moment.astimezone(timezone.utc)
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(), utc.strftime("%Y-%m-%d %H:%M"))


def moment(text: str | None) -> datetime | None:
    """Return the time that a text in ISO 8601 says."""
    return None if text is None else datetime.fromisoformat(text)


def coded(text: str) -> Markup:
    """Show what a message has between backticks as code, which no line breaks into pieces."""
    plain, code = Markup("{}"), Markup("<code>{}</code>")
    parts = enumerate(text.split("`"))
    return Markup("").join((code if place % 2 else plain).format(one_line(part)) for place, part in parts)


def lines(text: str) -> Markup:
    """Return a text of the viewer's own with its line breaks.

    Other values are put on one line.
    """
    return Markup("{}").format(text.replace("\r\n", "\n"))


@functools.cache
def templates() -> Environment:
    """Return what renders the templates: that of the report, with the filters of pages."""
    made = environment().overlay(loader=FileSystemLoader(Path(__file__).with_name("templates")))
    made.filters = {
        **made.filters,
        "at": at,
        "moment": moment,
        "lines": lines,
        "coded": coded,
        "counted": counted,
        "configuration": configuration,
    }
    made.globals = {**made.globals, "status_words": {status.value: words for status, words in STATUS_WORDS.items()}}
    return made


def render(template: str, **values: Any) -> str:
    """Return a page."""
    return templates().get_template(template).render(**values)
