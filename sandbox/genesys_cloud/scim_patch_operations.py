"""What the operations of a SCIM PATCH make of a group (RFC 7644, 3.5.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.genesys_cloud import members
from sandbox.genesys_cloud.refusals import bad_scim

if TYPE_CHECKING:
    from sandbox.genesys_cloud.entities import Group
    from sandbox.genesys_cloud.options import SandboxOptions
    from sandbox.genesys_cloud.platform import Platform

GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
READ_ONLY = ("displayname", "id", "meta", "schemas")

_MEMBER_PATH = re.compile(r'members\[\s*value\s+eq\s+"(?P<id>[^"]+)"\s*\]', re.I)


@dataclass
class GroupEdit:
    """A group as the operations of one PATCH leave it; nothing is written.

    ``replaced``: an operation named all members at once, even if it changed none.
    """

    platform: Platform
    group: Group
    members: dict[str, None] = field(init=False)
    external_id: str | None = field(init=False)
    replaced: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.members = dict(self.group.individuals)
        self.external_id = self.group.external_id

    @property
    def added(self) -> list[str]:
        return [user_id for user_id in self.members if user_id not in self.group.individuals]

    @property
    def removed(self) -> list[str]:
        return [user_id for user_id in self.group.individuals if user_id not in self.members]

    @property
    def concerns_members(self) -> bool:
        return bool(self.added or self.removed or self.replaced)

    def apply(self, operation: dict[str, Any]) -> None:
        """Apply one operation. Raises RefusalError if it cannot be carried out."""
        op = str(operation.get("op", "")).lower()
        if op not in ("add", "replace", "remove"):
            raise bad_scim("invalidSyntax", "op must be add, replace or remove.")
        path, value = operation.get("path"), operation.get("value")
        if path is None or path == "":
            self._apply_attributes(op, value)
        elif not isinstance(path, str):
            raise bad_scim("invalidPath", "path must be a text.")
        else:
            self._apply_at(path.removeprefix(f"{GROUP_SCHEMA}:").strip(), op, value)

    def _apply_attributes(self, op: str, value: Any) -> None:
        """Apply an operation without a path: its value holds attributes."""
        if op == "remove":
            raise bad_scim("noTarget", "A remove needs a path.")
        if not isinstance(value, dict) or not value:
            raise bad_scim("invalidValue", "Without a path, value must be an object of attributes.")
        for name, part in value.items():
            self.apply({"op": op, "path": name, "value": part})

    def _apply_at(self, path: str, op: str, value: Any) -> None:
        single, attribute = _MEMBER_PATH.fullmatch(path), path.lower()
        if single:
            if op != "remove":
                raise bad_scim("invalidPath", "A member chosen by a filter can only be removed.")
            self._drop([single["id"]])
        elif attribute == "members":
            self._change_members(op, value)
        elif attribute == "externalid":
            if op != "remove" and not isinstance(value, str):
                raise bad_scim("invalidValue", "externalId must be a text.")
            self.external_id = None if op == "remove" else value
        elif attribute in READ_ONLY:
            raise bad_scim("mutability", f"{path} cannot be changed.")
        else:
            raise bad_scim("invalidPath", f"There is no attribute {path}.")

    def _change_members(self, op: str, value: Any) -> None:
        if op == "add":
            self._take(_member_ids(value))
        elif op == "replace":
            self._replace(_member_ids(value) if value else [])
        else:
            self._remove_without_filter(value)

    def _remove_without_filter(self, value: Any) -> None:
        policy = self.platform.options.scim_bare_remove
        if policy == "refuse":
            raise bad_scim("invalidPath", 'A remove needs a path like members[value eq "ID"].')
        if policy == "honour_values" and value:
            self._drop(_member_ids(value))
        else:
            self._replace([])

    def _replace(self, user_ids: list[str]) -> None:
        self.members, self.replaced = {user_id: None for user_id in self.members if user_id in user_ids}, True
        self._take([user_id for user_id in user_ids if user_id not in self.members])

    def _take(self, user_ids: list[str]) -> None:
        # Members that an earlier operation of this request removed count as known: they are in the group still.
        returning = [
            user_id for user_id in user_ids if user_id in self.group.individuals and user_id not in self.members
        ]
        self.members.update(dict.fromkeys(members.admissible(self.platform, self.group, user_ids)))
        self.members.update(dict.fromkeys(returning))

    def _drop(self, user_ids: list[str]) -> None:
        absent = [user_id for user_id in user_ids if user_id not in self.members]
        if absent:
            unknown = [user_id for user_id in absent if user_id not in self.group.individuals]
            members.removable(self.platform, self.group, unknown)
        for user_id in members.leaving(self.platform, self.group, user_ids):
            self.members.pop(user_id, None)


def operations_of(body: Any, options: SandboxOptions) -> list[dict[str, Any]]:
    """Return the operations of a PATCH. Raises RefusalError for wrong syntax and for too many."""
    if not isinstance(body, dict) or PATCH_SCHEMA not in (body.get("schemas") or []):
        raise bad_scim("invalidSyntax", f"schemas must contain {PATCH_SCHEMA}.")
    operations = body.get("Operations")
    if not isinstance(operations, list) or not operations or not all(isinstance(o, dict) for o in operations):
        raise bad_scim("invalidSyntax", "Operations must be a list of operations.")
    if options.scim_max_operations is not None and len(operations) > options.scim_max_operations:
        raise bad_scim("tooMany", f"A maximum of {options.scim_max_operations} operations is allowed.")
    values = sum(len(o["value"]) if isinstance(o.get("value"), list) else 1 for o in operations)
    if options.scim_max_member_values is not None and values > options.scim_max_member_values:
        raise bad_scim("tooMany", f"A maximum of {options.scim_max_member_values} members is allowed.")
    return operations


def _member_ids(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    ids = []
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("value"), str) or not item["value"]:
            raise bad_scim("invalidValue", 'Members are objects like {"value": "ID"}.')
        if str(item.get("type", "User")).lower() != "user":
            raise bad_scim("invalidValue", "Only users can be members.")
        ids.append(item["value"])
    return ids
