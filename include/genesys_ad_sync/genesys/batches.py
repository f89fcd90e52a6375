"""Moved to `writers.base` and `writers.batching`."""

from genesys_ad_sync.genesys.writers.base import (  # noqa: F401 (shim until the rooms are merged)
    MembershipWriter,
    WriteResult,
)
from genesys_ad_sync.genesys.writers.batching import MAX_MEMBERS  # noqa: F401 (shim until the rooms are merged)
