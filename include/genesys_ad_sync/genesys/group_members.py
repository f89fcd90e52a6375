"""Moved to `writers.group_members`."""

from genesys_ad_sync.genesys.writers.group_members import GroupMembersWriter  # noqa: F401 (shim until the rooms are merged)
