"""Look up the locked dependencies in a database of known vulnerabilities (`make audit`).

    python tests/audit.py [LOCK ...]

Exit 0: all were looked up, and none is known as vulnerable. Exit 1: some are. Exit 2: some could not be looked up, so
nothing is known about them. pip-audit alone would end with 0 there, and also where a mirror in place of PyPI answers
without its vulnerabilities. So a database is believed only if it knows those of an old release.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")
SERVICES = ("pypi", "osv")
"""Databases of pip-audit, tried in this order."""
OLD = "urllib3==1.24.1"
"""A release with vulnerabilities that have been in each database since 2019 (CVE-2019-11324)."""


def audit(lock: Path, service: str, pinned: Sequence[str] = ("--require-hashes",)) -> tuple[list[dict[str, Any]], str]:
    """Return what pip-audit says of each dependency, and its words. The list is empty if it did not come to that."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--requirement", str(lock), *pinned, "--disable-pip"),
            *("--vulnerability-service", service, "--format", "json", "--progress-spinner", "off", "--timeout", "30"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return list(json.loads(done.stdout)["dependencies"]), done.stderr
    except (ValueError, KeyError):
        return [], done.stderr


def knows_vulnerabilities(service: str) -> bool:
    """Return whether the database knows those of an old release. One that knows none answers "good" for everything."""
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "old.txt"
        old.write_text(f"{OLD}\n")
        dependencies, _ = audit(old, service, ("--no-deps",))
    return verdict(dependencies)[0] == 1


def verdict(dependencies: list[dict[str, Any]]) -> tuple[int, list[str]]:
    """Return the exit code for what was found, and the lines that say why."""
    vulnerable = [each for each in dependencies if each.get("vulns")]
    unknown = [each for each in dependencies if "vulns" not in each]
    lines = [
        f"{each['name']} {each['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or 'no version'}"
        for each in vulnerable
        for found in each["vulns"]
    ]
    if vulnerable:
        return 1, lines
    if unknown or not dependencies:
        return 2, [f"{each['name']}: {each.get('skip_reason', 'not looked up')}" for each in unknown]
    return 0, []


def main(locks: list[str]) -> int:
    """Audit each lock file with the first database that answers; return the exit code."""
    worst = 0
    for lock in locks or [str(PROJECT / name) for name in LOCKS]:
        code, lines = 2, ["no database was asked"]
        for service in SERVICES:
            dependencies, words = audit(Path(lock), service)
            code, lines = verdict(dependencies)
            if code == 0 and not knows_vulnerabilities(service):
                code, lines = 2, [f"{service} does not know the vulnerabilities of {OLD}, so it answers without them"]
            if code != 2:
                break
            lines = lines or words.strip().splitlines()[-3:]
        print(f"{Path(lock).name}: {_SAYS[code]}")
        print(*(f"  {line}" for line in lines[:20]), sep="\n")
        worst = 1 if 1 in (code, worst) else max(worst, code)
    return worst


_SAYS = {
    0: "no known vulnerability",
    1: "KNOWN VULNERABILITIES",
    2: "NOT AUDITED: no database of vulnerabilities answered for all of it. Nothing is known, which is not the same as "
    "good. Run it where PyPI or OSV can be reached.",
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
