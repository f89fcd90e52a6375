"""What a task is told of its surroundings."""

from __future__ import annotations

from pathlib import Path

import pytest

from genesys_ad_sync.settings import CONFIG_FOLDER_VARIABLE
from genesys_ad_sync_airflow.task_context import names_of_definitions
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
