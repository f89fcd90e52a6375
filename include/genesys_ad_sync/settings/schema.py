"""JSON schema of the sync definition, for editors that check and complete YAML files.

    python -m genesys_ad_sync.settings.schema > include/genesys_ad_sync/settings/definition.schema.json

The file is part of the package. The schema knows fewer rules than the models, which alone decide.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from genesys_ad_sync.settings.definition import SyncDefinition

FILE = Path(__file__).with_name("definition.schema.json")


def definition_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12), made from the models."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **SyncDefinition.model_json_schema(),
        "title": "Sync definition of genesys-ad-sync",
    }


if __name__ == "__main__":
    print(json.dumps(definition_schema(), indent=2, ensure_ascii=False))
