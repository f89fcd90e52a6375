"""Keeps below the rate limit.

Reads the budget from the headers of the answers; has no number of its own.

The headers count all clients of the token, so every worker sees the same counter without talking to the others. A
waiting worker does not see it move, though. No worker may therefore run into the limit at full speed: half of the
budget may be used at once, so that a short run does not wait, and the rest is spread over the window. When the budget
ends, each worker then has about one unseen request under way, and other clients of the token always find their share.

Genesys layers its limits: an endpoint family may have one of its own, and the headers do not name the limit that they
mean. So there is one window per (limit, endpoint family). Requests of other families are to it another client.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from genesys_ad_sync.genesys.errors import Throttled
from genesys_ad_sync.genesys.responses import header_number, retry_after

DEFAULT_WINDOW = 60.0  # seconds; until an answer from the beginning of a window shows its length
FREE_SHARE = 0.5  # of the budget, usable at once
SPREAD_OVER = 0.97  # of the window: the last request of a budget must not come too late for it
LONGEST_GUESS = 5.0  # seconds without an answer for which the others' use is guessed; a request is better then
SHORTEST_WAIT = 0.001  # seconds; a clock may not show less
LONGEST_WINDOW = 3600.0  # seconds; a reset further away is nonsense, and would stop all requests
FROM_ITS_BEGINNING = 0.25  # share of the budget; an answer with no more of it used shows the window's length


class Pacer(Protocol):
    """Called around every request. ``family``: its endpoint's. Usable from several threads."""

    def before(self, family: str = "") -> None:
        """Wait until one more request fits. Raises Throttled if a task cannot afford the wait."""
        ...

    def observe(self, headers: Mapping[str, str], family: str = "") -> None:
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
        self._families: dict[str, _Family] = {}
        self._sent = 0  # by us, since _minute_began
        self._minute_began: float | None = None

    def before(self, family: str = "") -> None:
        """Wait for a free request; see `Pacer.before`."""
        while True:
            with self._lock:
                state = self._family(family)
                wait = self._wait(state)
                if wait <= 0:
                    state.in_flight += 1
                    self._sent += 1
                    return
            if wait > self._longest_wait:
                raise Throttled("The rate limit leaves no room for this request", retry_after=wait)
            self._sleep(wait)

    def observe(self, headers: Mapping[str, str], family: str = "") -> None:
        """Learn from an answer; see `Pacer.observe`."""
        count, allowed, reset = (
            header_number(headers.get(name))
            for name in ("inin-ratelimit-count", "inin-ratelimit-allowed", "inin-ratelimit-reset")
        )
        wait = retry_after(headers)
        with self._lock:
            now = self._clock()
            state = self._family(family)
            state.in_flight = max(0, state.in_flight - 1)
            if wait is not None:
                state.not_before = max(state.not_before, now + wait)
            limit = int(allowed) if allowed is not None else state.newest_limit
            if count is None or reset is None or limit is None or reset > LONGEST_WINDOW:
                state.count_one()
                return
            state.count_one(but=limit)
            state.newest_limit = limit
            state.windows.setdefault(limit, _Window(limit)).learn(int(count), now, reset)

    def share_ceiling(self, instances: int) -> None:
        """Divide the ceiling; see `Pacer.share_ceiling`."""
        with self._lock:
            self._share = instances

    def _family(self, name: str) -> _Family:
        return self._families.setdefault(name, _Family())

    def _wait(self, family: _Family) -> float:
        """Return the seconds to wait.

        Begin a new window or minute where the old one has ended.
        """
        now = self._clock()
        if self._minute_began is None or now >= self._minute_began + 60:
            self._minute_began, self._sent = now, 0
        family.renew_windows(now)
        waits = [0.0]
        if family.not_before > now:
            waits.append(family.not_before - now + self._uniform(0, 1))
        if self._ceiling is not None and self._sent >= max(1.0, self._ceiling / self._share):
            waits.append(self._minute_began + 60 - now)
        waits += [w.wait(now, family.in_flight, self._reserve, self._uniform) for w in family.windows.values()]
        wait = max(waits)
        return max(wait, SHORTEST_WAIT) if wait > 0 else 0.0


