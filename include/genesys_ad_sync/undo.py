"""Forward to `genesys_ad_sync.planning.undo`."""

from genesys_ad_sync.planning.undo import Present, plan_undo, recheck_undo  # noqa: F401 (shim until the rooms are merged)
