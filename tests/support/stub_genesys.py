"""A Genesys Cloud that answers what a test says, and a clock without waiting.

It is for what the sandbox does not do on demand: a few lines of http.server on a loopback port.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class FakeClock:
    """`clock` and `sleep` of a hook: sleeping moves the clock and takes no time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Received:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    client_port: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False  # close the connection instead of answering
    cut: int = 0  # bytes left out at the end, though Content-Length counts them


def error_body(status: int, code: str, message: str, **headers: str) -> Answer:
    body = {"message": message, "code": code, "status": status, "contextId": "c-1", "details": [], "errors": []}
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class StubGenesys:
    url: str
    received: list[Received] = field(default_factory=list)
    tokens: int = 0
    token_answers: list[Answer] = field(default_factory=list)  # taken first
    answers: list[Answer] = field(default_factory=list)  # taken one by one, then `otherwise`
    otherwise: Callable[[Received], Answer] = lambda _: Answer(200, {})
    lifetime: int = 86400

    @property
    def calls(self) -> list[Received]:
        return [request for request in self.received if request.path != "/oauth/token"]

    def connection(self, **extra: Any) -> str:
        """Return the value of AIRFLOW_CONN_…."""
        return json.dumps(
            {
                "conn_type": "genesys_cloud",
                "login": "client-id",
                "password": "client-secret",
                "extra": {"api_url": self.url, "login_url": self.url, "timeout": 60, **extra},
            }
        )

    def _answer(self, request: Received) -> Answer:
        self.received.append(request)
        if request.path == "/oauth/token":
            if self.token_answers:
                return self.token_answers.pop(0)
            self.tokens += 1
            return Answer(
                200,
                {"access_token": f"token-{self.tokens}", "token_type": "bearer", "expires_in": self.lifetime},
            )
        return self.answers.pop(0) if self.answers else self.otherwise(request)


@contextmanager
def running_stub() -> Iterator[StubGenesys]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            parts = urlsplit(self.path)
            request = Received(
                self.command,
                parts.path,
                parse_qs(parts.query),
                dict(self.headers.items()),
                self.rfile.read(length),
                self.client_address[1],
            )
            with lock:
                answer = stub._answer(request)
            if answer.drop:
                self.close_connection = True
                return
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            if answer.body is None:
                body = b""
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) - answer.cut])
            self.close_connection = self.close_connection or bool(answer.cut)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815  BaseHTTPRequestHandler's names

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stub = StubGenesys(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
