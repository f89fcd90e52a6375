"""Check the sizes of product files, functions and docstrings.

- A file has at most 400 lines, and a function at most 50.
- The first line of a docstring has at most 15 words.

    python tests/check_sizes.py

Part of `make lint`. Prints the largest of each; exits with 1 if a limit is passed.
A function is counted from its `def` to its end, without decorators and docstring.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PRODUCT = ("include", "plugins", "dags")
MIGRATIONS = ROOT / "include/genesys_ad_sync/journal/migrations/versions"  # one function lists all tables
FILE_LIMIT = 400
FUNCTION_LIMIT = 50
DOCSTRING_LIMIT = 15


class Size(NamedTuple):
    """A number of lines or words, and where they are."""

    amount: int
    where: str


class Rule(NamedTuple):
    """A limit of one kind. ``advice``: for whatever is over it."""

    kind: str
    limit: int
    unit: str
    advice: str


RULES = (
    Rule("file", FILE_LIMIT, "lines", "split this file"),
    Rule("function", FUNCTION_LIMIT, "lines", "split this function"),
    Rule("first line of a docstring", DOCSTRING_LIMIT, "words", "move a part of it below a blank line"),
)


def sizes(root: Path = ROOT) -> tuple[list[Size], list[Size], list[Size]]:
    """Return the sizes of all product files, functions outside migrations, and docstrings."""
    files: list[Size] = []
    functions: list[Size] = []
    docstrings: list[Size] = []
    for folder in PRODUCT:
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            where = str(path.relative_to(root))
            files.append(Size(len(text.splitlines()), where))
            tree = ast.parse(text)
            docstrings.extend(_docstrings(tree, where))
            if path.parent != MIGRATIONS:
                functions.extend(_functions(tree, where))
    return files, functions, docstrings


def _functions(tree: ast.Module, file: str) -> Iterator[Size]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Size(_lines(node), f"{file}:{node.lineno} {node.name}")


def _docstrings(tree: ast.Module, file: str) -> Iterator[Size]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield Size(len(text.split("\n", 1)[0].split()), f"{file}:{node.body[0].lineno}")


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def main() -> int:
    """Print the largest of each kind, and all that pass their limit."""
    passed = 0
    for rule, found in zip(RULES, sizes(), strict=True):
        largest = max(found)
        print(f"largest {rule.kind}: {largest.amount} {rule.unit} of at most {rule.limit}: {largest.where}")
        for size in sorted(found, reverse=True):
            if size.amount > rule.limit:
                passed += 1
                text = f"{size.amount} {rule.unit} are more than {rule.limit}: {rule.advice}"
                print(f"{size.where}: {text}", file=sys.stderr)
    return 1 if passed else 0


if __name__ == "__main__":
    sys.exit(main())
