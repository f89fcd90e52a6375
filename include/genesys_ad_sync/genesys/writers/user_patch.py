"""Write strategy `user_patch`: `PATCH /api/v2/users/{id}` with the whole list of the user's groups.

No document says that it is honoured (reference/genesys-cloud-api.md, §9), and a list that lacks a group would take the
user out of it. The list is therefore read just before each write, and the user's groups again afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from genesys_ad_sync.genesys.client import GenesysClient, path_segment
from genesys_ad_sync.genesys.errors import BadRequest, GenesysError, NotFound, UnexpectedAnswer, VersionConflict
from genesys_ad_sync.genesys.paging import id_of
from genesys_ad_sync.genesys.writers.base import MemberChange, WriteResult, changes_of, refused, unsafe_ids
from genesys_ad_sync.model import Action

READ_BACK_BATCH = 50  # users per request; "Only 100 users can be requested at a time"


class UserPatchWriter:
    """A `MembershipWriter` with two requests per change: one reads the user, one writes."""

    def __init__(self, client: GenesysClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._written: dict[str, frozenset[str]] = {}  # user -> the list last sent

    def apply(
        self, group_id: str, add: Sequence[str], remove: Sequence[str], before_request: Callable[[], None]
    ) -> Iterator[WriteResult]:
        """Send one change after the other; see `MembershipWriter.apply`."""
        changes, unsafe = changes_of(add, remove)
        yield from unsafe_ids(unsafe)
        for change in changes:
            try:
                yield self._write(group_id, change, before_request)
            except (BadRequest, NotFound, VersionConflict) as error:
                yield from refused([change], error, ambiguous=error.maybe_done)
            except _GroupsNotShown as error:
                yield from refused([change], error, ambiguous=False)
            except GenesysError as error:
                if error.ambiguous or error.maybe_done:
                    yield from refused([change], error, ambiguous=True)
                raise

    def lost_groups(self, user_ids: Collection[str]) -> Mapping[str, frozenset[str] | None]:
        """Compare the groups that were sent with the users' groups now; see `MembershipWriter.lost_groups`."""
        before = {user_id: self._written[user_id] for user_id in user_ids if user_id in self._written}
        now = self._groups_of(sorted(before))
        lost: dict[str, frozenset[str] | None] = {}
        for user_id, should in before.items():
            has = now.get(user_id)
            if has is None:
                lost[user_id] = None
                continue
            # Another thread may have written the same user meanwhile: groups in both lists must be there.
            missing = (should & self._written[user_id]) - has
            if missing:
                lost[user_id] = frozenset(missing)
        return lost

    def _write(self, group_id: str, change: MemberChange, before_request: Callable[[], None]) -> WriteResult:
        action, user_id = change
        wanted: frozenset[str] = frozenset()

        def body(_: GenesysError | None) -> dict[str, Any]:
            nonlocal wanted
            version, groups = self._read(user_id, before_request)
            if (group_id in groups) is (action is Action.ADD):
                raise _AlreadyInEffect
            kept = [other for other in groups if other != group_id]
            ids = [*kept, group_id] if action is Action.ADD else kept
            wanted = frozenset(ids)
            return {"version": version, "groups": [{"id": listed} for listed in ids]}

        try:
            # idempotent: version and list are read again for each attempt
            answer = self._client.call(
                "PATCH",
                f"/api/v2/users/{path_segment(user_id)}",
                json=body,
                idempotent=True,
                before_attempt=before_request,
            )
        except _AlreadyInEffect:
            return WriteResult(user_id, action, ok=True)
        finally:
            if wanted:
                with self._lock:
                    self._written[user_id] = wanted - {group_id}  # the read-back of the group covers that one
        return WriteResult(user_id, action, ok=True, http_code=answer.status, correlation_id=answer.correlation_id)

    def _read(self, user_id: str, before_request: Callable[[], None]) -> tuple[int, tuple[str, ...]]:
        """Return (version, ids of the groups) of a user.

        Raises _GroupsNotShown if the answer lacks the groups: `expand` is best effort, and "left out" is not "none".
        """
        path = f"/api/v2/users/{path_segment(user_id)}"
        answer = self._client.call("GET", path, params={"expand": "groups"}, before_attempt=before_request)
        entity = answer.body if isinstance(answer.body, dict) else {}
        groups = _groups(entity, path)
        version = str(entity.get("version"))
        if groups is None or not version.isdecimal():
            raise _GroupsNotShown(
                "Genesys did not show which groups the user has, so the list was not replaced",
                method="GET",
                path=path,
                status=answer.status,
                correlation_id=answer.correlation_id,
            )
        return int(version), groups

    def _groups_of(self, user_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return the groups by user. Users whose groups Genesys does not show are missing."""
        path = "/api/v2/users"
        found: dict[str, frozenset[str]] = {}
        for start in range(0, len(user_ids), READ_BACK_BATCH):
            params = {"id": list(user_ids[start : start + READ_BACK_BATCH]), "expand": "groups", "state": "any"}
            for entity in self._client.pages(path, params=params, page_size=READ_BACK_BATCH):
                groups = _groups(entity, path)
                if groups is not None:
                    found[id_of(entity, path)] = frozenset(groups)
        for user_id in user_ids:
            if user_id not in found:
                user_path = f"{path}/{path_segment(user_id)}"
                try:
                    answer = self._client.call("GET", user_path, params={"expand": "groups"})
                except NotFound:
                    continue
                groups = _groups(answer.body if isinstance(answer.body, dict) else {}, user_path)
                if groups is not None:
                    found[user_id] = frozenset(groups)
        return found


def _groups(entity: Mapping[str, Any], path: str) -> tuple[str, ...] | None:
    groups = entity.get("groups")
    if not isinstance(groups, list):
        return None
    if not all(isinstance(group, dict) for group in groups):
        raise UnexpectedAnswer("The user's groups are not objects", method="GET", path=path)
    return tuple(id_of(group, path) for group in groups)


class _AlreadyInEffect(Exception):
    """Nothing has to be written."""


class _GroupsNotShown(GenesysError):
    """The user's groups are not in the answer."""
