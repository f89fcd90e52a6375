"""The table of a check as one HTML page, escaped and styled like the report's."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Template
from markupsafe import Markup, escape

from genesys_ad_sync.doctor.lines import Outcome
from genesys_ad_sync.report.page import environment
from genesys_ad_sync.text import one_line

_BACKTICKS = re.compile(r"`([^`]+)`")
_COLOURS = {
    Outcome.PROBLEM: "failed",
    Outcome.NOT_PROVEN: "held",
    Outcome.NOTE: "planned",
    Outcome.OK: "success",
}
"""Outcome -> the report's class of the same colour, the most urgent first."""


def render_check_page(document: Mapping[str, Any]) -> str:
    """Return the page of a table that `document_of` made."""
    rows = [{**row, "number": number} for number, row in enumerate(document["lines"], start=1)]
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        parts.setdefault(row["part"], []).append(row)
    rendered: str = _template().render(
        document=document,
        parts=parts,
        problems=[row for row in rows if row["outcome"] == Outcome.PROBLEM.value],
        colours={outcome.value: colour for outcome, colour in _COLOURS.items()},
        headline=headline(document),
    )
    return rendered


def headline(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return how the table is to be taken: the report's level, and a sentence."""
    counts = document["counts"]
    problems, unproven = counts[Outcome.PROBLEM.value], counts[Outcome.NOT_PROVEN.value]
    if problems:
        return "bad", f"{problems} {'line is a problem' if problems == 1 else 'lines are problems'}: see what to do."
    if unproven:
        return (
            "attention",
            f"No problem was found. {unproven} {'line is' if unproven == 1 else 'lines are'} not proven.",
        )
    return "good", "Everything that was tried works."


def code(text: str) -> Markup:
    """Show text between backticks as code. The text is escaped first."""
    return Markup(_BACKTICKS.sub(r"<code>\1</code>", str(escape(one_line(text)))))  # noqa: S704  escaped


@functools.cache
def _template() -> Template:
    made = environment().overlay()
    made.filters = {**made.filters, "code": code}  # the report's own filters stay as they are
    return made.from_string((Path(__file__).parent / "check.html.j2").read_text(encoding="utf-8"))
