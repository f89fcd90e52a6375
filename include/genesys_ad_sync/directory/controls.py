"""Moved to `ldap_controls`."""

from genesys_ad_sync.directory.ldap_controls import (  # noqa: F401 (shim until the rooms are merged)
    DIRSYNC,
    GUIDS_PER_FILTER,
    PAGED_RESULTS,
    Range,
    dirsync_control,
    dn_filter,
    extended_dn,
    filter_attributes,
    find_range,
    guid_filter,
    guid_of_bytes,
    guid_of_value,
    plain_dn,
    show_deleted,
    sid_of_bytes,
)
from genesys_ad_sync.directory.membership import domain_rid  # noqa: F401 (shim until the rooms are merged)
