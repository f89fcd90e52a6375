"""Moved to `link_metadata`."""

from genesys_ad_sync.directory.link_metadata import (  # noqa: F401 (shim until the rooms are merged)
    ATTRIBUTE,
    LinkHistory,
    LinkRecord,
    MetadataReader,
    changes_hidden,
    guids_by_dn,
    parse,
    rebuilt,
    time_of,
)
