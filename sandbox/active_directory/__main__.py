"""`python -m sandbox.active_directory`: run an Active Directory until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from typing import TYPE_CHECKING

from sandbox.active_directory.constants import SandboxError
from sandbox.active_directory.server import SandboxDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def _until_signalled() -> Iterator[threading.Event]:
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    yield asked


def main() -> int:
    with _until_signalled() as asked_to_end:
        try:
            directory = SandboxDirectory.start()
        except SandboxError as error:
            print(error, file=sys.stderr)
            return 1
        with directory:
            print(f"A throwaway Active Directory runs at {directory.host}, until Ctrl-C.\n")
            print("As an Airflow connection:")
            print(f"  export AIRFLOW_CONN_ACTIVE_DIRECTORY_DEFAULT='{json.dumps(directory.connection())}'")
            print("To look around, as its administrator:")
            print(
                f"  LDAPTLS_CACERT={directory.ca_certs_file} LDAPTLS_REQCERT=demand ldapsearch -x -H "
                f"ldaps://{directory.host} -D {directory.admin_login} -w '{directory.admin_password}' "
                f"-b '{directory.group_base}' '(objectClass=group)' cn",
                flush=True,
            )
            asked_to_end.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
