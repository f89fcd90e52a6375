"""The plan of a dry run as a diff per Genesys group.

It is for a task log: ids only, no names of people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genesys_ad_sync.model import Status
from genesys_ad_sync.report.people import person
from genesys_ad_sync.text import one_line

SIGNS = {"add": "+", "remove": "-"}


def where_all_are(*, people: bool) -> str:
    """Return where a list is complete.

    A terminal has the option of the command, a log the report.
    """
    return "with --json" if people else "in the report"


def render_diff(report: Mapping[str, Any], *, max_lines: int = 500, people: bool = False) -> str:
    """Return the planned changes, grouped by Genesys group; an empty text if nothing is planned.

    A line is ``+ Genesys user id`` or ``- Genesys user id``; a held change has ``?`` before the sign and the reason
    behind it. What exceeds ``max_lines`` is counted. ``people``: name people, for a terminal and never for a log.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for detail in report["details"]:
        group = detail["genesys_group"]
        line = _line(detail, people=people)
        if group and line:
            groups.setdefault((one_line(group["name"] or ""), group["id"]), []).append(line)
    lines = []
    for (name, group_id), its_lines in groups.items():
        lines += [f"{name} ({group_id})", *(f"  {line}" for line in its_lines)]
    left = len(lines) - max_lines
    if left > 0:
        lines = [*lines[:max_lines], f"… and {left:,} more lines, {where_all_are(people=people)}"]
    return "\n".join(lines)


def _line(detail: Mapping[str, Any], *, people: bool) -> str | None:
    sign, user = SIGNS[detail["action"]], detail["user_id"] or "unknown to Genesys"
    if people and (name := one_line(person(detail["directory_user"]))):
        user = f"{name}  {user}"
    if detail["status"] == Status.PLANNED.value:
        return f"{sign} {user}"
    if detail["status"] == Status.HELD.value:
        return f"?{sign} {user}  held: {detail['reason']}"
    return None
