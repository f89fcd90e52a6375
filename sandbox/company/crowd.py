"""Big directories for benchmarks."""

from __future__ import annotations

import random
from typing import TypedDict

from sandbox.company.directory import agent
from sandbox.directory_objects import Content, Group


class CrowdSize(TypedDict, total=False):
    """Arguments of `crowd`: all or none."""

    users: int
    groups: int
    memberships: int


def crowd(users: int, groups: int, memberships: int, seed: int = 1) -> Content:
    """Return a big directory with three large groups.

    These have a quarter, a tenth and a twentieth of the users, as far as ``memberships`` allow. The other memberships
    are spread evenly over the other groups, at random.
    """
    if min(users, groups) < 1 or memberships < 0 or memberships > users * groups:
        raise ValueError(f"{memberships} memberships do not fit {groups} groups of {users} users")
    accounts = tuple(agent(number) for number in range(1, users + 1))
    sizes = _group_sizes(users, groups, memberships)
    dice = random.Random(seed)
    names = [account.sam for account in accounts]
    return Content(
        users=accounts,
        groups=tuple(
            Group(f"team-{number:04}", f"GC-Team {number:04}", tuple(dice.sample(names, size)))
            for number, size in enumerate(sizes, start=1)
        ),
    )


def _group_sizes(users: int, groups: int, memberships: int) -> list[int]:
    large: list[int] = []
    for part in (4, 10, 20):
        rest_of_groups = groups - len(large) - 1
        size = min(users // part, (memberships - sum(large)) // 2)
        if rest_of_groups and memberships - sum(large) - size <= rest_of_groups * users:
            large.append(size)
    rest, more = divmod(memberships - sum(large), groups - len(large))
    return large + [rest + (1 if number < more else 0) for number in range(groups - len(large))]
