"""The page of a report: everything escaped, nothing from outside, readable without script, the rest with it."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from genesys_ad_sync import model
from genesys_ad_sync.model import GroupResult, Reason, Status
from genesys_ad_sync.report import render_page
from genesys_ad_sync.report.page import PAGE_BYTES, ROOMS
from genesys_ad_sync.report.wording import REASON_WORDS, STATUS_WORDS, Headline, headline, reason_words
from tests.support.browser import Browser, browser  # noqa: F401 (fixture)
from tests.support.report_example import NOON, OUTCOMES, example, row

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "]]><!--",
    "javascript:alert(1)",
]


class Page(HTMLParser):
    """The elements and attributes of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(1 for name, _ in self.elements if name == tag)


def nasty_everywhere(name: str) -> dict[str, Any]:
    """Return a report in which everything that comes from outside is ``name``."""
    report = example(approval={"by": name, "at": None, "decision": name}, notes=[name], run_type=name)
    report["dag_id"] = report["run_id"] = name
    report["requests"]["by_endpoint"] = {name: 1}
    for detail in report["details"]:
        for key in ("user_id", "error", "correlation_id", "settled_by", "reason", "remedy", "first_seen_run"):
            detail[key] = name
        detail["directory_groups"] = [{"guid": name, "dn": name, "name": name}]
        detail["genesys_group"] = detail["genesys_group"] and {"id": name, "name": name}
        detail["directory_user"] = detail["directory_user"] and {"guid": name, "dn": f"CN={name}", "mail": name}
    for group in report["groups"]:
        group["genesys_group"] = {"id": name, "name": name}
        group["directory_groups"] = [{"guid": name, "dn": name, "name": name}]
    return report


@pytest.mark.parametrize("name", NASTY)
def test_a_name_chosen_by_an_attacker_is_shown_as_text_and_is_never_markup(name: str) -> None:
    harmless, page = Page(render_page(nasty_everywhere("harmless"))), Page(render_page(nasty_everywhere(name)))

    assert [tag for tag, _ in page.elements] == [tag for tag, _ in harmless.elements]
    assert [sorted(attributes) for _, attributes in page.elements] == [
        sorted(attributes) for _, attributes in harmless.elements
    ]
    assert name in page.text
    assert page.count("script") == 1
    assert not [value for tag, attributes in page.elements if (value := attributes.get("href")) and value != "#rows"]


def test_control_characters_and_direction_marks_in_names_are_made_visible() -> None:
    html = render_page(nasty_everywhere("a\x00b\x1b[31m\u202ec"))
    assert not re.search("[\x00\x1b\u202e]", html)
    assert "a\ufffdb\ufffd[31m\ufffdc" in html


def test_the_page_needs_no_other_file_and_allows_no_script_but_its_own() -> None:
    html = render_page(example())
    page = Page(html)

    assert not [tag for tag, _ in page.elements if tag in ("link", "img", "iframe", "object", "embed", "form")]
    assert not [attributes for _, attributes in page.elements if "src" in attributes or "style" in attributes]
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_without_script_every_change_of_the_report_stands_in_the_page() -> None:
    report = example()
    page = Page(render_page(report))
    shown = [attributes for tag, attributes in page.elements if tag == "tr" and "data-status" in attributes]

    assert len(shown) == report["total_changes"]
    assert not [attributes for attributes in shown if "hidden" in attributes]
    people = [detail["directory_user"] for detail in report["details"] if detail["directory_user"]]
    assert all(user["mail"] in page.text for user in people if user["mail"])
    assert all(detail["user_id"] in page.text for detail in report["details"] if detail["user_id"])


def test_what_needs_a_person_stands_first() -> None:
    page = Page(render_page(example()))
    statuses = [a["data-status"] for tag, a in page.elements if tag == "tr" and "data-status" in a]
    assert list(dict.fromkeys(statuses))[:3] == ["failed", "held", "orphaned"]


def test_the_head_says_mode_window_counts_requests_notes_and_who_approved() -> None:
    text = " ".join(Page(render_page(example())).text.split())
    for expected in (
        "genesys_ad_group_sync",
        "manual__2026-03-02T12:00:00+00:00",
        "from 2026-03-02 11:45:05 until 2026-03-02 12:00:05",
        "63 in all",
        "25 success",
        "approved by ops <lead>, 2026-03-02 11:58:05",
        "41 (2 repeated, 1 delayed by its rate limit)",
        "Active Directory was read completely again",
    ):
        assert expected in text


