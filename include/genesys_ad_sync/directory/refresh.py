"""Moved to `apply_delta`, which takes an ObjectReader."""

from __future__ import annotations

from typing import Any

from genesys_ad_sync.directory import apply_delta as moved
from genesys_ad_sync.directory.apply_delta import merged  # noqa: F401 (shim until the rooms are merged)
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.model import View


def apply_delta(part: View, delta: Delta, reader: Any) -> View:
    """Call `apply_delta.apply_delta` with the objects of a DirectoryReader."""
    return moved.apply_delta(part, delta, reader.objects)
