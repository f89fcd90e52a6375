"""Entities of Genesys Cloud's answers, as the model's types."""

from __future__ import annotations

from typing import Any

from genesys_ad_sync.genesys.errors import UnexpectedAnswer
from genesys_ad_sync.genesys.paging import id_of
from genesys_ad_sync.model import GenesysGroup, GenesysUser


def entity_of(body: Any, path: str) -> dict[str, Any]:
    """Return an answer as one entity. Raises UnexpectedAnswer."""
    if not isinstance(body, dict):
        raise UnexpectedAnswer("The answer is not an entity", method="GET", path=path)
    return body


def group_of(entity: dict[str, Any], path: str) -> GenesysGroup:
    """Return the group of an entity."""
    version, owners = entity.get("version"), entity.get("owners")
    return GenesysGroup(
        id=id_of(entity, path),
        name=str(entity.get("name") or ""),
        state=str(entity.get("state") or "active").lower(),
        version=_number(version),
        member_count=entity.get("memberCount"),
        owners=tuple(id_of(entity_of(owner, path), path) for owner in owners) if isinstance(owners, list) else None,
    )


def user_of(entity: dict[str, Any], path: str) -> GenesysUser:
    """Return the user of an entity. Raises UnexpectedAnswer if it has no state."""
    state = entity.get("state")
    if not isinstance(state, str):
        raise UnexpectedAnswer("A user of the answer has no state", method="GET", path=path)
    return GenesysUser(
        id=id_of(entity, path),
        name=str(entity.get("name") or ""),
        email=_text(entity.get("email")),
        username=_text(entity.get("username")),
        state=state.lower(),
    )


def _number(value: Any) -> int | None:
    """Return an int, which older texts of Genesys show as a string of digits."""
    if type(value) is int and value >= 0:
        return value
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
