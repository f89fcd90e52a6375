"""Decides what may be believed after a change of domain controller. Pure.

Another domain controller may lag behind the one that was read before, and still answer completely. What it *reports*
in an incremental DirSync answer is new, and believed. What it merely *shows* may be old, whether a membership is
missing or is there again. It is doubted until a domain controller is read that has received everything that the
journal knew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from genesys_ad_sync.directory.membership import primary_group_rids
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.directory.up_to_dateness import merged, missing
from genesys_ad_sync.model import (
    Change,
    Cursor,
    DirectoryUser,
    DirectoryView,
    Doubt,
    Guid,
    Reason,
    StoredCursor,
    Vector,
)

# -- the domain controller that is read ---------------------------------------------------------------


def trusted_cursor(fresh: Cursor) -> Cursor:
    """Return ``fresh`` without doubt."""
    return dataclasses.replace(fresh, doubted_since=None, trusted_dc=fresh.domain_controller)


def next_cursor(stored: StoredCursor, fresh: Cursor, replication_time: timedelta) -> Cursor:
    """Return ``fresh`` with the doubt that follows from the cursor before it.

    It also gets the knowledge that both have together. A domain controller whose database was restored, or replaced by
    an old copy, counts as another one.
    """
    last, name = stored.cursor, fresh.domain_controller
    same = is_same_database(stored, fresh)
    known, heard = last.vector, fresh.vector
    if same and name == last.domain_controller and last.doubted_since is None:
        return trusted_cursor(fresh)
    if same and known is not None and heard is not None:
        over = not missing(heard, known)
    else:
        waited = last.doubted_since is not None and fresh.polled_at >= last.doubted_since + replication_time
        over = same and name == last.domain_controller and waited
    if over:
        return trusted_cursor(fresh)
    continued = same and name == last.domain_controller
    trusted = last.domain_controller if last.doubted_since is None else last.trusted_dc
    if trusted == name and not continued:
        trusted = last.domain_controller if last.domain_controller != name else None
    return dataclasses.replace(
        fresh,
        doubted_since=last.doubted_since if continued else fresh.polled_at,
        trusted_dc=trusted,
        vector=None if known is None or heard is None else merged(known, heard),
    )


def is_same_database(stored: StoredCursor, fresh: Cursor) -> bool:
    """Return True if the database is the one that was last read.

    It is another one if the domain controller was restored, or an old copy was put back.
    """
    last = stored.cursor
    known = {**stored.known_dcs, last.domain_controller: (last.invocation_id, last.highest_committed_usn)}
    invocation_id, usn = known.get(fresh.domain_controller, (fresh.invocation_id, fresh.highest_committed_usn))
    return invocation_id == fresh.invocation_id and fresh.highest_committed_usn >= usn


def what_was_known(stored: StoredCursor, fresh: Cursor) -> Vector | None:
    """Return the vector that a doubted change must wait for; None: only time helps.

    A domain controller with an old copy of its database uses its numbers a second time.
    """
    last = stored.cursor
    known = {**stored.known_dcs, last.domain_controller: (last.invocation_id, last.highest_committed_usn)}
    invocation_id, usn = known.get(fresh.domain_controller, ("", 0))
    rolled_back = invocation_id == fresh.invocation_id and fresh.highest_committed_usn < usn
    return None if rolled_back else last.vector


# -- what it reports ------------------------------------------------------------------------------------


def as_told(
    before: DirectoryView,
    after: DirectoryView,
    delta: Delta | None,
    *,
    deleted: Collection[Guid] = (),
    new_scope: bool = False,
    doubted: bool = False,
) -> DirectoryView:
    """Return ``before`` with the changes that AD reported.

    It gets none of the changes that ``after`` merely shows.
    ``delta``: what DirSync listed since ``before``; None: nothing. ``deleted``: objects whose tombstone was seen.
    With ``new_scope``, the definition looks at another part of AD: groups and accounts count as ``after`` has them. The
    state of an account does not if the domain controller is ``doubted``.
    """
    gone = {*deleted, *(delta.deleted if delta is not None else ())}
    named = {*delta.touched, *delta.member_changes} if delta is not None else set()
    states = delta.states if delta is not None else frozenset()
    expiries = delta.expiries if delta is not None else frozenset()
    groups = {**after.groups, **{g: group for g, group in before.groups.items() if not new_scope and g not in named}}
    if new_scope:
        groups = {**before.groups, **groups}
    users = dict(after.users)
    for guid, user in before.users.items():
        now = users.get(guid)
        if now is not None and (doubted or not new_scope):
            now = _with_known_state(user, now, state=guid in states, expiry=guid in expiries)
        users[guid] = now or user
    view = DirectoryView(
        groups={guid: group for guid, group in groups.items() if guid not in gone},
        users={guid: user for guid, user in users.items() if guid not in gone},
    )
    primary = _told_primary_groups(after, delta)
    for guid in view.groups:
        added, removed = (delta.added(guid), delta.removed(guid)) if delta is not None else _NOTHING
        view.members[guid] = ((before.members.get(guid, set()) - removed) | added | primary.get(guid, set())) - gone
    return view


_NOTHING: tuple[frozenset[Guid], frozenset[Guid]] = (frozenset(), frozenset())


def _with_known_state(before: DirectoryUser, after: DirectoryUser, *, state: bool, expiry: bool) -> DirectoryUser:
    """Return AD's present user, with ``disabled`` and ``expired`` only if AD reported them.

    Each one that AD did not report stays as before.
    """
    if not state:
        after = dataclasses.replace(after, disabled=before.disabled)
    if not expiry:
        after = dataclasses.replace(after, expires_at=before.expires_at, expired=before.expired)
    return after


def _told_primary_groups(after: DirectoryView, delta: Delta | None) -> dict[Guid, set[Guid]]:
    members: dict[Guid, set[Guid]] = {}
    if delta is not None and delta.primary_groups:
        rids = primary_group_rids(after)
        for user, rid in delta.primary_groups.items():
            if rid in rids:
                members.setdefault(rids[rid], set()).add(user)
    return members


def not_told(changes: Iterable[Change], told: Iterable[Change]) -> list[Change]:
    """Return the changes that are not among those that AD reported."""
    known = {(change.group_guid, change.user_guid, change.action) for change in told}
    return [change for change in changes if (change.group_guid, change.user_guid, change.action) not in known]


def with_doubt(
    changes: Iterable[Change], doubted: Collection[Change], reason: Reason, doubt: Doubt, trusted_dc: str | None
) -> list[Change]:
    """Hold the ``doubted`` ones among the changes for ``reason``.

    Changes that are held already keep their own reason.
    """
    held = {(change.group_guid, change.user_guid, change.action) for change in doubted}
    return [
        dataclasses.replace(change, held_reason=change.held_reason or reason, trusted_dc=trusted_dc, doubt=doubt)
        if (change.group_guid, change.user_guid, change.action) in held
        else change
        for change in changes
    ]


def is_reported(change: Change, delta: Delta) -> bool:
    """Return whether ``delta`` itself reports that the membership of a held removal ended."""
    if change.user_guid in delta.deleted:
        return True
    last_group = change.path[-1] if change.path else change.group_guid
    return change.user_guid in delta.removed(last_group)


def is_told_again(change: Change, delta: Delta) -> bool:
    """Return whether ``delta`` reports that a removed membership is there again."""
    last_group = change.path[-1] if change.path else change.group_guid
    return change.user_guid in delta.added(last_group)


# -- whether a doubt is over --------------------------------------------------------------------------


@dataclass(frozen=True)
class Judgement:
    """An answer: may a reading confirm a doubted change.

    ``doubt``: the doubt to keep if it may not.
    """

    may_confirm: bool
    doubt: Doubt


def judge(change: Change, stored: StoredCursor, fresh: Cursor, replication_time: timedelta) -> Judgement:
    """Return whether a complete reading at ``fresh`` may confirm a doubted change.

    It may if one of these holds:
    - It comes from the domain controller that was read before the doubt.
    - The domain controller has received everything that the journal knew when it recorded the change.
    - That cannot be found out, and ``replication_time`` has passed since.

    Where it can be found out and is not so after that time, a person is asked, unless a domain controller whose changes
    are missing has answered since: then its own reading decides.
    """
    known = change.doubt.vector if change.doubt is not None else None
    same = is_same_database(stored, fresh)
    waited = fresh.polled_at >= change.observed_at + replication_time
    old_one = same and change.trusted_dc is not None and change.trusted_dc == fresh.domain_controller
    if known is None or fresh.vector is None:
        doubt = Doubt(known, shown_by=fresh.domain_controller)
        return Judgement(old_one or waited, doubt)
    lacks = missing(fresh.vector, known)
    names = {invocation_id: name for name, (invocation_id, _) in stored.known_dcs.items()}
    silent = all(stored.read_at.get(names.get(guid, ""), change.observed_at) <= change.observed_at for guid in lacks)
    by_name = {names.get(guid, guid): count for guid, count in lacks.items()}
    doubt = Doubt(known, by_name, fresh.domain_controller, ask=waited and silent)
    return Judgement(old_one or not lacks, doubt)
