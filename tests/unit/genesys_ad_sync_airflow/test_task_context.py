"""What a task is told of its surroundings."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.model import RunKey
from genesys_ad_sync.settings import CONFIG_FOLDER_VARIABLE
from genesys_ad_sync_airflow.task_context import awaits_answer, names_of_definitions
from tests.support.sync_examples import definition


def test_the_definitions_are_known_by_their_files_also_by_those_that_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_FOLDER_VARIABLE, str(tmp_path))
    (tmp_path / "default.yaml").touch()
    (tmp_path / "broken.yml").write_text("no: [yaml")
    (tmp_path / "notifiers.py").touch()
    assert names_of_definitions(definition()) == {"default", "broken"}


def test_a_folder_that_lacks_the_running_definition_does_not_tell_which_others_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may not be mounted, or be of another version than the DAG."""
    monkeypatch.setenv(CONFIG_FOLDER_VARIABLE, str(tmp_path))
    (tmp_path / "other.yaml").touch()
    assert names_of_definitions(definition()) is None
    monkeypatch.setenv(CONFIG_FOLDER_VARIABLE, str(tmp_path / "not there"))
    assert names_of_definitions(definition()) is None


@pytest.mark.parametrize(
    ("states", "awaits"),
    [
        ({"run": {"approve_removals": "awaiting_input"}}, True),
        ({"run": {"approve_removals": "deferred"}}, True),
        ({"run": {"approve_removals": None}}, True),  # cleared
        ({"run": {"approve_removals": "up_for_retry"}}, True),
        ({"run": {"approve_removals": "failed"}}, False),  # the run was marked as failed
        ({"run": {"approve_removals": "skipped"}}, False),
        ({"run": {}}, False),
        ({}, False),  # the run was deleted
    ],
)
def test_a_run_awaits_an_answer_while_its_approval_task_does(states: dict[str, Any], awaits: bool) -> None:
    asked = {}

    def get_task_states(**what: Any) -> dict[str, Any]:
        asked.update(what)
        return states

    assert awaits_answer(SimpleNamespace(get_task_states=get_task_states), RunKey("dag", "run")) is awaits
    assert asked == {"dag_id": "dag", "task_ids": ["approve_removals"], "run_ids": ["run"]}


def test_a_question_stays_open_if_airflow_cannot_say_whether_its_run_exists() -> None:
    def get_task_states(**_: Any) -> None:
        raise ConnectionError("no API server")

    assert awaits_answer(SimpleNamespace(get_task_states=get_task_states), RunKey("dag", "run"))
