"""Three questions of a contact centre, answered with the pages alone. Each has the number of clicks that it may take.

A text that is sent with the Enter key is a click, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

import pytest

from tests.browser.conftest import Served
from tests.browser.pages import MERGED, MERGING
from tests.support import pages_story
from tests.support.browser import ENTER, Browser


@dataclass
class Reader:
    """Somebody at the overview, who counts."""

    browser: Browser
    clicks: int = 0

    def follow(self, link: str) -> None:
        self.clicks += 1
        self.browser.follow(link)

    def click(self, css: str) -> None:
        self.clicks += 1
        self.browser.click(css)

    def send(self, css: str, words: str) -> None:
        self.clicks += 1
        self.browser.type(css, f"{words}{ENTER}")

    def reads(self, css: str = "main") -> str:
        return str(self.browser.run(f"return document.querySelector('{css}').innerText.replace(/\\s+/g, ' ')"))


@pytest.fixture
def reader(served: Served, browser: Browser) -> Reader:
    served.log_in(browser)
    browser.resize(1280, 900)
    browser.open(f"{served.url}/")
    return Reader(browser)


def test_why_did_a_person_lose_support_last_tuesday_and_who_approved_it(reader: Reader) -> None:
    tuesday = pages_story.last_tuesday(datetime.now(timezone.utc))
    reader.follow("Search")
    reader.send("input[name=q]", "hanna")
    reader.follow(pages_story.LEAVER)
    [support] = [
        answer
        for place in range(1, 3)
        if (answer := reader.reads(f"article:nth-of-type({place})")).startswith(pages_story.SUPPORT)
    ]
    assert "Removed." in support
    assert "Not a member of GC-Support" in support
    assert "remove success AD showed it between" in support
    assert f"and {tuesday:%Y-%m-%d %H:%M} in GC-Support" in support
    assert f"approved by {pages_story.APPROVER} at {tuesday:%Y-%m-%d} 10:20" in support
    assert reader.clicks == 3


def test_who_is_waiting_for_a_licence(reader: Reader) -> None:
    reader.click(f"a[href*='definition={pages_story.NAME}'][href*='status=orphaned']")
    waiting = reader.reads()
    for name in pages_story.UNLICENSED:
        assert name in waiting
    assert waiting.count("+ add") == len(pages_story.UNLICENSED)
    assert "Sales" in waiting
    assert reader.clicks == 1


def test_what_will_change_if_this_mapping_is_merged(reader: Reader) -> None:
    reader.follow("Mapping preview")
    reader.click(f"option[value={pages_story.NAME}]")
    reader.browser.type("textarea", MERGED)
    reader.click("form.text button")
    answer = reader.reads()
    assert MERGING in answer
    assert "+ add hanna.holt@example.com Support planned" in answer
    assert "remove hanna.holt@example.com Sales held It was granted under an earlier mapping" in answer
    assert reader.clicks == 3
