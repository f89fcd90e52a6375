"""A level runs in CI exactly when the files that can break it have changed."""

import json
import subprocess

import pytest

from tests import levels


def git(folder, *command):
    subprocess.run(
        ["git", "-c", "user.name=T", "-c", "user.email=t@example.com", *command],
        cwd=folder,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Make a repository with one level, ``check``, that appends a line to a file or fails."""
    (tmp_path / "room").mkdir()
    (tmp_path / "room/file").write_text("one")
    (tmp_path / "other").write_text("one")
    (tmp_path / "Makefile").write_text("check:\n\t@test ! -e broken\n\t@echo ran >> ran.log\n")
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    monkeypatch.setattr(levels, "ROOT", tmp_path)
    monkeypatch.setattr(levels, "RECORD", tmp_path / "levels.json")
    monkeypatch.setattr(levels, "LEVELS", {"check": ("room",)})
    monkeypatch.setattr(levels.fingerprint_of, "__defaults__", (tmp_path,))
    return tmp_path


def commit(folder):
    git(folder, "add", "room", "other")
    git(folder, "commit", "-q", "-m", "x")


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["levels.py", *arguments])
    return levels.main()


def runs(checkout):
    log = checkout / "ran.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_a_level_that_was_never_green_runs_and_is_not_recorded_by_ci(checkout, monkeypatch):
    assert run(monkeypatch) == 0
    assert run(monkeypatch) == 0
    assert runs(checkout) == 2
    assert not levels.RECORD.exists()


def test_a_recorded_level_runs_again_only_when_its_files_changed(checkout, monkeypatch, capsys):
    assert run(monkeypatch, "--all") == 0
    (checkout / "other").write_text("two")
    commit(checkout)
    assert run(monkeypatch) == 0
    assert runs(checkout) == 1
    assert "left out" in capsys.readouterr().out
    (checkout / "room/file").write_text("two")
    commit(checkout)
    assert run(monkeypatch) == 0
    assert runs(checkout) == 2


def test_a_red_level_fails_and_is_not_recorded(checkout, monkeypatch):
    (checkout / "broken").touch()
    assert run(monkeypatch, "--all") == 1
    assert "check" not in (json.loads(levels.RECORD.read_text()) if levels.RECORD.exists() else {})
