"""Shim: moved to `genesys_ad_sync.run.context`."""

from genesys_ad_sync.run.context import RunRequest, Sync  # noqa: F401 (shim until the rooms are merged)
