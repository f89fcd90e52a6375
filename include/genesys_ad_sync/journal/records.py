"""Old place of records that moved to `genesys_ad_sync.model`."""

from genesys_ad_sync.model import Decision, Done, Link, Outcome, RunKey, RunRecord, StoredCursor  # noqa: F401 (shim until the rooms are merged)
