"""What the three ways of writing memberships share: results, and batches that are halved until the bad one is alone.

Knows nothing of a particular endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from genesys_ad_sync.genesys.client import ApiResponse
from genesys_ad_sync.genesys.errors import BadRequest, GenesysError, NotFound, VersionConflict
from genesys_ad_sync.model import Action

MAX_MEMBERS = 50
"""Members a request. Documented for /groups/{id}/members; SCIM's own cap is unknown, so the same is kept there."""

Change = tuple[Action, str]
"""What is to be done with a Genesys user id."""

# An id goes into paths and queries: anything else than these could make it mean other members.
_SAFE_ID = re.compile(r"[0-9A-Za-z_-]+\Z")


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

    def lost_groups(self, user_ids: Collection[str]) -> Mapping[str, frozenset[str] | None]:
        """Groups that these users were in before this writer wrote them, and are in no longer, though it was not to
        take them out. None: could not be read. Users who are as they should be are left out; so is everybody where
        a write cannot touch other groups."""
        ...


def changes_of(add: Sequence[str], remove: Sequence[str]) -> tuple[list[Change], list[Change]]:
    """(what can be sent, what is no id and must not be), adds first, each once. ValueError: both at once."""
    if both := set(add) & set(remove):
        raise ValueError(f"{len(both)} members are to be added and removed at once")
    changes: list[Change] = [(Action.ADD, user_id) for user_id in dict.fromkeys(add)]
    changes += [(Action.REMOVE, user_id) for user_id in dict.fromkeys(remove)]
    return (
        [change for change in changes if _SAFE_ID.match(change[1])],
        [change for change in changes if not _SAFE_ID.match(change[1])],
    )


def no_ids(changes: Sequence[Change]) -> Iterator[WriteResult]:
    for action, user_id in changes:
        yield WriteResult(user_id, action, ok=False, error="This is no id of a Genesys user; nothing was sent")


class Batches:
    """The requests of one group, one after the other. ``size``: members a request; it shrinks when the service says
    that a request is too large (for this group's later batches; ``size`` tells the next group)."""

    def __init__(
        self, size: int, send: Callable[[Sequence[Change]], ApiResponse], group_exists: Callable[[], bool]
    ) -> None:
        self.size = size
        self._send = send
        self._group_exists = group_exists
        self._exists = False
        self._repeated = False

    def before_attempt(self, before_request: Callable[[], None]) -> Callable[[], None]:
        """``before_request`` for one call of ``send``. It notices when the request leaves more than once: the first may
        have been carried out, and a refusal ("is a member already") may be the answer to a repetition."""
        attempts = 0

        def attempt() -> None:
            nonlocal attempts
            before_request()
            attempts += 1
            self._repeated = self._repeated or attempts > 1

        return attempt

    def send(self, changes: Sequence[Change]) -> Iterator[WriteResult]:
        """See ``MembershipWriter.apply``."""
        batches = self._in_batches(changes)  # a stack: a refused batch is replaced by its halves
        while batches:
            batch = batches.pop()
            try:
                answer = self._send(batch)
            except (BadRequest, NotFound, VersionConflict) as error:
                if isinstance(error, NotFound) and not self._exists:
                    # The group, or one of the members? One look spares halving a batch for a group that is gone.
                    if not self._group_exists():
                        rest = [change for later in (batch, *reversed(batches)) for change in later]
                        yield from refused(rest, error, ambiguous=False)
                        return
                    self._exists = True
                if len(batch) == 1 or isinstance(error, VersionConflict):
                    yield from refused(batch, error, ambiguous=self._repeated)
                elif error.code == "tooMany" or error.status == 413:
                    self.size = min(self.size, len(batch) // 2)
                    batches = self._in_batches([change for later in (batch, *reversed(batches)) for change in later])
                else:
                    batches += _halves(batch)
            except GenesysError as error:
                if error.ambiguous or self._repeated:
                    yield from refused(batch, error, ambiguous=True)
                raise
            else:
                for action, user_id in batch:
                    yield WriteResult(
                        user_id, action, ok=True, http_code=answer.status, correlation_id=answer.correlation_id
                    )

    def _in_batches(self, changes: Sequence[Change]) -> list[list[Change]]:
        """As a stack: the first batch last."""
        return [list(changes[i : i + self.size]) for i in range(0, len(changes), self.size)][::-1]


def _halves(batch: list[Change]) -> list[list[Change]]:
    """Second half first: the last of a stack is taken next."""
    middle = len(batch) // 2
    return [batch[middle:], batch[:middle]]


def refused(batch: Sequence[Change], error: GenesysError, *, ambiguous: bool) -> Iterator[WriteResult]:
    """The results of a batch that was answered with an error, or not at all."""
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
