"""Shim: moved to `genesys_ad_sync.polling.poller`."""

from genesys_ad_sync.polling.poller import Follower  # noqa: F401 (shim until the rooms are merged)
