"""What Genesys Cloud has, how it is written, and by what its users are known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from genesys_ad_sync import names

MEMBERS_PER_REQUEST = 50
"""Members that one request may add or remove: documented for /groups/{id}/members, and kept for SCIM, too."""


@dataclass(frozen=True)
class GenesysGroup:
    """A group of Genesys Cloud, as last listed.

    ``version``, ``member_count``, ``owners`` (Genesys users) None: not listed.
    """

    id: str
    name: str
    state: str = "active"
    version: int | None = None
    member_count: int | None = None
    owners: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class GenesysUser:
    """A user of Genesys Cloud."""

    id: str
    name: str
    email: str | None
    username: str | None
    state: str  # active | inactive | deleted


class UserKey(str, Enum):
    """What an attribute of the AD user is compared with, to find the Genesys user."""

    EMAIL = "email"
    USERNAME = "username"
    EXTERNAL_ID = "external_id"

    def __str__(self) -> str:
        """Return the value, in each version of Python."""
        return self.value

    def of(self, user: GenesysUser) -> str | None:
        """Return the user's value; None if it has none.

        Always None for EXTERNAL_ID, which a user does not carry.
        """
        if self is UserKey.EMAIL:
            return user.email
        return user.username if self is UserKey.USERNAME else None

    def normalise(self, text: str) -> str:
        """Return the form in which two values are equal.

        External ids are case-sensitive. The others are not.
        """
        return text if self is UserKey.EXTERNAL_ID else names.normal_mail(text)

    @property
    def needs_authority(self) -> bool:
        """Return True if a value means nothing without its authority.

        Such a value is looked up on its own.
        """
        return self is UserKey.EXTERNAL_ID


class WriteStrategy(str, Enum):
    """How memberships are written.

    ``scim_patch``: additions and removals of a group in one request. ``group_members``: POST and DELETE of
    `/groups/{id}/members`. ``user_patch``: one PATCH for each person.
    """

    SCIM_PATCH = "scim_patch"
    GROUP_MEMBERS = "group_members"
    USER_PATCH = "user_patch"

    def __str__(self) -> str:
        """Return the value, in each version of Python."""
        return self.value

    def requests_for(self, adds: int, removals: int) -> int:
        """Estimate the requests for one Genesys group, its re-check and its read-back included."""
        if self is WriteStrategy.USER_PATCH:
            return 2 + 3 * (adds + removals)  # read, write and read back each person
        if self is WriteStrategy.GROUP_MEMBERS:
            return 2 + 2 * _batches(adds) + _batches(removals)  # each POST needs the newest version
        return 2 + _batches(adds + removals)

    @property
    def always_verified(self) -> bool:
        """Tell whether only a read-back shows that Genesys honoured a write, whatever `verify` says."""
        return self is WriteStrategy.USER_PATCH


def _batches(members: int) -> int:
    return -(-members // MEMBERS_PER_REQUEST)
