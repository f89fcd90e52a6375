"""What Active Directory says: groups, users, direct memberships, and up to where they were read.

A *guid* is an objectGUID in the form ``xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx``, lower case. Active Directory
objects are known by it and by nothing else; DNs, names and mail addresses are for people and for matching.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

Guid = str


class PrincipalKind(str, Enum):
    """What a member that is no group is. Only users get memberships; the others are counted."""

    USER = "user"
    CONTACT = "contact"
    COMPUTER = "computer"
    OTHER = "other"


@dataclass(frozen=True)
class DirectoryGroup:
    """An AD group as last read. ``in_scope``: it lies under `group_base` and matches `group_filter`;
    groups that are only reached by nesting have False."""

    guid: Guid
    dn: str
    name: str  # cn
    sam_account_name: str | None
    sid: str | None
    in_scope: bool
    attributes: Mapping[str, str] = field(default_factory=dict)  # what rules of `groups:` ask for; lower-case names


@dataclass(frozen=True)
class DirectoryUser:
    """A member that is no group. ``attributes`` holds what rules of `users:` ask for, first value of each,
    keyed by the LDAP name in lower case (``mail`` and ``userprincipalname`` are always read)."""

    guid: Guid
    dn: str
    kind: PrincipalKind
    name: str
    sam_account_name: str | None
    disabled: bool
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def mail(self) -> str | None:
        return self.attributes.get("mail")


@dataclass
class View:
    """AD groups, people and *direct* memberships as last read; whole, or only a part (the closure of some groups).

    ``members`` has an entry for each group of ``groups``; a member is a guid of ``groups``, of ``users``, or of
    neither (an object of another domain, or one that the account may not see).
    Members by primaryGroupID are in ``members`` too.
    """

    groups: dict[Guid, DirectoryGroup] = field(default_factory=dict)
    users: dict[Guid, DirectoryUser] = field(default_factory=dict)
    members: dict[Guid, set[Guid]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """What a definition looks at. A change of any of it means that the whole view is taken again."""

    naming_context: str
    group_base: str
    group_filter: str
    nested_groups: bool
    disabled_users: str  # remove | keep
    group_attributes: tuple[str, ...]  # lower-case LDAP names, sorted
    user_attributes: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """A stable text of all fields, to compare with what the journal has."""
        return "|".join(str(value) for value in dataclasses.astuple(self))

    @classmethod
    def of_fingerprint(cls, text: str) -> Scope:
        """Read a fingerprint. Raises ValueError when the text is not one.

        An LDAP filter may contain the separator, a base that contains it is cut before the filter's bracket.
        """
        base, nested, disabled, group_attributes, user_attributes = text.rsplit("|", 4)
        naming_context, base = base.split("|", 1)
        group_base, bracket, group_filter = base.partition("|(")
        return cls(
            naming_context=naming_context,
            group_base=group_base,
            group_filter=bracket[1:] + group_filter,
            nested_groups=nested == str(True),
            disabled_users=disabled,
            group_attributes=tuple(ast.literal_eval(group_attributes)),
            user_attributes=tuple(ast.literal_eval(user_attributes)),
        )


@dataclass(frozen=True)
class Cursor:
    """Up to where AD has been read. ``polled_at`` is the DC's ``currentTime``, never our clock.

    ``doubted_since``: since when a domain controller is read that may lag behind what is known already (see
    `directory.trust`); None: no doubt. ``trusted_dc``: the last one before it that was beyond doubt.
    """

    domain_controller: str  # dnsHostName
    invocation_id: Guid
    highest_committed_usn: int
    cookie: bytes | None  # DirSync; None: no incremental poll possible
    polled_at: datetime
    doubted_since: datetime | None = None
    trusted_dc: str | None = None
