"""The page that previews a mapping: who may ask, and what it answers after real runs.

Active Directory is only told of (benchmarks/synthetic.py); Genesys is the sandbox.
"""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from sqlalchemy import update
from starlette.testclient import TestClient

from benchmarks.synthetic import BASE, SyntheticRuns, genesys_seed
from genesys_ad_sync.journal import Journal, tables
from genesys_ad_sync.model import Mode
from genesys_ad_sync.settings import SyncDefinition, load_definition
from genesys_ad_sync_airflow.pages.routes import preview
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions
from tests.support.pages import PEOPLE, pages, people  # noqa: F401 (fixtures)

Browse = Callable[..., TestClient]
LONG = 10**40  # a group with a name of 46 letters
TOLD: dict[int, set[int]] = {0: {0, 1, 2}, 1: {3}, LONG: {4}}
CATASTROPHIC = r"Team (([0-9]|[0-5 ])+)+[a-z]x"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyntheticRuns]:
    """After a run in mode full."""
    seed = genesys_seed(10, {group: set() for group in TOLD})
    with (
        SandboxGenesys.start(seed, SandboxOptions()) as genesys,
        SyntheticRuns(tmp_path_factory.mktemp("preview"), genesys.connection()) as made,
    ):
        made.tell(TOLD)
        made.run()
        made.run(Mode.FULL)
        with made.journal.database.writing() as connection:
            scope = made.definition.scope("DC=example,DC=com").fingerprint
            connection.execute(update(tables.cursor).values(scope=scope))
        yield made


@pytest.fixture
def journal(runs: SyntheticRuns) -> Journal:
    return runs.journal


@pytest.fixture
def definition(runs: SyntheticRuns) -> SyncDefinition:
    keys = {
        "directory": {"group_base": BASE},
        "groups": [{"name": "(?P<same>.+)", "genesys_name": "{same}"}],
        "limits": {"new_pairs": "allow"},
        "report": {"path": (runs.folder / "reports").as_uri()},
        "dry_run": False,
    }
    path = runs.folder / "default.yaml"
    path.write_text(yaml.safe_dump(keys))
    return load_definition(path)


@pytest.fixture
def ask(pages: Browse, definition: SyncDefinition) -> Callable[..., Any]:
    """Send the form as somebody, with what the page itself gave. ``fields`` replace some."""

    def send(text: str, who: str = "admin", **fields: Any) -> Any:
        client = pages(who, definitions={"default": definition})
        opened = client.get("/preview")
        token = re.search(r'name="token" value="([^"]+)"', opened.text)
        given = {"token": token[1] if token else "", "definition": "default", "text": text, **fields}
        return client.post("/preview", data={key: value for key, value in given.items() if value is not None})

    return send


def content(journal: Journal) -> list[str]:
    with journal.database.reading() as connection:
        return list(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]


def rule(name: str, target: str) -> str:
    return yaml.safe_dump({"groups": [{"name": name, "genesys_name": target}]})


def test_it_shows_which_memberships_would_come(ask: Callable[..., Any]) -> None:
    answer = ask(rule("Team 0000", "Team 0001"))
    assert answer.status_code == 200
    text = " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())
    assert "3 memberships would come and 0 memberships would go." in text
    for number in range(3):
        assert f"user{number:06d}@example.com" in text
    assert "Keys that differ groups" in text
    assert "the last full run" in text


def test_the_installed_mapping_changes_nothing_and_nothing_is_left_behind(
    ask: Callable[..., Any], runs: SyntheticRuns
) -> None:
    before = content(runs.journal)
    assert "No membership would come or go." in ask("removals: granted").text
    assert content(runs.journal) == before


def test_an_expression_that_never_ends_ends_in_a_message(ask: Callable[..., Any]) -> None:
    answer = ask(rule(CATASTROPHIC, "Never"))
    assert answer.status_code == 200
    assert "takes too long" in answer.text or "took too long" in answer.text


def test_a_file_that_differs_elsewhere_needs_a_dry_run(ask: Callable[..., Any], definition: SyncDefinition) -> None:
    assert definition.file is not None
    whole = yaml.safe_load(definition.file.read_text())
    whole["genesys"] = {"connection": "another"}
    answer = ask(yaml.safe_dump(whole))
    assert "<code>genesys-ad-sync plan --config FILE</code>" in answer.text
    assert answer.status_code == 422
    assert "Only a dry run can answer" in answer.text


@pytest.mark.parametrize("token", [None, "", "forged"])
def test_a_form_of_another_site_is_refused(ask: Callable[..., Any], token: str | None) -> None:
    answer = ask(rule("Team 0000", "Team 0001"), token=token)
    assert answer.status_code == 403
    assert "user000000@example.com" not in answer.text


def test_the_token_of_another_viewer_is_refused(
    ask: Callable[..., Any], pages: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PEOPLE, "editor", PEOPLE["admin"])
    token = re.search(r'name="token" value="([^"]+)"', pages("editor").get("/preview").text)
    assert token
    assert ask("removals: never", who="editor", token=token[1]).status_code == 200
    assert ask("removals: never", token=token[1]).status_code == 403


@pytest.mark.parametrize("who", ["lead", "counts", "nobody"])
def test_only_who_may_edit_the_dag_may_ask(ask: Callable[..., Any], pages: Browse, who: str) -> None:
    assert pages(who).get("/preview").status_code == 403
    assert ask("removals: never", who=who).status_code == 403


def test_a_definition_that_the_viewer_may_not_edit_is_refused(ask: Callable[..., Any]) -> None:
    assert ask("removals: never", definition="another").status_code == 403


def test_a_large_form_is_refused_before_it_is_read(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "LARGEST_BYTES", 1000)
    assert ask("#" * 2000).status_code == 413


def test_markup_in_the_text_stays_text(ask: Callable[..., Any]) -> None:
    answer = ask("'</textarea><script>alert(1)</script>': 1")
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text


def test_the_text_comes_back_with_its_lines(ask: Callable[..., Any]) -> None:
    assert "removals: 7\n# not a policy" in ask("removals: 7\n# not a policy").text
