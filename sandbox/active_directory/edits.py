"""Changes of a running directory, as an administrator makes them over LDAP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ldap3
from ldap3.utils.dn import escape_rdn, safe_rdn

from sandbox.active_directory.constants import ACCOUNT_DISABLED, SandboxError
from sandbox.active_directory.lookup import dn_of, find, text_of
from sandbox.directory_objects import (
    AddGroup,
    AddMember,
    AddUser,
    Change,
    Delete,
    Disable,
    Enable,
    Move,
    RemoveMember,
    Rename,
    SetAttributes,
    SetPrimaryGroup,
)


def apply_change(connection: ldap3.Connection, change: Change) -> None:
    if isinstance(change, AddUser):
        user = change.user
        _check(change, connection.add(user.dn, ["user"], user.attributes()))
        if user.primary_group is not None:
            apply_change(connection, AddMember(user.primary_group, user.sam))
            apply_change(connection, SetPrimaryGroup(user.sam, user.primary_group))
    elif isinstance(change, AddGroup):
        group = change.group
        _check(change, connection.add(group.dn, ["group"], group.attributes()))
        if group.members:
            members = [dn_of(connection, member) for member in group.members]
            _modify(connection, change, group.dn, "member", ldap3.MODIFY_ADD, members)
    elif isinstance(change, (AddMember, RemoveMember)):
        how = ldap3.MODIFY_ADD if isinstance(change, AddMember) else ldap3.MODIFY_DELETE
        group_dn, member_dn = dn_of(connection, change.group), dn_of(connection, change.member)
        _modify(connection, change, group_dn, "member", how, [member_dn])
    elif isinstance(change, Delete):
        _check(change, connection.delete(dn_of(connection, change.name)))
    elif isinstance(change, Rename):
        _check(change, connection.modify_dn(dn_of(connection, change.name), f"CN={escape_rdn(change.cn)}"))
    elif isinstance(change, Move):
        dn = dn_of(connection, change.name)
        _check(change, connection.modify_dn(dn, safe_rdn(dn)[0], new_superior=change.ou))
    elif isinstance(change, SetAttributes):
        dn = dn_of(connection, change.name)
        for attribute, value in change.values.items():
            values = [] if value is None else [value]
            _modify(connection, change, dn, attribute, ldap3.MODIFY_REPLACE, values)
    elif isinstance(change, (Disable, Enable)):
        entry = find(connection, change.name)
        found = _search_one(connection, entry["dn"], ["userAccountControl"])
        flags = int(text_of(found, "userAccountControl") or 0)
        flags = flags | ACCOUNT_DISABLED if isinstance(change, Disable) else flags & ~ACCOUNT_DISABLED
        _modify(connection, change, entry["dn"], "userAccountControl", ldap3.MODIFY_REPLACE, [str(flags)])
    elif isinstance(change, SetPrimaryGroup):
        group_entry = _search_one(connection, dn_of(connection, change.group), ["primaryGroupToken"])
        token = text_of(group_entry, "primaryGroupToken") or ""
        _modify(connection, change, dn_of(connection, change.user), "primaryGroupID", ldap3.MODIFY_REPLACE, [token])


def _search_one(connection: ldap3.Connection, dn: str, attributes: list[str]) -> dict[str, Any]:
    _, result, response, _ = connection.search(
        dn, "(objectClass=*)", search_scope=ldap3.BASE, attributes=["objectGUID", *attributes]
    )
    if result["result"] != 0:
        raise SandboxError(f"read {dn}: {result['description']} {result['message']}")
    return dict(response[0])


def _modify(connection: ldap3.Connection, change: Change, dn: str, attribute: str, how: str, values: list[str]) -> None:
    _check(change, connection.modify(dn, {attribute: [(how, values)]}))


def _check(change: Change, answer: tuple[bool, Mapping[str, Any], Any, Any]) -> None:
    ok, result, _, _ = answer
    if not ok:
        raise SandboxError(f"{change}: {result['description']} {result['message']}")
