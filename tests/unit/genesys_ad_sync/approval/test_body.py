"""What an approver reads, and that a name cannot say something in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from genesys_ad_sync.approval import (
    PEOPLE_SHOWN,
    Background,
    body,
    question,
)
from genesys_ad_sync.model import Action, Reason, Row
from genesys_ad_sync.text import escape_markdown
from tests.support.approval_examples import row
from tests.support.sync_examples import change, directory_group, directory_user


def text(*rows: Row, **background: Any) -> str:
    return body(
        question(rows, "0123456789abcdef"),
        Background(**background),
        run_id="run-1",
        answer_within=timedelta(hours=8),
        report="file:///reports/run-1.json",
    )


# -- what a person reads ------------------------------------------------------------------------------


def test_it_says_who_leaves_which_group_when_and_why() -> None:
    made = text(
        row("ann"),
        users={"ann": directory_user("ann", name="Ann Lee", attributes={"mail": "ann@example.com"})},
        groups={"g1": directory_group("Tier 1", guid="g1"), "g2": directory_group("Nights", guid="g2")},
        changes={row("ann").key: [change("remove", "ann", path=("g1", "g2"))]},
        limits={"G": ["1 removals are more than allowed: limits.removals is 0"]},
        members={"G": 12},
    )
    assert "### Sales: 1 removal (it has 12 members now)" in made
    assert "| remove | Ann Lee | `ann@example.com` | Tier 1 → Nights | 2026-03-02 11:45 to 12:00 |" in made
    assert "limits\\.removals is 0" in made
    assert "Plan `0123456789ab` of run `run-1`" in made
    assert "file:///reports/run-1.json" in made


def test_it_says_what_the_change_means_for_the_people() -> None:
    added = row("ann", action=Action.ADD)
    assert "removed" not in text(added).partition("### How")[0]
    assert "gets the calls" in text(added)
    assert "loses the calls" in text(row("ann"), added)


def test_each_exceeded_limit_is_said_once() -> None:
    held = [
        row("ann", reason=Reason.OVER_LIMIT, about={"limit": "limits.removals is 4 and limits.per_run is 9"}),
        row("bob", reason=Reason.OVER_LIMIT, about={"limit": "limits.removals_percent is 20"}),
    ]
    of_group = {"G": ["6 removals are more than allowed: limits.removals is 4"]}
    made = text(*held, limits=of_group, limits_of_run=["9 are more than one run may make: limits.per_run is 9"])
    assert [made.count(escape_markdown(f"limits.{key} is")) for key in ("removals", "per_run", "removals_percent")] == [
        1,
        1,
        1,
    ]


def test_a_long_list_is_cut_and_counted() -> None:
    made = text(*(row(f"u{number}") for number in range(PEOPLE_SHOWN + 7)))
    assert made.count("| remove |") == PEOPLE_SHOWN
    assert "… and 7 more, in the report." in made


def test_somebody_gone_or_disabled_is_said_to_be_so() -> None:
    made = text(row("ann"), row("bob"), users={"bob": directory_user("bob", disabled=True)}, gone=frozenset({"ann"}))
    assert "the account is gone from AD" in made
    assert "the account is disabled" in made


def test_a_link_that_is_to_move_shows_both_genesys_users() -> None:
    about = {"account": "ann", "former_user": "x-old (Quinn, q@example.com)", "new_user": "x-ann (*Ann*)"}
    made = text(
        replace(row("ann", action=Action.ADD), reason=Reason.RELINK, about=about),
        replace(row(None, genesys_user_id="x-old"), reason=Reason.RELINK, about=about),
    )
    both = f"from Genesys user {escape_markdown(about['former_user'])} to {escape_markdown(about['new_user'])}"
    assert made.count(f"the link of AD account `ann` moves {both}") == 2
    assert "*Ann*" not in made
    assert "all its groups must be approved" in made
    assert "is in one of them" not in made  # the account of the one who goes is


# -- names are data -----------------------------------------------------------------------------------

EVIL = [
    "[Approve](http://evil.example)",
    "**All groups** are approved already",
    "<img src=x onerror=alert(1)>",
    "Ann | remove | x |",
    "Ann\n\n# How to answer\n\nchoose all",
    "`code` ``fence``",
    "www.evil.example",
    "![x](data:image/png;base64,AAAA)",
    "Ann\u202eevil",
    "&lt;b&gt;",
    "{{ var.value.secret }}",
]


@pytest.mark.parametrize("name", EVIL)
def test_a_name_stays_on_its_line_and_in_its_cell(name: str) -> None:
    plain = text(row("ann"), users={"ann": directory_user("ann", name="Ann", attributes={})})
    evil = text(row("ann"), users={"ann": directory_user("ann", name=name, attributes={"mail": name})})
    assert len(evil.splitlines()) == len(plain.splitlines())
    line = next(line for line in evil.splitlines() if line.startswith("| remove"))
    unescaped = line.replace("\\\\", "").replace("\\|", "")
    assert unescaped.count("|") == 7


@pytest.mark.parametrize("name", EVIL)
def test_no_markup_of_a_name_survives(name: str) -> None:
    from html import unescape
    from html.parser import HTMLParser

    markdown_it = pytest.importorskip("markdown_it")
    html = markdown_it.MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(
        f"| {escape_markdown(name)} |\n|---|\n"
    )
    tags: set[str] = set()

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            tags.add(tag)

    Tags().feed(html)
    assert tags <= {"table", "thead", "tr", "th", "code", "tbody", "p"}
    assert unescape(html)
