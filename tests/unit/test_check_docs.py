"""docs/check.md says what the catalogue of lines says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "generate_check.py"


def test_the_tables_of_the_page_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("generate_check", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    page = generator.PAGE.read_text(encoding="utf-8")
    assert generator.page_with(page, generator.tables()) == page, "run `make docs` and commit docs/check.md"
