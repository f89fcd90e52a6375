"""Moved to `writers.scim_patch`."""

from genesys_ad_sync.genesys.writers.scim_patch import ScimPatchWriter  # noqa: F401 (shim until the rooms are merged)
