"""Find words that a native reader stumbles over, in all texts that people see.

Those are strings, docstrings and comments of the product, its templates and YAML files, docs/ and the README.
Code between backticks may hold any word.

    python tests/check_words.py

Part of `make lint`. Exits with 1 if it finds one. The house rules are in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRODUCT = ("include", "plugins", "dags")
TEXTS = ("*.j2", "*.yaml", "*.yml")
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md")

FORBIDDEN: dict[str, str] = {
    r"whom": "that, or another sentence",
    r"told|tells? of": "reported, said, notified",
    r"anew": "again",
    r"stands?": "is, means, remains",
    r"by (?:itself|themselves)": "leave it out, or name the cause",
    r"as a whole(?! number)": "whole, completely",
    r"lane 0": "what the operator sees of it",
    r"view number": "poll",
    r"mends?": "correct, repair",
    r"speaks? of": "mention, name",
    r"heard of": "received, been notified of",
    r"carried through": "completed",
    r"(?-i:Else)": "Otherwise",
    r"(?:that|which|what|who|it) (?:is|are|was|were) no(?! longer| more| one)": "is not a",
    r"what becomes of": "what happens to",
    r"(?:comes?|came) to (?:it|this|them)": "reaches",
    r"nobody's": "no account's",
    r"else than": "other than",
}
"""Pattern -> what to write in its place."""

# A space may be a line break, with what begins the next line of a comment.
_WORDS = re.compile(
    "|".join(rf"(?P<w{number}>\b(?:{word})\b)".replace(" ", r"[\s#]+") for number, word in enumerate(FORBIDDEN)),
    re.IGNORECASE,
)
_CODE = re.compile(r"``.*?``|`[^`\n]*`", re.DOTALL)
_WHERE_RULES_ARE = "6. Avoid "  # the line of CONTRIBUTING.md that names the words


def hits(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line (from 0), word and advice for each forbidden word."""
    plain = _CODE.sub(lambda code: "\n" * code.group().count("\n"), text)
    for match in _WORDS.finditer(plain):
        number = int(str(match.lastgroup)[1:])
        yield plain[: match.start()].count("\n"), match.group(), list(FORBIDDEN.values())[number]


def texts_of(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string, docstring and comment. A word alone is a name, not a text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def places(root: Path = ROOT) -> Iterator[tuple[str, int, str]]:
    """Yield file, line and text of all that people read."""
    for folder in PRODUCT:
        for path in sorted((root / folder).rglob("*.py")):
            for line, text in texts_of(path.read_text(encoding="utf-8")):
                yield str(path.relative_to(root)), line, text
    others = [path for folder in PRODUCT for kind in TEXTS for path in (root / folder).rglob(kind)]
    others += [*(root / "docs").rglob("*.md"), *(root / page for page in PAGES)]
    for path in sorted(others):
        lines = path.read_text(encoding="utf-8").splitlines()
        yield str(path.relative_to(root)), 1, "\n".join("" if x.startswith(_WHERE_RULES_ARE) else x for x in lines)


def main() -> int:
    """Print each forbidden word with its place."""
    found = [(file, line + offset, *rest) for file, line, text in places() for offset, *rest in hits(text)]
    for file, line, word, advice in found:
        print(f'{file}:{line}: "{word}": write {advice}', file=sys.stderr)
    print(f"words that a native reader stumbles over: {len(found)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
