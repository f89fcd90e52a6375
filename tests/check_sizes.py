"""Check that no product file is over 400 lines, and no product function over 50.

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


class Size(NamedTuple):
    """The lines of a file or a function, and where it is."""

    lines: int
    where: str


def sizes(root: Path = ROOT) -> tuple[list[Size], list[Size]]:
    """Return the sizes of all product files, and of all product functions outside migrations."""
    files: list[Size] = []
    functions: list[Size] = []
    for folder in PRODUCT:
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            where = str(path.relative_to(root))
            files.append(Size(len(text.splitlines()), where))
            if path.parent != MIGRATIONS:
                functions.extend(_functions(ast.parse(text), where))
    return files, functions


def _functions(tree: ast.Module, file: str) -> Iterator[Size]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Size(_lines(node), f"{file}:{node.lineno} {node.name}")


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def main() -> int:
    """Print the largest file and function, and all that pass their limit."""
    passed = 0
    for kind, found, limit in zip(("file", "function"), sizes(), (FILE_LIMIT, FUNCTION_LIMIT), strict=True):
        largest = max(found)
        print(f"largest {kind}: {largest.lines} lines of at most {limit}: {largest.where}")
        for size in sorted(found, reverse=True):
            if size.lines > limit:
                passed += 1
                print(f"{size.where}: {size.lines} lines are more than {limit}: split this {kind}", file=sys.stderr)
    return 1 if passed else 0


if __name__ == "__main__":
    sys.exit(main())
