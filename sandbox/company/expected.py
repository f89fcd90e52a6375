"""What membership Genesys Cloud must end up with: an independent check, without product code."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from sandbox.company.directory import AGENT_ACCOUNTS, PEOPLE
from sandbox.company.genesys import (
    AMBIGUOUS,
    EXCLUDED_PEOPLE,
    INACTIVE_IN_GENESYS,
    PAIRS,
    UNKNOWN_TO_GENESYS,
    genesys_seed,
)
from sandbox.company.ids import genesys_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@functools.cache
def _genesys_users() -> frozenset[str]:
    """Return the AD accounts (sAMAccountName) whose Genesys users may get memberships."""
    known = {user.sam for user in PEOPLE + AGENT_ACCOUNTS} - UNKNOWN_TO_GENESYS
    return frozenset(known - INACTIVE_IN_GENESYS - AMBIGUOUS - EXCLUDED_PEOPLE)


def genesys_user_of(sam: str) -> str | None:
    """Return the id of the Genesys user that may get memberships for this AD account.

    None unless the user is known, active, unambiguous and not excluded. A renamed account keeps its user.
    """
    return genesys_id("user", sam) if sam in _genesys_users() else None


def expected_individuals(
    before: Mapping[str, Collection[str]], now: Mapping[str, Collection[str]]
) -> dict[str, set[str]]:
    """Return the user ids of individuals that each Genesys group (by id) must have.

    For the policy ``removals: granted``. ``before`` and ``now``: effective members of AD groups, all by sAMAccountName,
    at the first run and at the last one. A user that Genesys had and AD did not list at the first run stays.
    """
    seed = genesys_seed()
    identity = {sam: genesys_user_of(sam) for sams in [*before.values(), *now.values()] for sam in sams}
    expected = {}
    for group in seed["groups"]:
        feeding = [sam for sam, name in PAIRS.items() if name == group["name"]]
        first = {identity[person] for sam in feeding for person in before.get(sam, ())}
        last = {identity[person] for sam in feeding for person in now.get(sam, ())}
        expected[group["id"]] = (set(group["individuals"]) - first) | {user for user in last if user is not None}
    return expected
