"""What the pages show, and to whom."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import Link, Refusal, RefusalKind, Rival, RunKey
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.views import todo
from genesys_ad_sync_airflow.pages import routes
from genesys_ad_sync_airflow.pages.routes import runs
from tests.support.journal import DEFINITION, T0, begin, journal, journal_url, minutes  # noqa: F401 (fixtures)
from tests.support.pages import DAG, OTHER, pages, people  # noqa: F401 (fixtures)
from tests.support.report_example import example
from tests.support.view_examples import Action, Reason, Status, change, key_of, map_groups, poll, run_with

Browse = Callable[..., TestClient]
EVIL = "<script>alert(1)</script>"
RUN = f"/run?dag_id={DAG}&run_id=r1"


@pytest.fixture
def world(journal: Journal) -> Journal:
    poll(journal, {"support": "ada bob"}, ada={"name": EVIL})
    map_groups(journal, "support")
    ada = {"guid": "ada", "dn": f"CN={EVIL},DC=example", "mail": None}
    rivals = (Rival(genesys_user_id="U-zed"),)
    held = {"reason": Reason.AMBIGUOUS, "rivals": rivals, "directory_user": ada, "error": EVIL}
    run_with(journal, "r1", change("support", "ada"), Status.HELD, dag_id=DAG, **held)
    run_with(journal, "r2", change("support", "bob", Action.REMOVE), Status.SUCCESS, dag_id=DAG)
    begin(journal, key=RunKey(OTHER, "secret"), definition="other")
    return journal


def text_of(answer: object) -> str:
    """Return what a person reads on a page."""
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text)))


@pytest.mark.parametrize("path", ["/", f"/dag?dag_id={DAG}", "/runs", RUN, "/todo"])
def test_a_name_stays_text_on_every_page(pages: Browse, world: Journal, path: str) -> None:
    page = pages("lead").get(path)
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "default" in page.text
    if path in (RUN, "/todo"):
        assert html.escape(EVIL) in page.text


@pytest.mark.parametrize(
    "path",
    [
        RUN,
        f"/report?dag_id={DAG}&run_id=r1",
        f"/report.csv?dag_id={DAG}&run_id=r1",
        "/todo/cause?definition=default&status=held",
    ],
)
def test_names_need_the_right_to_read_the_runs(pages: Browse, world: Journal, path: str) -> None:
    for who in ("counts", "nobody", "other"):
        refused = pages(who).get(path)
        assert refused.status_code == 403
        assert "ada" not in refused.text


def test_lists_show_only_what_the_viewer_may_read(pages: Browse, world: Journal) -> None:
    assert "secret" in pages("lead").get("/runs").text
    shown = pages("other").get("/runs").text
    assert "secret" in shown
    assert "r1<" not in shown
    assert "default" not in shown
    assert "default" not in pages("other").get("/todo").text
    assert "No run matches" in pages("nobody").get("/runs").text
    assert "whose runs you may read" in pages("counts").get("/todo").text
    assert "whose runs you may read" not in pages("lead").get("/todo").text


def test_the_overview_says_how_the_sync_does(pages: Browse, world: Journal) -> None:
    text = text_of(pages("counts", now=T0 + minutes(10)).get("/"))
    assert "1 change waits" in text
    assert "1 new" in text
    assert "dc1.example.com" in text
    assert "2024-05-01: 0 added, 1 removed, 0 orphaned, 1 held" in text


def test_a_question_leads_to_its_answer(pages: Browse, world: Journal) -> None:
    key = RunKey(DAG, "r1")
    subjects = {key_of("support", "ada", Action.ADD): [1]}
    world.of(DEFINITION).questions.open(key, subjects, last_change=1, at=T0, until=T0 + minutes(600))
    page = pages("lead", base="/base/genesys-ad-sync").get("/").text
    assert f'href="/base/dags/{DAG}/runs/r1/tasks/approve_removals/required_actions"' in page
    assert "no answer yet" in pages("lead").get(RUN).text


def test_the_tab_of_another_dag_says_so(pages: Browse, world: Journal) -> None:
    assert "belongs to no sync" in pages("lead").get("/dag?dag_id=etl").text
    assert "belongs to no sync" in pages("lead").get("/run?dag_id=etl&run_id=r1").text
    assert pages("nobody").get("/dag?dag_id=etl").status_code == 403


def test_a_run_shows_plan_outcome_and_ways_out(pages: Browse, world: Journal) -> None:
    text = text_of(pages("lead").get(RUN))
    for part in ("G-support", "+ add", "held", "relink: ada=U-zed", f'{{"undo_run": "{DAG}/r1"}}', "approve_removals"):
        assert part in text
    assert "No change matches" in pages("lead").get(f"{RUN}&status=failed").text
    assert pages("lead").get(f"{RUN}&status=nonsense").status_code == 422
    unknown = pages("lead").get(f"/run?dag_id={DAG}&run_id=r9")
    assert unknown.status_code == 404
    assert "knows no such run" in unknown.text


def test_to_do_has_the_params_that_settle_it(pages: Browse, world: Journal) -> None:
    client = RefusalKind.CLIENT
    world.of(DEFINITION).refusals.record([Refusal(client, Reason.REFUSED_CLIENT)], RunKey(DAG, "r1"), T0)
    page = pages("lead").get("/todo")
    assert '{"relink": ["ada=U-zed"]}' in text_of(page)
    assert f'href="/dags/{DAG}" data-airflow' in page.text
    assert "Each write of the OAuth client" in page.text
    assert "Nothing waits for this cause" in pages("lead").get("/todo/cause?definition=default&status=failed").text
    assert "relink" in pages("lead").get("/todo/cause?definition=default&status=held&reason=ambiguous").text


def test_runs_are_filtered_and_come_in_pieces(pages: Browse, world: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(world, key=RunKey(DAG, "dry1"), dry_run=True)
    browser = pages("lead")

    def listed(path: str) -> list[str]:
        return re.findall(r"run_id=(\w+)\"", browser.get(path).text)

    assert listed("/runs") == ["dry1", "secret", "r2", "r1"]
    assert listed("/runs?definition=default&kind=live") == ["r2", "r1"]
    assert listed("/runs?kind=dry&state=open") == ["dry1"]
    assert listed("/runs?text=r1&definition=default") == ["r1"]
    assert listed("/runs?text=%25") == []
    assert browser.get("/runs?mode=nonsense").status_code == 422
    monkeypatch.setattr(runs, "SHOWN", 3)
    first = browser.get("/runs")
    [older] = re.findall(r'href="([^"]*before=[^"]*)"', first.text)
    assert listed(html.unescape(older)) == ["r1"]


def test_the_report_keeps_its_own_policy_by_hash(pages: Browse, world: Journal, tmp_path: Path) -> None:
    store = ReportStore(tmp_path / "reports")
    store.write(example(dag_id=DAG, run_id="r1"))
    browser = pages("lead", reports=lambda definition: store)
    page = browser.get(f"/report?dag_id={DAG}&run_id=r1")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "style-src 'sha256-" in policy
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    table = browser.get(f"/report.csv?dag_id={DAG}&run_id=r1")
    assert table.headers["content-disposition"].startswith("attachment")
    assert browser.get(f"/report?dag_id={DAG}&run_id=r2").status_code == 404
    without = pages("lead", definitions={}).get(f"/report?dag_id={DAG}&run_id=r1")
    assert (without.status_code, "cannot read the file of this sync" in without.text) == (404, True)


def test_an_empty_journal_has_pages_too(pages: Browse, journal: Journal) -> None:
    assert "has not read Active Directory yet" in pages("lead").get("/").text
    assert "No run matches" in pages("lead").get("/runs").text
    assert "Nothing to do" in pages("lead").get("/todo").text


def test_a_list_that_is_cut_says_so(pages: Browse, world: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    contradicted = {"contradicted_since": T0, "others": ()}
    world.of(DEFINITION).links.save([Link(who, f"U-{who}", "mail=email", T0, **contradicted) for who in ("ada", "bob")])
    met = [Refusal(RefusalKind.GROUP, Reason.REFUSED_GROUP, f"G-{number}", action=Action.ADD) for number in (1, 2)]
    world.of(DEFINITION).refusals.record(met, RunKey("dag", "r1"), T0)
    more = "The first 1 are listed; there are more."
    assert more not in text_of(pages("lead").get("/todo"))
    for module in (todo, routes.todo):
        monkeypatch.setattr(module, "MOST", 1)
    shown = text_of(pages("lead").get("/todo"))
    assert shown.count(more) == 2
    assert "U-ada" in shown
    assert "U-bob" not in shown.partition("Links that the rules contradict")[2].partition("Groups and clients")[0]


def test_a_long_list_folds_so_that_what_comes_below_is_seen(
    pages: Browse, world: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    contradicted = {"contradicted_since": T0, "others": ()}
    world.of(DEFINITION).links.save([Link(who, f"U-{who}", "mail=email", T0, **contradicted) for who in ("ada", "bob")])
    met = [Refusal(RefusalKind.GROUP, Reason.REFUSED_GROUP, f"G-{number}", action=Action.ADD) for number in (1, 2)]
    world.of(DEFINITION).refusals.record(met, RunKey("dag", "r1"), T0)
    assert "<details>" not in pages("lead").get("/todo").text
    monkeypatch.setattr(routes.todo, "AT_ONCE", 1)
    page = pages("lead").get("/todo").text
    folded = re.findall(r"<details><summary>(.+?)</summary>(.+?)</details>", page, re.DOTALL)
    assert [words for words, _ in folded] == ["1 more link", "1 more refusal"]
    assert ["U-bob" in folded[0][1], "U-ada" in folded[0][1]] == [True, False]
    assert ["G-2" in folded[1][1], "G-1" in folded[1][1]] == [True, False]
