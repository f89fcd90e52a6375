"""Changes of a running directory, as an administrator makes them over LDAP."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import ldap3
from ldap3.utils.dn import escape_rdn, safe_rdn

from sandbox.active_directory.constants import ACCOUNT_DISABLED, SandboxError
from sandbox.active_directory.lookup import dn_of, text_of
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

if TYPE_CHECKING:
    from collections.abc import Mapping


def apply_change(connection: ldap3.Connection, change: Change) -> None:
    """Make one change. Raises SandboxError if it is refused."""
    _apply(change, connection)


@functools.singledispatch
def _apply(change: Any, _: ldap3.Connection) -> None:
    raise TypeError(f"unknown kind of change: {change!r}")


@_apply.register(AddUser)
def _add_user(change: AddUser, connection: ldap3.Connection) -> None:
    user = change.user
    _check(change, connection.add(user.dn, ["user"], user.attributes()))
    if user.primary_group is not None:
        apply_change(connection, AddMember(user.primary_group, user.sam))
        apply_change(connection, SetPrimaryGroup(user.sam, user.primary_group))


@_apply.register(AddGroup)
def _add_group(change: AddGroup, connection: ldap3.Connection) -> None:
    group = change.group
    _check(change, connection.add(group.dn, ["group"], group.attributes()))
    if group.members:
        members = [dn_of(connection, member) for member in group.members]
        _modify(connection, change, group.dn, {"member": (ldap3.MODIFY_ADD, members)})


@_apply.register(AddMember)
def _add_member(change: AddMember, connection: ldap3.Connection) -> None:
    _change_member(change, connection, ldap3.MODIFY_ADD)


@_apply.register(RemoveMember)
def _remove_member(change: RemoveMember, connection: ldap3.Connection) -> None:
    _change_member(change, connection, ldap3.MODIFY_DELETE)


def _change_member(change: AddMember | RemoveMember, connection: ldap3.Connection, how: str) -> None:
    group_dn, member_dn = dn_of(connection, change.group), dn_of(connection, change.member)
    _modify(connection, change, group_dn, {"member": (how, [member_dn])})


@_apply.register(Delete)
def _delete(change: Delete, connection: ldap3.Connection) -> None:
    _check(change, connection.delete(dn_of(connection, change.name)))


@_apply.register(Rename)
def _rename(change: Rename, connection: ldap3.Connection) -> None:
    _check(change, connection.modify_dn(dn_of(connection, change.name), f"CN={escape_rdn(change.cn)}"))


@_apply.register(Move)
def _move(change: Move, connection: ldap3.Connection) -> None:
    dn = dn_of(connection, change.name)
    _check(change, connection.modify_dn(dn, safe_rdn(dn)[0], new_superior=change.ou))


@_apply.register(SetAttributes)
def _set_attributes(change: SetAttributes, connection: ldap3.Connection) -> None:
    dn = dn_of(connection, change.name)
    for attribute, value in change.values.items():
        values = [] if value is None else [value]
        _modify(connection, change, dn, {attribute: (ldap3.MODIFY_REPLACE, values)})


@_apply.register(Disable)
def _disable(change: Disable, connection: ldap3.Connection) -> None:
    dn, flags = _account_flags(connection, change.name)
    _set_account_flags(connection, change, dn, flags | ACCOUNT_DISABLED)


@_apply.register(Enable)
def _enable(change: Enable, connection: ldap3.Connection) -> None:
    dn, flags = _account_flags(connection, change.name)
    _set_account_flags(connection, change, dn, flags & ~ACCOUNT_DISABLED)


@_apply.register(SetPrimaryGroup)
def _set_primary_group(change: SetPrimaryGroup, connection: ldap3.Connection) -> None:
    group = _search_one(connection, dn_of(connection, change.group), ["primaryGroupToken"])
    token = text_of(group, "primaryGroupToken") or ""
    _modify(connection, change, dn_of(connection, change.user), {"primaryGroupID": (ldap3.MODIFY_REPLACE, [token])})


def _account_flags(connection: ldap3.Connection, name: str) -> tuple[str, int]:
    """Return (DN, userAccountControl) of an account."""
    dn = dn_of(connection, name)
    return dn, int(text_of(_search_one(connection, dn, ["userAccountControl"]), "userAccountControl") or 0)


def _set_account_flags(connection: ldap3.Connection, change: Change, dn: str, flags: int) -> None:
    _modify(connection, change, dn, {"userAccountControl": (ldap3.MODIFY_REPLACE, [str(flags)])})


def _search_one(connection: ldap3.Connection, dn: str, attributes: list[str]) -> dict[str, Any]:
    _, result, response, _ = connection.search(
        dn, "(objectClass=*)", search_scope=ldap3.BASE, attributes=["objectGUID", *attributes]
    )
    if result["result"] != 0:
        raise SandboxError(f"read {dn}: {result['description']} {result['message']}")
    return dict(response[0])


def _modify(
    connection: ldap3.Connection, change: Change, dn: str, changes: Mapping[str, tuple[str, list[str]]]
) -> None:
    """Modify one object. ``changes``: (how, values) by attribute."""
    _check(change, connection.modify(dn, {attribute: [how] for attribute, how in changes.items()}))


def _check(change: Change, answer: tuple[bool, Mapping[str, Any], Any, Any]) -> None:
    ok, result, _, _ = answer
    if not ok:
        raise SandboxError(f"{change}: {result['description']} {result['message']}")