class _Window:
    """The budget of one limit, as answers of one endpoint family showed it."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed  # by Genesys, in a window
        self.count = 0  # used of it by all clients, as far as answers showed
        self.answered = 0  # ours, in this window; without the first of all
        self.ends: float | None = None
        self._before_us = 0  # used in this window before we came: mostly by finished tasks, not by present clients
        self._answered_at = 0.0
        self._length = DEFAULT_WINDOW
        self._is_assumed = False  # no answer has shown it yet
        self._previous_end: float | None = None  # of the window before, as answers showed it

    def learn(self, count: int, now: float, reset: float) -> None:
        """Learn from an answer that named this limit."""
        self.answered += 1
        self._answered_at = now
        ends, known = now + reset, self.ends
        if known is None or (ends > known + 1 and not self._is_assumed):  # a new one; resets are whole seconds
            self._begin(now, ends)
            self.count, self.answered = count, 1
            if known is None:
                self.answered, self._before_us = 0, count
        elif self._is_assumed:
            self.ends = ends
            self.count = max(self.count, count)
        else:
            # `reset` is rounded up, so the earliest end is the best; answers of several threads come in any order, so
            # the highest count is.
            self.ends = min(known, ends)
            self.count = max(self.count, count)
        self._is_assumed = False
        self._learn_length(count, ends, reset)

    def _learn_length(self, count: int, ends: float, reset: float) -> None:
        """Learn the window's length from an answer.

        If many workers begin together, perhaps no worker sees the beginning of a window. Between two ends lies at
        least one length.
        """
        if self.allowed and count <= self.allowed * FROM_ITS_BEGINNING:
            self._length = reset
        if self._previous_end is not None:
            self._length = min(self._length, ends - self._previous_end)
        self._length = max(self._length, reset, 1.0)

    def begin_again(self, now: float) -> None:
        """Begin the next window as if now, until an answer shows more.

        So threads do not burst into it.
        """
        self._begin(now, now + self._length)
        self._is_assumed = True

    def _begin(self, now: float, ends: float) -> None:
        if not self._is_assumed:
            self._previous_end = self.ends
        self.ends, self.count, self.answered, self._before_us = ends, 0, 0, 0
        self._answered_at = now

    def wait(self, now: float, in_flight: int, reserve: float, uniform: Callable[[float, float], float]) -> float:
        """Return the seconds until one more request fits. ``in_flight``: ours, without an answer yet."""
        ends = self.ends or now
        budget = max(1.0, self.allowed * (1 - reserve))
        # requests a second, once the free half is used
        slope = budget * (1 - FREE_SHARE) / (self._length * SPREAD_OVER)
        # The ratio of all use to our own. While we wait, the other clients go on: each has as much under way as we
        # have, and together they take the rest of what the slope allows.
        others = max(1.0, (self.count - self._before_us) / max(1, self.answered))
        unseen = min(now - self._answered_at, LONGEST_GUESS) * slope * (1 - 1 / others)
        wanted = self.count + unseen + in_flight * others + 1
        if wanted > budget:
            return ends - now
        elapsed = min(self._length, max(0.0, self._length - (ends - now)))
        missing = (wanted - budget * FREE_SHARE) / slope - elapsed  # seconds
        if missing <= 0:
            return 0.0
        # Of each second, our share is one part in `others`. Workers that saw the same counter must not wake together.
        return min(ends - now, missing * others + uniform(0, 1 / slope))


@dataclass
class _Family:
    """The known limits of one endpoint family.

    There is a window for each limit that its answers named.
    """

    windows: dict[int, _Window] = field(default_factory=dict)
    newest_limit: int | None = None
    in_flight: int = 0  # ours, without an answer yet
    not_before: float = 0.0  # by Retry-After

    def count_one(self, but: int | None = None) -> None:
        """Count an answer that did not say how much is used.

        Errors come without the headers, and count nevertheless.
        ``but``: the limit of which the answer spoke.
        """
        for limit, window in self.windows.items():
            if limit != but:
                window.count += 1
                window.answered += 1

    def renew_windows(self, now: float) -> None:
        """Begin ended windows again, but drop limits that have gone.

        A limit has gone if the newest answer did not name it.
        """
        for limit, window in list(self.windows.items()):
            if window.ends is not None and now >= window.ends:
                if limit == self.newest_limit:
                    window.begin_again(now)
                else:
                    del self.windows[limit]
