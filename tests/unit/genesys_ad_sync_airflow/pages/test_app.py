"""Who gets in, and what every answer has."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from genesys_ad_sync.errors import JournalError, JournalMissing
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.views.history import DAY
from genesys_ad_sync_airflow.pages.app import create_app
from genesys_ad_sync_airflow.pages.safety import HEADERS, POLICY, POLICY_HEADER
from genesys_ad_sync_airflow.pages.sources import Sources
from tests.support.journal import T0, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.pages import pages, people  # noqa: F401 (fixtures)
from tests.support.view_examples import Status, change, definition, run_with

Browse = Callable[..., TestClient]
ALWAYS = {**HEADERS, POLICY_HEADER: POLICY}


def routes() -> list[tuple[str, str]]:
    """Return each route of the app, with each of its methods."""
    app = create_app(Sources()).inner
    assert all(isinstance(route, APIRoute) for route in app.routes), "a route that the test does not know"
    return [(method, route.path) for route in app.routes for method in sorted(route.methods)]


@pytest.mark.parametrize(("method", "path"), routes())
def test_nobody_gets_an_answer_without_a_login(pages: Browse, method: str, path: str) -> None:
    answer = pages(None, accept="application/json").request(method, path)
    assert answer.status_code == 401
    assert "Log in to Airflow" in answer.text
    forged = pages("forged").request(method, path)
    assert forged.status_code == 403


@pytest.mark.parametrize("path", [path for method, path in routes() if method == "GET"])
def test_the_browser_of_nobody_is_led_to_the_login_page(pages: Browse, path: str) -> None:
    answer = pages(None, base="/base/genesys-ad-sync").get(f"{path}?run_id=a%2Fb")
    assert answer.status_code == 303
    where = urlsplit(answer.headers["location"])
    assert where.path == "/base/api/v2/auth/login"
    assert parse_qs(where.query) == {"next": [f"/base/genesys-ad-sync{path}?run_id=a%2Fb"]}


def test_no_schema_is_shown(pages: Browse) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert pages("admin").get(path).status_code == 404


def test_only_definitions_whose_dag_the_viewer_may_read_are_shown(pages: Browse) -> None:
    assert ">default</h2>" in pages("counts").get("/").text
    assert "no sync whose DAG you may read" in pages("nobody").get("/").text
    assert "default" not in pages("other").get("/").text


@pytest.mark.parametrize("path", ["/", "/nowhere", "/style.css"])
def test_every_answer_has_the_headers(pages: Browse, path: str) -> None:
    for who in ("lead", None):
        answer = pages(who).get(path)
        assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
        assert ("no-store" in answer.headers["cache-control"]) == (path != "/style.css" or who is None)


def test_an_error_leaks_nothing(people: None) -> None:
    def fail() -> None:
        raise error

    for error, status in (
        (JournalError("postgresql://db.internal: password"), 503),
        (JournalMissing("/srv/secret/journal.db"), 503),
        (ValueError("Ada Lovelace"), 500),
    ):
        client = TestClient(create_app(Sources(journal=fail, definitions=dict)), cookies={"_token": "lead"})
        answer = client.get("/")
        assert answer.status_code == status
        text = html.unescape(answer.text)
        assert str(error) not in text
        assert "log of Airflow's API server" in text or "Start the DAG" in text
        assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS


def test_numbers_are_remembered_of_each_journal_alone(people: None, tmp_path: Path) -> None:
    """A person points the connection at another journal while the API server runs."""
    with Journal.open(f"sqlite:///{tmp_path}/a.db") as full, Journal.open(f"sqlite:///{tmp_path}/b.db") as empty:
        run_with(full, "r1", change("support", "ada"), Status.SUCCESS, dag_id="genesys_ad_group_sync")
        used = [full]
        definitions = {"default": definition()}
        sources = Sources(journal=lambda: used[-1], definitions=lambda: definitions, clock=lambda: T0 + 2 * DAY)
        client = TestClient(create_app(sources), cookies={"_token": "lead"})
        assert "highest bar" in client.get("/").text
        used.append(empty)
        assert "No live run recorded anything" in client.get("/").text


def test_links_keep_the_base_path(pages: Browse) -> None:
    assert 'href="/base/genesys-ad-sync/runs"' in pages("lead", base="/base/genesys-ad-sync").get("/").text
