"""Two domain controllers that lag behind each other at random, read in any order.

What a run has carried out is not moved by a later run, unless something new happened to that membership. In the end
Genesys is what both say.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

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


@dataclass
class Op:
    """A change of one directory. ``group`` None: of the account. ``at``: who has it; ``heard``: a run has read it."""

    origin: SandboxDirectory
    group: str | None
    name: str
    at: list[SandboxDirectory]
    heard: bool = False


class Chance:
    """Changes one of the two directories at random, and knows who has heard of what."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.disabled: dict[SandboxDirectory, set[str]] = {}
        self.ops: list[Op] = []
        self.settled: dict[tuple[str, str], bool] = {}  # what Genesys has of (group, person), as AD wants it

    def note(self, dc: SandboxDirectory, group: str | None, name: str) -> None:
        self.ops.append(Op(dc, group, name, [dc]))
        for one in [group] if group else GROUPS:
            self.settled.pop((one, name), None)

    def replicated(self, here: SandboxDirectory, there: SandboxDirectory) -> None:
        for op in self.ops:
            if there in op.at and here not in op.at:
                op.at.append(here)

    def check(self, dc: SandboxDirectory, genesys: dict[str, set[str]], truth: dict[str, set[str]]) -> list[object]:
        """Return what a run that read ``dc`` moved without a reason; note what is settled now."""
        for op in self.ops:
            op.heard |= dc in op.at
        moved = []
        for group in GROUPS:
            for name in NAMES:
                present = name in genesys[group]
                if self.settled.get((group, name), present) is not present:
                    moved.append((group, name, present))
                recent = [op for op in self.ops if op.name == name and op.group in {None, group} and len(op.at) < 2]
                certain = all(op.heard for op in recent) and len({id(op.origin) for op in recent}) < 2
                knows = all(dc in op.at for op in recent)
                if certain and knows and present is (name in truth[group]):
                    self.settled[group, name] = present
        return moved

    def change(self, dc: SandboxDirectory) -> None:
        group, name = self.rng.choice(list(GROUPS)), self.rng.choice(NAMES)
        kind = self.rng.choice(["member", "member", "member", "account"])
        disabled = self.disabled.setdefault(dc, set())
        if kind == "account":
            dc.apply([Enable(name) if name in disabled else Disable(name)])
            disabled ^= {name}
            self.note(dc, None, name)
        elif name != "eve" and name not in disabled:  # eve comes by a nested group
            listed = name in dc.truth_by_name()[group]
            dc.apply([RemoveMember(group, name) if listed else AddMember(group, name)])
            self.note(dc, group, name)


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
def test_what_a_run_has_carried_out_is_not_moved_by_a_controller_that_lags(two: TwoControllers, seed: int) -> None:
    chance = Chance(seed)
    rng = chance.rng
    for _ in range(STEPS):
        for _ in range(rng.randrange(3)):
            chance.change(rng.choice([two.dc1, two.dc2]))
        if rng.random() < 0.3:
            here, there = rng.sample([two.dc1, two.dc2], 2)
            here.replicate_from(there)
            chance.replicated(here, there)
            chance.disabled[here] = {name for name in NAMES if _is_disabled(here, name)}
        dc = rng.choice([two.dc1, two.dc2])
        two.run_on(dc, mode=rng.choice(["auto", "auto", "full"]))
        assert chance.check(dc, _membership(two), dc.truth_by_name()) == [], f"seed {seed}"
    two.replicate()
    two.replicate()
    for dc in (two.dc1, two.dc2):
        two.run_on(dc)
        two.run_on(dc, mode="full")
    assert two.dc1.truth_by_name() == two.dc2.truth_by_name()
    truth = two.dc1.truth_by_name()
    assert _membership(two) == {group: truth[group] for group in GROUPS}, f"seed {seed}"
    assert two.held() == []
