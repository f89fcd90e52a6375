"""Notes of a poll for the report.

They say why everything was read, what is missing, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Collection

from genesys_ad_sync.directory.membership import count_non_users
from genesys_ad_sync.model import DirectoryView, Scope, StoredCursor

CANARY_NOTE = (
    "the account does not see directory.canary: its rights changed, or this is another directory. No member is "
    "removed because of what this run read"
)


def why_whole(stored: StoredCursor | None, scope: Scope, *, asked_for: bool) -> str | None:
    """Return why everything must be read; None if DirSync's changes are enough."""
    if stored is None:
        return "Active Directory was read completely: nothing was known yet"
    if stored.scope != scope.fingerprint:
        edited = "group base, group filter or attributes of the definition changed"
        return f"Active Directory was read completely again: {edited}"
    if asked_for:
        return "Active Directory was read completely again: mode full"
    if stored.cursor.cookie is None:
        return "Active Directory was read completely again: it cannot report what changed (see the other notes)"
    return None


def note_on_non_users(view: DirectoryView, *, nested: bool) -> list[str]:
    """Return the note on members that are not users of this domain."""
    counts = count_non_users(view, *(guid for guid, group in view.groups.items() if group.in_scope), nested=nested)
    if not counts:
        return []
    numbers = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return [
        f"members that are not users of this domain get no membership: {numbers}"
        + (" (of another domain, or not visible to the account)" if counts["unresolved"] else "")
    ]


def note_on_unreadable(kept: Collection[str]) -> list[str]:
    """Return the note on members that are listed and can no longer be read."""
    if not kept:
        return []
    return [
        f"{len(kept)} known members are still listed in their groups but can no longer be read: their last known "
        f"state counts. Give the account read access to them again."
    ]


def note_on_hidden_changes(hidden: int) -> list[str]:
    """Return the note on changes that AD counts and does not list."""
    if not hidden:
        return []
    return [
        f"there were {hidden} more changes of the same memberships since the last poll than are listed: "
        "Active Directory keeps the last one of each, and counts the others"
    ]


def note_on_deleted_objects(naming_context: str) -> list[str]:
    """Return the note on the right to see deleted objects, which the account lacks."""
    container = f"CN=Deleted Objects,{naming_context}"
    return [
        "The account cannot see deleted objects. Each poll compares the member lists of mapped groups instead, and "
        "many deletions at once look like a loss of rights. To see them, let a domain administrator run, with your "
        f'DOMAIN\\account: dsacls "{container}" /takeownership && dsacls "{container}" /g "DOMAIN\\account:LCRP"'
    ]
