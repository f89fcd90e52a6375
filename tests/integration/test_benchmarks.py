"""Each benchmark that a claim of the docs rests on still runs, with small numbers. Its figures mean nothing here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sandbox.airflow_stack import PROJECT

SMALL = {
    "idle": ["400"],
    "poll": ["--users", "600", "--groups", "200", "--memberships", "2000", "--repeat", "1"],
    "requests": ["c", "--groups", "55"],
}


@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_still_runs(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", *SMALL[name]]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "NOT MET" not in done.stdout
