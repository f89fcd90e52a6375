"""Moved to `results`."""

from genesys_ad_sync.directory.results import (  # noqa: F401 (shim until the rooms are merged)
    Delta,
    Proof,
    Reading,
)
