"""The question to a person: what it offers, what an answer means, and that a name cannot say something in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from genesys_ad_sync.approval import (
    ALL,
    NONE,
    PEOPLE_SHOWN,
    UNDECIDED,
    Background,
    body,
    chosen_groups,
    escape,
    is_decided,
    question,
)
from genesys_ad_sync.model import Action, Reason, Row, Status
from tests.support.sync_examples import NOON, change, directory_group, directory_user

OPTIONS = {"G": "Sales: 2 removals", "H": "Support: 1 removal"}


def row(user: str, group: str = "G", name: str = "Sales", **changed: Any) -> Row:
    fields: dict[str, Any] = {
        "action": Action.REMOVE,
        "status": Status.HELD,
        "genesys_group_id": group,
        "user_guid": user,
        "group_guids": ("g1",),
        "genesys_user_id": f"x-{user}",
        "reason": Reason.OVER_LIMIT,
        "observed_at": NOON,
        "observed_after": NOON - timedelta(minutes=15),
        "genesys_group": {"id": group, "name": name},
    }
    return Row(**{**fields, **changed})


def text(*rows: Row, **background: Any) -> str:
    return body(
        question(rows, "0123456789abcdef"),
        Background(**background),
        run_id="run-1",
        answer_within=timedelta(hours=8),
        report="file:///reports/run-1.json",
    )


# -- what it offers and what an answer means ----------------------------------------------------------


def test_it_offers_all_groups_each_group_none_and_no_decision() -> None:
    made = question([row("a"), row("b"), row("c", "H", "Support")], "hash")
    assert made.options == [ALL, "Sales: 2 removals", "Support: 1 removal", NONE, UNDECIDED]
    assert made.subject == "Approve 3 removals in 2 Genesys groups?"


def test_two_groups_of_one_name_have_options_of_their_own() -> None:
    made = question([row("a"), row("b", "H", "Sales")], "hash")
    assert len(set(made.options)) == len(made.options) == 5
    assert {group.option for group in made.groups} == {"Sales: 1 removal (G)", "Sales: 1 removal (H)"}


@pytest.mark.parametrize(
    ("chosen", "approved"),
    [
        ([ALL], {"G", "H"}),
        ([ALL, "Sales: 2 removals"], {"G", "H"}),
        (["Sales: 2 removals"], {"G"}),
        (["Sales: 2 removals", UNDECIDED], {"G"}),
        ([UNDECIDED], set()),
        ([NONE], set()),
        ([NONE, ALL], set()),
        ([NONE, "Sales: 2 removals"], set()),
        (["Sales: 3 removals"], set()),
        (["Sales: 2 removals", "Sales: 3 removals"], set()),
        ([], set()),
    ],
)
def test_only_what_was_chosen_without_contradiction_is_approved(chosen: list[str], approved: set[str]) -> None:
    assert chosen_groups(OPTIONS, chosen) == approved


def test_the_form_as_it_opens_is_no_decision() -> None:
    assert not is_decided([UNDECIDED])
    assert not is_decided([])
    assert is_decided([NONE])


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


def test_a_long_list_is_cut_and_counted() -> None:
    made = text(*(row(f"u{number}") for number in range(PEOPLE_SHOWN + 7)))
    assert made.count("| remove |") == PEOPLE_SHOWN
    assert "… and 7 more, in the report." in made


def test_somebody_gone_or_disabled_is_said_to_be_so() -> None:
    made = text(row("ann"), row("bob"), users={"bob": directory_user("bob", disabled=True)}, gone=frozenset({"ann"}))
    assert "the account is gone from AD" in made
    assert "the account is disabled" in made


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
    html = markdown_it.MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(f"| {escape(name)} |\n|---|\n")
    tags: set[str] = set()

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            tags.add(tag)

    Tags().feed(html)
    assert tags <= {"table", "thead", "tr", "th", "code", "tbody", "p"}
    assert unescape(html)
