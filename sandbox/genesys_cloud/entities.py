"""Users and groups as plain objects, and their JSON in the API."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

STATES = ("active", "inactive", "deleted")
HOME = "Home"
"""The division that every organisation has."""

_DIVISION_IDS = uuid.UUID("d1715107-0000-4000-8000-000000000000")


def division_id(name: str) -> str:
    return str(uuid.uuid5(_DIVISION_IDS, name))


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class User:
    id: str
    name: str
    email: str | None
    username: str | None
    state: str = "active"
    external_ids: list[tuple[str, str]] = field(default_factory=list)  # (authority, key)
    version: int = 1
    title: str | None = None
    department: str | None = None
    division: str = HOME
    _text: str | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return the API's User, without what only `expand` adds.

        It has no external ids: the API's has none either.
        """
        body: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "division": {
                "id": division_id(self.division),
                "name": self.division,
                "selfUri": f"/api/v2/authorization/divisions/{division_id(self.division)}",
            },
            "chat": {"jabberId": f"{self.id}@sandbox.orgspan.com"},
            "email": self.email,
            "primaryContactInfo": [{"address": self.email, "mediaType": "EMAIL", "type": "PRIMARY"}]
            if self.email
            else [],
            "addresses": [],
            "state": self.state,
            "username": self.username,
            "title": self.title,
            "department": self.department,
            "version": self.version,
            "acdAutoAnswer": False,
            "selfUri": f"/api/v2/users/{self.id}",
        }
        return {key: value for key, value in body.items() if value is not None}

    def as_text(self) -> str:
        """Return `as_json` as text, serialised once: listings of 20,000 users are joined from these."""
        if self._text is None:
            self._text = json.dumps(self.as_json(), ensure_ascii=False, separators=(",", ":"))
        return self._text

    def change(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        self.version += 1
        self._text = None


@dataclass(frozen=True)
class Delta:
    """How to get from the members after ``at`` back to those before."""

    at: float
    added: tuple[str, ...]
    removed: tuple[str, ...]
    version_before: int


@dataclass
class Group:
    id: str
    name: str
    state: str = "active"
    type: str = "official"
    external_id: str | None = None
    individuals: dict[str, None] = field(default_factory=dict)  # an ordered set
    owners: list[str] = field(default_factory=list)
    rule_members: list[str] = field(default_factory=list)
    dynamic: bool = False  # has dynamicsettings
    visibility: str = "public"  # public | members | owners
    include_owners: bool = False  # newly added owners become individual members
    division: str | None = None  # None: of no division. The API's Group does not show it
    version: int = 1
    modified: float = 0.0
    history: list[Delta] = field(default_factory=list, repr=False)

    def members(self, individuals: Iterable[str] | None = None) -> list[str]:
        """Return what /members lists: individuals, owners and people included by rules, each once."""
        return list(dict.fromkeys([*(self.individuals if individuals is None else individuals), *self.owners,
                                   *self.rule_members]))  # fmt: skip

    def as_of(self, at: float) -> tuple[dict[str, None], int]:
        """Return (individuals, version) of a time (Unix): what a lagging replica would answer."""
        individuals, version = dict(self.individuals), self.version
        for delta in reversed(self.history):
            if delta.at <= at:
                break
            for user_id in delta.added:
                individuals.pop(user_id, None)
            individuals.update(dict.fromkeys(delta.removed))
            version = delta.version_before
        return individuals, version

    def as_json(self, version: int | None = None, *, with_owners: bool = True) -> dict[str, Any]:
        """Return the API's Group.

        It has neither members nor externalId nor a flag for rules: the API's has none either.
        """
        owners = [{"id": owner, "selfUri": f"/api/v2/users/{owner}"} for owner in self.owners]
        return {
            "id": self.id,
            "name": self.name,
            "dateModified": iso(self.modified),
            "memberCount": len(self.members()),
            "state": self.state,
            "version": self.version if version is None else version,
            "type": self.type,
            "rulesVisible": True,
            "visibility": self.visibility,
            "rolesEnabled": True,
            "includeOwners": self.include_owners,
            "callsEnabled": False,
            **({"owners": owners} if with_owners else {}),
            "selfUri": f"/api/v2/groups/{self.id}",
        }
