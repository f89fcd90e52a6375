"""Writes the tables of docs/check.md from the catalogue of lines: `make docs`.

    python docs/generate_check.py [--check]

``--check`` changes nothing and fails if the page is not up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parent / "check.md"
sys.path.insert(0, str(PAGE.parents[1] / "include"))

from genesys_ad_sync.doctor.catalogue import CATALOGUE  # noqa: E402  found by the line above

BEGIN = "<!-- generated: lines, by `make docs` -->"
END = "<!-- end of generated -->"


def tables() -> str:
    """Return one table for each part."""
    parts = list(dict.fromkeys(entry.part for entry in CATALOGUE.values()))
    made = []
    for part in parts:
        rows = [
            f"| `{key}` | {entry.title} | {_cell(entry.meaning)} | {_cell(entry.remedy)} |"
            for key, entry in CATALOGUE.items()
            if entry.part == part
        ]
        head = ["| Line | Title | What it means | What to do if it is not ok |", "|---|---|---|---|"]
        made.append("\n".join([f"### {part}", "", *head, *rows]))
    return "\n\n".join(made)


def page_with(page: str, text: str) -> str:
    """Return the page with the tables between the marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: Sequence[str]) -> int:
    """Write the page; with ``--check`` compare it only. Return the exit code."""
    page = PAGE.read_text(encoding="utf-8")
    made = page_with(page, tables())
    if "--check" in arguments:
        if made != page:
            print(f"{PAGE} is not up to date: run `make docs`", file=sys.stderr)
        return int(made != page)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
