"""Text that is safe to show."""

from __future__ import annotations

import pytest

from genesys_ad_sync.text import FOREIGN_WORDS, escape_markdown, markdown_code, one_line, own_words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Anna Muster", "Anna Muster"),
        ("two\r\nlines", "two lines"),
        ("tab\there", "tab here"),
        ("bell\x07", "bell\ufffd"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("half \ud800", "half \ufffd"),
        (None, "None"),
    ],
)
def test_text_becomes_one_line_without_characters_that_deceive(text: object, shown: str) -> None:
    assert one_line(text) == shown


def test_what_may_be_logged_ends_where_the_words_of_genesys_begin() -> None:
    assert own_words(f"refused (409). {FOREIGN_WORDS}no user Ann Lee") == "refused (409)."
    assert own_words("refused (409).") == "refused (409)."


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("Tier 2", "Tier 2"),
        ("*bold* [a](b)", r"\*bold\* \[a\]\(b\)"),
        ("<b>&amp;", r"\<b\>\&amp;"),
        ("two\nlines", "two lines"),
        ("ann@example.com", "`ann@example.com`"),
        ("see https://x", "`see https://x`"),
    ],
)
def test_markdown_shows_exactly_the_text(text: str, markdown: str) -> None:
    assert escape_markdown(text) == markdown


@pytest.mark.parametrize(
    ("text", "markdown"),
    [("a|b", "`a¦b`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), (" ", "`   `")],
)
def test_code_cannot_be_left(text: str, markdown: str) -> None:
    assert markdown_code(text) == markdown
