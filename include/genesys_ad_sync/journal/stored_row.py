"""Convert rows to the JSON in which the journal stores them, and back."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from genesys_ad_sync.model import Row

_ROW = TypeAdapter(Row)
_STORED_NAMES = {"undoes_run": "undoes"}
"""Field of `Row` -> its name in stored JSON, which outlives the renaming of a field."""
_FIELD_NAMES = {stored: field for field, stored in _STORED_NAMES.items() if field in Row.__dataclass_fields__}


def row_to_json(row: Row) -> dict[str, Any]:
    """Return the stored form of a row."""
    data: dict[str, Any] = _ROW.dump_python(row, mode="json")
    return {_STORED_NAMES.get(name, name): value for name, value in data.items()}


def row_from_json(data: dict[str, Any]) -> Row:
    """Return the row of a stored form."""
    return _ROW.validate_python({_FIELD_NAMES.get(name, name): value for name, value in data.items()})