def test_what_could_not_be_read_is_not_shown_as_zero() -> None:
    report = example()
    group = next(group for group in report["groups"] if group["before"] is None)
    html = render_page({**report, "groups": [group]})
    assert html.count(">not read<") == 3


def compared(**more: Any) -> dict[str, Any]:
    """Return the report of a comparison that found nothing; ``more`` overrides."""
    report = example(**{"mode": "full", "rows": [], "notes": [], **more})
    for group in report["groups"]:
        group.update(complete=True, manual_members=0)
    return report


ALL_WELL = "Nothing to change: Genesys Cloud matches Active Directory."


def test_genesys_cloud_is_as_ad_says_only_if_it_has_no_other_member() -> None:
    report = compared()
    assert headline(report) == Headline("good", ALL_WELL)
    report["groups"][0]["manual_members"] = 1
    report["groups"][1]["manual_members"] = 2
    told = headline(report)
    assert told.level == "neutral"
    assert told.sentence == (
        "Nothing to change. Genesys Cloud has 3 members that Active Directory does not have in these groups; the "
        "policy of the definition keeps them."
    )
    report["groups"][0]["manual_members"] = None  # not read
    assert headline(report).sentence == "This run lists no changes."


@pytest.mark.parametrize(
    ("status", "reason", "agrees"),
    [
        (Status.UNCHANGED, Reason.ALREADY_SO, True),
        (Status.UNCHANGED, Reason.MEMBER_NOT_VISIBLE, False),
        (Status.SKIPPED, Reason.UNMAPPED, True),
        (Status.SKIPPED, Reason.REMOVALS_NEVER, False),
        (Status.SKIPPED, Reason.EXCLUDED, False),  # a person: AD says something else than Genesys Cloud has
        (Status.SKIPPED, Reason.GENESYS_GROUP_MISSING, False),
        (Status.SUPERSEDED, Reason.NEWER_VIEW, False),
    ],
)
def test_a_row_that_leaves_a_difference_is_not_as_ad_says(status: Status, reason: Reason, agrees: bool) -> None:
    told = headline(compared(rows=[row(1, status, reason)]))
    assert (told.sentence == ALL_WELL) is agrees
    if not agrees:
        assert told.sentence == "Nothing was changed. 1 change is left out or uncertain."


def test_an_ad_group_that_is_excluded_as_a_whole_leaves_no_difference() -> None:
    whole_group = row(1, Status.SKIPPED, Reason.EXCLUDED, genesys_group=None, genesys_group_id=None, user_guid=None)
    assert headline(compared(rows=[whole_group])).sentence == ALL_WELL


def test_a_run_that_lists_nothing_is_not_called_good_unless_everything_was_compared_completely() -> None:
    whole = compared()
    assert headline(whole).level == "good"

    whole["groups"][0]["complete"] = False
    assert headline(whole).level == "neutral"
    broken_off = example(rows=[], groups=[], notes=["The task poll failed."], window=None)
    assert headline(broken_off) == headline({**broken_off, "mode": "full"})
    assert headline(broken_off).level == "neutral"
    assert "notes" in headline(broken_off).sentence
    assert "This run lists no change" in render_page(broken_off)


def test_the_verdict_is_bad_after_a_failure_and_says_of_a_dry_run_that_nothing_was_written() -> None:
    assert headline(example()).level == "bad"
    assert headline(example(rows=[row(1, Status.HELD, Reason.UNPROVEN)])).sentence == "1 change is held back."
    dry = headline(example(dry_run=True, rows=[row(number, Status.PLANNED) for number in range(3)]))
    assert dry.sentence == "Dry run: nothing was written. 3 changes would be made."


def test_what_waits_is_shown_with_its_remedy_and_since_when() -> None:
    since = {"first_seen_at": NOON, "first_seen_run": "genesys_ad_group_sync/morning"}
    held = row(1, Status.HELD, Reason.OVER_LIMIT, about={"limit": "limits.removals is 50"}, **since)
    page = Page(render_page(example(rows=[held])))
    assert "limits.removals is 50" in page.text
    assert "since 2026-03-02 12:00:05, run morning" in " ".join(page.text.split())
    done = Page(render_page(example(rows=[row(1, Status.SUCCESS, **since)])))
    assert "run morning" not in done.text


