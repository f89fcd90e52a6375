"""A report as plain text for a terminal or a task log.

Many people read task logs: there are ids, counts and names of groups here, but no names, mails or DNs of people, and
no error texts, which may quote them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from genesys_ad_sync.model import Status
from genesys_ad_sync.report.diff import render_diff, where_all_are
from genesys_ad_sync.report.people import person
from genesys_ad_sync.report.schema import COUNT_KEYS
from genesys_ad_sync.report.urgency import by_urgency, count_new
from genesys_ad_sync.report.wording import STATUS_WORDS, headline, is_new, needs_attention, open_words
from genesys_ad_sync.text import one_line, own_words

QUIET = frozenset({Status.SUCCESS.value, Status.UNCHANGED.value})
"""Rows of these are counted, not listed."""


def render_summary(
    report: Mapping[str, Any], *, width: int = 120, max_rows: int = 20, max_groups: int = 30, people: bool = False
) -> str:
    """Return plain text without escape sequences, ``width`` columns wide, without a last line break.

    ``max_rows``, ``max_groups``: how many lines the two lists may have; what is left out is counted.
    ``people``: name people. Only for the terminal of the person who asks, never for a log.
    """
    out = io.StringIO()
    # markup, emoji and highlight off: names are data, and "[red]" or ":smile:" may be in one.
    console = Console(
        file=out, width=width, color_system=None, force_terminal=False, markup=False, emoji=False, highlight=False
    )
    for line in _head(report):
        console.print(line, soft_wrap=True)
    console.print(_counts(report))
    if report["groups"]:
        _print_groups(console, report["groups"], max_groups, where_all_are(people=people))
    if report["dry_run"] and (diff := render_diff(report, people=people)):
        console.print(f"The plan (+ add, - remove, ? held; {'people' if people else 'Genesys user ids'})")
        console.print(diff, soft_wrap=True)
        console.print()
    _print_rows(console, report, max_rows, people=people)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def _head(report: Mapping[str, Any]) -> list[str]:
    window = report["window"]
    if window is None:
        covers = "every mapped group, compared in full"
    else:
        start, end = window["start"] or "the beginning", window["end"] or "an unknown time"
        covers = f"what changed in AD from {start} until {end}"
    return [
        f"{one_line(report['dag_id'])}  run {one_line(report['run_id'])}",
        f"{report['run_type']}, attempt {report['attempt']}, mode {report['mode']}"
        f"{', dry run' if report['dry_run'] else ''}: {covers}",
        headline(report).sentence,
        *([f"still open, and not listed here: {one_line(words)}"] if (words := open_words(report)) else []),
        *(f"note: {one_line(own_words(note))}" for note in report["notes"]),
        "",
    ]


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="", box=box.SIMPLE_HEAD, pad_edge=False, header_style=""
    )


def _counts(report: Mapping[str, Any]) -> Table:
    table = _table(f"Changes: {report['total_changes']:,}")
    table.add_column("status")
    table.add_column("count", justify="right")
    table.add_column("meaning")
    for status, words in STATUS_WORDS.items():
        table.add_row(status.value, f"{report[COUNT_KEYS[status]]:,}", words)
    return table


def _print_groups(console: Console, groups: list[Mapping[str, Any]], limit: int, where: str) -> None:
    table = _table(f"Genesys groups: {len(groups):,}")
    table.add_column("group", overflow="ellipsis", no_wrap=True)
    for heading in ("before", "added", "removed", "after", "by hand"):
        table.add_column(heading, justify="right")
    table.add_column("AD read completely")
    by_size = sorted(groups, key=lambda group: -(group["added"] + group["removed"]))
    for group in by_size[:limit]:
        table.add_row(
            one_line(group["genesys_group"]["name"] or group["genesys_group"]["id"]),
            *(_count(group[key]) for key in ("before", "added", "removed", "after", "manual_members")),
            "yes" if group["complete"] else "no",
        )
    console.print(table)
    if len(groups) > limit:
        console.print(f"… and {len(groups) - limit:,} more groups, {where}\n")


def _print_rows(console: Console, report: Mapping[str, Any], limit: int, *, people: bool) -> None:
    loud = [detail for detail in by_urgency(report) if detail["status"] not in QUIET]
    if not loud:
        return
    new = count_new(report, loud)
    table = _table(f"Not in effect: {len(loud):,}{f', of these new and to be looked at: {new:,}' if new else ''}")
    table.add_column("status")
    table.add_column("since")
    table.add_column("change")
    table.add_column("reason", no_wrap=True)
    table.add_column("Genesys group", overflow="ellipsis", no_wrap=True)
    table.add_column("person" if people else "person (AD objectGUID)", overflow="fold", min_width=20 if people else 36)
    for detail in loud[:limit]:
        table.add_row(
            detail["status"],
            _since(report, detail),
            detail["action"],
            _reason(detail),
            _group_name(detail),
            _name(detail) if people else _person(detail),
        )
    console.print(table)
    if len(loud) > limit:
        console.print(f"… and {len(loud) - limit:,} more, {where_all_are(people=people)}")


def _since(report: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    """Return the day since which a row waits, or that it is new."""
    if not needs_attention(detail):
        return ""
    return "new" if is_new(report, detail) else (detail["first_seen_at"] or "")[:10]


def _name(detail: Mapping[str, Any]) -> str:
    return one_line(person(detail["directory_user"])) or _person(detail)


def _reason(detail: Mapping[str, Any]) -> str:
    http = f"HTTP {detail['http_code']}" if detail["http_code"] and detail["status"] == Status.FAILED.value else ""
    return " ".join(part for part in (detail["reason"], http) if part)


def _group_name(detail: Mapping[str, Any]) -> str:
    group = detail["genesys_group"]
    return one_line(group["name"] or group["id"]) if group else "not mapped"


def _person(detail: Mapping[str, Any]) -> str:
    if detail["directory_user"]:
        return str(detail["directory_user"]["guid"])
    return f"Genesys {detail['user_id']}" if detail["user_id"] else "all members"


def _count(count: int | None) -> str:
    return "not read" if count is None else f"{count:,}"
