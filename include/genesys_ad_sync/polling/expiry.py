"""Accounts that expire: what an older view would have said, had it known, and ends that nothing confirms. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.model import DirectoryView


def as_expired_then(before: DirectoryView, after: DirectoryView, polled_at: datetime) -> DirectoryView:
    """Return ``before`` with the accounts as expired that, by ``after``, had expired by its poll.

    A journal that is older than the key `expired_users` does not know them, so that they did not expire since.
    """
    users = dict(before.users)
    for guid, user in before.users.items():
        now = after.users.get(guid)
        if now is not None and now.expired and now.expires_at is not None and now.expires_at <= polled_at:
            users[guid] = replace(user, expired=True, expires_at=now.expires_at)
    return DirectoryView(groups=before.groups, users=users, members=before.members)


def expires_otherwise(before: DirectoryView, after: DirectoryView, delta: Delta | None) -> bool:
    """Return True if an account expires at another time than before, and ``delta`` does not name that.

    No change shows it before that time, so that nothing is held for it.
    """
    told = delta.expiries if delta is not None else frozenset()
    known = before.users.keys() & after.users.keys() - told
    return any(before.users[guid].expires_at != after.users[guid].expires_at for guid in known)
