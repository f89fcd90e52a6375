"""What comes before the routes: correlation ids, log, OAuth, rate limit and faults.

It is the outermost ASGI layer, because a connection can only be reset from there.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import Response

from sandbox.genesys_cloud import refusals
from sandbox.genesys_cloud.platform import PLATFORM, Exchange, Platform
from sandbox.genesys_cloud.refusals import RefusalError

if TYPE_CHECKING:
    from sandbox.genesys_cloud.faults import FaultRule

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CONTROL_PREFIX = "/_sandbox"
SCIM_PREFIX = "/api/v2/scim/"
TOKEN_PATH = "/oauth/token"
_LOOK_SECONDS = 0.05  # between two looks whether a silence is to end
_HTML = b"<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>Service unavailable</h1></body></html>"


@dataclass
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def of(cls, response: Response) -> Answer:
        return cls(response.status_code, list(response.raw_headers), bytes(response.body))

    def with_headers(self, headers: dict[str, str]) -> None:
        self.headers += [(name.encode(), value.encode()) for name, value in headers.items()]

    def with_body(self, body: bytes) -> None:
        self.body = body
        self.headers = [(k, v) for k, v in self.headers if k.lower() != b"content-length"]
        self.with_headers({"content-length": str(len(body))})


def render(platform: Platform, refusal: RefusalError, path: str, correlation_id: str) -> Response:
    """Write a refusal in the shape of its path's errors."""
    if path.startswith(SCIM_PREFIX) and not (refusal.gateway and platform.options.scim_gateway_errors == "error_body"):
        return refusal.as_scim_error()
    return refusal.as_error_body(correlation_id)


