"""Errors of validation, in plain words.

They are for a person that edits a YAML file and does not know pydantic.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable, Sequence

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from genesys_ad_sync.settings.definition import SyncDefinition
from genesys_ad_sync.settings.values import Write, listed

Location = Sequence[int | str]

_LONGEST_SHOWN = 120  # characters of a value in a message

_PLAIN_WORDS = {
    "bool_type": "is neither true nor false",
    "int_type": "is not a whole number",
    "model_type": "is not a section with keys below it",
    "string_type": "is not text",
    "tuple_type": "is not a list",
}
"""pydantic names Python's types; a person who edits a YAML file should not need to know them."""


def all_explained(errors: Sequence[ErrorDetails]) -> list[str]:
    """Return a line for each error.

    A key that is misspelt is not said to be missing, too.
    """
    misspelt = {
        (*error["loc"][:-1], near)
        for error in errors
        if error["type"] == "extra_forbidden" and (near := _nearest_key(error["loc"]))
    }
    return [explained(error) for error in errors if error["type"] != "missing" or error["loc"] not in misspelt]


def explained(error: ErrorDetails) -> str:
    """Name in one line the wrong key, the fault, and the remedy."""
    kind, key = error["type"], _key_path(error["loc"])
    if kind == "extra_forbidden":
        near = _nearest_key(error["loc"])
        known = f"Known keys there: {listed(_known_keys(error['loc']))}."
        return f"`{key}` is not a known key. " + (f"Did you mean `{near}`?" if near else known)
    if kind == "sync_definition":
        shown = "" if error["ctx"]["hide"] else _shown(error["input"])
        return f"`{key}`{shown} {error['ctx']['problem']}. {error['ctx']['remedy']}"
    field = _field_at(error["loc"])
    write = Write.of(field) if field else Write()
    if kind == "missing":
        return f"`{key}` is missing. Add it: {write.sentence}."
    problem = _PLAIN_WORDS.get(kind) or f"is wrong: {error['msg'][0].lower()}{error['msg'][1:]}"
    return f"`{key}`{_shown(error['input'])} {problem}. Write {write.sentence}."


def _nearest_key(location: Location) -> str | None:
    return next(iter(difflib.get_close_matches(str(location[-1]), _known_keys(location), n=1)), None)


def _known_keys(location: Location) -> list[str]:
    return list(_model_at(location[:-1]).model_fields)


def _shown(value: object) -> str:
    if isinstance(value, (str, int, float)) and len(str(value)) <= _LONGEST_SHOWN:
        return f" ({value!r})"
    return ""


def _key_path(location: Iterable[int | str]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _model_at(location: Location) -> type[BaseModel]:
    found: type[BaseModel] = SyncDefinition
    for part in location:
        if isinstance(part, str) and part in found.model_fields:
            found = _model_in(found.model_fields[part].annotation) or found
    return found


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := _model_in(part))), None)


def _field_at(location: Location) -> FieldInfo | None:
    """Return the key's field.

    None where the location is not a key, but a whole rule of a list.
    """
    keys = [part for part in location if isinstance(part, str)]
    return _model_at(keys[:-1]).model_fields.get(keys[-1]) if keys else None
