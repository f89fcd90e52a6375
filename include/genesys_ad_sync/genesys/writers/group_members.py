"""Write strategy `group_members`: `POST` and `DELETE /api/v2/groups/{id}/members`, 50 ids per request.

A POST carries the group's version and is refused if the group changed since. The version is then read again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from genesys_ad_sync.genesys.client import ApiResponse, GenesysClient, path_segment
from genesys_ad_sync.genesys.errors import GenesysError, NotFound, UnexpectedAnswer, VersionConflict
from genesys_ad_sync.genesys.gateway import GenesysGateway
from genesys_ad_sync.genesys.writers.base import MemberChange, WriteResult, changes_of, unsafe_ids
from genesys_ad_sync.genesys.writers.batching import MAX_MEMBERS, BatchSender
from genesys_ad_sync.model import Action


class GroupMembersWriter:
    """A `MembershipWriter`. ``versions``: of groups by id, as listed in this run.

    Each version serves one POST and saves a request for it. If the group has changed since, Genesys refuses the POST,
    and nothing is lost.
    """

    def __init__(
        self, client: GenesysClient, versions: Mapping[str, int] | None = None, max_members: int = MAX_MEMBERS
    ) -> None:
        self._client = client
        self._gateway = GenesysGateway(client)
        self._versions = dict(versions or {})
        self._max_members = max_members

    def apply(
        self, group_id: str, add: Sequence[str], remove: Sequence[str], before_request: Callable[[], None]
    ) -> Iterator[WriteResult]:
        """Send the adds, then the removes; see `MembershipWriter.apply`."""
        changes, unsafe = changes_of(add, remove)
        yield from unsafe_ids(unsafe)
        path = f"/api/v2/groups/{path_segment(group_id)}/members"

        def send(batch: Sequence[MemberChange]) -> ApiResponse:
            ids = [change.user_id for change in batch]
            if batch[0].action is Action.REMOVE:
                return self._client.call(
                    "DELETE", path, params={"ids": ",".join(ids)}, idempotent=True, before_attempt=before_request
                )
            try:
                return self._client.call(
                    "POST",
                    path,
                    json=lambda failed: self._body(group_id, ids, failed, before_request),
                    idempotent=True,  # each attempt has a new body
                    before_attempt=before_request,
                )
            except _AllAreMembers as done:
                return ApiResponse(done.status or 200, None, done.correlation_id)

        def group_exists() -> bool:
            before_request()
            return self._gateway.group(group_id) is not None

        batches = BatchSender(self._max_members, send, group_exists)
        # Adds first: no user is without a queue in between, and a DELETE may raise the version.
        for action in (Action.ADD, Action.REMOVE):
            yield from batches.send([change for change in changes if change.action is action])
        self._max_members = min(self._max_members, batches.size)

    def lost_groups(
        self,
        user_ids: Collection[str],  # noqa: ARG002  the signature of all writers
    ) -> Mapping[str, frozenset[str] | None]:
        """Return nothing: these requests cannot touch other groups."""
        return {}

    def _body(
        self, group_id: str, ids: Sequence[str], failed: GenesysError | None, before_request: Callable[[], None]
    ) -> dict[str, Any]:
        """Build the body with the group's present version.

        After an attempt that may have been carried out (``failed``), it holds only those who are not members yet.
        Raises _AllAreMembers if nobody is left.
        """
        listed = self._versions.pop(group_id, None)
        if failed is None and listed is not None:
            return {"memberIds": list(ids), "version": listed}
        left = list(ids)
        if failed is not None and not isinstance(failed, VersionConflict) and failed.ambiguous:
            before_request()
            present = self._gateway.individuals(group_id)
            left = [user_id for user_id in ids if user_id not in present]
            if not left:
                raise _AllAreMembers(failed)
        before_request()
        group = self._gateway.group(group_id)
        path = f"/api/v2/groups/{path_segment(group_id)}"
        if group is None:
            raise NotFound("There is no such group", method="GET", path=path, status=404)
        if group.version is None:
            raise UnexpectedAnswer("The group's version is missing", method="GET", path=path)
        return {"memberIds": left, "version": group.version}


class _AllAreMembers(Exception):
    """The attempt whose answer was lost had been carried out."""

    def __init__(self, failed: GenesysError) -> None:
        super().__init__()
        self.status = None if failed.status is None or failed.status >= HTTPStatus.MULTIPLE_CHOICES else failed.status
        self.correlation_id = failed.correlation_id
