"""A report as one HTML page that needs nothing else.

It needs no other file and no network, and no script to be readable. Every name in it comes from Active Directory, where
many people may choose their own: all of it is escaped, and the page's own policy (CSP, by hash) lets nothing run but
the template's style and script.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from genesys_ad_sync.report.people import folder, person
from genesys_ad_sync.report.schema import COUNT_KEYS
from genesys_ad_sync.report.urgency import count_new, kinds, most_urgent
from genesys_ad_sync.report.wording import (
    ATTENTION,
    MODE_WORDS,
    STATUS_WORDS,
    headline,
    is_new,
    open_words,
    reason_words,
)
from genesys_ad_sync.text import one_line

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

PAGE_BYTES = 280_000
"""A page that is larger shows less, until it fits: browsers take seconds for a page of some megabytes."""


@dataclass(frozen=True)
class Room:
    """The limits of what a page shows.

    They are for rows, Genesys groups, members of a group that AD does not own, and notes.
    """

    rows: int
    groups: int
    members: int
    notes: int


ROOMS = (
    Room(250, 100, 50, 100),
    Room(180, 70, 25, 50),
    Room(100, 50, 15, 40),
    Room(60, 25, 10, 30),
    Room(25, 10, 5, 20),
    Room(10, 5, 3, 10),
    Room(3, 1, 1, 3),
)
"""From the largest to the smallest page; the first that fits into `PAGE_BYTES` is taken."""


def render_page(report: Mapping[str, Any], member_names: Mapping[str, str] | None = None) -> str:
    """Return the page of a report.

    `build_report` made the report, or it was read from its file.

    A page shows the most urgent rows, and says how many there are in all.
    ``member_names``: names of Genesys users by their id, which a report does not hold.
    """
    page = ""
    for room in ROOMS:
        page = _render(report, member_names or {}, room)
        if len(page.encode("utf-8", errors="xmlcharrefreplace")) <= PAGE_BYTES:
            break
    return page


def _render(report: Mapping[str, Any], member_names: Mapping[str, str], room: Room) -> str:
    rows = most_urgent(report, room.rows)
    used_reasons = sorted({detail["reason"] for detail in report["details"] if detail["reason"]})
    groups = sorted(report["groups"], key=lambda group: not (group["added"] or group["removed"]))  # changed ones first
    shown = groups[: room.groups]
    targets = {_target(detail) for detail in rows}
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            room=room,
            member_names=member_names,
            headline=headline(report),
            open_words=open_words(report),
            mode_words=MODE_WORDS[report["mode"]],
            counts=[(status.value, report[COUNT_KEYS[status]], words) for status, words in STATUS_WORDS.items()],
            attention=[status.value for status in ATTENTION],
            new=count_new(report, report["details"]),
            reasons=[(reason, reason_words(reason)) for reason in used_reasons],
            rows=rows,
            kinds=kinds(report) if len(rows) < len(report["details"]) else [],
            targets=sorted(targets, key=lambda target: target[1].casefold()),
            target_keys={key for key, _ in targets},
            groups_left_out=len(groups) - len(shown),
            changed_groups=[group for group in shown if group["added"] or group["removed"]],
            other_groups=[group for group in shown if not (group["added"] or group["removed"])],
        )
    )


def when(time: str | None) -> Markup:
    """Format an RFC 3339 time for people: to the second, in UTC."""
    if not time:
        return Markup("")
    moment = datetime.fromisoformat(time.replace("Z", "+00:00")).astimezone(timezone.utc)
    return Markup('<time datetime="{}">{}</time>').format(time, moment.strftime("%Y-%m-%d %H:%M:%S"))


def _target(detail: Mapping[str, Any]) -> tuple[str, str]:
    """Return key and name of a row's subject.

    It is a Genesys group, or the AD groups that no rule maps.
    """
    group = detail["genesys_group"]
    if group:
        return group["id"], one_line(group["name"] or group["id"])
    fed_by = detail["directory_groups"]
    names = ", ".join(fed["name"] or fed["guid"] for fed in fed_by)
    return ",".join(fed["guid"] for fed in fed_by), one_line(f"not mapped: {names}")


def _csp_hash(text: str) -> Markup:
    digest = hashlib.sha256(str(text).encode()).digest()
    return Markup("'sha256-{}'").format(base64.b64encode(digest).decode("ascii"))


@functools.cache  # compiling the template takes a fifth of a small run's time
def environment() -> ImmutableSandboxedEnvironment:
    """Return what renders pages: everything is escaped, and shown on one line."""
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else one_line(value),
    )
    made.filters.update(
        when=when, one_line=one_line, person=person, folder=folder, reason_words=reason_words, csp_hash=_csp_hash
    )
    made.globals.update(target=_target, is_new=is_new)
    return made
