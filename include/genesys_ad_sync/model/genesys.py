"""What Genesys Cloud has: groups and users."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GenesysGroup:
    id: str
    name: str
    state: str = "active"
    version: int | None = None
    member_count: int | None = None


@dataclass(frozen=True)
class GenesysUser:
    id: str
    name: str
    email: str | None
    username: str | None
    state: str  # active | inactive | deleted
