"""The text of a message, which is the same for a mail, chat and program.

It holds ids and counts, never names of people.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from genesys_ad_sync.model import RunKey
from genesys_ad_sync.model.notices import Notice, Occasion, Trouble
from genesys_ad_sync.text import one_line


@dataclass(frozen=True)
class Sender:
    """Which run sends a message. ``link``: its page in Airflow. ``report``: where its report is."""

    definition: str
    key: RunKey
    at: datetime
    link: str | None = None
    report: str | None = None


def message_of(trouble: Trouble, sender: Sender) -> dict[str, Any]:
    """Return the message about a trouble.

    The journal keeps it, and a program gets it, in this form.
    """
    return _message(trouble.occasion, trouble.summary, trouble.lines, trouble.counts, sender)


def recovered_message(notice: Notice, sender: Sender) -> dict[str, Any]:
    """Return the message that a trouble is over. ``notice``: the one that reported it."""
    told: Any = notice.message.get("about", notice.message)  # it may have been over once before without a message
    lines = (f"It was reported at {told['at']}.",)
    message = _message(Occasion.RECOVERED, f"over: {told['summary']}", lines, {}, sender)
    return {**message, "about": {key: told[key] for key in ("occasion", "summary", "at")}}


def subject_of(message: Mapping[str, Any]) -> str:
    """Return the subject of a mail."""
    return one_line(f"genesys-ad-sync {message['definition']}: {message['summary']}")


def plain_text(message: Mapping[str, Any]) -> str:
    """Return the message as plain text."""
    return "\n".join([subject_of(message), *_body(message)])


def html_text(message: Mapping[str, Any]) -> str:
    """Return the message as HTML, with a link to the run's page.

    All markup comes from here: the message's own text is escaped.
    """
    lines = [html.escape(line) for line in (subject_of(message), *_body(message))]
    link = html.escape(one_line(message["link"] or ""))
    if link.startswith(("https://", "http://")):
        lines = [line.replace(f"Page: {link}", f'Page: <a href="{link}">{link}</a>') for line in lines]
    return "\n".join(f"<p>{line}</p>" for line in lines)


def slack_text(message: Mapping[str, Any]) -> str:
    """Return the message as text for Slack.

    The text is escaped, so that it holds no mention and no link that did not come from here.
    """
    return html.escape(plain_text(message), quote=False)


def _message(
    occasion: Occasion, summary: str, lines: tuple[str, ...], counts: Mapping[str, int], sender: Sender
) -> dict[str, Any]:
    return {
        "occasion": occasion.value,
        "definition": sender.definition,
        "dag_id": sender.key.dag_id,
        "run_id": sender.key.run_id,
        "summary": summary,
        "lines": list(lines),
        "counts": dict(counts),
        "link": sender.link,
        "report": sender.report,
        "at": f"{sender.at:%Y-%m-%dT%H:%M:%SZ}",
    }


def _body(message: Mapping[str, Any]) -> list[str]:
    """Return the lines below the subject. A run id may be anybody's text."""
    lines = [*message["lines"], f"Run: {message['dag_id']} / {message['run_id']}"]
    if message["link"]:
        lines.append(f"Page: {message['link']}")
    if message["report"]:
        lines.append(f"Report: {message['report']}")
    return [one_line(line) for line in lines]
