"""Moved to `apply_delta`."""

from genesys_ad_sync.directory.apply_delta import (  # noqa: F401 (shim until the rooms are merged)
    apply_delta,
    merged,
)
