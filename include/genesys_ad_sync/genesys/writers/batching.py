"""Sends the changes of a group in batches.

A refused batch is halved until the bad change is alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus

from genesys_ad_sync.genesys.client import ApiResponse
from genesys_ad_sync.genesys.errors import BadRequest, GenesysError, NotFound, VersionConflict
from genesys_ad_sync.genesys.writers.base import MemberChange, WriteResult, refused

MAX_MEMBERS = 50
"""Members per request. Documented for /groups/{id}/members; SCIM's own cap is unknown, so the same is kept there."""

_Batch = Sequence[MemberChange]


class BatchSender:
    """Sends the requests of one group, one after the other.

    ``size``: members per request. It shrinks when the service says that a request is too large; the writer reads it
    afterwards for the next group.
    """

    def __init__(self, size: int, send: Callable[[_Batch], ApiResponse], group_exists: Callable[[], bool]) -> None:
        self.size = size
        self._send = send
        self._group_exists = group_exists
        self._exists = False
        self._repeated = False

    def before_attempt(self, before_request: Callable[[], None]) -> Callable[[], None]:
        """Wrap ``before_request`` for one call of ``send``, to notice repeated requests.

        The first one may have been carried out, and a refusal ("is a member already") may answer the repetition.
        """
        attempts = 0

        def attempt() -> None:
            nonlocal attempts
            before_request()
            attempts += 1
            self._repeated = self._repeated or attempts > 1

        return attempt

    def send(self, changes: _Batch) -> Iterator[WriteResult]:
        """Send the changes; see ``MembershipWriter.apply``."""
        waiting = self._in_batches(changes)  # a stack: a refused batch is replaced by its halves
        while waiting:
            batch = waiting.pop()
            try:
                answer = self._send(batch)
            except (BadRequest, NotFound, VersionConflict) as error:
                yield from self._after_refusal(batch, waiting, error)
            except GenesysError as error:
                if error.ambiguous or self._repeated:
                    yield from refused(batch, error, ambiguous=True)
                raise
            else:
                for action, user_id in batch:
                    yield WriteResult(
                        user_id, action, ok=True, http_code=answer.status, correlation_id=answer.correlation_id
                    )

    def _after_refusal(self, batch: _Batch, waiting: list[_Batch], error: GenesysError) -> Iterator[WriteResult]:
        """Give up a refused batch, or put smaller ones on the stack ``waiting``."""
        if isinstance(error, NotFound) and self._group_is_gone():
            yield from refused(_flat(batch, waiting), error, ambiguous=False)
            waiting.clear()
        elif len(batch) == 1 or isinstance(error, VersionConflict):
            yield from refused(batch, error, ambiguous=self._repeated)
        elif error.code == "tooMany" or error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            self.size = min(self.size, len(batch) // 2)
            waiting[:] = self._in_batches(_flat(batch, waiting))
        else:
            middle = len(batch) // 2
            waiting += [batch[middle:], batch[:middle]]  # the last of a stack is taken next

    def _group_is_gone(self) -> bool:
        """Return whether the group itself is missing, so that halving the batch is useless."""
        if not self._exists:
            self._exists = self._group_exists()
        return not self._exists

    def _in_batches(self, changes: _Batch) -> list[_Batch]:
        """Cut the changes into batches, as a stack: the first batch last."""
        return [changes[i : i + self.size] for i in range(0, len(changes), self.size)][::-1]


def _flat(batch: _Batch, waiting: Sequence[_Batch]) -> list[MemberChange]:
    return [change for later in (batch, *reversed(waiting)) for change in later]
