"""What every answer of the pages has, also the one to a request that failed."""

from __future__ import annotations

import logging
from typing import Any

from starlette.datastructures import MutableHeaders

log = logging.getLogger(__name__)

POLICY_HEADER = "Content-Security-Policy"
FRAMES = "frame-ancestors 'self'"
"""Airflow shows the pages in a frame of its own."""

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    + FRAMES
)
"""Nothing inline, and nothing of another host. A route may send a policy of its own."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
PRIVATE = "no-store"
"""Pages name people: neither a proxy nor the browser keeps them."""


class Safety:
    """ASGI middleware: sets the headers.

    The outermost of the app, so that no answer goes without them.

    An error of a route is answered by the app, and ends here, in the server's log: never on the page.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answered = False

        async def send_safely(message: Any) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                _set_headers(MutableHeaders(scope=message))
            await send(message)
            answered = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._app(scope, receive, send_safely)
        except Exception:
            log.exception("A page of genesys-ad-sync could not be made")
            if not answered:
                raise


def _set_headers(headers: MutableHeaders) -> None:
    headers.setdefault("Cache-Control", PRIVATE)
    headers.setdefault(POLICY_HEADER, POLICY)
    for name, value in HEADERS.items():
        headers[name] = value
