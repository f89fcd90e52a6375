"""Forward to `genesys_ad_sync.planning.guards`."""

from genesys_ad_sync.planning.guards import shrunk  # noqa: F401 (shim until the rooms are merged)
