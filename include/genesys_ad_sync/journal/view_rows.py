"""Rows of a view as the objects of Active Directory that they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import Row, Text, cast, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.model import DirectoryGroup, DirectoryUser, PrincipalKind

_GROUP = tables.group.c
_USER = tables.user.c
ACCOUNTS = select(
    _USER.guid,
    _USER.dn,
    _USER.kind,
    _USER.name,
    _USER.sam_account_name,
    _USER.disabled,
    _USER.expires_at,
    _USER.expired,
    _USER.ends_at,
    _USER.attributes,
)
"""What `as_user` needs."""

MEMBERS_ALONE = select(_USER.guid, _USER.dn, _USER.kind, _USER.disabled, _USER.expired)
"""What `as_member` needs."""


IN_SCOPE = select(
    _GROUP.guid,
    _GROUP.dn,
    _GROUP.name,
    _GROUP.sam_account_name,
    _GROUP.sid,
    cast(_GROUP.attributes, Text).label("attributes"),
    _GROUP.ends_at,
)
"""What `GroupsInScope` needs."""


@dataclass(frozen=True)
class GroupsInScope:
    """The AD groups in scope, by guid, as they are stored.

    Thousands are the same as in the run before: a digest tells, in a fifth of the time that the objects take.
    """

    rows: Sequence[tuple[Any, ...]]

    @property
    def digest(self) -> str:
        """Return a digest of all that is stored of them."""
        return hashlib.sha256(repr(self.rows).encode()).hexdigest()

    def groups(self) -> list[DirectoryGroup]:
        """Return the groups, by name."""
        groups = [
            DirectoryGroup(guid, dn, name, sam, sid, in_scope=True, attributes=json.loads(attributes), ends_at=ends_at)
            for guid, dn, name, sam, sid, attributes, ends_at in self.rows
        ]
        return sorted(groups, key=attrgetter("name", "guid"))


def first_value(stored: Any) -> str:
    """Return the value of a stored attribute; of several with ranks the first."""
    value: str = stored if isinstance(stored, str) else stored[0][0]
    return value


def as_group(row: Row[Any]) -> DirectoryGroup:
    """Return a stored AD group."""
    return DirectoryGroup(
        guid=row.guid,
        dn=row.dn,
        name=row.name,
        sam_account_name=row.sam_account_name,
        sid=row.sid,
        in_scope=row.in_scope,
        attributes=row.attributes,
        ends_at=row.ends_at,
    )


def as_member(row: Any) -> DirectoryUser:
    """Return what decides whether an account counts as a member."""
    guid, dn, kind, disabled, expired = row
    other = kind != PrincipalKind.USER.value
    return DirectoryUser(guid, dn if other else "", PrincipalKind(kind), "", None, disabled, expired=expired)


def as_user(row: Any) -> DirectoryUser:
    """Return a stored account."""
    guid, dn, kind, name, sam_account_name, disabled, expires_at, expired, ends_at, attributes = row
    return DirectoryUser(
        guid=guid,
        dn=dn,
        kind=PrincipalKind(kind),
        name=name,
        sam_account_name=sam_account_name,
        disabled=disabled,
        expires_at=expires_at,
        expired=expired,
        ends_at=ends_at,
        attributes={name: first_value(value) for name, value in attributes.items()},
        ranked_values={name: tuple(map(tuple, value)) for name, value in attributes.items() if type(value) is not str},
    )
