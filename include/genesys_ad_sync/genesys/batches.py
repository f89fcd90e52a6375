"""Moved to `writers.batching`."""

from genesys_ad_sync.genesys.writers.batching import (  # noqa: F401 (shim until the rooms are merged)
    MAX_MEMBERS,
    MembershipWriter,
    WriteResult,
)
