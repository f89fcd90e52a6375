"""Write strategy `scim_patch`: adds and removes in one request, harmless to repeat."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from genesys_ad_sync.genesys.client import ApiResponse, GenesysClient, path_segment
from genesys_ad_sync.genesys.errors import NotFound
from genesys_ad_sync.genesys.writers.base import MemberChange, WriteResult, changes_of, unsafe_ids
from genesys_ad_sync.genesys.writers.batching import MAX_MEMBERS, BatchSender
from genesys_ad_sync.model import Action


class ScimPatchWriter:
    """``PATCH /api/v2/scim/v2/groups/{id}``. A `MembershipWriter`."""

    def __init__(self, client: GenesysClient, max_members: int = MAX_MEMBERS) -> None:
        self._client = client
        self._max_members = max_members

    def apply(
        self, group_id: str, add: Sequence[str], remove: Sequence[str], before_request: Callable[[], None]
    ) -> Iterator[WriteResult]:
        """Send adds and removes together; see `MembershipWriter.apply`."""
        changes, unsafe = changes_of(add, remove)
        yield from unsafe_ids(unsafe)
        path = f"/api/v2/scim/v2/groups/{path_segment(group_id)}"

        def send(batch: Sequence[MemberChange]) -> ApiResponse:
            return self._client.call(
                "PATCH", path, json=patch_request(batch), idempotent=True, before_attempt=before_request
            )

        def group_exists() -> bool:
            try:
                self._client.call("GET", path, params={"attributes": "id"}, before_attempt=before_request)
            except NotFound:
                return False
            return True

        batches = BatchSender(self._max_members, send, group_exists)
        yield from batches.send(changes)
        self._max_members = min(self._max_members, batches.size)  # for later groups, too

    def lost_groups(
        self,
        user_ids: Collection[str],  # noqa: ARG002  the signature of all writers
    ) -> Mapping[str, frozenset[str] | None]:
        """Return nothing: these requests cannot touch other groups."""
        return {}


def patch_request(changes: Sequence[MemberChange]) -> dict[str, Any]:
    """Build the body (RFC 7644, 3.5.2), with one operation per removed member, by path filter.

    A `remove` whose path is bare `members` may empty the group, whatever its value says.
    """
    added = [user_id for action, user_id in changes if action is Action.ADD]
    operations: list[dict[str, Any]] = []
    if added:
        operations.append({"op": "add", "path": "members", "value": [{"value": user_id} for user_id in added]})
    operations += [
        {"op": "remove", "path": f'members[value eq "{user_id}"]'}
        for action, user_id in changes
        if action is Action.REMOVE
    ]
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations}
