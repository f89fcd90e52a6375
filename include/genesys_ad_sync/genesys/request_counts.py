"""Counts the requests that were really sent."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class RequestCounts:
    """Requests sent, token requests included. ``by_endpoint``: "GET /api/v2/groups/{id}" → how often."""

    total: int = 0
    retried: int = 0
    throttled: int = 0
    by_endpoint: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def sent(self, method: str, path: str, *, again: bool = False) -> None:
        """Count a request. ``again``: it is a repetition."""
        endpoint = endpoint_of(method, path)
        with self._lock:
            self.total += 1
            self.retried += again
            self.by_endpoint[endpoint] = self.by_endpoint.get(endpoint, 0) + 1

    def was_throttled(self) -> None:
        """Count an answer that says "too many requests"."""
        with self._lock:
            self.throttled += 1

    def as_dict(self) -> dict[str, Any]:
        """Return the report's `requests`, as of now."""
        with self._lock:
            return {
                "total": self.total,
                "retried": self.retried,
                "throttled": self.throttled,
                "by_endpoint": dict(sorted(self.by_endpoint.items())),
            }

    def add(self, other: Mapping[str, Any]) -> None:
        """Add the counts of another task (its ``as_dict()``)."""
        with self._lock:
            self.total += other["total"]
            self.retried += other["retried"]
            self.throttled += other["throttled"]
            for endpoint, number in other["by_endpoint"].items():
                self.by_endpoint[endpoint] = self.by_endpoint.get(endpoint, 0) + number


def endpoint_of(method: str, path: str) -> str:
    """Return method and path with ids replaced, so that it can be counted and shown."""
    return f"{method.upper()} {endpoint_family(path)}"


def endpoint_family(path: str) -> str:
    """Return the path with ids replaced, whatever the method."""
    path = path.partition("?")[0]
    path = re.sub(r"/externalid/[^/]+/.+", "/externalid/{authority}/{key}", path)
    return re.sub(r"/(groups|users)/(?!search$|externalid/|bulk$)[^/]+", r"/\1/{id}", path)
