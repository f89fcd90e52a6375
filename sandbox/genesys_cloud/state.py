"""The organisation: users and groups as plain objects, and the only way to change them.

Knows nothing of HTTP. The same lock guards every read and change, so a test may look in from its own thread.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from sandbox.genesys_cloud.entities import HOME, Delta, Group, User
from sandbox.genesys_cloud.seed import groups_of, users_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.genesys_cloud.options import SandboxOptions


_USER_VALUES = {"name", "email", "username", "state", "title", "department", "division", "external_ids"}
_GROUP_VALUES = {"name", "state", "type", "external_id", "owners", "rule_members", "dynamic", "visibility",
                 "include_owners", "division"}  # fmt: skip


class State:
    """Users and groups of one organisation, filled from a seed.

    Seed: ``{"users": [{id, name, email, username, state, division, external_ids: [{authority, key}]}], "groups": [{id,
    name, state, type, visibility, division, external_id, individuals: [user ids], owners: [...], include_owners: bool,
    rule_members: [...], dynamic: bool}]}``; only ``id`` and ``name`` are required. ``ValueError`` for a seed that
    contradicts itself.
    """

    def __init__(self, seed: dict[str, Any], options: SandboxOptions, clock: Callable[[], float] = time.time) -> None:
        self.lock = threading.RLock()
        self._options = options
        self._clock = clock
        self.load(seed)

    def load(self, seed: dict[str, Any]) -> None:
        """Forget everything and begin with this seed."""
        users, external_ids = users_of(seed)
        groups = groups_of(seed, users, self._clock())
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
                        "division": user.division,
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
                "visibility": group.visibility,
                "include_owners": group.include_owners,
                "division": group.division,
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
        group.history.append(Delta(now, added, removed, group.version))
        steps = max(changes, 1) if self._options.version_bump == "per_member" else 1
        group.version += steps * self._options.version_step
        group.modified = now

    def change_user(self, user_id: str, values: dict[str, Any]) -> None:
        """Change a user by hand or through the API. ``values``: see ``_USER_VALUES``.

        The state ``deleted`` deletes the user, and ``active`` restores a deleted one. A deleted user moves to the Home
        division and stays there. What becomes of its memberships is an option.
        """
        _check_names(values, _USER_VALUES)
        with self.lock:
            user = self.users[user_id]
            values = dict(values)
            if values.get("state") == "deleted" and user.state != "deleted":
                values.setdefault("division", HOME)
                self._end_memberships_of_deleted(user_id)
            if "external_ids" in values:
                ids = [(entry["authority"], entry["key"]) for entry in values["external_ids"]]
                for key in user.external_ids:
                    self.external_ids.pop(key, None)
                self.external_ids.update(dict.fromkeys(ids, user_id))
                values["external_ids"] = ids
            user.change(values)
            self._changed()

    def change_group(self, group_id: str, values: dict[str, Any]) -> None:
        """Change a group by hand or through SCIM. ``values``: see ``_GROUP_VALUES``.

        Where owners are included, newly added ones become individual members.
        """
        _check_names(values, _GROUP_VALUES)
        with self.lock:
            group = self.groups[group_id]
            new_owners = [owner for owner in values.get("owners", ()) if owner not in group.owners]
            if new_owners and values.get("include_owners", group.include_owners):
                self.change_members(group_id, add=new_owners)
            for name, value in values.items():
                setattr(group, name, value)
            group.version += self._options.version_step
            group.modified = self._clock()
            self._changed()

    def _end_memberships_of_deleted(self, user_id: str) -> None:
        if self._options.deleted_memberships == "ended":
            for group_id in self.groups_of(user_id):
                self.change_members(group_id, remove=[user_id])

    def touch_group(self, group_id: str) -> None:
        """Save the group as somebody else would: same members, new version."""
        self.change_group(group_id, {})


def _check_names(values: dict[str, Any], allowed: set[str]) -> None:
    unknown = sorted(set(values) - allowed)
    if unknown:
        raise ValueError(f"cannot be changed: {', '.join(unknown)}; can: {', '.join(sorted(allowed))}")
