"""A proxy before a domain controller that answers some requests itself, with bytes that the test chooses.

Samba accepts much that Windows refuses. Everything that the proxy does not answer is the real server's.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from genesys_ad_sync.directory import ldap_controls as ctl
from sandbox.active_directory import SandboxDirectory

SEARCH, SEARCH_DONE = 0x63, 0x65


@dataclass(frozen=True)
class Request:
    """One LDAP message of the client. ``controls``: object identifier -> value."""

    message_id: int
    tag: int
    controls: dict[str, bytes]
    raw: bytes

    @property
    def dirsync_cookie(self) -> bytes | None:
        """The cookie of the DirSync control; None if the request has none."""
        value = self.controls.get(ctl.DIRSYNC)
        return None if value is None else _children(_parts(value)[0][1])[2][1]


Answer = Callable[[Request], "bytes | None"]


@dataclass
class Proxy:
    """``answer``: the bytes to send instead of asking the server; None asks it. May be changed at any time."""

    directory: SandboxDirectory
    address: str = "127.0.0.1"
    port: int = 0
    answer: Answer = lambda _: None
    requests: list[Request] = field(default_factory=list)

    def connection(self, **extra: Any) -> dict[str, Any]:
        """Return an Airflow connection that goes through the proxy."""
        connection = self.directory.connection()
        return {**connection, "host": self.address, "port": self.port, "extra": {**connection["extra"], **extra}}


@contextmanager
def proxy_before(directory: SandboxDirectory) -> Iterator[Proxy]:
    """Listen with the domain controller's own certificate."""
    proxy = Proxy(directory)
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(directory.path / "private/tls/cert.pem", directory.path / "private/tls/key.pem")
    asked = ssl.create_default_context(cafile=directory.ca_certs_file)
    with socket.create_server((proxy.address, 0)) as listener:
        proxy.port = listener.getsockname()[1]

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=_relay, args=(proxy, client, served, asked), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield proxy


def _relay(proxy: Proxy, client: socket.socket, served: ssl.SSLContext, asked: ssl.SSLContext) -> None:
    """Handle one message after the other: the product never sends a second before the answer to the first."""
    directory = proxy.directory
    with (
        suppress(OSError),
        socket.create_connection((directory.host, 636)) as plain,
        served.wrap_socket(client, server_side=True) as here,
        asked.wrap_socket(plain, server_hostname=directory.server_name) as there,
    ):
        while message := _read_message(here):
            request = _request(message)
            proxy.requests.append(request)
            instead = proxy.answer(request)
            if instead is not None:
                here.sendall(instead)
                continue
            there.sendall(message)
            for response in _responses(there, request):
                here.sendall(response)


def _responses(server: ssl.SSLSocket, request: Request) -> Iterator[bytes]:
    if request.tag in (0x42, 0x50):  # unbind, abandon
        return
    while message := _read_message(server):
        yield message
        tag = _children(_parts(message)[0][1])[1][0]
        if tag not in (0x64, 0x73):  # entry, reference: more comes
            return


def result(request: Request, code: int, message: str) -> bytes:
    """Return the end of a search with a result code and a diagnostic message."""
    body = _tlv(0x0A, bytes([code])) + _tlv(0x04, b"") + _tlv(0x04, message.encode())
    number = request.message_id.to_bytes((request.message_id.bit_length() // 8) + 1, "big")
    return _tlv(0x30, _tlv(0x02, number) + _tlv(SEARCH_DONE, body))


# -- BER ----------------------------------------------------------------------------------------------


def _request(message: bytes) -> Request:
    parts = _children(_parts(message)[0][1])
    controls: dict[str, bytes] = {}
    for tag, value in parts[2:]:
        if tag == 0xA0:
            for _, control in _children(value):
                found = _children(control)
                controls[found[0][1].decode()] = found[-1][1] if found[-1][0] == 0x04 and len(found) > 1 else b""
    return Request(int.from_bytes(parts[0][1], "big"), parts[1][0], controls, message)


def _read_message(connection: ssl.SSLSocket) -> bytes:
    head = _read(connection, 2)
    if len(head) < 2:
        return b""
    length = head[1]
    if length & 0x80:
        more = _read(connection, length & 0x7F)
        head, length = head + more, int.from_bytes(more, "big")
    return head + _read(connection, length)


def _read(connection: ssl.SSLSocket, count: int) -> bytes:
    found = b""
    while len(found) < count and (part := connection.recv(count - len(found))):
        found += part
    return found


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        found.append((tag, data[at : at + length]))
        at += length
    return found


_children = _parts


def _tlv(tag: int, value: bytes) -> bytes:
    if len(value) < 0x80:
        return bytes([tag, len(value)]) + value
    size = len(value).to_bytes(4, "big")
    return bytes([tag, 0x84]) + size + value
