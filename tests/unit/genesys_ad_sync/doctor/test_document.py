"""The table of a check as JSON and as a page, and what its tasks leave each other."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from genesys_ad_sync.doctor.document import CheckedBy, document_of, problems_in
from genesys_ad_sync.doctor.handover import Handover
from genesys_ad_sync.doctor.lines import Line, not_proven, note, ok, problem
from genesys_ad_sync.doctor.page import headline, render_check_page
from genesys_ad_sync.model import DirectoryGroup, DirectoryUser, DirectoryView, GroupPair, PrincipalKind
from genesys_ad_sync.report.check_store import CheckStore
from tests.support.sync_examples import NOON


def by(task: str = "poll", run_id: str = "manual__1") -> CheckedBy:
    return CheckedBy("default", "genesys_ad_group_sync", run_id, 1, task, "worker-1", NOON)


def test_each_task_adds_its_lines_and_a_repeated_one_replaces_its_own() -> None:
    first = document_of(by("poll"), [problem("directory.login", "no")])
    second = document_of(by("map_groups"), [ok("genesys.token", "yes")], first)
    assert [(line["task"], line["check"]) for line in second["lines"]] == [
        ("poll", "directory.login"),
        ("map_groups", "genesys.token"),
    ]
    again = document_of(by("poll"), [ok("directory.login", "yes")], second)
    assert problems_in(second) == ["directory.login: no"]
    assert problems_in(again) == []
    assert again["counts"] == {"ok": 2, "problem": 0, "not proven": 0, "note": 0}
    assert again["tasks"].keys() == {"poll", "map_groups"}


@pytest.mark.parametrize(
    ("lines", "level", "words"),
    [
        ([ok("journal.size", "x")], "good", "Everything that was tried works"),
        ([ok("journal.size", "x"), note("journal.size", "x")], "good", "works"),
        ([not_proven("genesys.write", "x")], "attention", "1 line is not proven"),
        ([problem("genesys.token", "x"), problem("genesys.token", "y")], "bad", "2 lines are problems"),
    ],
)
def test_the_headline_says_the_worst(lines: list[Line], level: str, words: str) -> None:
    found = headline(document_of(by(), lines))
    assert (found[0], words in found[1]) == (level, True)


def test_the_page_escapes_whatever_a_directory_says_and_runs_no_script() -> None:
    evil = '<script>alert(1)</script><img src=x onerror="x">\u202e`<b>`'
    line = problem("directory.group_base", f"text {evil}", f"remedy {evil}", about=evil, details=[evil, "a\nb"])
    page = render_check_page(document_of(by(run_id=evil), [line]))
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "<code>&lt;b&gt;</code>" in page
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "script-src" not in page


def test_the_page_shows_each_line_once_with_its_remedy_and_links_to_problems() -> None:
    lines = [ok("journal.size", "1 MB"), problem("genesys.token", "refused", "do `this`")]
    page = render_check_page(document_of(by(), lines))
    assert 'href="#line-2"' in page
    assert 'id="line-2"' in page
    assert page.count("1 MB") == 1
    assert "do <code>this</code>" in page


def test_a_long_list_of_names_is_cut_on_the_page_only() -> None:
    names = [f"group {number}" for number in range(600)]
    document = document_of(by(), [note("mapping.unmapped", "x", details=names)])
    page = render_check_page(document)
    assert ("group 499" in page, "group 500" in page, "100 more" in page) == (True, False, True)
    assert len(document["lines"][0]["details"]) == 600


# -- in the folder of reports -------------------------------------------------------------------------


def test_the_table_lies_beside_the_reports_under_a_name_that_no_other_run_takes(tmp_path: Path) -> None:
    store = CheckStore(tmp_path)
    names = []
    for run_id in ("manual__2026-11-24T12:00:00", "manual__2026-11-24T12_00_00"):
        document = document_of(by(run_id=run_id), [ok("journal.size", "x")])
        path = store.write_check(document, "<!doctype html>")
        names.append(path.name)
        assert path.with_suffix(".html").read_text() == "<!doctype html>"
        assert store.read_check("genesys_ad_group_sync", run_id) == document
        assert store.read("genesys_ad_group_sync", run_id) is None  # no reconciliation report
    assert names[0] == "manual__2026-11-24T12_00_00.check.json"
    assert names[1] != names[0]


def test_old_tables_are_removed_with_the_reports(tmp_path: Path) -> None:
    import os

    store = CheckStore(tmp_path)
    path = store.write_check(document_of(by(), [ok("journal.size", "x")]), "page")
    os.utime(path, (0, 0))
    assert store.prune(30, datetime(2027, 6, 1, tzinfo=timezone.utc)) == 1
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_what_a_task_leaves_for_the_next_one_comes_back_as_it_was_and_goes(tmp_path: Path) -> None:
    guid = "11111111-1111-1111-1111-111111111111"
    group = DirectoryGroup(guid, "CN=g\udcff", "g", "g", "S-1-5-21-1", in_scope=True, attributes={"info": "x"})
    user = DirectoryUser("2222", "CN=u", PrincipalKind.USER, "u", None, False, {"mail": "u@x"}, NOON, expired=True)
    view = DirectoryView({guid: group}, {"2222": user}, {guid: {"2222", "3333"}})
    for pairs in (None, (), (GroupPair(guid, "genesys", "G", 0),)):
        left = Handover(view, pairs)
        assert Handover.of(left.as_bytes()) == left

    store = CheckStore(tmp_path)
    assert store.handed_over("dag", "run") is None
    store.hand_over("dag", "run", Handover(view).as_bytes())
    assert Handover.of(store.handed_over("dag", "run") or b"") == Handover(view)
    assert store.handed_over("dag", "another run") is None
    store.hand_over("dag", "run", None)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
