"""Records the probe's walk on a Samba domain controller: `python -m tests.support.record_samba`.

The committed folders of `tests/recordings` are made by it, one for each version of Samba.
"""

from __future__ import annotations

import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import BASE_DN, CONTACT_CENTER
from tests.support.replay import RECORDINGS
from tests.support.small_company import content

TEST_OU = f"OU=Probe,{BASE_DN}"
LARGE = 100_000  # bytes, from which a file is committed compressed


def probe_arguments(directory: SandboxDirectory, folder: Path) -> list[str]:
    """Set the connections and make the test OU; return the arguments of the command."""
    connection = directory.ldap()
    connection.add(TEST_OU, ["organizationalUnit"])
    connection.unbind()
    os.environ["AIRFLOW_CONN_ACTIVE_DIRECTORY_DEFAULT"] = json.dumps(directory.connection())
    os.environ["AIRFLOW_CONN_AD_WRITER"] = json.dumps(directory.connection("admin"))
    return [
        "probe", "--base", CONTACT_CENTER, "--write-test-ou", TEST_OU, "--yes-change", TEST_OU,
        "--write-connection", "ad_writer", "--record", str(folder),
    ]  # fmt: skip


def main() -> int:
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    from genesys_ad_sync_airflow.cli.tree import main as command

    version = re.sub(r"[^\d.].*", "", subprocess.check_output(["samba", "--version"], text=True).split()[-1])
    target = RECORDINGS / f"samba-{version}"
    with tempfile.TemporaryDirectory() as scratch, SandboxDirectory.start(content()) as directory:
        folder = Path(scratch) / "recording"
        code = command(probe_arguments(directory, folder), standalone_mode=False)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in sorted(folder.glob("[0-9][0-9]-*.jsonl")):
            data = path.read_bytes()
            if len(data) >= LARGE:
                (target / f"{path.name}.xz").write_bytes(lzma.compress(data, preset=9))
            else:
                (target / path.name).write_bytes(data)
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
