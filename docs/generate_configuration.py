"""Write the tables of docs/configuration.md from the models of the sync definition.

    python docs/generate_configuration.py            rewrite the tables (`make docs`)
    python docs/generate_configuration.py --check    exit 1 if the file is stale

The tables are between two marker comments; everything outside them is written by hand. All of the tables comes from
the pydantic models: a key's meaning is its description, its values are its mark `Write`.
"""

from __future__ import annotations

import argparse
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.settings.values import Write

PAGE = Path(__file__).with_name("configuration.md")
BEGIN = "<!-- begin: tables written by docs/generate_configuration.py -->"
END = "<!-- end: tables -->"

SECTIONS: Mapping[str, str] = {
    "": "Top level",
    "directory": "`directory`: what is read from Active Directory",
    "genesys": "`genesys`: how Genesys Cloud is written",
    "groups[]": "`groups`: which AD group feeds which Genesys group",
    "users[]": "`users`: which Genesys user an AD user is",
    "exclude": "`exclude`: what is never acted on",
    "limits": "`limits`: how much may be removed or added without a person",
    "report": "`report`: where reports are written",
    "notify[]": "`notify`: who is notified of what",
    "airflow": "`airflow`: where the tasks run",
}
"""Headings, in the order of the page. A section that is missing here is an error."""


def tables() -> str:
    """Return the generated part of the page. Raises ValueError if a section is missing or left over."""
    found = dict(sections(SyncDefinition))
    _compare("SECTIONS", set(SECTIONS), set(found))
    return "\n\n".join(_table(section, found[section]) for section in SECTIONS)


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield (path, model) of a model and of every model below it."""
    yield path, model
    for key, field in model.model_fields.items():
        inner, repeated = _model_in(field.annotation)
        if inner is not None:
            yield from sections(inner, _join(path, key) + ("[]" if repeated else ""))


def page_with(page: str, generated: str) -> str:
    """Return the page with new tables. Raises ValueError if a marker is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE}: a marker is missing. Put the tables between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}"


def _table(section: str, model: type[BaseModel]) -> str:
    lines = [f"## {SECTIONS[section]}", "", "| Key | Value | Default | Meaning |", "|---|---|---|---|"]
    for key, field in model.model_fields.items():
        default = "required" if field.is_required() else _shown(_default(field))
        cells = (f"`{key}`", _cell(Write.of(field).value), default, _cell(field.description or ""))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _default(field: FieldInfo) -> object:
    """Return the default as written, not as filled in: `${AIRFLOW_HOME}` stays."""
    if field.default is not PydanticUndefined:
        return field.default
    return field.get_default(call_default_factory=True, validated_data={})


def _shown(value: object) -> str:
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        return "; ".join(_rule(rule) for rule in value)
    return f"`{_as_yaml(value)}`"


def _rule(rule: BaseModel) -> str:
    pairs = ", ".join(f"{key}: {_as_yaml(value)}" for key, value in rule if value is not None)
    return f"`{{{pairs}}}`"


def _as_yaml(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return _iso(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_as_yaml(item) for item in value) + "]"
    return str(value)


def _iso(value: timedelta) -> str:
    """Write a duration as a whole number of its largest unit: PT8H, PT90M, PT30S."""
    seconds = int(value.total_seconds())
    for unit, length in (("H", 3600), ("M", 60)):
        if seconds % length == 0:
            return f"PT{seconds // length}{unit}"
    return f"PT{seconds}S"


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the model that a field holds, and whether the field is a list of it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    repeated = typing.get_origin(annotation) in (tuple, list)
    for part in typing.get_args(annotation):
        inner, _ = _model_in(part)
        if inner is not None:
            return inner, repeated
    return None, False


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _compare(table: str, written: set[str], real: set[str]) -> None:
    if missing := sorted(real - written):
        raise ValueError(f"docs/generate_configuration.py: {table} lacks {', '.join(missing)}. Add them.")
    if left_over := sorted(written - real):
        raise ValueError(f"docs/generate_configuration.py: {table} has unknown {', '.join(left_over)}. Remove them.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the page, or check it. Return the exit code."""
    parser = argparse.ArgumentParser(description="Write the tables of docs/configuration.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the page is stale")
    options = parser.parse_args(arguments)
    old = PAGE.read_text(encoding="utf-8")
    new = page_with(old, tables())
    if options.check:
        if new != old:
            print(f"{PAGE} is stale. Run `make docs` and commit the result.", file=sys.stderr)
        return int(new != old)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
