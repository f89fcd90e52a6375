"""The pages in a company's Airflow: FAB's roles say who may see what, and Airflow is reached below a path."""

from __future__ import annotations

import re
import shlex
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from starlette.routing import Route

from genesys_ad_sync_airflow.pages.app import create_app
from genesys_ad_sync_airflow.pages.sources import Sources
from genesys_ad_sync_airflow.report_link import ReportLink
from sandbox.airflow_stack import PROJECT
from tests.browser.conftest import Served
from tests.browser.pages import MERGING, PAGES, keep_picture, path, show, text
from tests.support import pages_story
from tests.support.browser import ENTER, Browser
from tests.support.pages_world import DAG
from tests.support.stack import until

BASE = "/airflow"
ROUTES = [
    (method, route.path)
    for route in create_app(Sources()).inner.routes
    if isinstance(route, Route)
    for method in sorted(route.methods or ())
]


def get(company: Served, user: str, page: str) -> requests.Response:
    cookies = {"_token": company.token(user)}
    return requests.get(f"{company.url}{page}", cookies=cookies, allow_redirects=False, timeout=300)


# -- who may see what ---------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["served", "company"])
def test_nobody_gets_an_answer_without_a_login(request: pytest.FixtureRequest, server: str) -> None:
    at: Served = request.getfixturevalue(server)
    assert len(ROUTES) >= 14
    for method, route in ROUTES:
        program = requests.request(method, f"{at.url}{route}", allow_redirects=False, timeout=300)
        assert (program.status_code, "Log in to Airflow" in program.text) == (401, True), route
        forged = requests.request(method, f"{at.url}{route}", cookies={"_token": "forged"}, timeout=300)
        assert forged.status_code in {401, 403}, route
        if method == "GET":
            asks = {"accept": "text/html"}
            browser = requests.get(f"{at.url}{route}?a=b", headers=asks, allow_redirects=False, timeout=300)
            where = urlsplit(browser.headers["location"])
            assert (browser.status_code, where.path) == (303, f"{at.airflow.base_path}/api/v2/auth/login"), route
            assert parse_qs(where.query) == {"next": [f"{at.airflow.base_path}/genesys-ad-sync{route}?a=b"]}


RUN, REPORT = PAGES["run"], PAGES["run"].replace("/run?", "/report?")
OF_VOICE = PAGES["run that asked"]


@pytest.mark.parametrize(
    ("user", "page", "status"),
    [
        *(("editor", page, 200) for page in ("/", "/runs", RUN, OF_VOICE, "/todo", "/search", "/preview")),
        *(("lead", page, 200) for page in ("/", "/runs", RUN, OF_VOICE, PAGES["person"], PAGES["group"])),
        ("lead", "/preview", 403),
        *(("counts", page, 200) for page in ("/", "/runs", PAGES["group"])),
        *(("counts", page, 403) for page in (RUN, REPORT, PAGES["person"], PAGES["cause"], "/preview")),
        *(("voice", page, 200) for page in ("/", "/runs", OF_VOICE, PAGES["person"], PAGES["group"])),
        *(("voice", page, 403) for page in (RUN, REPORT, PAGES["cause"], PAGES["group of a month"], "/preview")),
        ("voice", PAGES["person of a month"], 404),
        *(("nobody", page, 403) for page in (RUN, REPORT, PAGES["person"], PAGES["group"], PAGES["cause"], "/preview")),
    ],
)
def test_the_roles_of_airflow_decide(company: Served, user: str, page: str, status: int) -> None:
    answer = get(company, user, page)
    assert answer.status_code == status
    if status == 403:
        assert "Your Airflow account may not" in answer.text


def test_lists_show_only_what_the_roles_permit(company: Served) -> None:
    both = get(company, "lead", "/runs").text
    assert DAG in both
    assert "run-2" in both
    mine = get(company, "voice", "/runs").text
    assert "run-2" in mine
    assert "scheduled__newest" not in mine
    for page in ("/", "/runs", "/todo", "/search?q=a"):
        assert "Cyd" not in get(company, "voice", page).text
        shown = get(company, "nobody", page)
        assert (shown.status_code, "Hanna" in shown.text, DAG in shown.text) == (200, False, False)
    for page in ("/", "/runs", "/todo", "/search?q=a", PAGES["group"]):
        assert "Hanna" not in get(company, "counts", page).text


@pytest.mark.parametrize(("user", "status"), [("viewer", 403), ("operator", 200), ("admin", 200)])
def test_the_roles_of_the_simple_auth_manager_decide_too(served: Served, user: str, status: int) -> None:
    assert get(served, user, RUN).status_code == 200
    assert get(served, user, "/preview").status_code == status


def commands_of_the_docs() -> list[list[str]]:
    """Return the commands by which docs/pages.md shows the pages to a viewer."""
    [block] = re.findall(r"```\n(airflow roles .+?)```", (PROJECT / "docs" / "pages.md").read_text(), re.DOTALL)
    return [shlex.split(line)[1:] for line in block.splitlines()]


