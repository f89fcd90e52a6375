"""Every request that came in, in order, without secrets."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from typing import Any

_BODY_LIMIT = 20_000  # bytes of JSON that are kept as they came; larger ones are summed up


class RequestLog:
    """Entries are dicts: ``seq, time (Unix), method, path, query, client, headers, body, status, faults, ms``.

    ``status`` None: in flight; 0: the connection was reset. ``client`` is the OAuth client's id, if the request was
    authenticated. ``body``: the JSON, or its summary if it is large. Thread-safe.
    """

    def __init__(self, limit: int) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=limit)
        self._seq = 0

    def begin(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "seq": 0,
            "time": time.time(),
            "method": method,
            "path": path,
            "query": query,
            "client": None,
            "headers": {name: _masked(name, value) for name, value in headers.items()},
            "body": _summary(path, body),
            "status": None,
            "faults": [],
            "ms": None,
        }
        with self._lock:
            self._seq += 1
            entry["seq"] = self._seq
            self._entries.append(entry)
        return entry

    def entries(self, method: str | None = None, path: str | None = None, after: int = 0) -> list[dict[str, Any]]:
        """Return copies of some entries, oldest first.

        ``method``: exactly. ``path``: a regular expression found anywhere. ``after``: a seq.
        """
        with self._lock:
            found = list(self._entries)
        return [
            dict(entry)
            for entry in found
            if entry["seq"] > after
            and (method is None or entry["method"] == method.upper())
            and (path is None or re.search(path, entry["path"]))
        ]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


def _masked(name: str, value: str) -> str:
    if name.lower() in {"authorization", "cookie", "proxy-authorization"}:
        return value.partition(" ")[0] + " …"
    return value


def _summary(path: str, body: bytes) -> Any:
    if not body:
        return None
    if path.startswith("/oauth/"):
        return f"form of {len(body)} bytes"
    try:
        value = json.loads(body)
    except ValueError:
        return f"{len(body)} bytes that are not JSON"
    if len(body) <= _BODY_LIMIT or not isinstance(value, dict):
        return value if len(body) <= _BODY_LIMIT else f"{len(body)} bytes of JSON"
    return {key: f"{len(item)} items" if isinstance(item, list) else item for key, item in value.items()}
