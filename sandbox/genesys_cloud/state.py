"""The organisation: users and groups as plain objects, and the only way to change them.

Knows nothing of HTTP. The same lock guards every read and change, so a test may look in from its own thread.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from sandbox.genesys_cloud.options import SandboxOptions

STATES = ("active", "inactive", "deleted")


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
    _text: str | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return the API's User, without what only `expand` adds.

        It has no external ids: the API's has none either.
        """
        body: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "division": {"id": "00000000-0000-4000-8000-000000000000", "name": "Home", "selfUri": ""},
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
class _Delta:
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
    version: int = 1
    modified: float = 0.0
    history: list[_Delta] = field(default_factory=list, repr=False)

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

    def as_json(self, version: int | None = None) -> dict[str, Any]:
        """Return the API's Group.

        It has neither members nor externalId nor a flag for rules: the API's has none either.
        """
        return {
            "id": self.id,
            "name": self.name,
            "dateModified": iso(self.modified),
            "memberCount": len(self.members()),
            "state": self.state,
            "version": self.version if version is None else version,
            "type": self.type,
            "rulesVisible": True,
            "visibility": "public",
            "rolesEnabled": True,
            "includeOwners": bool(self.owners),
            "callsEnabled": False,
            "owners": [{"id": owner, "selfUri": f"/api/v2/users/{owner}"} for owner in self.owners],
            "selfUri": f"/api/v2/groups/{self.id}",
        }


