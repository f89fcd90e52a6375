"""Run the levels of tests whose rooms changed since these levels were last seen green.

    python tests/levels.py            run the levels with changed files, say which are left out and why
    python tests/levels.py --all      run every level, and record in tests/levels.json what was green

Part of `.ci/run` (without ``--all``) and of `make test-all`. A level is a target of the Makefile. Its rooms are the
files that can break it and that `make test` does not try in the same way. They are compared by a hash over their
names and contents in HEAD. The record is committed, so a clean checkout knows it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORD = Path(__file__).with_name("levels.json")

# target of the Makefile: paths whose change can break it
LEVELS: Mapping[str, tuple[str, ...]] = {
    "test-wheel": ("pyproject.toml", "requirements.txt", "requirements.lock", "dags", "plugins", "tests/wheel"),
    "test-celery": (
        *("requirements-dev.lock", "dags", "plugins", "include/genesys_ad_sync/journal"),
        *(f"include/genesys_ad_sync/report/{name}.py" for name in ("files", "journal_stamps", "store")),
        "include/genesys_ad_sync/run/whereabouts.py",
        *("include/genesys_ad_sync/this_machine.py", "include/genesys_ad_sync/writing", "tests/celery"),
        *("sandbox/airflow_stack.py", "sandbox/celery_stack.py", "sandbox/install-system-packages.sh"),
        *("sandbox/bucket.py", "sandbox/postgresql.py", "sandbox/redis_server.py", "sandbox/tcp_proxy.py"),
    ),
    "test-browser": (
        *("pyproject.toml", "requirements-dev.lock", "include/genesys_ad_sync/views"),
        *("include/genesys_ad_sync/journal/listings.py", "include/genesys_ad_sync/preview"),
        *("plugins/genesys_ad_sync_airflow/pages", "plugins/genesys_ad_sync_airflow/report_link.py"),
        *("plugins/genesys_ad_sync_airflow/journal_connection.py", "plugins/genesys_ad_sync_airflow/journal_url.py"),
        *("tests/browser", "tests/wheel/environments.py"),
        *("tests/support/browser.py", "tests/support/pages_story.py", "tests/support/pages_world.py"),
    ),
}


def main() -> int:
    """Return the exit code: 1 as soon as a level fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="run every level, and record what was green")
    everything = parser.parse_args().all
    green = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for target, rooms in LEVELS.items():
        fingerprint = fingerprint_of(rooms)
        seen = green.get(target, {})
        if not everything and seen.get("fingerprint") == fingerprint:
            print(f"levels: {target} left out: green on {seen['on']}, and nothing changed since in {', '.join(rooms)}")
            continue
        print(f"levels: {target} runs: {'all levels were asked for' if everything else _why(seen)}", flush=True)
        if subprocess.run(["make", target], cwd=ROOT, check=False).returncode:
            print(f"levels: {target} FAILED", file=sys.stderr)
            return 1
        if everything:
            green[target] = {"fingerprint": fingerprint, "on": datetime.now(timezone.utc).date().isoformat()}
            RECORD.write_text(json.dumps(green, indent=2) + "\n")
    return 0


def fingerprint_of(rooms: tuple[str, ...], root: Path = ROOT) -> str:
    """Hash the names and contents that HEAD has below these paths."""
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "HEAD", "--", *rooms], cwd=root, capture_output=True, check=True
    ).stdout
    return hashlib.sha256(listed).hexdigest()


def _why(seen: Mapping[str, str]) -> str:
    return f"its files changed since it was green on {seen['on']}" if seen else "it was never recorded as green"


if __name__ == "__main__":
    sys.exit(main())
