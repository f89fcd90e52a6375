"""What Airflow finds in a checkout of this repository."""

from __future__ import annotations

from pathlib import Path

from airflow._shared.module_loading.file_discovery import find_path_from_directory
from airflow.utils.file import list_py_file_paths

import genesys_ad_sync

PROJECT = Path(genesys_ad_sync.__file__).parents[2]


def test_a_dag_bundle_on_the_root_parses_the_dag_file_alone() -> None:
    assert list_py_file_paths(str(PROJECT)) == [str(PROJECT / "dags" / "genesys_ad_group_sync.py")]


def test_the_plugins_folder_holds_no_file_that_airflow_imports_by_itself() -> None:
    assert list(find_path_from_directory(str(PROJECT / "plugins"), ".airflowignore", "glob")) == []
