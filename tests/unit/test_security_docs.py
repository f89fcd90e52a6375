"""docs/security.md names tests: each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

import genesys_ad_sync

PROJECT = Path(genesys_ad_sync.__file__).parents[2]


def test_every_test_that_the_page_on_security_names_exists() -> None:
    page = (PROJECT / "docs" / "security.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    tests = "\n".join(path.read_text() for path in (PROJECT / "tests").rglob("test_*.py"))
    assert len(named) > 25
    assert {name for name in named if f"def {name}(" not in tests} == set()
