"""The summary for terminals and task logs: readable, plain, and without people's names."""

from __future__ import annotations

import re

import pytest

from genesys_ad_sync.genesys.errors import BadRequest
from genesys_ad_sync.model import GroupResult, Reason, Status
from genesys_ad_sync.report import render_summary
from tests.support.report_example import NOON, PEOPLE, example, groups, guid, row, rows


def test_the_summary_shows_head_counts_groups_and_what_was_not_done() -> None:
    text = render_summary(example())
    for expected in (
        "genesys_ad_group_sync  run manual__2026-03-02T12:00:00+00:00",
        "manual, attempt 1, mode changes: what changed in AD from 2026-03-02T11:45:05Z until 2026-03-02T12:00:05Z",
        "25 changes were made in Genesys Cloud. 3 changes failed.",
        "Changes: 63",
        "Genesys groups: 5",
        "Not in effect: 31",
        "over_limit",
        "refused HTTP 400",
        guid("user", 31),
    ):
        assert expected in text
    assert re.search(r"^ success +25   Changed", text, re.MULTILINE)
    assert re.search(r"^ planned +4   Would", text, re.MULTILINE)


def test_the_summary_names_no_people_no_mails_no_dns_and_quotes_no_errors() -> None:
    text = render_summary(example(), max_rows=1000)
    for name, mail in PEOPLE:
        assert name not in text
        assert not mail or mail not in text
    for forbidden in ("@example", "OU=", "DC=", "ops <lead>", "is not valid"):
        assert forbidden not in text


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_tables_fit_the_width(width: int) -> None:
    lines = render_summary(example(notes=[]), width=width).splitlines()[3:]
    assert max(map(len, lines)) <= width


def test_the_summary_is_plain_text_whatever_groups_are_called() -> None:
    evil = [
        GroupResult(guid(name), name, (), True, 1, 1, 0, 0, 0)
        for name in ("[red]not markup[/red]", ":smile:", "\x1b[31mred", "one\nfailed  forged line", "\u202eturned")
    ]
    text = render_summary(example(rows=[], groups=evil))
    assert "[red]not markup[/red]" in text
    assert ":smile:" in text
    assert not set("\x1b\u202e") & set(text)
    assert not [line for line in text.splitlines() if line.startswith("failed  forged line")]


def test_long_lists_are_cut_and_say_so() -> None:
    many = [row(number, Status.HELD, Reason.OVER_LIMIT) for number in range(50)]
    text = render_summary(example(rows=many), max_rows=20, max_groups=2)
    assert "… and 30 more, in the report" in text
    assert "… and 3 more groups, in the report" in text
    text = render_summary(example(rows=many), max_rows=20, max_groups=2, people=True)
    assert "… and 30 more, with --json" in text
    assert "in the report" not in text
    assert text.count("over_limit") == 20


def test_what_failed_stands_before_what_is_held() -> None:
    text = render_summary(example(rows=list(reversed(rows()))))
    assert text.index("refused HTTP 400") < text.index("over_limit")


def test_a_group_that_could_not_be_read_is_not_counted_as_empty() -> None:
    unread = [group for group in groups() if group.before is None]
    assert render_summary(example(rows=[], groups=unread)).count("not read") == 3


def test_a_run_without_changes_says_so_and_shows_its_notes() -> None:
    text = render_summary(example(rows=[], groups=[], notes=["The task poll failed."], window=None))
    assert "This run lists no changes. Read the notes." in text
    assert "note: The task poll failed." in text
    assert "from the beginning until an unknown time" in text
    assert "Not in effect" not in text


def test_what_is_new_stands_first_and_what_is_not_says_since_when() -> None:
    known = {"first_seen_at": NOON, "first_seen_run": "genesys_ad_group_sync/morning"}
    report = example(rows=[row(1, Status.HELD, Reason.PROTECTED, **known), row(2, Status.HELD, Reason.AMBIGUOUS)])
    text = render_summary(report)
    assert "Not in effect: 2, of these new and to be looked at: 1" in text
    assert re.search(r"^ held +new +", text, re.MULTILINE)
    assert re.search(r"^ held +2026-03-02 +", text, re.MULTILINE)
    assert text.index("ambiguous") < text.index("protected")


def test_people_are_named_on_request_only() -> None:
    text = render_summary(example(dry_run=True), people=True, max_rows=1000)
    assert "Doe, Jane (Tier 2)" in text
    assert "Doe, Jane" not in render_summary(example(dry_run=True), max_rows=1000)


def test_the_summary_shows_what_failed_without_the_words_of_genesys() -> None:
    error = BadRequest("The request is refused", status=400, words="no such user: Mia Stone")
    text = render_summary(example(rows=[], groups=[], notes=[f"map_groups failed: {error.report_text()}"], window=None))
    assert "note: map_groups failed: The request is refused (answered 400)." in text
    assert "Mia" not in text