def test_every_status_and_every_reason_is_explained_in_words() -> None:
    assert set(STATUS_WORDS) == set(Status)
    assert set(REASON_WORDS) == set(Reason)
    assert reason_words("something_of_a_later_version") == "Something of a later version."


def test_every_reason_is_given_somewhere() -> None:
    """The list is closed: who reads reports shall not prepare for what never comes."""
    group_sync = Path(model.__file__).parents[1]
    code = "".join(
        path.read_text()
        for path in group_sync.rglob("*.py")
        if path.name not in ("outcome.py", "wording.py", "remedies.py")
    )
    to_come = {
        Reason.UNIDENTIFIED_MEMBERS,
        Reason.FIRST_MIRROR,
        Reason.MIRROR_ONCE,
        Reason.AGAINST_AD,
        Reason.MEMBER_NOT_VISIBLE,
    }
    assert [reason for reason in Reason if f"Reason.{reason.name}" not in code and reason not in to_come] == []


def test_the_work_for_a_page_grows_as_its_rows_do() -> None:
    def seconds(count: int) -> float:
        """Of the processor: what else the machine does is not counted."""
        report = example(rows=[row(number, *OUTCOMES[number % len(OUTCOMES)][:2]) for number in range(count)])
        began = time.thread_time()
        html = render_page(report)
        took = time.thread_time() - began
        assert 0 < html.count("<tr data-status=") <= min(count, ROOMS[0].rows)
        return took

    seconds(1)  # compiles the template
    # In small pieces before and after, so that a machine that becomes slower meanwhile does so for both.
    small = [seconds(500) for _ in range(5)]
    large = seconds(5000)
    small += [seconds(500) for _ in range(5)]
    assert large < 5 * sum(small)  # 1 if the work is linear, 10 if it is quadratic


# -- a page that stays small --------------------------------------------------------------------------


def large(rows: int = 12_600, groups: int = 600, **more: Any) -> dict[str, Any]:
    """Return the first dry run of a company: a reason of each kind among many additions."""
    mixed = [row(number, *OUTCOMES[number % len(OUTCOMES)][:2]) for number in range(rows)]
    results = [
        GroupResult(f"G{number}", f"Group {number} äöü", (f"AD{number}",), True, 10, 10, 1, 0, 70, tuple(
            f"user {number} {member}" for member in range(70)
        ))
        for number in range(groups)
    ]  # fmt: skip
    return example(**{"rows": mixed, "groups": results, "mode": "full", **more})


def test_the_page_of_a_large_run_stays_small_and_says_what_it_leaves_out() -> None:
    report = large(notes=["A note of some length about one of the AD groups."] * 5000)
    html = render_page(report)
    assert len(html.encode()) <= PAGE_BYTES < 300_000
    text = " ".join(Page(html).text.split())
    shown = html.count("<tr data-status=")
    assert shown >= 100
    assert f"This page shows the {shown} most urgent of 12,600 changes." in text
    assert "All of them are in the .csv and .json files of the same name" in text
    assert "more groups are in the .json file of the same name" in text
    assert "more notes, in the .json file of the same name" in text
    assert "12,600 in all" in text  # the counts are of all rows


def test_a_page_of_very_long_values_stays_small() -> None:
    long = "Ω" * 900
    user = {"guid": "g", "dn": f"CN={long}", "mail": long}
    rows = [row(number, Status.FAILED, Reason.REFUSED, error=long, directory_user=user) for number in range(500)]
    html = render_page(example(rows=rows))
    assert len(html.encode()) <= PAGE_BYTES
    assert html.count("<tr data-status=") > 0


def test_a_small_page_shows_at_least_some_rows_of_each_status_and_reason() -> None:
    failed = [row(number, Status.FAILED, Reason.REFUSED) for number in range(1000)]
    one = row(5000, Status.HELD, Reason.PROTECTED)
    page = Page(render_page(example(rows=[*failed, one])))
    assert [a["data-status"] for tag, a in page.elements if tag == "tr" and "data-status" in a].count("held") == 1


