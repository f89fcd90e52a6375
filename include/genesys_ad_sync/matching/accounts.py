"""AD accounts that are left alone, or that contest no Genesys user."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from genesys_ad_sync import names
from genesys_ad_sync.mapping import attribute
from genesys_ad_sync.model import DirectoryUser, Guid
from genesys_ad_sync.settings import SyncDefinition


def excluded_users(users: Iterable[DirectoryUser], definition: SyncDefinition) -> frozenset[Guid]:
    """Return the users that `exclude: users:` names, by name, sAMAccountName, mail or userPrincipalName.

    They are matched like all others, since only a match shows which Genesys users must be left alone.
    """
    patterns = definition.exclude.users
    if not patterns:
        return frozenset()
    return frozenset(
        user.guid
        for user in users
        if names.matches_any(
            patterns,
            (user.name, user.sam_account_name, user.mail, attribute(user.attributes, "userPrincipalName")),
        )
    )


def disabled_users(users: Iterable[DirectoryUser], definition: SyncDefinition) -> frozenset[Guid]:
    """Return the disabled and the expired accounts, if the definition removes them from their groups."""
    policy = definition.directory.policy
    return frozenset(user.guid for user in users if policy.leaves_out(user))


def accounts_without_veto(
    users: Collection[DirectoryUser], definition: SyncDefinition, deleted: Collection[Guid]
) -> frozenset[Guid]:
    """Return those accounts that contest no Genesys user: excluded, disabled, expired or deleted."""
    return frozenset(deleted) | excluded_users(users, definition) | disabled_users(users, definition)
