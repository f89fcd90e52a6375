"""Moved to `writers.user_patch`."""

from genesys_ad_sync.genesys.writers.user_patch import UserPatchWriter  # noqa: F401 (shim until the rooms are merged)
