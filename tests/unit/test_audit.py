"""`make audit` is never green by accident, and `make` installs nothing without its hash."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import audit

PROJECT = Path(audit.__file__).parents[1]
GOOD: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
SKIPPED: dict[str, Any] = {"name": "b", "skip_reason": "Dependency not found on PyPI and could not be audited"}
BAD: dict[str, Any] = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}


@pytest.mark.parametrize(
    ("dependencies", "code"),
    [([GOOD], 0), ([GOOD, SKIPPED], 2), ([SKIPPED], 2), ([], 2), ([BAD], 1), ([GOOD, SKIPPED, BAD], 1)],
)
def test_what_was_not_looked_up_is_not_good(dependencies: list[dict[str, Any]], code: int) -> None:
    assert audit.verdict(dependencies)[0] == code


def test_a_database_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    asked: list[str] = []

    def unreachable(_: Path, service: str) -> tuple[list[dict[str, Any]], str]:
        asked.append(service)
        return [], "ConnectionError: no route to the database"

    monkeypatch.setattr(audit, "audit", unreachable)
    assert audit.main(["requirements.lock"]) == 2
    said = capsys.readouterr().out
    assert "NOT AUDITED" in said
    assert "no route to the database" in said
    assert asked == ["pypi", "osv"]


@pytest.mark.parametrize(("of_old", "code"), [([BAD], 0), ([GOOD], 2), ([], 2)], ids=["known", "unknown", "no answer"])
def test_a_database_that_does_not_know_an_old_vulnerability_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, of_old: list[dict[str, Any]], code: int
) -> None:
    """A mirror in place of PyPI answers without vulnerabilities, and pip-audit takes that for none."""

    def answer(lock: Path, _service: str, pinned: Any = ()) -> tuple[list[dict[str, Any]], str]:
        if lock.name != "old.txt":
            return [GOOD], ""
        assert (lock.read_text(), tuple(pinned)) == ("urllib3==1.24.1\n", ("--no-deps",))
        return of_old, ""

    monkeypatch.setattr(audit, "audit", answer)
    assert audit.main(["requirements.lock"]) == code
    assert ("NOT AUDITED" in capsys.readouterr().out) == (code == 2)


def test_a_vulnerability_outweighs_what_was_not_looked_up(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(audit, "audit", lambda lock, _: ([BAD] if lock.name == "one" else [], ""))
    assert audit.main(["one", "two"]) == 1
    assert "c 2: CVE-1, fixed in 3" in capsys.readouterr().out


def test_every_install_of_the_makefile_checks_hashes() -> None:
    text = (PROJECT / "Makefile").read_text()
    installs = re.findall(r"^.*\bpip (?:install|sync)\b.*$", text, re.MULTILINE)
    assert len(installs) == 3
    # The product itself has no hash: it is this folder, and brings nothing along.
    ours = "-p $(PYTHON) -e ."
    assert [line for line in installs if "--require-hashes" not in line and not line.rstrip().endswith(ours)] == []
    assert all("--no-deps --no-build-isolation" in line for line in installs if line.rstrip().endswith(ours))


def test_uv_is_cut_out_of_the_lock_with_its_hashes(tmp_path: Path) -> None:
    command = re.search(r"sed -n '(.+)' requirements-dev.lock", (PROJECT / "Makefile").read_text())
    assert command is not None
    script = command[1].replace("$$", "$")
    cut = subprocess.run(
        ["sed", "-n", script, str(PROJECT / "requirements-dev.lock")], capture_output=True, text=True, check=True
    ).stdout
    assert cut.startswith("uv==")
    assert cut.count("==") == 1
    assert cut.count("--hash=sha256:") >= 5
