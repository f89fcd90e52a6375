"""Ways of writing memberships, and the registry by which a sync definition chooses one.

A writer sends as few requests as it can and reports the result of each change. It does not decide what to write
(`planning` does), does not read back, and holds no lease: the caller does, in ``before_request``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.genesys.client import GenesysClient
from genesys_ad_sync.genesys.writers.base import MemberChange, MembershipWriter, WriteResult, words_of_refusal
from genesys_ad_sync.genesys.writers.batching import MAX_MEMBERS
from genesys_ad_sync.genesys.writers.group_members import GroupMembersWriter
from genesys_ad_sync.genesys.writers.scim_patch import ScimPatchWriter, patch_request
from genesys_ad_sync.genesys.writers.user_patch import UserPatchWriter
from genesys_ad_sync.model import WriteStrategy

__all__ = [
    "MAX_MEMBERS",
    "WRITERS",
    "GroupMembersWriter",
    "MemberChange",
    "MembershipWriter",
    "ScimPatchWriter",
    "UserPatchWriter",
    "WriteResult",
    "patch_request",
    "words_of_refusal",
    "writer_for",
]

WRITERS: Mapping[WriteStrategy, Callable[[GenesysClient, Mapping[str, int]], MembershipWriter]] = {
    WriteStrategy.SCIM_PATCH: lambda client, _: ScimPatchWriter(client),
    WriteStrategy.GROUP_MEMBERS: GroupMembersWriter,
    WriteStrategy.USER_PATCH: lambda client, _: UserPatchWriter(client),
}
"""By strategy: makes a writer from a client and the versions of groups, as listed in this run."""


def writer_for(
    strategy: WriteStrategy, client: GenesysClient, versions: Mapping[str, int] | None = None
) -> MembershipWriter:
    """Make the writer that `genesys.write` of a sync definition names.

    ``versions``: of groups by id, as listed in this run. Raises SettingsError for a strategy that has no writer.
    """
    if strategy not in WRITERS:
        raise SettingsError(f"genesys.write: there is no {strategy!r}. Use one of {', '.join(map(str, WRITERS))}.")
    return WRITERS[strategy](client, versions or {})
