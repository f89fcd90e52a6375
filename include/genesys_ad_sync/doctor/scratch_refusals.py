"""Refusals: a Genesys group must be free before a test may write to it.

The test is refused unless everything shows that it may.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from genesys_ad_sync import names
from genesys_ad_sync.doctor.directory import DirectorySubject, check_directory
from genesys_ad_sync.doctor.genesys import GROUPS, GenesysSubject
from genesys_ad_sync.doctor.genesys_parts import MAPPING_CHECKS
from genesys_ad_sync.doctor.lines import Outcome, run_checks
from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.genesys.client import GenesysClient, path_segment
from genesys_ad_sync.genesys.entities import entity_of
from genesys_ad_sync.genesys.errors import NotFound
from genesys_ad_sync.genesys.gateway import LIST_PAGE_SIZE, GenesysGateway
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import GenesysUser

_TWO = 2


class ScratchRefused(GroupSyncError):
    """The group may not be used. The text says why."""


@dataclass(frozen=True)
class World:
    """What a sync definition reads, to see what it maps."""

    directory: DirectorySubject
    genesys: GenesysSubject

    @property
    def name(self) -> str:
        return self.genesys.definition.name


def require_named_twice(group_id: str, yes_change: str | None) -> None:
    """Refuse a group that is not named twice. Raises ScratchRefused."""
    if yes_change != group_id:
        raise ScratchRefused(
            f"The members of {group_id} would be changed. To confirm, name the group again: --yes-change {group_id}"
        )


def require_unmapped(group_id: str, worlds: Sequence[World], journal: Journal | None) -> None:
    """Refuse a group that a definition maps, mapped before, or may map.

    "May map": it cannot be known that it does not. Raises ScratchRefused.
    ``journal`` None: there is none yet.
    """
    for world in worlds:
        definition = world.genesys.definition
        if any((rule.genesys_id or "").strip().lower() == group_id.lower() for rule in definition.groups):
            raise ScratchRefused(f"The sync definition {world.name} names this group in `groups:`.")
        _require_not_mapped(group_id, world)
        if journal is not None:
            pairs = journal.of(world.name).pairs
            if any(pair.genesys_group_id == group_id for pair in (*pairs.active(), *pairs.former())):
                raise ScratchRefused(
                    f"The sync definition {world.name} feeds this group, or did so according to the journal."
                )
    claims = journal.claims.list() if journal is not None else []
    for claim in claims:
        if claim.genesys_group_id == group_id:
            raise ScratchRefused(f"The sync definition {claim.definition} has a claim on this group.")


def _require_not_mapped(group_id: str, world: World) -> None:
    lines = check_directory(world.directory)
    failed = [line for line in lines if line.outcome is Outcome.PROBLEM and line.check in _READING]
    if world.directory.view is None or failed:
        why = failed[0].text if failed else "Active Directory could not be read."
        raise ScratchRefused(f"It is not known what the sync definition {world.name} maps: {why}")
    world.genesys.view = world.directory.view
    lines = run_checks(MAPPING_CHECKS, world.genesys)
    if world.genesys.pairs is None:
        why = next((line.text for line in lines if line.outcome is Outcome.PROBLEM), "the mapping failed.")
        raise ScratchRefused(f"It is not known what the sync definition {world.name} maps: {why}")
    if any(pair.genesys_group_id.lower() == group_id.lower() for pair in world.genesys.pairs):
        raise ScratchRefused(f"The sync definition {world.name} maps an AD group to this group.")
    if any(_is_protected(entity, group_id, world) for entity in world.genesys.entities or ()):
        raise ScratchRefused(f"`protect:` of the sync definition {world.name} names this group.")


_READING = frozenset({"directory.group_base", "directory.groups"})


def _is_protected(entity: dict[str, Any], group_id: str, world: World) -> bool:
    shown = (str(entity.get("name")), group_id)
    return entity.get("id") == group_id and names.matches_any(world.genesys.definition.protect, shown)


def find_test_users(client: GenesysClient, group_id: str, named: Collection[str]) -> tuple[GenesysUser, GenesysUser]:
    """Return the two test users, an active one first.

    Raises ScratchRefused if the group has more than these two.
    ``named``: by the person who asks; empty: the group's two individual members.
    """
    path = f"{GROUPS}/{path_segment(group_id)}"
    try:
        group = entity_of(client.call("GET", path).body, path)
    except NotFound:
        raise ScratchRefused(f"Genesys has no group {group_id}, or does not show it to this client.") from None
    _require_harmless(client, group, path)
    gateway = GenesysGateway(client)
    individuals = gateway.individuals(group_id)
    ids = frozenset(named) or individuals
    if len(ids) != _TWO:
        raise ScratchRefused(
            f"The group needs exactly two test users, and {len(ids)} are known. Add two users to it, or name both with "
            "--test-user: members who are inactive may not be listed."
        )
    owners = {str(owner.get("id")) for owner in group.get("owners") or () if isinstance(owner, dict)}
    everyone = {str(one.get("id")) for one in client.pages(f"{path}/members", page_size=LIST_PAGE_SIZE)}
    strangers = (individuals | (everyone - owners)) - ids
    if strangers:
        raise ScratchRefused(f"{len(strangers)} members of the group are not its two test users.")
    users = sorted(gateway.users_by_id(ids), key=lambda user: (user.state != "active", user.id))
    if len(users) != _TWO or users[0].state != "active" or any(user.state == "deleted" for user in users):
        raise ScratchRefused("Both test users must exist, and at least one must be active.")
    return users[0], users[1]


def _require_harmless(client: GenesysClient, group: dict[str, Any], path: str) -> None:
    if str(group.get("state") or "active") != "active":
        raise ScratchRefused(f"The group is {group.get('state')}.")
    if group.get("rolesEnabled") is not False:
        raise ScratchRefused(
            "Roles may be assigned to this group, and whoever is in it gets them. Switch that off for the group."
        )
    try:
        client.call("GET", f"{path}/dynamicsettings")
    except NotFound:
        return
    raise ScratchRefused("The group has dynamic membership.")
