"""A report as one HTML page that needs nothing else: no other file, no network, no script to be readable.

Every name in it comes from Active Directory, where many people may choose their own: all of it is escaped, and the
page's own policy (CSP, by hash) lets nothing run but the template's style and script.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from genesys_ad_sync.report.schema import COUNT_KEYS
from genesys_ad_sync.report.wording import (
    ATTENTION,
    MODE_WORDS,
    READING_ORDER,
    STATUS_WORDS,
    headline,
    reason_words,
)
from genesys_ad_sync.text import one_line


def render_page(report: Mapping[str, Any], member_names: Mapping[str, str] | None = None) -> str:
    """Return the page of a report that `build_report` made or that was read from its file.

    ``member_names``: names of Genesys users by their id, which a report does not hold.
    """
    used_reasons = sorted({detail["reason"] for detail in report["details"] if detail["reason"]})
    template = _environment().get_template("report.html.j2")
    return template.render(
        report=report,
        member_names=member_names or {},
        headline=headline(report),
        mode_words=MODE_WORDS[report["mode"]],
        counts=[(status.value, report[COUNT_KEYS[status]], words) for status, words in STATUS_WORDS.items()],
        attention=[status.value for status in ATTENTION],
        reasons=[(reason, reason_words(reason)) for reason in used_reasons],
        rows=sorted(report["details"], key=_urgency),
        targets=sorted({_target(detail) for detail in report["details"]}, key=lambda target: target[1].casefold()),
        changed_groups=[group for group in report["groups"] if group["added"] or group["removed"]],
        other_groups=[group for group in report["groups"] if not (group["added"] or group["removed"])],
    )


def person(user: Mapping[str, Any] | None) -> str:
    """Name an AD user in one line: by the CN of the DN, else by mail, else by guid."""
    if not user:
        return ""
    return _common_name(user["dn"]) or user["mail"] or user["guid"] or ""


def _common_name(dn: str | None) -> str:
    # RFC 4514: a comma in a name is escaped by a backslash, other bytes as a backslash and two hex digits.
    first = re.match(r"CN=((?:\\.|[^,\\])*)", dn or "", re.IGNORECASE)
    if not first:
        return ""
    return re.sub(
        r"((?:\\[0-9a-fA-F]{2})+)|\\(.)",
        lambda found: (
            bytes.fromhex(found[1].replace("\\", "")).decode("utf-8", errors="replace") if found[1] else found[2]
        ),
        first[1],
    )


def folder(dn: str | None) -> str:
    """Return where in AD an object is: its DN without the first part."""
    return re.sub(r"^(?:\\.|[^,\\])*,", "", dn or "", count=1)


def when(time: str | None) -> Markup:
    """Format an RFC 3339 time for people: to the second, in UTC."""
    if not time:
        return Markup("")
    moment = datetime.fromisoformat(time.replace("Z", "+00:00")).astimezone(timezone.utc)
    return Markup('<time datetime="{}">{}</time>').format(time, moment.strftime("%Y-%m-%d %H:%M:%S"))


def _target(detail: Mapping[str, Any]) -> tuple[str, str]:
    """Return key and name of what a row is about: a Genesys group, or the AD groups that no rule maps."""
    group = detail["genesys_group"]
    if group:
        return group["id"], one_line(group["name"] or group["id"])
    fed_by = detail["directory_groups"]
    names = ", ".join(fed["name"] or fed["guid"] for fed in fed_by)
    return ",".join(fed["guid"] for fed in fed_by), one_line(f"not mapped: {names}")


def _urgency(detail: Mapping[str, Any]) -> int:
    """Return a key that puts first what a person should see first.

    Sorting is stable: within a status the report's own order stays.
    """
    return _URGENCY[detail["status"]]


_URGENCY = {status.value: place for place, status in enumerate(READING_ORDER)}


def _csp_hash(text: str) -> Markup:
    digest = hashlib.sha256(str(text).encode()).digest()
    return Markup("'sha256-{}'").format(base64.b64encode(digest).decode("ascii"))


@functools.cache  # compiling the template takes a fifth of a small run's time
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else one_line(value),
    )
    environment.filters.update(
        when=when, one_line=one_line, person=person, folder=folder, reason_words=reason_words, csp_hash=_csp_hash
    )
    environment.globals["target"] = _target
    return environment
