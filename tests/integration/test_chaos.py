"""Whole runs in which one request in five fails, and one instance is killed.

`make chaos` does 100 of them (CHAOS_RUNS, CHAOS_FIRST_SEED).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.chaos import STRATEGIES, chaos

FIRST = int(os.environ.get("CHAOS_FIRST_SEED", "1"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("CHAOS_RUNS", "4")))


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed {seed} {STRATEGIES[seed % 3]}")
def test_memberships_and_report_come_out_right_under_every_fault(seed: int, tmp_path: Path) -> None:
    told = chaos(seed, STRATEGIES[seed % 3], tmp_path, silent=seed % 2 == 1)
    print(f"CHAOS seed {seed}: {told}")
