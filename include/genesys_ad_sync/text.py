"""Text from elsewhere, made safe to show.

It is shown on one line of a log or a page, and in Markdown. Names come from directories in which many people may choose
their own.
"""

from __future__ import annotations

import re
import unicodedata

_LINE_BREAKS = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
_DECEIVING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff"  # control characters, and halves of surrogate pairs
    "\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # marks of direction
)
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks without a shape, which are not format characters."""

_LOOK_ALIKES = str.maketrans(
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0451\u0454\u0455\u0456\u0458\u04bb\u0501"
    "\u051b\u051d\u03b1\u03b2\u03b5\u03b6\u03b7\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u0131\u017f\u0261\u0578"
    "\u0585\u057d\u01c0\u2223|l10",
    "abekmhopctyxeesijhd" + "qwabeznikuvoptuxisgn" + "ouiiiiio",
)
"""Cyrillic, Greek and other letters, in small, -> the Latin ones that they look like; l, 1 and | -> i; 0 -> o."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&:@/$^=\"'])")
_LINKED_BY_VIEWERS = re.compile(r"://|www\.|@|mailto:|xmpp:", re.IGNORECASE)

FOREIGN_WORDS = "Genesys says: "
"""Comes before words that Genesys wrote, which may name people. They are the end of their text, see `own_words`."""


def own_words(text: str) -> str:
    """Return the part of a text that may be logged.

    It lacks the words that Genesys wrote.
    """
    return text.partition(FOREIGN_WORDS)[0].rstrip()


def one_line(text: object) -> str:
    """Return the text on one line, without invisible characters that deceive.

    Control characters could forge a line of a log. Unicode marks that switch the direction of writing could turn the
    text around them. Each of them becomes U+FFFD.
    """
    return without_controls(_LINE_BREAKS.sub(" ", str(text)))


def without_controls(text: str) -> str:
    """Return the text with U+FFFD for control characters and marks of direction.

    Tab, carriage return and line feed stay: they separate. The others command terminals, or turn text around.
    """
    return _DECEIVING.sub("\ufffd", text)


def counted(number: int, noun: str) -> str:
    """Return the number with its noun: `1 group`, `2,000 groups`.

    The noun is in the plural where the number is not one.
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def visible(text: object) -> str:
    """Return the text on one line, with invisible characters shown by number.

    A character that takes no room is shown as in ⟨U+200B⟩.
    """
    return "".join(f"⟨U+{ord(character):04X}⟩" if _is_unseen(character) else character for character in one_line(text))


def skeleton(text: str) -> str:
    """Return a form in which two texts are equal that people can hardly tell apart.

    It is for comparing what is shown, and never decides what is equal: see `names` for that. The table holds the
    letters of other scripts that look like Latin ones in most fonts.
    """
    plain = unicodedata.normalize("NFKC", "".join(c for c in str(text) if not _is_unseen(c)))
    plain = unicodedata.normalize("NFKD", plain.translate(_LOOK_ALIKES).casefold().translate(_LOOK_ALIKES))
    return " ".join("".join(c for c in plain if unicodedata.category(c) != "Mn").split())


def _is_unseen(character: str) -> bool:
    if character.isascii():
        return False
    return unicodedata.category(character) == "Cf" or character in _BLANKS or "\ufe00" <= character <= "\ufe0f"


def escape_markdown(text: str) -> str:
    """Return Markdown that shows exactly the text.

    Nothing becomes a link, markup or a new line.
    """
    text = one_line(text)
    if _LINKED_BY_VIEWERS.search(text):  # viewers make links even of escaped text
        return markdown_code(text)
    return _MARKDOWN.sub(r"\\\1", text)


def markdown_code(text: str) -> str:
    """Return the text as Markdown code.

    Only its fence and, inside a table, the bar mean anything in it.
    """
    text = one_line(text).replace("|", "¦")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{pad}{text}{pad}{fence}"
