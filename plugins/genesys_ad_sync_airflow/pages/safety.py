"""What every answer of the pages has, also the one to a request that failed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response

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
    """ASGI middleware: sets the headers, and answers a request whose route raised.

    The outermost of the app, so that no answer goes without them. The error goes to the server's log, never to the
    page.
    """

    def __init__(self, app: Any, on_error: Callable[[Request, Exception], Response]) -> None:
        self._app = app
        self._on_error = on_error

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_safely(message: Any) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", PRIVATE)
                headers.setdefault(POLICY_HEADER, POLICY)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            await self._app(scope, receive, send_safely)
        except Exception as error:
            if begun:
                raise
            log.exception("A page of genesys-ad-sync could not be made")
            await self._on_error(Request(scope), error)(scope, receive, send_safely)
