"""The sandbox in a thread or a process, and the client that steers it.

The client uses `requests` and the control routes only, so what it reports does not depend on product code.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import requests
import uvicorn

from sandbox.genesys_cloud.access import DEFAULT_CLIENT_ID
from sandbox.genesys_cloud.app import create_app
from sandbox.genesys_cloud.faults import FaultRule, Kind
from sandbox.genesys_cloud.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from sandbox.genesys_cloud.options import SandboxOptions

_START_TIMEOUT = 180.0  # seconds
_PROJECT = Path(__file__).resolve().parents[2]

Self = TypeVar("Self", bound="SandboxClient")


class SandboxClient:
    """Steers a running sandbox over HTTP. A context manager: leaving it stops what it started."""

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self.url = url
        self.client_id = client_id
        self.client_secret = client_secret

    # -- for clients of the API ----------------------------------------------------------------------------------

    def connection(self) -> dict[str, Any]:
        """Return an Airflow connection in its JSON form (`AIRFLOW_CONN_…` takes ``json.dumps`` of it)."""
        return {
            "conn_type": "genesys_cloud",
            "host": "mypurecloud.de",
            "login": self.client_id,
            "password": self.client_secret,
            "extra": {"api_url": self.url, "login_url": self.url, "timeout": 60},
        }

    # -- looking in ----------------------------------------------------------------------------------------------

    def individuals(self, group_id: str) -> list[str]:
        """Return the real ids of individual members, whatever faults do to the API's answers."""
        members: list[str] = self.group(group_id)["individuals"]
        return members

    def group(self, group_id: str) -> dict[str, Any]:
        """Return one group in the seed's shape, with its version."""
        group: dict[str, Any] = self._call("GET", f"/groups/{group_id}")
        return group

    def snapshot(self) -> dict[str, Any]:
        """Return everything in the seed's shape, with versions."""
        snapshot: dict[str, Any] = self._call("GET", "/state")
        return snapshot

    def requests(self, method: str | None = None, path: str | None = None, after: int = 0) -> list[dict[str, Any]]:
        """Return the log of API requests, oldest first; see `RequestLog`.

        ``path``: a regular expression found anywhere.
        """
        wanted = {"method": method, "path": path, "after": after}
        entries: list[dict[str, Any]] = self._call("GET", "/log", params={k: v for k, v in wanted.items() if v})
        return entries

    def writes(self, after: int = 0) -> list[dict[str, Any]]:
        """Return requests that change something: all but GETs, searches and token requests."""
        return [
            entry
            for entry in self.requests(after=after)
            if entry["method"] not in ("GET", "HEAD")
            and not entry["path"].endswith("/search")
            and not entry["path"].startswith("/oauth/")
        ]

    def options_in_force(self) -> dict[str, Any]:
        options: dict[str, Any] = self._call("GET", "/options")
        return options

    def faults_in_force(self) -> list[dict[str, Any]]:
        rules: list[dict[str, Any]] = self._call("GET", "/faults")
        return rules

    # -- steering ------------------------------------------------------------------------------------------------

    def set_options(self, **values: Any) -> None:
        self._call("POST", "/options", json=values)

    def add_fault(self, kind: Kind, **values: Any) -> None:
        """Add a `FaultRule`; by default it fires once."""
        FaultRule.from_dict({"kind": kind, **values})  # a wrong rule is found here, not in the server
        self._call("POST", "/faults", json={"kind": kind, **values})

    def clear_faults(self, seed: int | None = None) -> None:
        self._call("DELETE", "/faults", params={} if seed is None else {"seed": seed})

    def change_members(self, group_id: str, add: list[str] | None = None, remove: list[str] | None = None) -> None:
        """Change members by hand, past all rules of the API."""
        self._call("POST", f"/groups/{group_id}/members", json={"add": add or [], "remove": remove or []})

    def change_group(self, group_id: str, **values: Any) -> None:
        self._call("POST", f"/groups/{group_id}", json=values)

    def change_user(self, user_id: str, **values: Any) -> None:
        self._call("POST", f"/users/{user_id}", json=values)

    def revoke_tokens(self) -> None:
        self._call("POST", "/tokens/revoke")

    def clear_log(self) -> None:
        self._call("DELETE", "/log")

    def load_seed(self, seed: Mapping[str, Any]) -> None:
        self._call("POST", "/seed", json=dict(seed))

    def reset(self) -> None:
        """Return to the seed: no faults, no tokens, an empty log. Options stay."""
        self._call("POST", "/reset")

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        with requests.Session() as session:
            session.trust_env = False  # the sandbox is local: no proxy comes between
            response = session.request(method, f"{self.url}/_sandbox{path}", timeout=60, **arguments)
        if not response.ok:
            raise ValueError(f"sandbox: {method} {path}: {response.text}")
        return response.json()

    # -- life ----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End what this client started: nothing."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class SandboxGenesys(SandboxClient):
    """The sandbox in a thread of this process.

    ``state``, ``options`` and ``faults`` are the live objects.
    """

    def __init__(self, platform: Platform, server: uvicorn.Server, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__(f"http://{host}:{port}", platform.access.client_id, platform.access.client_secret)
        self.platform = platform
        self.state = platform.state
        self.options = platform.options
        self.faults = platform.faults
        self._server = server
        self._listener = listener
        self._thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="genesys-sandbox", daemon=True
        )

    @classmethod
    def start(
        cls,
        seed: Mapping[str, Any],
        options: SandboxOptions | None = None,
        port: int = 0,
        *,
        client_id: str = DEFAULT_CLIENT_ID,
        client_secret: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> SandboxGenesys:
        """Serve on the loopback; ``port`` 0: any free one. Returns when it answers."""
        platform = Platform(dict(seed), options, client_id=client_id, client_secret=client_secret, clock=clock)
        listener = listen("127.0.0.1", port)
        sandbox = cls(platform, make_server(platform), listener)
        sandbox._thread.start()
        deadline = time.monotonic() + _START_TIMEOUT
        while not sandbox._server.started:
            if not sandbox._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the Genesys sandbox does not start")
            time.sleep(0.005)
        return sandbox

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True  # do not wait for clients that keep their connection
        self._thread.join(timeout=60)
        self._listener.close()


class SpawnedSandbox(SandboxClient):
    """The sandbox as a process of its own, which ends with this one."""

    def __init__(self, process: subprocess.Popen[str], announcement: Mapping[str, str]) -> None:
        super().__init__(announcement["url"], announcement["client_id"], announcement["client_secret"])
        self.process = process

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def spawn(
    seed: Mapping[str, Any],
    options: SandboxOptions | None = None,
    port: int = 0,
    *,
    client_id: str = DEFAULT_CLIENT_ID,
    client_secret: str | None = None,
) -> SpawnedSandbox:
    """Start `python -m sandbox.genesys_cloud` and wait until it answers. ``RuntimeError`` if it does not."""
    command = [sys.executable, "-m", "sandbox.genesys_cloud", "--port", str(port), "--stdin",
               "--parent", str(os.getpid()), "--client-id", client_id]  # fmt: skip
    path = os.pathsep.join(part for part in (str(_PROJECT), os.environ.get("PYTHONPATH", "")) if part)
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert process.stdin is not None
    assert process.stdout is not None
    # The secret goes this way, too: a command line can be read by others.
    given = {"seed": dict(seed), "options": options.as_dict() if options else {}, "client_secret": client_secret}
    line = ""
    try:
        with process.stdin as pipe:
            json.dump(given, pipe)
        line = process.stdout.readline()  # ends if the process does
    except BrokenPipeError:
        pass  # it died early; the empty line says so
    if not line:
        process.kill()
        process.wait()
        process.stdout.close()
        raise RuntimeError(f"the Genesys sandbox does not start (exit status {process.returncode})")
    return SpawnedSandbox(process, json.loads(line))


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket: its port is known, and clients may connect, before the server runs."""
    # The protocol is named because asyncio sets TCP_NODELAY only then; without it each answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(128)
    return listener


def make_server(platform: Platform) -> uvicorn.Server:
    config = uvicorn.Config(
        create_app(platform),
        loop="asyncio",  # connection resets need its sockets' options
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
    )
    return uvicorn.Server(config)
