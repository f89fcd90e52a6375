"""docs/configuration.md says what the models of the sync definition say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "generate_configuration.py"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_configuration", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_the_configuration_page_are_up_to_date(generator: ModuleType) -> None:
    page = generator.PAGE.read_text(encoding="utf-8")
    assert generator.page_with(page, generator.tables()) == page, "run `make docs` and commit docs/configuration.md"


def test_check_fails_on_a_stale_page_and_changes_nothing(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "configuration.md"
    stale.write_text(f"before\n{generator.BEGIN}\nold\n{generator.END}\nafter\n")
    monkeypatch.setattr(generator, "PAGE", stale)

    assert generator.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert "old" in stale.read_text()

    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0
    assert stale.read_text().startswith("before\n")
    assert stale.read_text().endswith("after\n")


def test_a_key_without_a_meaning_is_named(generator: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {path: text for path, text in generator.MEANINGS.items() if path != "limits.per_day"}
    monkeypatch.setattr(generator, "MEANINGS", fewer)
    with pytest.raises(ValueError, match=r"MEANINGS lacks limits\.per_day"):
        generator.tables()
