"""The process of a preview: what it leaves, and what its messages tell."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from sqlalchemy import text

from genesys_ad_sync.journal import Journal, tables
from genesys_ad_sync.journal.opening import tables_version
from genesys_ad_sync.preview.apart import OUTDATED, TOO_LONG, Order, PreviewFailed, preview_apart
from tests.support.journal import T0, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.view_examples import DEFINITION_TEXT, poll

RULE = 'groups: [{name: "GC-(?P<team>.+)", genesys_name: "{team}"}]'


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which temporary files are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def order(url: str) -> Order:
    return Order(url, "default", DEFINITION_TEXT, RULE, None, T0.isoformat())


def failed(url: str, *, seconds: float = 60) -> str:
    with pytest.raises(PreviewFailed) as raised:
        preview_apart(order(url), seconds=seconds)
    return str(raised.value)


def test_a_journal_of_an_older_version_is_not_upgraded_and_its_place_is_not_told(
    journal: Journal, journal_url: str
) -> None:
    with journal.database.writing() as connection:
        connection.execute(text(f"UPDATE {tables.VERSION_TABLE} SET version_num = '0019'"))
    assert failed(journal_url) == OUTDATED
    with journal.database.reading() as connection:
        assert tables_version(connection) == "0019"


def test_what_the_journal_lacks_is_told_without_its_place(journal: Journal, journal_url: str, tmp_path: Path) -> None:
    poll(journal, {"voice": "ann"})
    told = failed(journal_url)
    assert "No run in mode full has ended yet" in told
    assert str(tmp_path) not in told


@pytest.mark.parametrize("folder", ["mode full", "has never read"])
def test_no_place_is_told_whatever_it_is_called(tmp_path: Path, folder: str) -> None:
    """The words of a message do not decide whether it may be shown: a path may have them, too."""
    assert folder not in failed(f"sqlite:///{tmp_path / folder / 'journal.db'}")


def test_a_preview_leaves_no_file_behind(journal: Journal, journal_url: str, temporary: Path) -> None:
    poll(journal, {"voice": "ann"})
    failed(journal_url)
    assert list(temporary.iterdir()) == []


def test_a_preview_that_is_killed_leaves_no_file_behind(
    journal: Journal, journal_url: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process itself clears nothing then. It has made its copy of the journal by the time it is killed."""
    slow = temporary.parent / "slow"
    slow.mkdir()
    (slow / "sitecustomize.py").write_text(
        "import os, pathlib, time\n"
        "if 'genesys-ad-sync-preview-' in os.environ.get('TMPDIR', ''):\n"
        "    pathlib.Path(os.environ['TMPDIR'], 'journal.db').touch()\n"
        "    time.sleep(3600)\n"
    )
    monkeypatch.syspath_prepend(str(slow))
    assert failed(journal_url, seconds=1) == TOO_LONG
    assert list(temporary.iterdir()) == []
