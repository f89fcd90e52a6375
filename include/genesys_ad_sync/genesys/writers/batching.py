"""Sends the changes of a group in batches.

A refused batch is halved until the bad change is alone. A refusal of the group itself is not: both halves, and one
change out of each, are refused in the same words.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator, Sequence
from http import HTTPStatus

from genesys_ad_sync.genesys.client import ApiResponse
from genesys_ad_sync.genesys.errors import BadRequest, GenesysError, NotFound, VersionConflict
from genesys_ad_sync.genesys.writers.base import MemberChange, WriteResult, refused, words_of_refusal

MAX_MEMBERS = 50
"""Members per request. Documented for /groups/{id}/members; SCIM's own cap is unknown, so the same is kept there."""

WORTH_A_TEST = 4
"""Changes in a batch from which on it costs less to find out whether the group itself is refused."""

_Batch = Sequence[MemberChange]


class BatchSender:
    """Sends the requests of one group, one after the other.

    ``size``: members per request. It shrinks when the service says that a request is too large; the writer reads it
    afterwards for the next group.
    """

    def __init__(
        self,
        size: int,
        send: Callable[[_Batch], ApiResponse],
        group_exists: Callable[[], bool],
        choose: Callable[[_Batch], MemberChange] = random.choice,  # noqa: S311  # any one will do, no secret
    ) -> None:
        self.size = size
        self._send = send
        self._group_exists = group_exists
        self._choose = choose  # at random: two bad changes must not pass for a refused group run after run
        self._may_be_refused = True  # the group itself: nothing was accepted, and it was not tested yet
        self._refused_as: str | None = None  # the words in which the group itself is refused
        self._exists = False
        self._maybe_done = False  # a request of this group: then a refusal ("is a member already") may answer that

    def send(self, changes: _Batch) -> Iterator[WriteResult]:
        """Send the changes; see ``MembershipWriter.apply``."""
        waiting = self._in_batches(changes)  # a stack: a refused batch is replaced by its halves
        while waiting:
            batch = waiting.pop()
            error = yield from self._send_one(batch)
            if error is not None:
                yield from self._after_refusal(batch, waiting, error)

    def _send_one(self, batch: _Batch) -> Generator[WriteResult, None, GenesysError | None]:
        """Send a batch and yield its results. If it is refused, return the error instead."""
        try:
            answer = self._send(batch)
        except (BadRequest, NotFound, VersionConflict) as error:
            self._maybe_done = self._maybe_done or error.maybe_done
            return error
        except GenesysError as error:
            if error.ambiguous or error.maybe_done or self._maybe_done:
                yield from refused(batch, error, ambiguous=True)
            raise
        self._may_be_refused = False
        for action, user_id in batch:
            yield WriteResult(user_id, action, ok=True, http_code=answer.status, correlation_id=answer.correlation_id)
        return None

    def _after_refusal(self, batch: _Batch, waiting: list[_Batch], error: GenesysError) -> Iterator[WriteResult]:
        """Give up a refused batch, or put smaller ones on the stack ``waiting``."""
        group_is_refused = words_of_refusal(error) == self._refused_as
        if group_is_refused or (isinstance(error, NotFound) and self._group_is_gone()):
            ambiguous = group_is_refused and self._maybe_done
            yield from refused(_flat(batch, waiting), error, ambiguous=ambiguous, of_group=True)
            waiting.clear()
        elif len(batch) == 1 or isinstance(error, VersionConflict):
            yield from refused(batch, error, ambiguous=self._maybe_done)
        elif error.code == "tooMany" or error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            self.size = min(self.size, len(batch) // 2)
            waiting[:] = self._in_batches(_flat(batch, waiting))
        elif self._may_be_refused and len(batch) >= WORTH_A_TEST:
            self._may_be_refused = False
            yield from self._test_group(batch, waiting, error)
        else:
            waiting += _halves(batch)[::-1]  # the last of a stack is taken next

    def _test_group(self, batch: _Batch, waiting: list[_Batch], error: GenesysError) -> Iterator[WriteResult]:
        """Send both halves before smaller ones.

        If both are refused in the same words, try one change of each.
        """
        left, right = _halves(batch)
        of_left = yield from self._send_one(left)
        if of_left is None:
            waiting.append(right)
            return
        of_right = yield from self._send_one(right)
        if of_right is None or {words_of_refusal(of_left), words_of_refusal(of_right)} != {words_of_refusal(error)}:
            if of_right is not None:
                yield from self._after_refusal(right, waiting, of_right)
            yield from self._after_refusal(left, waiting, of_left)
            return
        rest, same = list(batch), True
        for half in (left, right):
            one = self._choose(half)
            rest.remove(one)
            of_one = yield from self._send_one([one])
            if of_one is not None:
                yield from refused([one], of_one, ambiguous=self._maybe_done)
            if of_one is None or words_of_refusal(of_one) != words_of_refusal(error):
                same = False
                break
        if same:
            self._refused_as = words_of_refusal(error)
            yield from self._after_refusal(rest, waiting, error)
        else:
            waiting += _halves(rest)[::-1]

    def _group_is_gone(self) -> bool:
        """Return whether the group itself is missing, so that halving the batch is useless."""
        if not self._exists:
            self._exists = self._group_exists()
        return not self._exists

    def _in_batches(self, changes: _Batch) -> list[_Batch]:
        """Cut the changes into batches, as a stack: the first batch last."""
        return [changes[i : i + self.size] for i in range(0, len(changes), self.size)][::-1]


def _halves(batch: _Batch) -> list[_Batch]:
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]


def _flat(batch: _Batch, waiting: Sequence[_Batch]) -> list[MemberChange]:
    return [change for later in (batch, *reversed(waiting)) for change in later]
