"""What Active Directory says: groups, users, direct memberships, and up to where they were read.

A *guid* is an objectGUID in the form ``xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx``, lower case. Active Directory
objects are identified by it alone; DNs, names and mail addresses are for people and for matching.
"""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

Guid = str

Vector = Mapping[Guid, int]
"""invocationId of a domain controller -> USN up to which its changes are known: an up-to-dateness vector."""


RankedValues = tuple[tuple[str, ...], ...]
"""All values of an attribute. What values of an earlier rank find decides; within a rank none goes before another."""


class PrincipalKind(str, Enum):
    """The kind of a member that is not a group.

    Only users get memberships. The others are counted.
    """

    USER = "user"
    CONTACT = "contact"
    COMPUTER = "computer"
    OTHER = "other"


class AccountState(str, Enum):
    """The state of an account: can a person use it.

    ``unseen``: the account cannot be read, and no tombstone says that it is deleted.
    """

    ENABLED = "enabled"
    DISABLED = "disabled"
    EXPIRED = "expired"
    DELETED = "deleted"
    UNSEEN = "unseen"


@dataclass(frozen=True)
class DirectoryGroup:
    """An AD group as last read.

    ``in_scope``: it is below `group_base` and matches `group_filter`; False for groups reached only by nesting.
    ``ends_at``: when a dynamic object goes; None: it stays.
    """

    guid: Guid
    dn: str
    name: str  # cn
    sam_account_name: str | None
    sid: str | None
    in_scope: bool
    attributes: Mapping[str, str] = field(default_factory=dict)  # what rules of `groups:` need; lower-case names
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """A member that is not a group.

    ``expires_at``: ``accountExpires``; None: never. ``expired``: that time had passed when AD was read, by AD's clock.

    ``ends_at``: when a dynamic object goes; None: it stays.

    ``attributes``: what rules of `users:` need, the first value of each, by LDAP name in lower case. ``mail`` and
    ``userprincipalname`` are always read. ``ranked_values``: all values of those that have several.
    """

    guid: Guid
    dn: str
    kind: PrincipalKind
    name: str
    sam_account_name: str | None
    disabled: bool
    attributes: Mapping[str, str] = field(default_factory=dict)
    expires_at: datetime | None = None
    expired: bool = False
    ends_at: datetime | None = None
    ranked_values: Mapping[str, RankedValues] = field(default_factory=dict)

    @property
    def mail(self) -> str | None:
        """Return the mail address, if AD has one."""
        return self.attributes.get("mail")


@dataclass
class DirectoryView:
    """AD groups, users and *direct* memberships as last read.

    It has all of them, or some groups with their nested groups.
    ``members`` has an entry for each group of ``groups``, members by primaryGroupID included. A member is a guid of
    ``groups``, of ``users``, or of neither (an object of another domain, or one that the account may not see).
    """

    groups: dict[Guid, DirectoryGroup] = field(default_factory=dict)
    users: dict[Guid, DirectoryUser] = field(default_factory=dict)
    members: dict[Guid, set[Guid]] = field(default_factory=dict)


@dataclass(frozen=True)
class MembershipPolicy:
    """Which members of a group count.

    ``nested``: members of nested groups do. ``disabled_users``: ``remove`` leaves out disabled accounts, ``keep`` does
    not. ``expired_users``: the same for accounts whose ``accountExpires`` has passed.
    """

    nested: bool
    disabled_users: str  # remove | keep
    expired_users: str = "keep"  # remove | keep

    def leaves_out(self, user: DirectoryUser) -> bool:
        """Return True if the account does not count, as disabled or expired."""
        disabled = user.disabled and self.disabled_users == "remove"
        return disabled or (user.expired and self.expired_users == "remove")


@dataclass(frozen=True)
class Scope:
    """The part of AD that a definition reads.

    After a change of any field, everything is read again.
    """

    naming_context: str
    group_base: str
    group_filter: str
    nested_groups: bool
    disabled_users: str  # remove | keep
    group_attributes: tuple[str, ...]  # lower-case LDAP names, sorted
    user_attributes: tuple[str, ...]
    more_group_bases: tuple[str, ...] = ()
    expired_users: str = "keep"  # remove | keep. A journal that is older than the field was made with `keep`

    @property
    def group_bases(self) -> tuple[str, ...]:
        """Return the DNs below which the groups lie; none is below another one."""
        return (self.group_base, *self.more_group_bases)

    @property
    def policy(self) -> MembershipPolicy:
        """Return the part of the scope that decides who is a member."""
        return MembershipPolicy(
            nested=self.nested_groups, disabled_users=self.disabled_users, expired_users=self.expired_users
        )

    @property
    def fingerprint(self) -> str:
        """Return a stable text of all fields, to compare with the journal's.

        Journals hold a text with bars. It stays as it is where every later field has the value that it had before it
        existed: an upgrade alone is no other scope. A field with another value needs JSON.
        """
        values = dataclasses.asdict(self)
        later = {
            field.name: field.default for field in dataclasses.fields(self) if field.default != dataclasses.MISSING
        }
        if all(values[name] == default for name, default in later.items()):
            return "|".join(str(value) for name, value in values.items() if name not in later)
        return json.dumps(values, sort_keys=True)

    @classmethod
    def of_fingerprint(cls, text: str) -> Scope:
        """Read a fingerprint. Raises ValueError when the text is not one.

        The older form: an LDAP filter may contain the separator; a base that contains it ends before the filter's
        bracket.
        """
        if text.startswith("{"):
            data: dict[str, Any] = json.loads(text)
            fields: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
            }
            return cls(**fields)
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
    """Up to where AD has been read.

    - ``polled_at``: the domain controller's ``currentTime``, never our clock.
    - ``doubted_since``: since when the domain controller that is read may lag behind what is known already; None: no
      doubt.
    - ``trusted_dc``: the last domain controller before that one that was beyond doubt.
    - ``vector``: what the domain controller has received from the others; once stored, all that the view knows. None:
      it does not say.
    """

    domain_controller: str  # dnsHostName
    invocation_id: Guid
    highest_committed_usn: int
    cookie: bytes | None  # DirSync; None: no incremental poll possible
    polled_at: datetime
    doubted_since: datetime | None = None
    trusted_dc: str | None = None
    vector: Vector | None = None
