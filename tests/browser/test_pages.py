"""The pages in Chromium, over a real API server: login, the way between pages, light and dark, narrow and wide.

With PICTURES=folder each page is also kept there as a picture. With AXE=path of axe.min.js each page is examined by it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.settings import load_definition
from genesys_ad_sync_airflow.task_context import report_store
from sandbox.bucket import Bucket
from tests.browser.conftest import BUCKET, Served
from tests.browser.pages import (
    ARROW_DOWN,
    AXE,
    PAGES,
    TAB,
    choose_theme,
    keep_picture,
    path,
    serious_findings,
    show,
    text,
)
from tests.support import pages_story
from tests.support.browser import ENTER, Browser
from tests.support.pages_world import DAG
from tests.support.pipeline import set_connection
from tests.support.stack import until

WIDTHS = (390, 1280, 1600)
THEMES = ("light", "dark")


@pytest.fixture
def logged_in(served: Served, browser: Browser) -> Browser:
    served.log_in(browser)
    browser.resize(1280, 900)
    return browser


def test_the_pages_come_from_the_wheel_and_from_no_folder(served: Served) -> None:
    [plugin] = served.airflow.api("GET", "plugins")["plugins"]
    assert plugin["name"] == "genesys_ad_sync"
    assert plugin["source"].startswith("genesys-ad-sync==")
    assert not (served.airflow.home / "no-plugins").exists()


def test_who_is_not_logged_in_comes_to_the_page_by_the_login(served: Served, browser: Browser) -> None:
    browser.open(f"{served.airflow.url}/api/v2/version")
    browser.forget_cookies()
    browser.open(f"{served.url}/runs?kind=live")
    until("the login page", lambda: "/auth/login" in path(browser))
    until("the form", lambda: browser.run("return document.querySelectorAll('input').length >= 2"))
    browser.type("input[name=username]", "admin")
    browser.type("input[name=password]", served.airflow.password)
    browser.click("button[type=submit]")
    until("the page that was asked for", lambda: path(browser) == "/genesys-ad-sync/runs?kind=live")
    assert "scheduled__newest" in text(browser)


def test_the_way_leads_from_the_overview_to_run_group_and_person(served: Served, logged_in: Browser) -> None:
    logged_in.open(f"{served.url}/")
    assert "1 change failed" in text(logged_in)
    logged_in.follow("See the run")
    assert "Cyd Charisse" in text(logged_in)
    logged_in.follow("failed")
    assert "user is not licensed" in text(logged_in)
    assert "Cyd Charisse" not in text(logged_in)
    logged_in.follow("Sales")
    assert "AD GROUPS THAT FEED IT" in text(logged_in).upper()
    logged_in.follow("Ada Lovelace")
    assert "ada@example.com" in text(logged_in)


def test_only_the_keyboard_leads_there_too(served: Served, logged_in: Browser) -> None:
    logged_in.open(f"{served.url}/")
    for link, expected in (
        ("See the run", "Cyd Charisse"),
        ("Support", "AD groups that feed it"),
        ("Ada Lovelace", "objectGUID"),
    ):
        go_to(logged_in, lambda link=link: focused(logged_in) == link)
        assert logged_in.run("return document.activeElement.matches(':focus-visible')")
        logged_in.press(ENTER)
        until(link, lambda expected=expected: expected in text(logged_in))
    go_to(logged_in, lambda: focused(logged_in) == "Search")
    logged_in.press(ENTER)
    until("the field", lambda: logged_in.run("return document.activeElement.name") == "q")
    logged_in.press(f"hanna{ENTER}")
    until("the person", lambda: pages_story.LEAVER in text(logged_in))
    go_to(logged_in, lambda: focused(logged_in) == "Runs")
    logged_in.press(ENTER)
    until("the list", lambda: path(logged_in) == "/genesys-ad-sync/runs")
    go_to(logged_in, lambda: logged_in.run("return document.activeElement.name") == "kind")
    logged_in.press(f"{ARROW_DOWN}{ARROW_DOWN}")
    go_to(logged_in, lambda: focused(logged_in) == "Filter")
    logged_in.press(ENTER)
    until("the filtered list", lambda: "kind=dry" in path(logged_in))


def focused(browser: Browser) -> str:
    return str(browser.run("return document.activeElement.innerText.trim()"))


def go_to(browser: Browser, is_there: Callable[[], bool]) -> None:
    """Press the tab key until it is there."""
    for _ in range(200):
        browser.press(TAB)
        if is_there():
            return
    raise AssertionError(f"the tab key does not lead there: {focused(browser)}")


def test_search_and_filters_find_what_is_meant(served: Served, logged_in: Browser) -> None:
    logged_in.open(f"{served.url}/search")
    logged_in.type("input[name=q]", f"{pages_story.LEAVER.lower()}{ENTER}")
    assert pages_story.LEAVER in text(logged_in)
    assert "No mapped group is meant." in text(logged_in)
    logged_in.open(f"{served.url}/runs")
    assert "run-2" in text(logged_in)
    logged_in.click("select[name=kind] option[value=dry]")
    logged_in.click("form.filter button")
    assert "dry run" in text(logged_in)
    assert "run-2" not in text(logged_in)
    logged_in.open(f"{served.url}{PAGES['group']}")
    assert "Kim Kern" in logged_in.run("return document.querySelector('[aria-label=Members]').innerText")
    logged_in.type("input[name=text]", f"jola{ENTER}")
    members = logged_in.run("return document.querySelector('[aria-label=Members]').innerText")
    assert "Jola Janda" in members
    assert "Kim Kern" not in members  # but in the history


def test_a_name_stays_text(served: Served, logged_in: Browser) -> None:
    for page in PAGES:
        show(served, logged_in, page)
        assert logged_in.run("return document.title") != "owned"
        assert logged_in.run("return document.querySelectorAll('main script').length") == 0
    for page in ("run", "todo", "found"):
        show(served, logged_in, page)
        assert "Mallory <script>" in text(logged_in)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_is_wider_than_the_window(served: Served, logged_in: Browser, page: str) -> None:
    show(served, logged_in, page)
    for theme in THEMES:
        choose_theme(logged_in, theme)
        for width in WIDTHS:
            logged_in.resize(width, 900)
            assert logged_in.run("return document.documentElement.scrollWidth") <= width, (page, width)
            assert logged_in.run("return document.documentElement.dataset.theme") == theme
            keep_picture(logged_in, page, theme, width)


@pytest.mark.parametrize("page", PAGES)
def test_the_keyboard_reaches_the_content_first(served: Served, logged_in: Browser, page: str) -> None:
    logged_in.open(f"{served.url}{PAGES[page]}")
    if logged_in.run("return document.activeElement.name") == "q":
        return  # the page of the search begins in its field
    logged_in.press(TAB)
    assert logged_in.run("return document.activeElement.className") == "skip"
    logged_in.press(ENTER)
    assert logged_in.run("return location.hash") == "#main"


@pytest.mark.skipif(not AXE, reason="needs AXE=path of axe.min.js: `make test-browser` gets it")
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_serious(served: Served, logged_in: Browser, page: str) -> None:
    show(served, logged_in, page)
    for theme in THEMES:
        choose_theme(logged_in, theme)
        for width in (390, 1280):
            logged_in.resize(width, 900)
            assert serious_findings(logged_in) == [], (theme, width)


@pytest.mark.parametrize("page", ["overview", "tab of a DAG", "runs", "todo", "search", "found", "preview"])
def test_an_empty_journal_has_pages_too(served: Served, logged_in: Browser, page: str) -> None:
    with served.reading(served.world.empty):
        logged_in.open(f"{served.url}{PAGES[page]}")
        assert "Out of order" not in text(logged_in)
        for of_the_other_journal in ("Hanna", "Cyd", "highest bar", "scheduled__newest"):
            assert of_the_other_journal not in text(logged_in)
        for theme in THEMES:
            choose_theme(logged_in, theme)
            for width in (390, 1280):
                logged_in.resize(width, 900)
                assert logged_in.run("return document.documentElement.scrollWidth") <= width
                assert not AXE or serious_findings(logged_in) == []
                keep_picture(logged_in, f"empty {page}", theme, width)


def test_without_a_journal_the_page_says_what_to_do(served: Served, logged_in: Browser) -> None:
    with served.reading(served.world.empty.with_name("nothing.db")):
        logged_in.open(f"{served.url}/")
        assert "Start the DAG" in text(logged_in)
        keep_picture(logged_in, "no journal", "light", 1280)


def test_airflow_shows_the_pages_in_its_frame_with_its_own_theme(served: Served, logged_in: Browser) -> None:
    choose_theme(logged_in, "dark")
    logged_in.open(f"{served.airflow.url}/plugin/genesys-ad-sync")
    inside = "document.querySelector('iframe')?.contentDocument"
    until("the page in the frame", lambda: logged_in.run(f"return {inside}?.body?.innerText.includes('change failed')"))
    assert logged_in.run(f"return {inside}.documentElement.dataset.theme") == "dark"
    keep_picture(logged_in, "frame", "dark", 1280)
    logged_in.run(f"{inside}.querySelector('a[data-airflow]').click()")
    until("Airflow's page of the task", lambda: f"/dags/{DAG}/runs/" in path(logged_in))


def test_the_page_of_a_run_shows_a_report_that_is_in_a_bucket(
    served: Served, bucket: Bucket, logged_in: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = ReportStore(served.world.reports).read(pages_story.DAG, "run-2")
    assert document is not None
    logged_in.open(f"{served.url}{PAGES['run that asked']}")
    logged_in.follow("report")
    assert "There is no report file" in text(logged_in)

    set_connection(monkeypatch, BUCKET, bucket.connection())
    definition = load_definition(served.world.config / f"{pages_story.NAME}.yaml")
    assert report_store(definition).write(document)
    logged_in.open(f"{served.url}{PAGES['run that asked']}")
    table = logged_in.run("return document.querySelector('a[download]').href")
    logged_in.follow("report")
    assert "ivan.imhof@example.com" in logged_in.run("return document.body.innerText")
    keep_picture(logged_in, "report", "light", 1280)
    answer = requests.get(table, cookies={"_token": served.token("admin")}, timeout=300)
    assert "ivan.imhof@example.com" in answer.text
