"""A listener that plays a domain controller on one TCP port and keeps every byte that a client sends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

BIND, EXTENDED = 0x60, 0x77  # the tags of requests; the response's is one higher

Answer = Callable[[bytes], "bytes | None"]


class Listener:
    """``received``: the bytes of each connection, in order. ``answer``: what to send back; None hangs up."""

    def __init__(self, server: socket.socket, answer: Answer) -> None:
        self._server = server
        self._answer = answer
        self.received: list[bytes] = []
        self.port: int = server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self.received.append(b"")
                threading.Thread(target=self._talk, args=(client, len(self.received) - 1), daemon=True).start()

    def _talk(self, client: socket.socket, number: int) -> None:
        with client, suppress(OSError):
            while part := client.recv(65536):
                self.received[number] += part
                reply = self._answer(part)
                if reply is None:
                    return
                client.sendall(reply)

    @property
    def everything(self) -> bytes:
        return b"".join(self.received)


def accept_login(request: bytes, code: int = 0, message: bytes = b"") -> bytes | None:
    """Say yes to a bind and to StartTLS in clear; hang up on anything else, TLS included.

    ``code`` and ``message``: the answer to the bind instead.
    """
    # LDAPMessage: 30 LENGTH 02 N ID(N) TAG …, all of it shorter than 128 bytes. ldap3 counts IDs for the whole process.
    operation = 4 + request[3] if len(request) >= 6 and request[0] == 0x30 else None
    if operation is None or len(request) <= operation or request[operation] not in (BIND, EXTENDED):
        return None
    body = bytes([0x0A, 1, code, 4, 0, 4, len(message)]) + message
    response = request[2:operation] + bytes([request[operation] + 1, len(body)]) + body
    return bytes([0x30, len(response)]) + response


@contextmanager
def listening(answer: Answer = accept_login, address: str = "127.0.0.1") -> Iterator[Listener]:
    """Listen on a free port of ``address``."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        yield Listener(server, answer)
