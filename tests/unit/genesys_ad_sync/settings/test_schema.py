"""The JSON schema of the sync definition, which editors use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from genesys_ad_sync.settings import schema

SHIPPED = Path(__file__).parents[4] / "include" / "config" / "default.yaml"


def test_the_packaged_schema_is_that_of_the_models() -> None:
    packaged = json.loads(schema.FILE.read_text(encoding="utf-8"))
    assert packaged == schema.definition_schema(), f"stale; {schema.__doc__}"


def test_the_shipped_definition_fits_the_schema() -> None:
    Draft202012Validator.check_schema(schema.definition_schema())
    definition = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    assert [error.message for error in Draft202012Validator(schema.definition_schema()).iter_errors(definition)] == []


@pytest.mark.parametrize(
    "change",
    [
        {"color": "red"},
        {"removals": "all"},
        {"groups": []},
        {"groups": [{"name": "a"}]},
        {"groups": [{"name": "a", "sid": "S-1-5-21-1", "genesys_name": "b"}]},
        {"genesys": {"write": "put"}},
        {"limits": {"removals_percent": 101}},
    ],
)
def test_a_mistake_does_not_fit_the_schema(change: dict[str, object]) -> None:
    definition = yaml.safe_load(SHIPPED.read_text(encoding="utf-8")) | change
    assert list(Draft202012Validator(schema.definition_schema()).iter_errors(definition))