def test_the_commands_of_the_docs_show_a_viewer_the_pages_within_airflow(company: Served, browser: Browser) -> None:
    person = ("--username", "LEAD", "--firstname", "Lea", "--lastname", "Lead", "--email", "lead@example.org")
    company.airflow.airflow("users", "create", *person, "--role", "Viewer", "--password", company.airflow.password)
    for page, status in {"/": 200, RUN: 200, PAGES["person"]: 200, "/preview": 403}.items():
        assert get(company, "LEAD", page).status_code == status

    def inside() -> str:
        return str(browser.run("return document.querySelector('iframe')?.contentDocument?.body?.innerText ?? ''"))

    def said() -> str:
        return str(browser.run("return document.body.innerText"))

    def shown() -> str:
        browser.open(f"{company.airflow.url}/plugin/genesys-ad-sync")
        return str(until("an answer of Airflow", lambda: inside() or ("Page Not Found" in said() and said())))

    company.log_in(browser, "LEAD")
    browser.resize(1280, 900)
    assert "Page Not Found" in shown()
    keep_picture(browser, "frame that FAB hides", "light", 1280)
    assert "Browse" not in said()
    for command in commands_of_the_docs():
        company.airflow.airflow(*command)
    company.airflow.airflow("sync-perm")

    until("the overview within Airflow", lambda: "change failed" in shown())
    keep_picture(browser, "frame that FAB shows", "light", 1280)
    browser.run("[...document.querySelectorAll('button, a')].find(one => one.innerText.includes('Browse')).click()")
    until("the entry", lambda: "Genesys AD sync" in said())
    keep_picture(browser, "entry that FAB shows", "light", 1280)


# -- below a path -------------------------------------------------------------------------------------


def test_the_login_page_leads_back_below_the_path(company: Served, browser: Browser) -> None:
    browser.open(f"{company.airflow.url}/api/v2/version")
    browser.forget_cookies()
    browser.open(f"{company.url}/runs?kind=live")
    until("the login page", lambda: path(browser).startswith(f"{BASE}/auth/login"))
    browser.type("input[name=username]", "lead")
    browser.type("input[name=password]", company.airflow.password)
    browser.click("input[type=submit]")
    until("the page that was asked for", lambda: path(browser) == f"{BASE}/genesys-ad-sync/runs?kind=live")
    assert "scheduled__newest" in text(browser)


@pytest.fixture
def logged_in(company: Served, browser: Browser) -> Browser:
    company.log_in(browser, "editor")
    browser.resize(1280, 900)
    return browser


@pytest.mark.parametrize("page", PAGES)
def test_every_address_on_a_page_is_below_the_path(company: Served, logged_in: Browser, page: str) -> None:
    show(company, logged_in, page)
    addresses = logged_in.run(
        "return Array.from(document.querySelectorAll('[href], [src], [action]'))"
        ".map(one => new URL(one.href || one.src || one.action))"
        ".map(url => [url.origin, url.pathname])"
    )
    assert addresses
    here = logged_in.run("return location.origin")
    assert [one for one in addresses if one[0] != here or not one[1].startswith(f"{BASE}/")] == []
    assert logged_in.run("return document.styleSheets[0].cssRules.length") > 50
    assert logged_in.run("return typeof setTheme") == "function"


def test_links_and_forms_work_below_the_path(company: Served, logged_in: Browser) -> None:
    logged_in.open(f"{company.url}/")
    logged_in.follow("See the run")
    assert "Cyd Charisse" in text(logged_in)
    logged_in.follow("Search")
    logged_in.type("input[name=q]", f"hanna{ENTER}")
    logged_in.follow(pages_story.LEAVER)
    assert "approved by lee" in text(logged_in)
    show(company, logged_in, "previewed")
    assert MERGING in text(logged_in)


def test_airflow_shows_the_pages_in_its_frame_below_the_path(
    company: Served, logged_in: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = "document.querySelector('iframe')?.contentDocument"

    def shows(words: str) -> bool:
        return bool(logged_in.run(f"return {inside}?.body?.innerText.includes('{words}')"))

    logged_in.open(f"{company.airflow.url}/plugin/genesys-ad-sync")
    until("the overview", lambda: shows("change failed"))
    keep_picture(logged_in, "frame below a path", "light", 1280)
    # what the button "Open report" of a task leads to
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", company.airflow.url)
    link = ReportLink().get_link(None, ti_key=SimpleNamespace(dag_id=DAG, run_id="scheduled__newest"))
    logged_in.open(f"{company.airflow.url}/{link}")
    until("the run", lambda: shows("Cyd Charisse"))
    logged_in.run(f"{inside}.querySelector('a[data-airflow]').click()")
    until("Airflow's page", lambda: path(logged_in).startswith(f"{BASE}/dags/{DAG}/runs/"))
