"""The pages in a real browser, over a real API server: login, the way between pages, light and dark, narrow and wide.

With PICTURES=folder each page is also kept there as a picture. With AXE=path of axe.min.js each page is examined by it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser.conftest import Served
from tests.support.browser import Browser
from tests.support.pages_world import DAG
from tests.support.stack import until

PAGES = {
    "overview": "/",
    "runs": "/runs",
    "run": f"/run?dag_id={DAG}&run_id=scheduled__newest",
    "todo": "/todo",
    "cause": "/todo/cause?definition=default&status=held&reason=over_limit",
}
WIDTHS = (390, 1280, 1600)
AXE = os.environ.get("AXE")


def text(browser: Browser) -> str:
    return str(browser.run("return document.body.innerText"))


def path(browser: Browser) -> str:
    return str(browser.run("return location.pathname + location.search"))


def follow(browser: Browser, link: str) -> None:
    """Follow the first link with that text, and wait for the other page."""
    before = path(browser)
    found = f"Array.from(document.links).find(link => link.innerText.trim() == '{link}')"
    assert browser.run(f"return !!{found}"), text(browser)
    browser.run(f"{found}.click()")
    until(
        "the page behind the link",
        lambda: path(browser) != before and browser.run("return document.readyState") == "complete",
    )


@pytest.fixture
def logged_in(served: Served, browser: Browser) -> Browser:
    browser.open(f"{served.airflow.url}/api/v2/version")
    browser.set_cookie("_token", served.airflow.login())
    return browser


def test_who_is_not_logged_in_comes_to_the_page_by_the_login(served: Served, browser: Browser) -> None:
    browser.open(f"{served.airflow.url}/api/v2/version")
    browser.forget_cookies()
    browser.open(f"{served.url}/runs?kind=live")
    until("the login page", lambda: "/auth/login" in path(browser))
    until("the form", lambda: browser.run("return document.querySelectorAll('input').length >= 2"))
    browser.type("input[name=username]", "admin")
    browser.type("input[name=password]", served.airflow.password)
    browser.run("document.querySelector('button[type=submit]').click()")
    until("the page that was asked for", lambda: path(browser) == "/genesys-ad-sync/runs?kind=live")
    assert "scheduled__newest" in text(browser)


def test_the_way_leads_from_the_overview_to_a_run_and_its_changes(served: Served, logged_in: Browser) -> None:
    logged_in.open(f"{served.url}/")
    assert "1 change failed" in text(logged_in)
    follow(logged_in, "See the run")
    assert "Cyd Charisse" in text(logged_in)
    follow(logged_in, "failed")
    assert "user is not licensed" in text(logged_in)
    assert "Cyd Charisse" not in text(logged_in)
    follow(logged_in, "To do")
    assert "More removals than the limits allow." in text(logged_in)


def test_a_name_stays_text(served: Served, logged_in: Browser) -> None:
    for page in PAGES.values():
        logged_in.open(f"{served.url}{page}")
        assert logged_in.run("return document.title") != "owned"
        assert logged_in.run("return document.querySelectorAll('main script').length") == 0
    logged_in.open(f"{served.url}{PAGES['run']}")
    assert "Mallory <script>" in text(logged_in)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_is_wider_than_the_window(served: Served, logged_in: Browser, page: str) -> None:
    for theme in ("light", "dark"):
        logged_in.run(f"localStorage.setItem('theme', '{theme}')")
        for width in WIDTHS:
            logged_in.resize(width, 900)
            logged_in.open(f"{served.url}{PAGES[page]}")
            assert logged_in.run("return document.documentElement.scrollWidth") <= width, (page, width)
            assert logged_in.run("return document.documentElement.dataset.theme") == theme
            if folder := os.environ.get("PICTURES"):
                height = logged_in.run("return document.documentElement.scrollHeight")
                logged_in.resize(width, min(height, 4000))
                Path(folder, f"{page}-{theme}-{width}.png").write_bytes(logged_in.picture())


@pytest.mark.parametrize("page", PAGES)
def test_the_keyboard_reaches_the_content_first(served: Served, logged_in: Browser, page: str) -> None:
    logged_in.open(f"{served.url}{PAGES[page]}")
    logged_in.press("\ue004")  # Tab
    assert logged_in.run("return document.activeElement.className") == "skip"
    logged_in.press("\ue007")  # Enter
    assert logged_in.run("return location.hash") == "#main"


@pytest.mark.skipif(not AXE, reason="needs AXE=path of axe.min.js: `make test-browser` gets it")
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_serious(served: Served, logged_in: Browser, page: str) -> None:
    for theme in ("light", "dark"):
        logged_in.run(f"localStorage.setItem('theme', '{theme}')")
        logged_in.open(f"{served.url}{PAGES[page]}")
        logged_in.run(Path(str(AXE)).read_text())
        found = logged_in.run_async("axe.run().then(found => done(found.violations), error => done([String(error)]))")
        serious = [
            (one["id"], [node["html"] for node in one["nodes"]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == []


def test_airflow_shows_the_pages_in_its_frame_with_its_own_theme(served: Served, logged_in: Browser) -> None:
    logged_in.resize(1280, 900)
    logged_in.run("localStorage.setItem('theme', 'dark')")
    logged_in.open(f"{served.airflow.url}/plugin/genesys-ad-sync")
    inside = "document.querySelector('iframe')?.contentDocument"
    until("the page in the frame", lambda: logged_in.run(f"return {inside}?.body?.innerText.includes('change failed')"))
    assert logged_in.run(f"return {inside}.documentElement.dataset.theme") == "dark"
    if folder := os.environ.get("PICTURES"):
        Path(folder, "frame-dark-1280.png").write_bytes(logged_in.picture())
    logged_in.run(f"{inside}.querySelector('a[data-airflow]').click()")
    until("Airflow's page of the task", lambda: f"/dags/{DAG}/runs/" in path(logged_in))
