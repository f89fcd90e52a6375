"""How memberships are written: which of the three ways a sync definition chooses.

A writer sends as few requests as it can and tells what became of each change. It does not decide what to write
(`planning` does), does not read back, and holds no lease: the caller does, in ``before_request``.
"""

from __future__ import annotations

from collections.abc import Mapping

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.genesys.client import GenesysClient
from genesys_ad_sync.genesys.writers.batching import MAX_MEMBERS, MembershipWriter, WriteResult
from genesys_ad_sync.genesys.writers.group_members import GroupMembersWriter
from genesys_ad_sync.genesys.writers.scim_patch import ScimPatchWriter, patch_request
from genesys_ad_sync.genesys.writers.user_patch import UserPatchWriter

__all__ = [
    "MAX_MEMBERS",
    "GroupMembersWriter",
    "MembershipWriter",
    "ScimPatchWriter",
    "UserPatchWriter",
    "WriteResult",
    "patch_request",
    "writer_for",
]


def writer_for(name: str, client: GenesysClient, versions: Mapping[str, int] | None = None) -> MembershipWriter:
    """The writer that `genesys.write` of a sync definition names. ``versions`` of groups, as listed in this run."""
    if name == "scim_patch":
        return ScimPatchWriter(client)
    if name == "group_members":
        return GroupMembersWriter(client, versions)
    if name == "user_patch":
        return UserPatchWriter(client)
    raise SettingsError(f"genesys.write: there is no {name!r}. Use scim_patch, group_members or user_patch.")
