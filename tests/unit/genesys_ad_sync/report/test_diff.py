"""The diff of a dry run: what is planned and what is held, by group, in ids."""

from __future__ import annotations

from typing import Any

from genesys_ad_sync.report.diff import render_diff


def detail(action: str, status: str, user: str | None, group: str | None = "Support", reason: str | None = None) -> Any:
    named = {"id": f"id-{group}", "name": group} if group else None
    return {"action": action, "status": status, "user_id": user, "genesys_group": named, "reason": reason}


def test_it_shows_what_would_be_written_and_what_is_held() -> None:
    report = {
        "details": [
            detail("add", "planned", "u1"),
            detail("remove", "planned", "u2"),
            detail("remove", "held", "u3", reason="over_limit"),
            detail("add", "unchanged", "u4"),
            detail("add", "skipped", None, group=None),
            detail("add", "planned", "u5", group="Sales"),
        ]
    }
    assert render_diff(report).splitlines() == [
        "Support (id-Support)",
        "  + u1",
        "  - u2",
        "  ?- u3  held: over_limit",
        "Sales (id-Sales)",
        "  + u5",
    ]


def test_nothing_planned_gives_an_empty_text() -> None:
    assert render_diff({"details": [detail("add", "unchanged", "u1")]}) == ""


def test_what_is_too_long_is_counted() -> None:
    report = {"details": [detail("add", "planned", f"u{number}") for number in range(10)]}
    assert render_diff(report, max_lines=5).splitlines()[-1] == "… and 6 more lines, in the report"
