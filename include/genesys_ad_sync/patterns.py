"""Regular expressions of a definition, with a limit of time for each match.

They are applied to names that others choose. An expression with repetitions inside repetitions can need years for one
name of 64 letters. Python's `re` cannot give up, so matching is done by `regex`, which can.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from typing import Any

MATCH_SECONDS = 0.1
"""Of processor time, for one name. An ordinary expression needs a hundred-thousandth of it."""

MOST_REPETITIONS = 1_000_000
"""All counts of an expression, multiplied: an upper bound, whatever is inside of what."""

_REPETITION = re.compile(r"\{(\d*)(?:,(\d*))?\}", re.ASCII)
_ESCAPED_OR_CLASS = re.compile(r"\\N\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_BRACE_OF_TEXT = re.compile(r"\{(?!\d+(?:,\d*)?\}|,\d+\})")
_POSIX_CLASS = re.compile(r"\[:\^?\w+:\]")


class PatternTooSlow(Exception):
    """Whether the name matches is not known: finding out would take too long."""


def problem_of(expression: str) -> str | None:
    """Return why a text cannot be used as an expression; None if it can."""
    try:
        re.compile(expression, re.IGNORECASE)
    except (re.error, OverflowError) as error:  # the second: a repetition that Python cannot count
        return f"is not a regular expression ({error})"
    except RecursionError:
        return "has too many brackets inside each other"
    # `regex` writes each repetition out before it matches anything, and has no limit of time for that.
    counts = [int(number) for found in _REPETITION.findall(expression) for number in found if number]
    if math.prod(filter(None, counts)) > MOST_REPETITIONS:
        return f"repeats something more than {MOST_REPETITIONS:,} times in all"
    # Here `regex` means more than `re`: it would match other names than the expression says.
    if _BRACE_OF_TEXT.search(_ESCAPED_OR_CLASS.sub("", expression)) or _POSIX_CLASS.search(expression):
        return "has a brace or [: :] that is not clear"
    return None


def full_match(expression: str, text: str) -> Mapping[str, str | None] | None:
    """Return the named groups if the expression matches the whole text; else None.

    Case does not count. Raises PatternTooSlow.
    """
    try:
        found = _compiled(expression).fullmatch(text, timeout=MATCH_SECONDS)
    except TimeoutError:
        raise PatternTooSlow from None
    return None if found is None else found.groupdict()


@functools.lru_cache(maxsize=256)
def _compiled(expression: str) -> Any:
    """Return the compiled expression.

    The look-up in the cache of `regex` itself takes longer than an ordinary match.
    """
    import regex  # type: ignore[import-untyped]  # no stubs; and parsing a DAG file shall not load it

    return regex.compile(expression, regex.IGNORECASE)
