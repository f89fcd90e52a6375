"""Windows in any order, kills and spoilt answers end in the same membership as one `full` run. See `windows_fuzz`.

A few rounds here; `make fuzz` plays 200. ``FUZZ_ROUNDS`` and ``FUZZ_SEED`` (the first seed) say otherwise; the seed of
a round is in the name of its test.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.active_directory import SandboxDirectory
from sandbox.genesys_cloud import SandboxGenesys
from tests.support.windows_fuzz import OPTIONS, Round, genesys_seed

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "4"))
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "1"))


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[tuple[SandboxDirectory, SandboxGenesys]]:
    with SandboxDirectory.start(empty=True) as directory, SandboxGenesys.start(genesys_seed(), OPTIONS) as genesys:
        yield directory, genesys


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + ROUNDS))
def test_whatever_happens_in_between_the_end_is_that_of_one_full_run(
    seed: int, sandboxes: tuple[SandboxDirectory, SandboxGenesys], tmp_path: Path
) -> None:
    one = Round(seed, *sandboxes, tmp_path)
    try:
        one.play()
        one.check()
    finally:
        print(
            f"seed {seed}: {sum(one.directory.done.values())} changes of AD {dict(one.directory.done)}, "
            f"{len(one.runs)} runs, {one.killed} kills, spoilt answers {dict(one.tricks)}, "
            f"failures {dict(one.failed)}, account {one.account}"
        )
        one.directory.close()
