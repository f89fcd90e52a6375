"""Rights of files on this machine, and its own addresses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from genesys_ad_sync import this_machine


@pytest.fixture(autouse=True, params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    old = os.umask(request.param)
    yield
    os.umask(old)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize(("of_file", "of_folder"), [(0o600, 0o700), (0o640, 0o750), (0o644, 0o755)])
def test_files_and_new_folders_get_their_rights_whatever_the_umask(
    tmp_path: Path, of_file: int, of_folder: int
) -> None:
    folder = tmp_path / "a" / "b"
    this_machine.make_folder(folder, of_file)
    this_machine.write_file(folder / "x", b"x", of_file)
    assert (mode(folder.parent), mode(folder), mode(folder / "x")) == (of_folder, of_folder, of_file)
    assert (folder / "x").read_bytes() == b"x"


def test_a_folder_that_exists_keeps_its_rights(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own").chmod(0o2775)
    this_machine.make_folder(tmp_path / "own", 0o600)
    assert mode(tmp_path / "own") == 0o2775


def test_a_file_is_never_open_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(os, "fchmod", lambda descriptor, _: seen.append(os.fstat(descriptor).st_mode & 0o077))
    this_machine.write_file(tmp_path / "x", b"x", 0o644)
    assert seen == [0]


def test_no_file_is_written_through_a_link_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        this_machine.write_file(tmp_path / "link", b"x", 0o600)
    assert not (tmp_path / "elsewhere").exists()


def test_a_private_file_that_exists_keeps_its_content(tmp_path: Path) -> None:
    this_machine.make_private_file(tmp_path / "x")
    assert mode(tmp_path / "x") == 0o600
    (tmp_path / "x").write_text("kept")
    this_machine.make_private_file(tmp_path / "x")
    assert (tmp_path / "x").read_text() == "kept"


def test_a_file_below_a_closed_folder_is_not_open_to_others(tmp_path: Path) -> None:
    # pytest's own folders are closed: the rights of the file alone do not count.
    file = tmp_path / "x"
    file.write_text("x")
    file.chmod(0o644)
    tmp_path.chmod(0o700)
    assert not this_machine.is_open_to_others(file)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert this_machine.is_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost.example.com", "127.0.0.1.example.com", "0.0.0.0", "::", "10.0.0.1", "2130706433", "", "lo"]
)
def test_not_loopback(host: str) -> None:
    assert not this_machine.is_loopback(host)
