"""What is in the wheel."""

from __future__ import annotations

from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.wheel.environments import PROJECT

PACKAGES = {
    "genesys_ad_sync": PROJECT / "include" / "genesys_ad_sync",
    "genesys_ad_sync_airflow": PROJECT / "plugins" / "genesys_ad_sync_airflow",
}
CACHES = {"__pycache__", ".mypy_cache"}


@pytest.fixture(scope="module")
def files(wheel: Path) -> set[str]:
    """Return the files in the wheel but for the metadata."""
    names = ZipFile(wheel).namelist()
    return {name for name in names if not name.split("/")[0].endswith(".dist-info")}


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_has_two_top_level_packages_and_nothing_else(files: set[str]) -> None:
    assert {name.split("/")[0] for name in files} == set(PACKAGES)


def test_the_wheel_has_every_file_of_both_packages_and_no_file_of_an_earlier_build(files: set[str]) -> None:
    sources = {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and not CACHES & set(path.parts)
    }
    assert files == sources


@pytest.mark.parametrize(
    "wanted",
    [
        "genesys_ad_sync/py.typed",
        "genesys_ad_sync_airflow/py.typed",
        "genesys_ad_sync/report/report.html.j2",
        "genesys_ad_sync/journal/migrations/env.py",
        "genesys_ad_sync/journal/migrations/versions/0001_first_tables.py",
    ],
)
def test_the_wheel_has_the_file_that_is_read_at_run_time(files: set[str], wanted: str) -> None:
    assert wanted in files


def test_no_definition_and_no_sandbox_and_no_test_is_in_the_wheel(files: set[str]) -> None:
    assert [name for name in files if name.endswith((".yaml", ".yml"))] == []
    assert [name for name in files if {"sandbox", "tests", "config", "include", "plugins"} & set(name.split("/"))] == []


def test_the_wheel_brings_the_command(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
        text = archive.read(name).decode()
    assert "[console_scripts]\ngenesys-ad-sync = genesys_ad_sync_airflow.cli.tree:main\n" in text


def test_the_metadata_has_ranges_and_the_documented_extras(metadata: Message) -> None:
    needed = metadata.get_all("Requires-Dist", [])
    assert [line for line in needed if "==" in line.split(";")[0]] == []
    assert set(metadata.get_all("Provides-Extra", [])) == {"postgres", "celery", "s3", "gcs", "azure"}
