"""The catalogue of all lines of a check.

Each has its part, its title, its meaning, and the remedy if it is not ok. docs/check.md is made from it (`make docs`).
"""

from __future__ import annotations

from collections.abc import Mapping

from genesys_ad_sync.doctor.catalogue.directory import DIRECTORY_LINES
from genesys_ad_sync.doctor.catalogue.entry import Entry
from genesys_ad_sync.doctor.catalogue.genesys import GENESYS_LINES
from genesys_ad_sync.doctor.catalogue.mapping import MAPPING_LINES
from genesys_ad_sync.doctor.catalogue.own import AIRFLOW_LINES, JOURNAL_LINES
from genesys_ad_sync.doctor.catalogue.scratch import SCRATCH_LINES

__all__ = ["CATALOGUE", "Entry"]

CATALOGUE: Mapping[str, Entry] = {
    **AIRFLOW_LINES,
    **JOURNAL_LINES,
    **DIRECTORY_LINES,
    **GENESYS_LINES,
    **MAPPING_LINES,
    **SCRATCH_LINES,
}
