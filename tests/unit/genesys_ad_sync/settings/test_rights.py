"""Whoever may write a definition decides who is in which group: a shared place is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.settings import find_definitions, load_definition
from genesys_ad_sync.settings.current import CurrentDefinition
from genesys_ad_sync_airflow.notifiers import notifiers_of

TEXT = """
directory: {group_base: "OU=Contact Center,DC=example,DC=com"}
groups: [{name: "GC-(?P<team>.+)", genesys_name: "{team}"}]
dry_run: false
"""
NOTIFIERS = "def approval_notifiers(definition):\n    return [lambda context: None]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Make a folder of definitions below one that another test may share."""
    old = os.umask(0o022)
    made = tmp_path / "team" / "genesys-ad-sync"
    made.mkdir(parents=True)
    (made / "sales.yaml").write_text(TEXT)
    (made / "notifiers.py").write_text(NOTIFIERS)
    yield made
    os.umask(old)


def test_a_private_folder_is_accepted(folder: Path) -> None:
    assert [path.name for path in find_definitions(folder)] == ["sales.yaml"]
    assert len(notifiers_of(load_definition(folder / "sales.yaml"), print)) == 1


def test_a_group_that_may_write_is_the_teams_own(folder: Path) -> None:
    (folder / "sales.yaml").chmod(0o664)
    folder.chmod(0o2775)
    assert find_definitions(folder)
    assert load_definition(folder / "sales.yaml")


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o703, 0o702])
def test_a_folder_that_everybody_may_write_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(SettingsError, match=r"chmod o-w") as refused:
        find_definitions(folder)
    assert str(folder) in str(refused.value)


def test_a_file_that_everybody_may_write_is_refused_alone(folder: Path) -> None:
    (folder / "other.yaml").write_text(TEXT)
    (folder / "sales.yaml").chmod(0o646)
    assert len(find_definitions(folder)) == 2
    assert load_definition(folder / "other.yaml")
    with pytest.raises(SettingsError, match=r"chmod o-w"):
        load_definition(folder / "sales.yaml")


def test_a_folder_above_that_everybody_may_write_is_refused(folder: Path) -> None:
    folder.parent.chmod(0o777)  # they may rename the folder, and put another one in its place
    with pytest.raises(SettingsError, match=rf"chmod o-w '{folder.parent}'"):
        find_definitions(folder)
    with pytest.raises(SettingsError, match=rf"chmod o-w '{folder.parent}'"):
        load_definition(folder / "sales.yaml")
    folder.parent.chmod(0o1777)  # as /tmp: they may not
    assert find_definitions(folder)


def test_a_link_counts_as_what_it_leads_to(folder: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "real.yaml").write_text(TEXT)
    (folder / "linked.yaml").symlink_to(shared / "real.yaml")
    assert load_definition(folder / "linked.yaml")
    shared.chmod(0o777)
    with pytest.raises(SettingsError, match=rf"chmod o-w '{shared}'"):
        load_definition(folder / "linked.yaml")
    (tmp_path / "link").symlink_to(shared)
    with pytest.raises(SettingsError, match=r"chmod o-w"):
        find_definitions(tmp_path / "link")


@pytest.mark.parametrize("part", ["notifiers.py", "."])
def test_notifiers_that_everybody_may_write_are_not_run(folder: Path, part: str) -> None:
    definition = load_definition(folder / "sales.yaml")
    ran = folder.parent / "ran"
    (folder / "notifiers.py").write_text(f"open({str(ran)!r}, 'w').close()\n{NOTIFIERS}")
    place = folder / part
    place.chmod(place.stat().st_mode | 0o002)
    said: list[str] = []
    assert notifiers_of(definition, lambda text, *words: said.append(text % words)) == []
    assert not ran.exists()
    assert "chmod o-w" in said[0]


def test_a_file_that_becomes_writable_for_everybody_stops_a_run_that_writes(folder: Path) -> None:
    current = CurrentDefinition(load_definition(folder / "sales.yaml"))
    assert current.why_dry() is None
    (folder / "sales.yaml").chmod(0o666)
    (folder / "sales.yaml").write_text(TEXT.replace("example", "elsewhere"))
    assert "has an error" in (current.why_dry() or "")


def test_a_read_only_place_cannot_be_written_whatever_its_mode(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes mounts a ConfigMap with the mode 0777, read-only."""
    folder.chmod(0o777)
    with pytest.raises(SettingsError):
        find_definitions(folder)

    class ReadOnly:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda _: ReadOnly())
    assert find_definitions(folder)
