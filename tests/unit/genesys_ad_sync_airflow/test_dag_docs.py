"""What Airflow shows above a DAG, and where its tasks run."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

import genesys_ad_sync
from genesys_ad_sync.settings import load_definition
from genesys_ad_sync_airflow.dag_docs import dag_docs
from tests.support.view_examples import definition

PROJECT = Path(genesys_ad_sync.__file__).parents[2]


def dags(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> dict[str, Any]:
    """Return the DAGs of the DAG file, by id."""
    shipped = (PROJECT / "include" / "config" / "default.yaml").read_text()
    head = shipped.partition("\nnotify: []")[0]
    (folder / "default.yaml").write_text(f"{head}\n{text}\n")
    monkeypatch.setenv("GENESYS_AD_SYNC_CONFIG_DIR", str(folder))
    names = runpy.run_path(str(PROJECT / "dags" / "genesys_ad_group_sync.py"))
    return {dag_id: names[dag_id] for dag_id in ("genesys_ad_group_sync", "genesys_ad_group_sync_full")}


def test_the_docs_say_whether_it_writes_and_what_limits_it() -> None:
    dry, live = (dag_docs(definition(dry_run=said), full=False) for said in ("true", "false"))
    assert "nothing is written to Genesys Cloud" in dry
    assert "It writes to Genesys Cloud" in live
    assert "| `removals` | `50` |" in live
    assert "`OU=cc,DC=example`" in live
    assert "| `name` | `GC-(?P<team>.+)` | `genesys_name` | `{team}` |" in live
    assert "`Sales`" in live


@pytest.mark.parametrize(
    "more",
    [
        {"limits": "{removals: 51}"},
        {"limits": "{answer_within: PT9H}"},
        {"removals": "never"},
        {"dry_run": "false"},
        {"protect": "[Other]"},
        {"notify": "[{notifier: http}]"},
    ],
)
def test_a_changed_definition_changes_the_docs_and_with_them_the_version_of_the_dag(more: dict[str, str]) -> None:
    data = {"dry_run": "true", **more}
    base = dag_docs(definition(dry_run="true"), full=True)
    text = definition_text_without("protect") if "protect" in more else None
    changed = definition(**data) if text is None else parse(text, data)
    assert dag_docs(changed, full=True) != base
    assert dag_docs(changed, full=True) == dag_docs(changed, full=True)


def definition_text_without(key: str) -> str:
    from tests.support.view_examples import DEFINITION_TEXT

    return "\n".join(line for line in DEFINITION_TEXT.splitlines() if not line.startswith(f"{key}:"))


def parse(text: str, more: dict[str, str]) -> Any:
    from genesys_ad_sync.settings import parse_definition

    return parse_definition(text + "".join(f"\n{key}: {value}" for key, value in more.items()))


def test_people_and_addresses_are_not_named_and_nothing_becomes_markup() -> None:
    text = """
directory: {group_base: "OU=cc | <script>,DC=example"}
groups: [{name: "a|b`c", genesys_name: "[x](javascript:alert(1))"}]
exclude: {users: ["ann.arbor"]}
approvers: [olivia]
notify: [{notifier: smtp, to: [ops@example.com], connection: c}]
"""
    shown = dag_docs(parse(text, {}), full=False)
    assert [name for name in ("ann.arbor", "olivia", "ops@example.com") if name in shown] == []
    assert "1 pattern of people" in shown
    assert "1 account that the definition names" in shown
    assert "``a¦b`c``" in shown
    assert "`[x](javascript:alert(1))`" in shown
    assert "`OU=cc ¦ <script>,DC=example`" in shown


def test_tasks_run_where_the_definition_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "airflow: {queue: cloud, ad_queue: near_ad, pool: sync, owner: contact-centre, tags: [gold]}\nnotify: []"
    for dag in dags(tmp_path, monkeypatch, text).values():
        near = {task.task_id for task in dag.tasks if task.queue == "near_ad"}
        assert near == {"poll", "resolve_users", "plan", "patch_approved"}
        assert {task.queue for task in dag.tasks} == {"near_ad", "cloud"}
        assert {task.pool for task in dag.tasks} == {"sync"}
        assert {task.owner for task in dag.tasks} == {"contact-centre"}
        assert dag.tags == {"genesys", "active-directory", "gold"}


def test_without_the_section_all_is_airflows_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for dag in dags(tmp_path, monkeypatch, "notify: []").values():
        assert {(task.queue, task.pool, task.owner) for task in dag.tasks} == {("default", "default_pool", "airflow")}
        assert dag.deadline is None
        assert dag.tags == {"genesys", "active-directory"}


def test_a_queue_alone_is_that_of_all_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for dag in dags(tmp_path, monkeypatch, "airflow: {queue: cloud}").values():
        assert {task.queue for task in dag.tasks} == {"cloud"}


def test_a_run_that_does_not_end_has_a_deadline_if_somebody_wants_to_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "notify: [{notifier: http, silent_after: PT3H}, {notifier: http, endpoint: b, silent_after: PT2H}]"
    for dag in dags(tmp_path, monkeypatch, text).values():
        [alert] = dag.deadline
        assert alert.interval.total_seconds() == 7200
        assert alert.callback.path == "genesys_ad_sync_airflow.late_runs.tell_of_late_run"
        assert alert.callback.kwargs["definition"] == "default"
    unwanted = "notify: [{notifier: http, on: [failed], silent_after: PT3H}]"
    assert all(dag.deadline is None for dag in dags(tmp_path, monkeypatch, unwanted).values())


def test_the_shipped_definition_has_docs() -> None:
    shipped = load_definition(PROJECT / "include" / "config" / "default.yaml")
    assert "Dry run" in dag_docs(shipped, full=False)
