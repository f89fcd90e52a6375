"""Fixtures for all tests. Servers are started once per session and only when a test asks for one."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

# No example has to be quick: the machine may be slow and busy.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

# Read when the sandbox is imported, also by the Airflow that system tests start. Reading 1,600 accounts in each run was
# most of the time of the integration tests; the tests of large groups start a crowd of their own.
os.environ.setdefault("GENESYS_AD_SYNC_SANDBOX_AGENTS", "160")

pytest_plugins = [
    "tests.support.directory",
    "tests.support.genesys",
    "tests.support.pipeline",
    "tests.support.speed",
]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests of each level ran, and how many seconds they took when added up."""
    counts: Counter[tuple[str, str]] = Counter()
    seconds: Counter[str] = Counter()
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.getreports(outcome):
            level = report.nodeid.split("/")[1] if report.nodeid.count("/") > 1 else "tests"
            counts[level, outcome] += 1
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and report.nodeid.count("/") > 1:
                seconds[report.nodeid.split("/")[1]] += report.duration
    levels = sorted({level for level, _ in counts})
    if len(levels) > 1:
        terminalreporter.section("levels")
        for level in levels:
            found = ", ".join(f"{n} {outcome}" for (of, outcome), n in counts.items() if of == level)
            terminalreporter.write_line(f"{level:<12} {found} ({seconds[level]:.0f} s of tests)")
