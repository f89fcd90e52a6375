"""Objects of a sandbox directory and changes of them: plain data, no LDAP connection.

Objects are known by their sAMAccountName (a contact, which has none, by its cn). That name survives
renames and moves, so a script of changes can be written down before anybody knows a DN.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ldap3.utils.dn import escape_rdn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REALM = "EXAMPLE.COM"
NETBIOS_DOMAIN = "EXAMPLE"
BASE_DN = "DC=example,DC=com"
CONTACT_CENTER = f"OU=Contact Center,{BASE_DN}"
PEOPLE = f"OU=People,{BASE_DN}"
OTHER_GROUPS = f"OU=Other Groups,{BASE_DN}"
ORGANIZATIONAL_UNITS = (CONTACT_CENTER, PEOPLE, OTHER_GROUPS)

GLOBAL_SECURITY_GROUP = -2147483646
# NORMAL_ACCOUNT | PASSWD_NOTREQD: an account without a password, which plain NORMAL_ACCOUNT may not be.
ENABLED_ACCOUNT = 0x0200 | 0x0020
DISABLED_ACCOUNT = ENABLED_ACCOUNT | 0x0002
WORKSTATION_ACCOUNT = 0x1000 | 0x0020


@dataclass(frozen=True)
class User:
    """An account. ``upn`` None: sAMAccountName@example.com. ``mail`` None: it has none."""

    sam: str
    cn: str
    mail: str | None = None
    upn: str | None = None
    employee_number: str | None = None
    disabled: bool = False
    ou: str = PEOPLE
    primary_group: str | None = None  # sAMAccountName of a group; None: Domain Users

    @property
    def dn(self) -> str:
        return f"CN={escape_rdn(self.cn)},{self.ou}"

    def attributes(self) -> dict[str, str]:
        """Return all attributes but ``primaryGroupID``.

        That can only be set once the user is a member of the group.
        """
        values = {
            "sAMAccountName": self.sam,
            "displayName": self.cn,
            "userPrincipalName": self.upn or f"{self.sam}@{REALM.lower()}",
            "userAccountControl": str(DISABLED_ACCOUNT if self.disabled else ENABLED_ACCOUNT),
        }
        if self.mail is not None:
            values["mail"] = self.mail
        if self.employee_number is not None:
            values["employeeNumber"] = self.employee_number
        return values


@dataclass(frozen=True)
class Contact:
    """A mail contact: a member that is not an account."""

    cn: str
    mail: str
    ou: str = PEOPLE

    @property
    def sam(self) -> str:
        return self.cn

    @property
    def dn(self) -> str:
        return f"CN={escape_rdn(self.cn)},{self.ou}"

    def attributes(self) -> dict[str, str]:
        return {"displayName": self.cn, "mail": self.mail}


@dataclass(frozen=True)
class Computer:
    """A computer account. Its objectClass holds ``user`` too, as in every Active Directory."""

    cn: str
    ou: str = f"CN=Computers,{BASE_DN}"

    @property
    def sam(self) -> str:
        return f"{self.cn}$"

    @property
    def dn(self) -> str:
        return f"CN={escape_rdn(self.cn)},{self.ou}"

    def attributes(self) -> dict[str, str]:
        return {"sAMAccountName": self.sam, "userAccountControl": str(WORKSTATION_ACCOUNT)}


@dataclass(frozen=True)
class Group:
    """A global security group. ``members``: names (see the module) of users, contacts, computers and groups."""

    sam: str
    cn: str
    members: tuple[str, ...] = ()
    ou: str = CONTACT_CENTER
    info: str | None = None

    @property
    def dn(self) -> str:
        return f"CN={escape_rdn(self.cn)},{self.ou}"

    def attributes(self) -> dict[str, str]:
        values = {"sAMAccountName": self.sam, "groupType": str(GLOBAL_SECURITY_GROUP)}
        if self.info is not None:
            values["info"] = self.info
        return values


Object = User | Contact | Computer | Group
OBJECT_CLASSES: Mapping[type, str] = {User: "user", Contact: "contact", Computer: "computer", Group: "group"}


@dataclass(frozen=True)
class Content:
    """Everything that a sandbox directory is filled with, beside the base accounts and the OUs."""

    users: tuple[User, ...] = ()
    contacts: tuple[Contact, ...] = ()
    computers: tuple[Computer, ...] = ()
    groups: tuple[Group, ...] = ()

    def objects(self) -> Iterator[Object]:
        yield from self.users
        yield from self.contacts
        yield from self.computers
        yield from self.groups

    def dns(self) -> dict[str, str]:
        """Return DNs by name."""
        return {thing.sam: thing.dn for thing in self.objects()}


# -- changes ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AddUser:
    user: User


@dataclass(frozen=True)
class AddGroup:
    group: Group


@dataclass(frozen=True)
class AddMember:
    group: str
    member: str


@dataclass(frozen=True)
class RemoveMember:
    group: str
    member: str


@dataclass(frozen=True)
class Delete:
    name: str


@dataclass(frozen=True)
class Rename:
    name: str
    cn: str


@dataclass(frozen=True)
class Move:
    name: str
    ou: str  # a DN


@dataclass(frozen=True)
class SetAttributes:
    """``values``: None takes the attribute away."""

    name: str
    values: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Disable:
    name: str


@dataclass(frozen=True)
class Enable:
    name: str


@dataclass(frozen=True)
class SetPrimaryGroup:
    """A change of the primary group, of which the user must be a member.

    Active Directory then moves the membership out of ``member``.
    """

    user: str
    group: str


Change = (
    AddUser
    | AddGroup
    | AddMember
    | RemoveMember
    | Delete
    | Rename
    | Move
    | SetAttributes
    | Disable
    | Enable
    | SetPrimaryGroup
)
