"""A mail server and a web server that keep what they get. Both speak their protocol over TCP, on a free port."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class MailServer:
    """``refuses``: answer each recipient with an error."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refuses: bool = False

    def connection(self) -> str:
        """Return the Airflow connection, as JSON."""
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com", "retry_limit": 1}
        return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": self.port, "extra": extra})


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Run a mail server (RFC 5321) until the end of the block."""
    kept = MailServer()

    class Dialogue(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 mail.example.com ESMTP")
            while line := self.rfile.readline().decode().strip():
                verb = line.partition(" ")[0].upper()
                if verb == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (data := self.rfile.readline()) != b".\r\n":
                        lines.append(data[1:] if data.startswith(b".") else data)
                    kept.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))  # type: ignore[arg-type]
                    self.say("250 kept")
                elif verb == "RCPT" and kept.refuses:
                    self.say("550 nobody here")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    if verb == "RCPT":
                        kept.recipients.append(line.partition("<")[2].partition(">")[0])
                    self.say("250 ok")

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dialogue)) as port:
        kept.port = port
        yield kept


@dataclass
class WebServer:
    """``status``: of each answer."""

    port: int = 0
    requests: list[tuple[str, Any]] = field(default_factory=list)
    status: int = 200

    def connection(self, conn_type: str = "http") -> str:
        """Return the Airflow connection, as JSON."""
        return json.dumps({"conn_type": conn_type, "host": f"http://127.0.0.1:{self.port}"})


@contextmanager
def web_server() -> Iterator[WebServer]:
    """Run a web server until the end of the block; it keeps (path, JSON body) of each POST."""
    kept = WebServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.requests.append((self.path, json.loads(body)))
            self.send_response(kept.status)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            return

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        kept.port = port
        yield kept


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]  # type: ignore[misc]
        finally:
            server.shutdown()
            thread.join()
