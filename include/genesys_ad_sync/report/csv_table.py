"""The rows of a report as CSV, for spreadsheets.

There is one line per change, the most urgent first. Names come from Active Directory, where many people may choose
their own. A spreadsheet takes a cell that begins with certain characters for a formula, so such a cell gets an
apostrophe in front.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any

from genesys_ad_sync.report.people import person
from genesys_ad_sync.report.urgency import by_urgency
from genesys_ad_sync.report.wording import is_new, needs_attention
from genesys_ad_sync.text import without_controls

COLUMNS = (
    "status",
    "new",
    "action",
    "reason",
    "genesys_group",
    "genesys_group_id",
    "person",
    "mail",
    "directory_user_guid",
    "directory_user_dn",
    "genesys_user_id",
    "directory_groups",
    "directory_group_guids",
    "changed_at",
    "observed_after",
    "observed_at",
    "first_seen_at",
    "first_seen_run",
    "settled_by",
    "http_code",
    "error",
    "correlation_id",
    "remedy",
)

_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
"""What begins a formula, for a character class. The wide forms count: some spreadsheets treat them alike."""

_UNSEEN = (
    "[\\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]*"
)
"""A spreadsheet may ignore what shows nothing before the sign."""

_FORMULA = re.compile(f"(?:^|(?<=[;\t\r\n]))(?={_UNSEEN}[{_SIGNS}])|^(?=[\t\r\n])")
"""Where one begins: a spreadsheet that splits at semicolons, as many do in Europe, makes cells of a cell."""


def render_csv(report: Mapping[str, Any]) -> str:
    """Return the rows of a report as CSV, with a line of column names.

    Lines end with CR LF (RFC 4180).
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for detail in by_urgency(report):
        writer.writerow([guarded(value) for value in _values(report, detail)])
    return out.getvalue()


def guarded(value: object) -> str:
    """Return a cell that is neither a formula nor a command of a terminal."""
    return "" if value is None else _FORMULA.sub("'", without_controls(str(value)))


def _values(report: Mapping[str, Any], detail: Mapping[str, Any]) -> tuple[object, ...]:
    group, user = detail["genesys_group"] or {}, detail["directory_user"] or {}
    sources = detail["directory_groups"]
    new = ("yes" if is_new(report, detail) else "no") if needs_attention(detail) else None
    return (
        detail["status"],
        new,
        detail["action"],
        detail["reason"],
        group.get("name"),
        group.get("id"),
        person(detail["directory_user"]),
        user.get("mail"),
        user.get("guid"),
        user.get("dn"),
        detail["user_id"],
        "; ".join(source["name"] or source["guid"] for source in sources),
        "; ".join(source["guid"] for source in sources),
        *(detail.get(key) for key in COLUMNS[COLUMNS.index("changed_at") :]),
    )
