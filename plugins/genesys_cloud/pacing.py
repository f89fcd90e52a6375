"""Keeping below the rate limit. Reads the budget from the headers of the answers; never a number of its own.

The headers count all who use the token, so every worker sees the same counter without talking to the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from include.group_sync.genesys.errors import Throttled

DEFAULT_WINDOW = 60.0  # seconds; until an answer tells when the window ends


class Pacer(Protocol):
    """Called around every request. Usable from several threads."""

    def before(self) -> None:
        """Waits until one more request fits. Raises Throttled if that takes longer than a task can afford."""
        ...

    def observe(self, headers: Mapping[str, str]) -> None:
        """Learns from an answer's headers."""
        ...


class WindowPacer:
    """When the window's budget is used up, waits until the window ends.

    ``requests_per_minute``: a ceiling for this process, whatever Genesys allows. ``reserve``: share of the budget
    (0 to 1) that is left to others on the same token.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None = None,
        reserve: float = 0.0,
        longest_wait: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ceiling = requests_per_minute
        self._reserve = reserve
        self._longest_wait = longest_wait
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._allowed: int | None = None  # by Genesys, in a window
        self._used = 0  # of it, as far as known: by everybody, plus what we have under way
        self._window_ends: float | None = None
        self._window_is_assumed = False  # no answer has told of it yet
        self._sent = 0  # by us, since _minute_began
        self._minute_began: float | None = None
        self._not_before = 0.0  # by Retry-After

    def before(self) -> None:
        while True:
            with self._lock:
                wait = self._wait()
                if wait <= 0:
                    self._used += 1
                    self._sent += 1
                    return
            if wait > self._longest_wait:
                raise Throttled("The rate limit leaves no room for this request", retry_after=wait)
            self._sleep(wait)

    def observe(self, headers: Mapping[str, str]) -> None:
        count, allowed, reset, retry_after = (
            _number(headers.get(name))
            for name in ("inin-ratelimit-count", "inin-ratelimit-allowed", "inin-ratelimit-reset", "Retry-After")
        )
        with self._lock:
            now = self._clock()
            if retry_after is not None:
                self._not_before = max(self._not_before, now + retry_after)
            if allowed is not None:
                self._allowed = int(allowed)
            if count is None or reset is None:
                return
            ends = now + reset
            known = self._window_ends
            if known is None or (ends > known + 1 and not self._window_is_assumed):  # resets are whole seconds
                self._used = int(count)
            else:
                # Answers of several threads come in any order: the highest count is the truest.
                self._used = max(self._used, int(count))
            if known is None or abs(ends - known) > 1:
                self._window_ends = ends
            self._window_is_assumed = False

    def _wait(self) -> float:
        """Seconds; begins a new window or minute where the old one has ended."""
        now = self._clock()
        if self._minute_began is None or now >= self._minute_began + 60:
            self._minute_began, self._sent = now, 0
        if self._window_ends is not None and now >= self._window_ends:
            # Until an answer tells more: as if the new window began now, so that threads do not burst into it.
            self._window_ends, self._window_is_assumed, self._used = now + DEFAULT_WINDOW, True, 0
        waits = [self._not_before - now]
        if self._ceiling is not None and self._sent >= self._ceiling:
            waits.append(self._minute_began + 60 - now)
        if self._allowed is not None and self._window_ends is not None:
            budget = max(1, int(self._allowed * (1 - self._reserve)))
            if self._used >= budget:
                waits.append(self._window_ends - now)
        return max(waits)


def _number(value: str | None) -> float | None:
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None
