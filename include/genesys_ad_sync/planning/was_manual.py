"""Memberships that were in Genesys Cloud by hand before AD granted them.

Somebody in Genesys Cloud decided that this user is a member. When AD takes the person out, a person is asked: the AD
account may be linked to that user by a value that its owner can edit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from genesys_ad_sync.model import Action, Grant, Guid, Row, Status
from genesys_ad_sync.planning.facts import TargetFacts

Membership = tuple[str, str]
"""Genesys group, Genesys user."""


def is_manual(genesys_user_id: str, sources: Collection[Guid], facts: TargetFacts) -> bool:
    """Return True if a wanted, present member was added by hand.

    A comparison finds it wanted. What AD and Genesys both had when a pair was compared for the first time is AD's own.
    """
    known = facts.grants_of.get(genesys_user_id, ())
    if known:
        return all(grant.was_manual for grant in known)
    return facts.target.trial_rules.keys().isdisjoint(sources)


def without_write(rows: Iterable[Row]) -> list[Row]:
    """Return the additions that were in effect without a write.

    Each may be somebody's work in Genesys Cloud.
    """
    return [
        row
        for row in rows
        if row.action is Action.ADD and row.status is Status.UNCHANGED and row.changes_ownership and not row.undoes_run
    ]


def mark(
    grants: Iterable[Grant],
    candidates: Collection[Membership],
    known: Iterable[Grant],
    ours: Collection[Membership],
    compared: Collection[tuple[Guid, str]],
) -> list[Grant]:
    """Return new grants, marked where the membership was there by hand.

    - ``candidates``: memberships that were in effect without a write.
    - ``known``: the grants that there are; a membership that one of them owns stays owned.
    - ``ours``: memberships that a run of this definition wrote last.
    - ``compared``: (AD group, Genesys group) of pairs that were compared with Genesys before.
    """
    owned: dict[Membership, bool] = {}
    for grant in known:
        of = grant.genesys_group_id, grant.genesys_user_id
        owned[of] = owned.get(of, True) and grant.was_manual
    return [
        Grant(
            grant.genesys_group_id,
            grant.genesys_user_id,
            grant.user_guid,
            grant.group_guid,
            was_manual=_is_manual(grant, owned, candidates, ours, compared),
        )
        for grant in grants
    ]


def _is_manual(
    grant: Grant,
    owned: Mapping[Membership, bool],
    candidates: Collection[Membership],
    ours: Collection[Membership],
    compared: Collection[tuple[Guid, str]],
) -> bool:
    of = grant.genesys_group_id, grant.genesys_user_id
    if of not in candidates:
        return False  # this run wrote it
    if of in owned:
        return owned[of]
    return of not in ours and (grant.group_guid, grant.genesys_group_id) in compared
