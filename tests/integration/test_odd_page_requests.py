"""Requests to the pages that no link of theirs makes: odd numbers, odd characters, long texts, other methods.

Each page answers with what a person can understand, over both databases. None is an error of the page itself.
"""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from genesys_ad_sync.journal import Journal
from tests.support.journal import journal  # noqa: F401 (fixture)
from tests.support.pages import DAG, pages, people  # noqa: F401 (fixtures)
from tests.support.postgresql import postgresql_server, postgresql_url  # noqa: F401 (fixtures)
from tests.support.view_examples import Action, Reason, Status, change, grant, looked_at, map_groups, poll, run_with

Browse = Callable[..., TestClient]

ASKED: dict[str, dict[str, str]] = {
    "/": {},
    "/dag": {"dag_id": DAG},
    "/runs": {"definition": "", "kind": "", "mode": "", "state": "", "text": "", "before": "9"},
    "/run": {"dag_id": DAG, "run_id": "r1", "status": "held", "group": "G-voice", "after": ""},
    "/report": {"dag_id": DAG, "run_id": "r1"},
    "/report.csv": {"dag_id": DAG, "run_id": "r1"},
    "/todo": {},
    "/todo/cause": {"definition": "default", "status": "held", "reason": "ambiguous", "after": "0"},
    "/search": {"q": "ann", "kind": ""},
    "/group": {"definition": "default", "id": "G-voice", "origin": "", "text": "", "number": "1"},
    "/person": {"guid": "ann"},
    "/preview": {"definition": "default"},
}
"""Each page with what it can be asked for."""

BY_HAND = {"/person": {"user": "U-mia"}}

ODD = {
    "nothing": "",
    "a zero": "\x00",
    "a zero within": "an\x00n",
    "wildcards": "%_\\*[",
    "a large number": str(2**63),
    "a huge number": "9" * 5000,
    "below zero": "-1",
    "half a letter": "\ud800",
    "a date": "2026-13-45T99:99:99Z",
    "markup": "<script>alert(1)</script>",
    "long": "x" * 60_000,
    "long, not ASCII": "\ufdfa" * 6_500,
    "many letters": "".join(map(chr, range(0x3A3, 0x3A3 + 1500))),
}
UNDERSTOOD = {200, 403, 404, 422}


@pytest.fixture(params=["sqlite", "postgresql"])
def journal_url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path / 'journal.db'}"


@pytest.fixture
def company(journal: Journal) -> Journal:
    poll(journal, {"voice": "ann bob"})
    map_groups(journal, "voice")
    grant(journal, "voice", "ann")
    looked_at(journal, "voice", **{"U-mia": "Mia"})
    run_with(journal, "r1", change("voice", "bob"), Status.HELD, dag_id=DAG, reason=Reason.AMBIGUOUS)
    run_with(journal, "r2", change("voice", "ann", Action.REMOVE), Status.SUCCESS, dag_id=DAG)
    return journal


def addresses(odd: str) -> list[tuple[str, dict[str, str]]]:
    """Return each page with one value of its query replaced."""
    return [
        (path, {**query, name: odd}) for asked in (ASKED, BY_HAND) for path, query in asked.items() for name in query
    ]


def test_the_usual_requests_are_answered(company: Journal, pages: Browse) -> None:
    browser = pages("admin")
    answers = {path: browser.get(path, params=query).status_code for path, query in ASKED.items()}
    assert answers == {path: 404 if "report" in path else 200 for path in ASKED}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_value_is_no_error_of_the_page(company: Journal, pages: Browse, odd: str) -> None:
    browser = pages("admin")
    answers = {}
    for path, query in addresses(odd):
        encoded = urlencode(query, errors="surrogatepass")
        answer = browser.get(f"{path}?{encoded}")
        answers[path, next(name for name, value in query.items() if value == odd)] = answer.status_code
        assert "<script>alert" not in answer.text
    assert {asked: status for asked, status in answers.items() if status not in UNDERSTOOD} == {}


@pytest.mark.parametrize(("path", "q"), product(["/search", "/runs"], ["%", "_", "a%n", "an_", "\\", "*", "[a]"]))
def test_a_wildcard_stands_for_itself(company: Journal, pages: Browse, path: str, q: str) -> None:
    found = pages("lead").get(path, params={"q": q, "text": q}).text
    assert re.findall(r"run_id=(\w+)|guid=(\w+)|id=(G-\w+)", found) == []


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "POST"])
@pytest.mark.parametrize("path", [*(path for path in ASKED if path != "/preview"), "/style.css"])
def test_no_other_method_does_anything(company: Journal, pages: Browse, method: str, path: str) -> None:
    for who in ("admin", None):
        answer = pages(who).request(method, path, params=ASKED.get(path, {}))
        assert answer.status_code == 405
        assert "bob" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "multipart/form-data"),
        (b"no boundary", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x"),
        (b"\xff\xfe=%ZZ&token=%00&definition=%00&text=%00", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % number for number in range(2000)), "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"x", "\xff"),
    ],
)
def test_a_form_that_no_page_sends_is_refused(company: Journal, pages: Browse, content: bytes, kind: str) -> None:
    answer = pages("admin").post("/preview", content=content, headers={"content-type": kind.encode("latin-1")})
    assert answer.status_code in {400, 403, 413}
    assert "could not be made" not in answer.text
