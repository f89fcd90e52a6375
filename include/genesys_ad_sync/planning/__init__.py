"""What must be written to Genesys Cloud, and what must not."""

from genesys_ad_sync.planning.verdicts import (
    Context,
    Plan,
    Target,
    Unmapped,
    content_hash,
    newest_told,
    plan,
    recheck,
    spread,
)

__all__ = ["Context", "Plan", "Target", "Unmapped", "content_hash", "newest_told", "plan", "recheck", "spread"]
