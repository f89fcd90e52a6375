"""Moved to `replica_trust`."""

import sys

from genesys_ad_sync.directory import replica_trust
from genesys_ad_sync.directory.replica_trust import (  # noqa: F401 (shim until the rooms are merged)
    REPLICATION_TIME,
    doubted,
    first,
    following,
    is_told,
    may_confirm,
    only_what_was_told,
)

sys.modules[__name__] = replica_trust  # the very module: tests set REPLICATION_TIME
