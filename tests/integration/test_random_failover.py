"""Two domain controllers that lag behind each other at random, read in any order.

Whoever both have in a group, or both have out of it, is not moved by a run. In the end Genesys is what both say.
"""

from __future__ import annotations

import os
import random

import pytest

from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import AddMember, Disable, Enable, RemoveMember
from tests.support.small_company import MANUAL, NAMES, members
from tests.support.two_controllers import TwoControllers, domain, two

__all__ = ["domain", "two"]

GROUPS = {"voice": "Voice", "chat": "Chat"}
ROUNDS = int(os.environ.get("FAILOVER_ROUNDS", "3"))
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "1"))
STEPS = 14


class Chance:
    """Changes one of the two directories at random."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.disabled: dict[SandboxDirectory, set[str]] = {}

    def change(self, dc: SandboxDirectory) -> None:
        group, name = self.rng.choice(list(GROUPS)), self.rng.choice(NAMES)
        kind = self.rng.choice(["member", "member", "member", "account"])
        disabled = self.disabled.setdefault(dc, set())
        if kind == "account":
            dc.apply([Enable(name) if name in disabled else Disable(name)])
            disabled ^= {name}
        elif name != "eve" and name not in disabled:  # eve comes by a nested group
            listed = name in dc.truth_by_name()[group]
            dc.apply([RemoveMember(group, name) if listed else AddMember(group, name)])

    def heard(self, two: TwoControllers) -> None:
        """Note which accounts are disabled, now that both know it."""
        enabled = {name for name in NAMES if not _is_disabled(two.dc1, name)}
        self.disabled = {dc: set(NAMES) - enabled for dc in (two.dc1, two.dc2)}


def _is_disabled(dc: SandboxDirectory, name: str) -> bool:
    connection = dc.ldap()
    try:
        _, _, response, _ = connection.search(
            dc.dn_of(name), "(userAccountControl:1.2.840.113556.1.4.803:=2)", attributes=["cn"]
        )
        return any("dn" in entry for entry in response)
    finally:
        connection.unbind()


def _membership(two: TwoControllers) -> dict[str, set[str]]:
    return {group: members(two.pipeline, genesys) - {MANUAL} for group, genesys in GROUPS.items()}


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + ROUNDS))
def test_a_run_moves_nobody_about_whom_both_agree(two: TwoControllers, seed: int) -> None:
    chance = Chance(seed)
    rng = chance.rng
    for _ in range(STEPS):
        for _ in range(rng.randrange(3)):
            chance.change(rng.choice([two.dc1, two.dc2]))
        if rng.random() < 0.3:
            here, there = rng.sample([two.dc1, two.dc2], 2)
            here.replicate_from(there)
            chance.disabled[here] = {name for name in NAMES if _is_disabled(here, name)}
        before, one, other = _membership(two), two.dc1.truth_by_name(), two.dc2.truth_by_name()
        two.run_on(rng.choice([two.dc1, two.dc2]), mode=rng.choice(["auto", "auto", "full"]))
        after = _membership(two)
        for group in GROUPS:
            moved = before[group] ^ after[group]
            agreed = {name for name in NAMES if (name in one[group]) is (name in other[group])}
            right = {name for name in agreed if (name in before[group]) is (name in one[group])}
            assert not moved & right, f"seed {seed}: {group} moved {moved & right}"
    two.replicate()
    two.replicate()
    for dc in (two.dc1, two.dc2):
        two.run_on(dc)
        two.run_on(dc, mode="full")
    assert two.dc1.truth_by_name() == two.dc2.truth_by_name()
    truth = two.dc1.truth_by_name()
    assert _membership(two) == {group: truth[group] for group in GROUPS}, f"seed {seed}"
    assert two.held() == []