class State:
    """Users and groups of one organisation, filled from a seed.

    Seed: ``{"users": [{id, name, email, username, state, external_ids: [{authority, key}]}], "groups": [{id, name,
    state, type, external_id, individuals: [user ids], owners: [...], rule_members: [...], dynamic: bool}]}``; only
    ``id`` and ``name`` are required. ``ValueError`` for a seed that contradicts itself.
    """

    def __init__(self, seed: dict[str, Any], options: SandboxOptions, clock: Callable[[], float] = time.time) -> None:
        self.lock = threading.RLock()
        self._options = options
        self._clock = clock
        self.load(seed)

    def load(self, seed: dict[str, Any]) -> None:
        """Forget everything and begin with this seed."""
        users, external_ids = _users_of(seed)
        groups = _groups_of(seed, users, self._clock())
        memberships: dict[str, set[str]] = {}
        for group in groups.values():
            for user_id in group.individuals:
                memberships.setdefault(user_id, set()).add(group.id)
        with self.lock:
            self.seed = seed
            self.users = users
            self.groups = groups
            self.external_ids = external_ids
            self._groups_of = memberships  # by individual membership
            self._changed()

    def _changed(self) -> None:
        """Drop what is cached of users and groups (but not of memberships)."""
        self.generation: object = object()
        self._sorted_users: dict[tuple[str, bool], list[User]] = {}

    # -- reading -------------------------------------------------------------------------------------------------

    def individuals(self, group_id: str) -> list[str]:
        """Return user ids in the order in which they came in.

        ``KeyError`` for an unknown group.
        """
        with self.lock:
            return list(self.groups[group_id].individuals)

    def groups_of(self, user_id: str, *, with_rules: bool = False) -> list[str]:
        """Return ids of the groups that the user is an individual member of.

        ``with_rules``: and of those that include the user by a rule.
        """
        with self.lock:
            found = set(self._groups_of.get(user_id, ()))
            if with_rules:
                found |= {group.id for group in self.groups.values() if user_id in group.rule_members}
            return sorted(found)

    def users_by_name(self, state: str, *, descending: bool = False) -> list[User]:
        """Return users sorted by name. ``state``: one of `STATES` or `any`."""
        with self.lock:
            key = (state, descending)
            if key not in self._sorted_users:
                chosen = [user for user in self.users.values() if state in ("any", user.state)]
                chosen.sort(key=lambda user: (user.name.casefold(), user.id), reverse=descending)
                self._sorted_users[key] = chosen
            return self._sorted_users[key]

    def snapshot(self) -> dict[str, Any]:
        """Return everything in the shape of a seed, with the versions."""
        with self.lock:
            return {
                "users": [
                    {
                        "id": user.id,
                        "name": user.name,
                        "email": user.email,
                        "username": user.username,
                        "state": user.state,
                        "external_ids": [{"authority": a, "key": k} for a, k in user.external_ids],
                        "version": user.version,
                        "title": user.title,
                        "department": user.department,
                    }
                    for user in self.users.values()
                ],
                "groups": [self.group_snapshot(group_id) for group_id in self.groups],
            }

    def group_snapshot(self, group_id: str) -> dict[str, Any]:
        with self.lock:
            group = self.groups[group_id]
            return {
                "id": group.id,
                "name": group.name,
                "state": group.state,
                "type": group.type,
                "external_id": group.external_id,
                "individuals": list(group.individuals),
                "owners": list(group.owners),
                "rule_members": list(group.rule_members),
                "dynamic": group.dynamic,
                "version": group.version,
            }

    # -- changing ------------------------------------------------------------------------------------------------

    def change_members(
        self, group_id: str, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> tuple[list[str], list[str]]:
        """Add, then remove individual members. Return (added, removed), without what was so already.

        The API's rules (caps, versions, unknown ids) are checked before, by the routes; a person working "by hand"
        passes none of them. ``KeyError`` for an unknown group.
        """
        with self.lock:
            group = self.groups[group_id]
            before = dict(group.individuals)
            for user_id in add:
                group.individuals[user_id] = None
            for user_id in remove:
                group.individuals.pop(user_id, None)
            added = [user_id for user_id in group.individuals if user_id not in before]
            removed = [user_id for user_id in before if user_id not in group.individuals]
            for user_id in added:
                self._groups_of.setdefault(user_id, set()).add(group_id)
            for user_id in removed:
                self._groups_of.get(user_id, set()).discard(group_id)
            self._bump(group, tuple(added), tuple(removed))
            return added, removed

    def _bump(self, group: Group, added: tuple[str, ...], removed: tuple[str, ...]) -> None:
        changes = len(added) + len(removed)
        if not changes and not self._options.unchanged_bumps_version:
            return
        now = self._clock()
        group.history.append(_Delta(now, added, removed, group.version))
        steps = max(changes, 1) if self._options.version_bump == "per_member" else 1
        group.version += steps * self._options.version_step
        group.modified = now

    def change_user(self, user_id: str, values: dict[str, Any]) -> None:
        """Change a user by hand or through PATCH.

        ``values``: name, email, username, state, title, department, external_ids.
        """
        allowed = {"name", "email", "username", "state", "title", "department", "external_ids"}
        _check_names(values, allowed)
        with self.lock:
            user = self.users[user_id]
            values = dict(values)
            if "external_ids" in values:
                ids = [(entry["authority"], entry["key"]) for entry in values["external_ids"]]
                for key in user.external_ids:
                    self.external_ids.pop(key, None)
                self.external_ids.update(dict.fromkeys(ids, user_id))
                values["external_ids"] = ids
            user.change(values)
            self._changed()

    def change_group(self, group_id: str, values: dict[str, Any]) -> None:
        """Change a group by hand or through SCIM.

        ``values``: name, state, type, external_id, owners, rule_members, dynamic.
        """
        _check_names(values, {"name", "state", "type", "external_id", "owners", "rule_members", "dynamic"})
        with self.lock:
            group = self.groups[group_id]
            for name, value in values.items():
                setattr(group, name, value)
            group.version += self._options.version_step
            group.modified = self._clock()
            self._changed()

    def touch_group(self, group_id: str) -> None:
        """Save the group as somebody else would: same members, new version."""
        self.change_group(group_id, {})


def _users_of(seed: dict[str, Any]) -> tuple[dict[str, User], dict[tuple[str, str], str]]:
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
    )


def _groups_of(seed: dict[str, Any], users: Container[str], now: float) -> dict[str, Group]:
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
        version=item.get("version", 1),
        modified=now,
    )


def _check_names(values: dict[str, Any], allowed: set[str]) -> None:
    unknown = sorted(set(values) - allowed)
    if unknown:
        raise ValueError(f"cannot be changed: {', '.join(unknown)}; can: {', '.join(sorted(allowed))}")
