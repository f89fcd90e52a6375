"""Keeps below the rate limit.

Reads the budget from the headers of the answers; has no number of its own.

The headers count all clients of the token, so every worker sees the same counter without talking to the others. A
waiting worker does not see it move, though. No worker may therefore run into the limit at full speed: half of the
budget may be used at once, so that a short run does not wait, and the rest is spread over the window. When the budget
ends, each worker then has about one unseen request under way, and other clients of the token always find their share.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from genesys_ad_sync.genesys.errors import Throttled
from genesys_ad_sync.genesys.responses import header_number

DEFAULT_WINDOW = 60.0  # seconds; until an answer from the beginning of a window shows its length
FREE_SHARE = 0.5  # of the budget, usable at once
SPREAD_OVER = 0.97  # of the window: the last request of a budget must not come too late for it
LONGEST_GUESS = 5.0  # seconds without an answer for which the others' use is guessed; a request is better then
SHORTEST_WAIT = 0.001  # seconds; a clock may not show less
FROM_ITS_BEGINNING = 0.25  # share of the budget; an answer with no more of it used shows the window's length


class Pacer(Protocol):
    """Called around every request. Usable from several threads."""

    def before(self) -> None:
        """Wait until one more request fits. Raises Throttled if a task cannot afford the wait."""
        ...

    def observe(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers.

        Call it once for each ``before``; without headers if no answer came.
        """
        ...

    def share_ceiling(self, instances: int) -> None:
        """Divide the connection's own ceiling among ``instances`` processes."""
        ...


class WindowPacer:
    """Waits until the window ends when its budget is used up.

    ``requests_per_minute``: the connection's own ceiling, whatever Genesys allows. ``reserve``: share of the budget
    (0 to 1) that is left to other clients of the token.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None = None,
        reserve: float = 0.0,
        longest_wait: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = random.uniform,  # noqa: S311  # jitter, no secret
    ) -> None:
        self._ceiling: float | None = requests_per_minute
        self._share = 1
        self._reserve = reserve
        self._longest_wait = longest_wait
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform
        self._lock = threading.Lock()
        self._allowed: int | None = None  # by Genesys, in a window
        self._count = 0  # used of it by all clients, as far as answers showed
        self._in_flight = 0  # ours, without an answer yet
        self._answered = 0  # ours, in this window; without the first of all
        self._before_us = 0  # used in this window before we came: mostly by finished tasks, not by present clients
        self._answered_at = 0.0
        self._length = DEFAULT_WINDOW
        self._window_ends: float | None = None
        self._window_is_assumed = False  # no answer has shown it yet
        self._sent = 0  # by us, since _minute_began
        self._minute_began: float | None = None
        self._not_before = 0.0  # by Retry-After

    def before(self) -> None:
        """Wait for a free request; see `Pacer.before`."""
        while True:
            with self._lock:
                wait = self._wait()
                if wait <= 0:
                    self._in_flight += 1
                    self._sent += 1
                    return
            if wait > self._longest_wait:
                raise Throttled("The rate limit leaves no room for this request", retry_after=wait)
            self._sleep(wait)

    def observe(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer; see `Pacer.observe`."""
        count, allowed, reset, retry_after = (
            header_number(headers.get(name))
            for name in ("inin-ratelimit-count", "inin-ratelimit-allowed", "inin-ratelimit-reset", "Retry-After")
        )
        with self._lock:
            now = self._clock()
            self._in_flight = max(0, self._in_flight - 1)
            self._answered += 1
            if retry_after is not None:
                self._not_before = max(self._not_before, now + retry_after)
            if allowed is not None:
                self._allowed = int(allowed)
            if count is None or reset is None:
                self._count += 1  # errors come without the headers, and count all the same
                return
            self._learn(int(count), now, reset)

    def share_ceiling(self, instances: int) -> None:
        """Divide the ceiling; see `Pacer.share_ceiling`."""
        with self._lock:
            self._share = instances

    def _learn(self, count: int, now: float, reset: float) -> None:
        self._answered_at = now
        ends, known = now + reset, self._window_ends
        if known is None or (ends > known + 1 and not self._window_is_assumed):  # a new one; resets are whole seconds
            self._begin(ends)
            self._count, self._answered = count, 1
            if known is None:
                self._answered, self._before_us = 0, count
        elif self._window_is_assumed:
            self._window_ends = ends
            self._count = max(self._count, count)
        else:
            # `reset` is rounded up, so the earliest end is the best; answers of several threads come in any order, so
            # the highest count is.
            self._window_ends = min(known, ends)
            self._count = max(self._count, count)
        self._window_is_assumed = False
        if self._allowed and count <= self._allowed * FROM_ITS_BEGINNING:
            self._length = max(reset, 1.0)
        self._length = max(self._length, reset)

    def _begin(self, ends: float) -> None:
        self._window_ends, self._count, self._answered, self._before_us = ends, 0, 0, 0
        self._answered_at = self._clock()

    def _wait(self) -> float:
        """Return the seconds to wait.

        Begin a new window or minute where the old one has ended.
        """
        now = self._clock()
        if self._minute_began is None or now >= self._minute_began + 60:
            self._minute_began, self._sent = now, 0
        if self._window_ends is not None and now >= self._window_ends:
            # Until an answer shows more: as if the new window began now, so that threads do not burst into it.
            self._begin(now + self._length)
            self._window_is_assumed = True
        waits = [0.0]
        if self._not_before > now:
            waits.append(self._not_before - now + self._uniform(0, 1))
        if self._ceiling is not None and self._sent >= max(1.0, self._ceiling / self._share):
            waits.append(self._minute_began + 60 - now)
        if self._allowed is not None and self._window_ends is not None:
            waits.append(self._wait_for_budget(now, self._allowed, self._window_ends))
        wait = max(waits)
        return max(wait, SHORTEST_WAIT) if wait > 0 else 0.0

    def _wait_for_budget(self, now: float, allowed: int, ends: float) -> float:
        budget = max(1.0, allowed * (1 - self._reserve))
        # requests a second, once the free half is used
        slope = budget * (1 - FREE_SHARE) / (self._length * SPREAD_OVER)
        # The ratio of all use to our own. While we wait, the other clients go on: each has as much under way as we
        # have, and together they take the rest of what the slope allows.
        others = max(1.0, (self._count - self._before_us) / max(1, self._answered))
        unseen = min(now - self._answered_at, LONGEST_GUESS) * slope * (1 - 1 / others)
        wanted = self._count + unseen + self._in_flight * others + 1
        if wanted > budget:
            return ends - now
        elapsed = min(self._length, max(0.0, self._length - (ends - now)))
        missing = (wanted - budget * FREE_SHARE) / slope - elapsed  # seconds
        if missing <= 0:
            return 0.0
        # Of each second, our share is one part in `others`. Workers that saw the same counter must not wake together.
        return min(ends - now, missing * others + self._uniform(0, 1 / slope))
