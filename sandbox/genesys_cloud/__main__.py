"""`python -m sandbox.genesys_cloud`: serve a sandbox until it is stopped.

The first line of standard output is JSON: ``{"url": …, "client_id": …, "client_secret": …}``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sandbox.genesys_cloud.access import DEFAULT_CLIENT_ID
from sandbox.genesys_cloud.options import SandboxOptions
from sandbox.genesys_cloud.platform import Platform
from sandbox.genesys_cloud.server import listen, make_server


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.genesys_cloud", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--seed", type=Path, help="JSON file: users and groups (see State)")
    parser.add_argument("--options", type=json.loads, default={}, metavar="JSON", help="fields of SandboxOptions")
    parser.add_argument("--client-id", default=DEFAULT_CLIENT_ID)
    parser.add_argument("--secret-file", type=Path, help="a file that holds the client secret; else one is made up")
    parser.add_argument("--stdin", action="store_true", help="read seed, options and client_secret as JSON from stdin")
    parser.add_argument("--parent", type=int, help="a process id: end when this is no longer the parent")
    asked = parser.parse_args(arguments)

    given: dict[str, Any] = json.load(sys.stdin) if asked.stdin else {}
    seed = given.get("seed") or (json.loads(asked.seed.read_text()) if asked.seed else {})
    secret = given.get("client_secret") or (asked.secret_file.read_text().strip() if asked.secret_file else None)
    options = SandboxOptions.from_dict({**asked.options, **given.get("options", {})})
    platform = Platform(seed, options, client_id=asked.client_id, client_secret=secret)
    listener = listen(asked.host, asked.port)
    if asked.parent is not None:
        threading.Thread(target=_end_with, args=(asked.parent,), daemon=True).start()
    host, port = listener.getsockname()[:2]
    announcement = {
        "url": f"http://{host}:{port}",
        "client_id": platform.access.client_id,
        "client_secret": platform.access.client_secret,
    }
    print(json.dumps(announcement), flush=True)
    make_server(platform).run(sockets=[listener])


def _end_with(parent: int) -> None:
    """End this process when its parent has died: it then has another parent."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


if __name__ == "__main__":
    main()
