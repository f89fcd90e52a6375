"""Text from elsewhere made safe to show: on one line of a log or a page, and in Markdown.

Names come from directories in which many people may choose their own.
"""

from __future__ import annotations

import re
import unicodedata

_LINE_BREAKS = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
_DIRECTION_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&:@/$^=\"'])")
_LINKED_BY_VIEWERS = re.compile(r"://|www\.|@|mailto:|xmpp:", re.IGNORECASE)

FOREIGN_WORDS = "Genesys says: "
"""Stands before words that Genesys wrote, which may name people. They are the end of their text, see `own_words`."""


def own_words(text: str) -> str:
    """Return the part of a text that may be logged: without the words that Genesys wrote."""
    return text.partition(FOREIGN_WORDS)[0].rstrip()


def one_line(text: object) -> str:
    """Return the text on one line, without invisible characters that deceive.

    Control characters could forge a line of a log. Unicode marks that switch the direction of writing could turn the
    text around them. Each of them becomes U+FFFD.
    """
    return "".join(
        "\ufffd" if unicodedata.category(character) in ("Cc", "Cs") or character in _DIRECTION_MARKS else character
        for character in _LINE_BREAKS.sub(" ", str(text))
    )


def escape_markdown(text: str) -> str:
    """Return Markdown that shows exactly the text: nothing becomes a link, markup or a new line."""
    text = one_line(text)
    if _LINKED_BY_VIEWERS.search(text):  # viewers make links even of escaped text
        return markdown_code(text)
    return _MARKDOWN.sub(r"\\\1", text)


def markdown_code(text: str) -> str:
    """Return the text as Markdown code, in which only its fence and, inside a table, the bar mean anything."""
    text = one_line(text).replace("|", "¦")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{pad}{text}{pad}{fence}"
