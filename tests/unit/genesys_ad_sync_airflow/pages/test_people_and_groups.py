"""Search, the page of a group and that of a person: who sees what, and what they say."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.planning.verdicts import claim_error
from genesys_ad_sync.preview.mapping import MappingPreview
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.run.facts import NOTES as NOTES_OF_A_RUN
from genesys_ad_sync.settings import load_definition
from genesys_ad_sync.views.claims import hide_in_report
from genesys_ad_sync_airflow.pages.routes import preview, search
from tests.support.journal import T0, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.pages import DAG, EDIT, NAMES, PEOPLE, SEE, pages, people  # noqa: F401 (fixtures)
from tests.support.report_example import example
from tests.support.view_examples import (
    DEFINITION_TEXT,
    Action,
    Reason,
    Status,
    change,
    grant,
    looked_at,
    map_groups,
    poll,
    run_with,
)

Browse = Callable[..., TestClient]
MARKUP = "<script>alert(1)</script>"


@pytest.fixture
def company(journal: Journal) -> Journal:
    """Two definitions know ann; bob is only of the first, and zoe only of the other."""
    poll(journal, {"voice": "ann bob inner", "inner": "cid"}, ann={"name": f"Ann {MARKUP}"})
    map_groups(journal, "voice")
    grant(journal, "voice", "ann", "cid")
    looked_at(journal, "voice", **{"U-mia": MARKUP})
    run_with(journal, "r1", change("voice", "bob"), Status.ORPHANED, reason=Reason.NO_GENESYS_USER)
    poll(journal, {"sales": "ann zoe"}, name="other")
    map_groups(journal, "sales", name="other")
    return journal


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.split("<main", 1)[1]).split())


@pytest.mark.parametrize("q", ["Ann", "ann@example.com", "ann", "U-ann"])
def test_a_person_is_found_by_each_of_the_keys(company: Journal, pages: Browse, q: str) -> None:
    found = pages("lead").get("/search", params={"q": q})
    assert found.status_code == 200
    assert "/person?guid=ann" in found.text


def test_search_shows_and_counts_only_definitions_that_the_viewer_may_read(company: Journal, pages: Browse) -> None:
    everything = pages("lead").get("/search", params={"q": "o"}).text
    assert "/person?guid=bob" in everything
    assert "/person?guid=zoe" in everything
    assert "G-voice" in everything
    mine = pages("other").get("/search", params={"q": "o"}).text
    assert "bob" not in mine
    assert "G-voice" not in mine
    assert "People 2" in text_of(mine)
    assert "People 4" in text_of(everything)
    by_hand = pages("other").get("/search", params={"q": "U-mia"}).text
    assert "user=U-mia" not in by_hand
    assert "user=U-mia" in pages("lead").get("/search", params={"q": "U-mia"}).text


def test_names_are_only_for_viewers_that_may_read_runs(company: Journal, pages: Browse) -> None:
    found = pages("counts").get("/search", params={"q": "voice"}).text
    assert "G-voice" in found
    assert "no names of people" in found
    assert pages("counts").get("/person", params={"guid": "ann"}).status_code == 403
    group = pages("counts").get("/group", params={"definition": "default", "id": "G-voice", "text": "bob"})
    assert group.status_code == 200
    assert "1 to add" in text_of(group.text)
    for name in ("GC-inner", "?guid=", "example.com", "alert(1)"):
        assert name not in group.text


@pytest.mark.parametrize("who", ["other", "nobody"])
def test_the_group_of_another_definition_is_refused(company: Journal, pages: Browse, who: str) -> None:
    assert pages(who).get("/group", params={"definition": "default", "id": "G-voice"}).status_code == 403


def test_a_person_is_explained_by_the_definitions_of_the_viewer_alone(company: Journal, pages: Browse) -> None:
    mine = pages("other").get("/person", params={"guid": "ann"})
    assert "Sales" in mine.text
    assert "Voice" not in mine.text
    assert pages("other").get("/person", params={"guid": "bob"}).status_code == 404
    both = pages("lead").get("/person", params={"guid": "ann"}).text
    assert "Sales" in both
    assert "Voice" in both
    assert pages("nobody").get("/person", params={"guid": "ann"}).status_code == 403


def test_a_person_page_says_why(company: Journal, pages: Browse) -> None:
    why_in = text_of(pages("lead").get("/person", params={"guid": "cid"}).text)
    assert "Member: AD wants it and owns it." in why_in
    assert "GC-voice \u203a GC-inner" in why_in
    why_not = text_of(pages("lead").get("/person", params={"guid": "bob"}).text)
    assert "AD wants it; it is not in effect yet. A change waits: orphaned, no_genesys_user." in why_not
    by_hand = text_of(pages("lead").get("/person", params={"user": "U-mia"}).text)
    assert "Member by hand: AD does not know this person" in by_hand
    assert by_hand.startswith('id="main"> &lt;script&gt;alert(1)&lt;/script&gt; Genesys user U-mia')


def test_before_a_group_is_mapped_the_page_of_a_person_says_so(company: Journal, pages: Browse) -> None:
    poll(company, {"sales": "yan"})
    company.of("default").pairs.replace([], T0)
    page = text_of(pages("lead").get("/person", params={"guid": "yan"}).text)
    assert "No group is mapped. Only a live run keeps its mapping." in page


def test_a_group_page_has_origins_paths_what_waits_and_the_history(company: Journal, pages: Browse) -> None:
    found = text_of(pages("lead").get("/group", params={"definition": "default", "id": "G-voice"}).text)
    assert "2 AD · 1 to add · 1 by hand" in found
    assert "GC-voice \u203a GC-inner" in found
    assert "rule 1: name: GC-(?P&lt;team&gt;.+)" in found
    assert "orphaned 1 change" in found
    assert "removals in this group 0 of 50" in found
    assert pages("lead").get("/group", params={"definition": "default", "id": "nothing"}).status_code == 404


def test_markup_stays_text_on_every_page(company: Journal, pages: Browse) -> None:
    for path in (
        f"/search?q={MARKUP}",
        "/search?q=ann",
        "/group?definition=default&id=G-voice",
        f"/group?definition=default&id=G-voice&text={MARKUP}",
        "/person?guid=ann",
        "/search?q=U-mia",
    ):
        page = pages("lead").get(path).text
        assert MARKUP not in page
        assert "&lt;script&gt;" in page or "U-mia" in path


def test_a_text_that_many_carry_lists_some_and_says_so(
    company: Journal, pages: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "SHOWN", 1)
    monkeypatch.setattr(search, "LOOKED_AT", 2)
    found = text_of(pages("lead").get("/search", params={"q": "example.com", "kind": "people"}).text)
    assert "or more" in found
    assert "The first 1 are listed." in found


def test_empty_journal_and_empty_search_are_pages_too(journal: Journal, pages: Browse) -> None:
    assert "A part of a name is enough" in pages("lead").get("/search").text
    nothing = pages("lead").get("/search", params={"q": "ann"})
    assert (nothing.status_code, "Nobody is meant" in nothing.text) == (200, True)


def test_a_removal_is_in_the_history(company: Journal, pages: Browse) -> None:
    run_with(company, "r2", change("voice", "dan", Action.REMOVE), Status.SUCCESS)
    found = text_of(pages("lead").get("/group", params={"definition": "default", "id": "G-voice"}).text)
    assert "\u2212 remove" in found


def test_the_sync_that_feeds_a_group_is_named_to_those_who_may_read_its_dag(
    company: Journal, pages: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.of("other").claims.take("https://api", ["G-voice"], T0)
    about = {"definition": "other"}
    run_with(
        company,
        "r2",
        change("voice", "cid", Action.REMOVE),
        Status.HELD,
        dag_id=DAG,
        reason=Reason.CLAIMED_BY,
        error=claim_error("other"),
        about=about,
    )
    monkeypatch.setitem(PEOPLE, "mine", {DAG: {SEE, NAMES}})
    addresses = {
        "/group": {"definition": "default", "id": "G-voice"},
        "/person": {"guid": "cid"},
        "/run": {"dag_id": DAG, "run_id": "r2"},
        "/todo": {},
        "/todo/cause": {"definition": "default", "status": "held", "reason": "claimed_by"},
    }
    for path, query in addresses.items():
        named, hidden = (text_of(pages(name).get(path, params=query).text) for name in ("lead", "mine"))
        assert re.search(r"the (sync|definition) other\b|sync definition .other. ", named), path
        assert re.search(r"[Aa]nother sync", hidden), path
        assert not re.search(r"\bother\b(?! definition)", hidden.replace("other mapped group", "")), path


def test_a_report_names_no_sync_that_the_viewer_may_not_see() -> None:
    claimed = {"reason": "claimed_by", "action": "add", "status": "held", "genesys_group": {"id": "G", "name": "Voice"}}
    ours, theirs = (
        {**claimed, "error": claim_error(name), "remedy": f"this one or the definition {name}."} for name in ("a", "b")
    )
    other = {"reason": "inactive", "error": "kept", "remedy": "kept"}
    shown = hide_in_report({"details": [ours, theirs, other]}, ["a"])["details"]
    assert shown[0] == ours
    assert shown[2] == other
    assert "definition b" not in str(shown[1])
    assert 'release_claim: ["G"]' in shown[1]["remedy"]


NOTES = (
    "the sync definition payroll.v2 is gone, and owns 2 memberships in Genesys groups that default feeds; default "
    "treats these memberships as added by hand. If payroll.v2 was renamed to default, write `formerly: payroll.v2` "
    "into default",
    "the sync definition payroll.v2 has 1 decision of people (undone or rejected) in Genesys groups that default feeds",
    "took over what the sync definition payroll.v2 had: 2 memberships and 1 open change",
    "the claim of sync definition payroll.v2 on Genesys group G-voice was released",
    "dry run: the claim of sync definition payroll.v2 on Genesys group G-voice was not released",
    "released the claims of sync definitions whose file is gone: payroll.v2, zebra",
)


def test_a_note_names_no_sync_that_the_viewer_may_not_see(
    company: Journal, pages: Browse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, _ = run_with(company, "r2", change("voice", "cid", Action.REMOVE), Status.SUCCESS, dag_id=DAG)
    company.facts.put(run, NOTES_OF_A_RUN.key, list(NOTES))
    store = ReportStore(tmp_path / "reports")
    store.write({**example(dag_id=DAG, run_id="r2"), "notes": list(NOTES)})
    monkeypatch.setitem(PEOPLE, "mine", {DAG: {SEE, NAMES}})
    for path in ("/run", "/report"):
        shown = {}
        for name in ("lead", "mine"):
            browser = pages(name, reports=lambda definition: store)
            shown[name] = html.unescape(browser.get(path, params={"dag_id": DAG, "run_id": "r2"}).text)
        assert shown["lead"].count("payroll.v2") >= len(NOTES), path
        assert "payroll" not in shown["mine"], path
        assert "zebra" not in shown["mine"], path
        assert shown["mine"].count("another sync") >= 6, path
        assert "that default feeds" in shown["mine"], path


def test_a_preview_names_no_sync_that_the_viewer_may_not_see(
    company: Journal, pages: Browse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "default.yaml"
    file.write_text(DEFINITION_TEXT)
    made = MappingPreview((), None, None, "d/r", NOTES, (), (), 0, (), 0)
    monkeypatch.setattr(preview, "preview_apart", lambda order: made)
    monkeypatch.setitem(PEOPLE, "mine", {DAG: {SEE, NAMES, EDIT}})
    browser = pages("mine", definitions={"default": load_definition(file)})
    token = re.search(r'name="token" value="([^"]+)"', browser.get("/preview").text)
    assert token
    answer = browser.post("/preview", data={"token": token[1], "definition": "default", "text": "removals: never"})
    assert "another sync" in answer.text
    assert "payroll" not in answer.text
