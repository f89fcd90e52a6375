"""Forward to `genesys_ad_sync.planning.limits`."""

from genesys_ad_sync.planning.limits import shrunk  # noqa: F401 (shim until the rooms are merged)
