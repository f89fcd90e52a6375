"""Every page there is, and what tests do with one in a browser."""

from __future__ import annotations

import os
from pathlib import Path

from tests.browser.conftest import Served
from tests.support import pages_story
from tests.support.browser import Browser
from tests.support.pages_world import DAG

AXE = os.environ.get("AXE")
TAB, ARROW_DOWN = "\ue004", "\ue015"  # WebDriver's codes of keys
_GROUP = f"/group?definition={pages_story.NAME}&id={pages_story.group_id(pages_story.SUPPORT)}"

PAGES = {
    "overview": "/",
    "tab of a DAG": f"/dag?dag_id={DAG}",
    "runs": "/runs",
    "no run": "/runs?text=nothing-has-this",
    "run": f"/run?dag_id={DAG}&run_id=scheduled__newest",
    "run that asked": f"/run?dag_id={pages_story.DAG}&run_id=run-2",
    "todo": "/todo",
    "cause": "/todo/cause?definition=default&status=held&reason=over_limit",
    "search": "/search",
    "found": "/search?q=a",
    "not found": "/search?q=nothing-has-this",
    "group": _GROUP,
    "group of a month": "/group?definition=default&id=g-support",
    "person": f"/person?guid={pages_story.person_guid(pages_story.LEAVER)}",
    "person of a month": "/person?guid=finn",
    "person by hand": f"/person?user={pages_story.user_id(pages_story.BY_HAND)}",
    "preview": "/preview",
    "previewed": "/preview",  # with a mapping that changes something
    "preview refused": "/preview",
    "other DAG": "/dag?dag_id=etl",
    "no such page": "/nowhere",
    "no such run": f"/run?dag_id={DAG}&run_id=nothing",
}
"""Name -> path."""

MERGED = """\
groups:
  - {name: GC-Sales, genesys_name: Support}
  - {name: "GC-(?P<team>.+)", genesys_name: "{team}"}
"""
"""A mapping that a colleague wants to merge: Sales is to answer the calls of Support, too."""

MERGING = (
    "3 memberships would come and 0 memberships would go. 3 changes would be held. "
    "2 additions would wait for a Genesys user."
)
"""What the preview says of it: who is in Sales for AD's sake leaves it only after a person was asked."""

_POSTED = {"previewed": MERGED, "preview refused": "genesys: {connection: another}\n"}


def show(served: Served, browser: Browser, page: str) -> None:
    """Open a page, and fill in its form if it has to be sent."""
    browser.open(f"{served.url}{PAGES[page]}")
    if page in _POSTED:
        browser.click(f"option[value={pages_story.NAME}]")
        browser.type("textarea", _POSTED[page])
        browser.click("form.text button")


def text(browser: Browser) -> str:
    """Return what a person reads on the page."""
    return str(browser.run("return document.querySelector('main').innerText"))


def path(browser: Browser) -> str:
    return str(browser.run("return location.pathname + location.search"))


def choose_theme(browser: Browser, theme: str) -> None:
    """Choose light or dark as Airflow's own switch does. A page that is open changes at once."""
    browser.run(f"localStorage.setItem('theme', '{theme}'); if (typeof setTheme == 'function') setTheme()")


def serious_findings(browser: Browser) -> list[object]:
    """Return what axe finds on the open page that keeps somebody from using it."""
    browser.run(Path(str(AXE)).read_text())
    found = browser.run_async("axe.run().then(found => done(found.violations), error => done([String(error)]))")
    return [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def keep_picture(browser: Browser, name: str, theme: str, width: int) -> None:
    """Keep a picture of the whole page in the folder that PICTURES names, if it does."""
    if folder := os.environ.get("PICTURES"):
        height = browser.run("return document.documentElement.scrollHeight")
        browser.resize(width, max(400, min(height, 4000)))
        Path(folder, f"{name.replace(' ', '-')}-{theme}-{width}.png").write_bytes(browser.picture())