def test_what_is_new_stands_before_what_was_listed_before() -> None:
    known = {"first_seen_at": NOON, "first_seen_run": "genesys_ad_group_sync/morning"}
    now = {"first_seen_at": NOON, "first_seen_run": "genesys_ad_group_sync/manual__2026-03-02T12:00:00+00:00"}
    old = [row(number, Status.ORPHANED, Reason.NO_GENESYS_USER, **known) for number in range(15)]
    new = [row(number, Status.ORPHANED, Reason.NO_GENESYS_USER, **now) for number in (20, 21)]
    held = row(30, Status.HELD, Reason.PROTECTED, **known)
    report = example(rows=[*old, *new, held])
    page = Page(render_page(report))
    ages = [(a["data-status"], a["data-age"]) for tag, a in page.elements if tag == "tr" and "data-status" in a]
    assert ages == [("held", "known"), *[("orphaned", "new")] * 2, *[("orphaned", "known")] * 15]
    assert headline(report).sentence == (
        "1 change is held back, as before. 17 additions have no match in Genesys Cloud, 2 of them new."
    )


# -- in a real browser --------------------------------------------------------------------------------


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Browser:
    file = tmp_path / "report.html"
    file.write_text(render_page(example()), encoding="utf-8")
    browser.open(file.as_uri())
    return browser


SHOWN = "return Array.from(document.querySelectorAll('#rows tbody tr')).filter(row => row.offsetHeight).map(row => {}"
TYPE = "const e = document.querySelector('#{}'); e.value = '{}'; e.dispatchEvent(new Event('input', {{bubbles: true}}))"


@pytest.mark.quick
def test_the_browser_filters_rows_by_status_by_group_and_by_text(opened: Browser) -> None:
    assert len(opened.run(SHOWN.format("1)"))) == 63

    opened.run("document.querySelector('.chips a[data-status=held]').click()")
    assert opened.run(SHOWN.format("row.dataset.status)")) == ["held"] * 8
    opened.run("document.querySelector('.filter button').click()")
    assert len(opened.run(SHOWN.format("1)"))) == 63
    opened.run(TYPE.format("by-text", "JUERGEN.mueller"))
    found = opened.run(SHOWN.format("row.textContent)"))
    assert 0 < len(found) < 63
    assert all("juergen.mueller@example.com" in text for text in found)

    opened.run("Array.from(document.querySelectorAll('a[data-group]')).find(a => a.text == 'Retention').click()")
    groups = opened.run(SHOWN.format("row.cells[3].innerText)"))
    assert set(groups) == {"Retention"}
    opened.run(TYPE.format("by-text", "nobody has this name"))
    assert opened.run("return document.querySelector('#none').offsetHeight") > 0


def test_the_browser_shows_only_what_is_new(browser: Browser, tmp_path: Path) -> None:
    known = {"first_seen_at": NOON, "first_seen_run": "genesys_ad_group_sync/morning"}
    held = [row(number, Status.HELD, Reason.PROTECTED, **known if number else {}) for number in range(3)]
    file = tmp_path / "report.html"
    file.write_text(render_page(example(rows=[*held, row(9, Status.SUCCESS)])), encoding="utf-8")
    browser.open(file.as_uri())
    browser.run(TYPE.format("by-status", "new"))
    assert browser.run(SHOWN.format("row.dataset.age)")) == ["new"]


def test_the_browser_runs_no_script_but_that_of_the_page(browser: Browser, tmp_path: Path) -> None:
    html = render_page(example())
    file = tmp_path / "report.html"
    file.write_text(html.replace("<main>", "<script>window.foreign = true</script><main>"), encoding="utf-8")
    browser.open(file.as_uri())
    assert browser.run("return document.documentElement.className") == "scripted"
    assert browser.run("return window.foreign === undefined")
    # The style was let in as well: the policy's hash of it is right.
    assert browser.run("return getComputedStyle(document.querySelector('table')).tableLayout") == "fixed"


def test_the_head_of_the_table_stays_in_view_while_scrolling(opened: Browser) -> None:
    opened.run("window.scrollTo(0, document.body.scrollHeight)")
    head = opened.run("return document.querySelector('#rows th').getBoundingClientRect().top")
    assert 0 <= head < 100