class Gate:
    """ASGI: wraps the routes of one platform."""

    def __init__(self, app: App, platform: Platform) -> None:
        self._app = app
        self._platform = platform

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, PLATFORM: self._platform}
        if scope["type"] != "http" or scope["path"].startswith(CONTROL_PREFIX):
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        method, path = scope["method"], scope["path"]
        headers = Headers(scope=scope)
        exchange = Exchange(correlation_id=str(uuid.uuid4()))
        exchange.body = await _whole_body(receive)
        entry = self._platform.log.begin(
            method, path, scope["query_string"].decode("latin-1"), dict(headers.items()), exchange.body
        )
        exchange.fired = self._platform.faults.fire(method, path)
        entry["faults"] = exchange.fired.names
        try:
            answer = await self._answer(scope, headers, exchange, entry)
            if answer is None:
                entry["status"] = 0
                await _reset(send)
                return
            if not exchange.fired.of("html"):
                answer.with_headers({"ININ-Correlation-Id": exchange.correlation_id})
            entry["status"] = answer.status
            entry["correlation_id"] = exchange.correlation_id
            await self._send(send, answer, cut=exchange.fired.of("cut_body") is not None)
        finally:
            entry["ms"] = round((time.perf_counter() - started) * 1000, 3)

    async def _answer(self, scope: Scope, headers: Headers, exchange: Exchange, entry: dict[str, Any]) -> Answer | None:
        """Answer a request; None: the connection must be reset."""
        fired, path = exchange.fired, scope["path"]
        slow = fired.of("slow")
        if slow and slow.when == "before":
            await self._be_silent(slow)
        early = self._before(scope, headers, exchange)
        if early is not None or fired.of("reset_before"):
            return early
        answer = await self._process(scope, headers, exchange, entry)
        if fired.of("reset_after"):
            if slow and slow.when == "after":
                await self._be_silent(slow)
            return None
        status = fired.of("status")
        if status and status.processed:
            answer = self._refuse(_refusal_of(status), path, exchange)
        if fired.of("short_page") and answer.status == HTTPStatus.OK:
            _shorten(answer, fired.of("short_page"))
        if fired.of("truncated_json"):
            answer.with_body(answer.body[: len(answer.body) // 2])
        if slow and slow.when == "after":
            await self._be_silent(slow)
        return answer

    async def _be_silent(self, rule: FaultRule) -> None:
        """Wait for the rule's seconds, or until the rules are cleared."""
        end = time.perf_counter() + rule.seconds
        while (left := end - time.perf_counter()) > 0 and self._platform.faults.has(rule):
            await asyncio.sleep(min(left, _LOOK_SECONDS))

    def _before(self, scope: Scope, headers: Headers, exchange: Exchange) -> Answer | None:
        """Carry out the faults that come before processing; return the answer of one, if any."""
        fired, path = exchange.fired, scope["path"]
        foreign = fired.of("foreign_write")
        if foreign:
            self._write_by_hand(path, foreign)
        if fired.of("token_revoked"):
            self._platform.access.revoke(headers.get("authorization", "").partition(" ")[2])
        if fired.of("unauthorized"):
            return self._refuse(refusals.bad_credentials(), path, exchange)
        throttle = fired.of("throttle")
        if throttle:
            return self._refuse(refusals.too_many_requests(throttle.retry_after), path, exchange)
        html = fired.of("html")
        if html:
            return Answer.of(Response(_HTML, html.status or 200, media_type="text/html"))
        status = fired.of("status")
        if status and not status.processed:
            return self._refuse(_refusal_of(status), path, exchange)
        return None

    async def _process(self, scope: Scope, headers: Headers, exchange: Exchange, entry: dict[str, Any]) -> Answer:
        platform, path = self._platform, scope["path"]
        authorization = headers.get("authorization", "")
        if path == TOKEN_PATH and scope["method"] == "POST":
            return Answer.of(
                platform.access.answer_token_request(authorization, headers.get("content-type", ""), exchange.body)
            )
        rate: dict[str, str] = {}
        try:
            exchange.token = platform.access.authenticate(authorization)
            entry["client"] = exchange.token.client_id
            rate = platform.access.spend(exchange.token, path)
        except RefusalError as refusal:
            return self._refuse(refusal, path, exchange)
        answer = await self._call(scope, exchange)
        shown = platform.options.rate_headers
        if shown == "always" or (shown == "success" and answer.status < HTTPStatus.BAD_REQUEST):
            answer.with_headers(rate)
        return answer

    async def _call(self, scope: Scope, exchange: Exchange) -> Answer:
        """Let the routes answer; what they send is kept, not sent yet."""
        answer = Answer(500, [], b"")

        async def receive() -> Message:
            return {"type": "http.request", "body": exchange.body, "more_body": False}

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message["headers"])
            else:
                answer.body += message.get("body", b"")

        await self._app({**scope, "state": {"exchange": exchange}}, receive, keep)
        return answer

    def _refuse(self, refusal: RefusalError, path: str, exchange: Exchange) -> Answer:
        return Answer.of(render(self._platform, refusal, path, exchange.correlation_id))

    def _write_by_hand(self, path: str, rule: FaultRule) -> None:
        state = self._platform.state
        group_id = next((part for part in path.split("/") if part in state.groups), None)
        if group_id is None:
            return
        added, removed = state.change_members(group_id, rule.add, rule.remove)
        if not added and not removed:
            state.touch_group(group_id)

    @staticmethod
    async def _send(send: Send, answer: Answer, *, cut: bool) -> None:
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        if not cut:
            await send({"type": "http.response.body", "body": answer.body})
            return
        await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
        _transport(send).close()  # what is written goes out first, then the end comes too early
        await _until_closed(send)


def _refusal_of(rule: FaultRule) -> RefusalError:
    assert rule.status is not None
    headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
    if rule.message is not None:
        return RefusalError(rule.status, "bad.request", rule.message, headers=headers)
    if rule.status == HTTPStatus.CONFLICT:
        return RefusalError(409, "general.conflict", refusals.CONFLICT_MESSAGE.format(entity="group"), headers=headers)
    return refusals.with_status(rule.status, headers)


def _shorten(answer: Answer, rule: FaultRule | None) -> None:
    value = json.loads(answer.body)
    for key in ("entities", "results", "Resources", "members"):
        if rule is not None and isinstance(value, dict) and value.get(key):
            value[key] = value[key][: -rule.drop]
            answer.with_body(json.dumps(value).encode())
            return


async def _whole_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        body += chunk
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return body


def _transport(send: Send) -> asyncio.Transport:
    """Return uvicorn's transport: ASGI itself has no way to break a connection.

    Its ``send`` is a method of its request cycle, which holds the transport (both for h11 and httptools).
    """
    transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]  # see above
    return transport


async def _reset(send: Send) -> None:
    transport = _transport(send)
    connection: socket.socket = transport.get_extra_info("socket")
    # Linger 0: a reset (RST) instead of an orderly end.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _until_closed(send)


async def _until_closed(send: Send) -> None:
    """Wait until uvicorn knows of the disconnection.

    Else it answers 500 for an application that returns without an answer.
    """
    while not send.__self__.disconnected:  # type: ignore[attr-defined]  # uvicorn's request cycle, see _transport
        await asyncio.sleep(0.001)
