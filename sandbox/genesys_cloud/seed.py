"""Reads a seed: the organisation with which a sandbox begins. Its shape is described at `State`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.genesys_cloud.entities import HOME, STATES, Group, User

if TYPE_CHECKING:
    from collections.abc import Container


def users_of(seed: dict[str, Any]) -> tuple[dict[str, User], dict[tuple[str, str], str]]:
    """Return users by id, and user ids by external id."""
    users: dict[str, User] = {}
    external_ids: dict[tuple[str, str], str] = {}
    for item in seed.get("users", ()):
        user = _user_of(item)
        if user.id in users:
            raise ValueError(f"seed: user {user.id} twice")
        if user.state not in STATES:
            raise ValueError(f"seed: user {user.id} has state {user.state!r}, which is none of {STATES}")
        users[user.id] = user
        for key in user.external_ids:
            if external_ids.setdefault(key, user.id) != user.id:
                raise ValueError(f"seed: the external id of user {user.id} belongs to {external_ids[key]}, too")
    return users, external_ids


def _user_of(item: dict[str, Any]) -> User:
    return User(
        id=item["id"],
        name=item["name"],
        email=item.get("email"),
        username=item.get("username", item.get("email")),
        state=item.get("state", "active"),
        external_ids=[(entry["authority"], entry["key"]) for entry in item.get("external_ids", ())],
        version=item.get("version", 1),
        title=item.get("title"),
        department=item.get("department"),
        division=item.get("division", HOME),
    )


def groups_of(seed: dict[str, Any], users: Container[str], now: float) -> dict[str, Group]:
    """Return groups by id."""
    groups: dict[str, Group] = {}
    for item in seed.get("groups", ()):
        group = _group_of(item, now)
        if group.id in groups:
            raise ValueError(f"seed: group {group.id} twice")
        for user_id in group.members():
            if user_id not in users:
                raise ValueError(f"seed: group {group.id} names user {user_id}, but the seed has no such user")
        groups[group.id] = group
    return groups


def _group_of(item: dict[str, Any], now: float) -> Group:
    return Group(
        id=item["id"],
        name=item["name"],
        state=item.get("state", "active"),
        type=item.get("type", "official"),
        external_id=item.get("external_id"),
        individuals=dict.fromkeys(item.get("individuals", ())),
        owners=list(item.get("owners", ())),
        rule_members=list(item.get("rule_members", ())),
        dynamic=bool(item.get("dynamic", False)),
        visibility=item.get("visibility", "public"),
        include_owners=bool(item.get("include_owners", False)),
        division=item.get("division"),
        version=item.get("version", 1),
        modified=now,
    )
