"""The check of words that a native reader stumbles over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check_words import hits, places


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a member whom AD does not own", ["whom"]),
        ("It is read by\n    # itself.", ["by\n    # itself"]),
        ("Write it as a whole number.", []),
        ("read as a whole", ["as a whole"]),
        ("Else see docs/. Nobody else is asked.", ["Else"]),
        ("*reported* (`told` in the journal), ``stands``", []),
    ],
)
def test_a_forbidden_word_is_found_and_code_may_hold_it(text: str, words: list[str]) -> None:
    assert [word for _, word, _ in hits(text)] == words


def test_it_reads_messages_docstrings_comments_templates_and_pages(tmp_path: Path) -> None:
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"):
        (tmp_path / name).write_text("fine")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/page.md").write_text("first\nto whom")
    (tmp_path / "include").mkdir()
    (tmp_path / "include/a.py").write_text(
        '"""A.\n\nOf whom.\n"""\nTOLD = "told"  # to whom\nprint(f"{TOLD} to whom")\n'
    )
    (tmp_path / "include/b.yaml").write_text("key: 1  # for whom")
    found = {(file, line + offset) for file, line, text in places(tmp_path) for offset, _, _ in hits(text)}
    assert found == {
        ("include/a.py", 3),
        ("include/a.py", 5),
        ("include/a.py", 6),
        ("include/b.yaml", 1),
        ("docs/page.md", 2),
    }
