"""How memberships are written. A writer sends as few requests as it can and tells what became of each change.

It does not decide what to write (`planning` does), does not read back, and holds no lease: the caller does, in
``before_request``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from include.group_sync.errors import SettingsError
from include.group_sync.genesys.client import GenesysClient, path_segment
from include.group_sync.genesys.errors import BadRequest, GenesysError, NotFound, VersionConflict
from include.group_sync.model import Action

MAX_MEMBERS = 50
"""Members a request. Documented for /groups/{id}/members; SCIM's own cap is unknown, so the same is kept there."""


@dataclass(frozen=True)
class WriteResult:
    """What became of one change. ``ok``: Genesys accepted it (whether it is in effect, only a read-back tells).
    ``ambiguous``: not known; it may be in effect, so that only a read-back tells."""

    user_id: str
    action: Action
    ok: bool
    http_code: int | None = None
    correlation_id: str | None = None
    error: str | None = None
    ambiguous: bool = False


class MembershipWriter(Protocol):
    """Usable from several threads, a group each."""

    def apply(
        self, group_id: str, add: Sequence[str], remove: Sequence[str], before_request: Callable[[], None]
    ) -> Iterator[WriteResult]:
        """Sends the changes of one group; yields each result as soon as its request is answered.

        ``before_request`` is called before every request, repetitions included; if it raises, nothing more is
        sent. A change that Genesys refuses is a result, not an exception. Raises a GenesysError when going on is
        of no use (no permission, token refused, service not able): changes not yielded until then were not
        carried out; those of the request that may have been are yielded as ``ambiguous`` first.
        """
        ...


def writer_for(name: str, client: GenesysClient) -> MembershipWriter:
    """The writer that `genesys.write` of a sync definition names."""
    if name == "scim_patch":
        return ScimPatchWriter(client)
    if name in ("group_members", "user_patch"):
        raise SettingsError(f"genesys.write: {name} is not built yet. Use scim_patch.")
    raise SettingsError(f"genesys.write: there is no {name!r}. Use scim_patch.")


_Change = tuple[Action, str]

# An id goes into a SCIM path in quotes: anything else than these could make it match other members.
_SAFE_ID = re.compile(r"[0-9A-Za-z_-]+\Z")


class ScimPatchWriter:
    """``PATCH /api/v2/scim/v2/groups/{id}``: adds and removes in one request, no version, harmless to repeat."""

    def __init__(self, client: GenesysClient, max_members: int = MAX_MEMBERS) -> None:
        self._client = client
        self._max_members = max_members

    def apply(
        self, group_id: str, add: Sequence[str], remove: Sequence[str], before_request: Callable[[], None]
    ) -> Iterator[WriteResult]:
        if both := set(add) & set(remove):
            raise ValueError(f"{len(both)} members are to be added and removed at once")
        path = f"/api/v2/scim/v2/groups/{path_segment(group_id)}"
        changes: list[_Change] = [(Action.ADD, user_id) for user_id in dict.fromkeys(add)]
        changes += [(Action.REMOVE, user_id) for user_id in dict.fromkeys(remove)]
        for action, user_id in changes:
            if not _SAFE_ID.match(user_id):
                yield WriteResult(user_id, action, ok=False, error="This is no id of a Genesys user; nothing was sent")
        changes = [change for change in changes if _SAFE_ID.match(change[1])]

        # A stack of batches: a refused one is replaced by its halves.
        batches = self._in_batches(changes)
        group_exists = False
        sent = calls = 0  # more sent than called: something was repeated, perhaps after it had been carried out

        def before_attempt() -> None:
            nonlocal sent
            before_request()
            sent += 1

        while batches:
            batch = batches.pop()
            calls += 1
            try:
                answer = self._client.call(
                    "PATCH", path, json=patch_request(batch), idempotent=True, before_attempt=before_attempt
                )
            except (BadRequest, NotFound, VersionConflict) as error:
                if isinstance(error, NotFound) and not group_exists:
                    # The group, or one of the members? One look spares halving a batch for a group that is gone.
                    calls += 1
                    if not self._group_exists(path, before_attempt):
                        rest = [change for later in (batch, *reversed(batches)) for change in later]
                        yield from _refused(rest, error, ambiguous=False)
                        return
                    group_exists = True
                if len(batch) == 1 or isinstance(error, VersionConflict):
                    # "Already a member" may be the answer to a repetition of what was carried out.
                    yield from _refused(batch, error, ambiguous=sent > calls)
                elif error.code == "tooMany" or error.status == 413:
                    self._max_members = min(self._max_members, len(batch) // 2)  # for all that comes, too
                    batches = self._in_batches([change for later in (batch, *reversed(batches)) for change in later])
                else:
                    batches += _halves(batch)
            except GenesysError as error:
                if error.ambiguous:
                    yield from _refused(batch, error, ambiguous=True)
                raise
            else:
                for action, user_id in batch:
                    yield WriteResult(
                        user_id, action, ok=True, http_code=answer.status, correlation_id=answer.correlation_id
                    )

    def _in_batches(self, changes: Sequence[_Change]) -> list[list[_Change]]:
        """As a stack: the first batch last."""
        size = self._max_members
        return [list(changes[i : i + size]) for i in range(0, len(changes), size)][::-1]

    def _group_exists(self, path: str, before_request: Callable[[], None]) -> bool:
        try:
            self._client.call("GET", path, params={"attributes": "id"}, before_attempt=before_request)
        except NotFound:
            return False
        return True


def patch_request(changes: Sequence[_Change]) -> dict[str, Any]:
    """The body (RFC 7644, 3.5.2). One operation per removed member, by path filter: a `remove` whose path is bare
    `members` may empty the group, whatever its value says."""
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


def _halves(batch: list[_Change]) -> list[list[_Change]]:
    """Second half first: the last of a stack is taken next."""
    middle = len(batch) // 2
    return [batch[middle:], batch[:middle]]


def _refused(batch: Sequence[_Change], error: GenesysError, *, ambiguous: bool) -> Iterator[WriteResult]:
    for action, user_id in batch:
        # RFC 7644: noTarget = the filter matches nobody, so there is nothing left to remove.
        gone = action is Action.REMOVE and error.code == "noTarget" and len(batch) == 1
        yield WriteResult(
            user_id,
            action,
            ok=gone,
            http_code=error.status,
            correlation_id=error.correlation_id,
            error=None if gone else str(error),
            ambiguous=ambiguous and not gone,
        )
